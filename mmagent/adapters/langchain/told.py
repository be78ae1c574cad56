"""Outputs as LangChain is told them: in words with handles, and one after another while a run goes on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from langchain_core.runnables.utils import AddableDict

from mmagent.adapters.langchain.store import MediaStore
from mmagent.card import Card
from mmagent.engine.events import Event
from mmagent.graph.checked import CheckedGraph, Origin
from mmagent.media import Media, Text


def in_words(outputs: Mapping[str, Any], store: MediaStore) -> str:
    """Outputs for a model to read: texts as they are, media by handle with plain facts, never their bytes.

    `{"image": Image(...)}` gives `image media:3f9a01c2b4d5 (width 8, height 8)`.
    """
    lines = {name: _line(value, store) for name, value in outputs.items()}
    if len(lines) == 1:
        return next(iter(lines.values()))
    return "\n".join(f"{name}: {line}" for name, line in lines.items())


def _line(value: Any, store: MediaStore) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, list | tuple):
        return "\n".join(_line(item, store) for item in value) or "nothing"
    if isinstance(value, Text):
        return value.text
    facts = ", ".join(f"{key} {fact}" for key, fact in value.describe().items())
    return f"{value.modality} {store.put(value)} ({facts})"


def plain(value: Any) -> Any:
    """An output as LangChain composes it: words as str, other media as they are.

    >>> plain(Text("a cat")), plain([Text("a"), Text("b")])
    ('a cat', ['a', 'b'])
    """
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value.text if isinstance(value, Text) else value


class Whole(str):
    """Words that take the place of the pieces before them: a tool that ends otherwise than it began gives these."""

    __slots__ = ()

    def __radd__(self, before: str) -> str:
        return str(self)


class Chunk(AddableDict):
    """Some outputs of a run, by name. In a sum, pieces of words are joined; any other value replaces what was there."""

    def __add__(self, other: Mapping[str, Any]) -> Chunk:
        words = {name for name, value in other.items() if isinstance(value, str) and isinstance(self.get(name), str)}
        return Chunk({**self, **other, **{name: self[name] + other[name] for name in words}})


class Telling:
    """The outputs of a graph, told as its events happen: pieces of words, previews, and each output when it is there.

    What a preview has shown is not told again as the output, nor words that their pieces have told.
    """

    def __init__(self, graph: CheckedGraph) -> None:
        self._names: dict[Origin, list[str]] = {}
        for name, origin in graph.outputs.items():
            self._names.setdefault(origin, []).append(name)
        self._ports = graph.output_ports
        self._latest: dict[str, Any] = {}
        self._done: set[str] = set()

    def hear(self, event: Event) -> Iterator[Chunk]:
        """What is new once this event has happened."""
        for origin, names in self._names.items():
            if origin.node != event.node or not event.node:
                continue
            for name in names:
                yield from self._heard(name, origin.port, event)

    def end(self, made: Mapping[str, Any]) -> Iterator[Chunk]:
        """What is left once the run has ended: inputs that are outputs too, and what was left out."""
        for name, value in made.items():
            yield from self._finish(name, plain(value))

    def _heard(self, name: str, port: str, event: Event) -> Iterator[Chunk]:
        wanted = self._ports[name]
        if event.kind == "token" and wanted.modality == "text" and not wanted.many:
            self._latest[name] = self._latest.get(name, "") + event.data
            yield Chunk({name: event.data})
        elif event.kind == "preview" and not wanted.many and event.data.modality == wanted.modality != "text":
            self._latest[name] = event.data
            yield Chunk({name: event.data})
        elif event.kind in ("finished", "cached") and port in (event.data or {}):
            yield from self._finish(name, plain(event.data[port]))

    def _finish(self, name: str, value: Any) -> Iterator[Chunk]:
        if name in self._done:
            return
        self._done.add(name)
        if name not in self._latest:
            yield Chunk({name: value})
        elif self._latest[name] != value:
            yield Chunk({name: Whole(value) if isinstance(value, str) else value})


def single(card: Card, outputs: Mapping[str, Any]) -> Any:
    """The only output itself where a card has one, else all by name."""
    return outputs[card.outputs[0].name] if len(card.outputs) == 1 else dict(outputs)


def is_media(value: Any) -> bool:
    """Whether a value may enter a port as it is: media, or a list of them."""
    return isinstance(value, Media) or (isinstance(value, list | tuple) and all(isinstance(i, Media) for i in value))
