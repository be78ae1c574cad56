"""Data sets by what a command line calls them: `jsonl:records.jsonl`, `vqa:questions.json,annotations.json,images`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import yaml
from pydantic import TypeAdapter, ValidationError

from mmagent.errors import IntakeError
from mmagent.evaluation.runs.presence import Presence, catalogue
from mmagent.training.data import (
    CocoCaptions,
    Fact,
    Facts,
    Jsonl,
    Llava,
    Reference,
    Source,
    TarRecords,
    VqaV2,
    Worded,
    audiocaps,
    cc3m,
    webvid,
)
from mmagent.training.run.data import FactsReader, ReaderSpec

_Opened: TypeAlias = "Source | Facts"


@dataclass(frozen=True, slots=True)
class Layout:
    """How a layout is opened: what its paths are, and the template that puts its facts into words, if it gives facts."""

    open: Callable[..., _Opened]
    paths: tuple[str, ...]
    optional: int = 0
    template: str = ""


def _presence(path: str, strategy: str = "random") -> Presence:
    return Presence(catalogue(path), strategy, name=Path(path).stem)  # type: ignore[arg-type]  # Presence checks it


LAYOUTS: Mapping[str, Layout] = {
    "jsonl": Layout(Jsonl, ("FILE", "MEDIA"), 1),
    "tars": Layout(TarRecords, ("SHARD",)),
    "llava": Layout(Llava, ("FILE", "MEDIA")),
    "vqa": Layout(VqaV2, ("QUESTIONS", "ANNOTATIONS", "IMAGES"), template="vqa"),
    "coco": Layout(CocoCaptions, ("ANNOTATIONS", "IMAGES"), template="caption"),
    "cc3m": Layout(cc3m, ("SHARD",), template="caption"),
    "audiocaps": Layout(audiocaps, ("CSV", "FOLDER"), template="caption"),
    "webvid": Layout(webvid, ("CSV", "FOLDER"), template="caption"),
    "presence": Layout(_presence, ("CATALOGUE", "STRATEGY"), 1),
}
WRITTEN = "written"
"""The layout of a YAML file that describes one source as a run file does: columns and endings have no place in a line."""
_CAPTIONING = frozenset({"caption", "pair"})


def open_data(name: str, template: str = "", seed: int = 0) -> Source:
    """The records of `LAYOUT:PATH[,PATH…]`; IntakeError tells the layouts, or the paths that one needs.

    `template` puts facts into words in the place of the layout's own, its wording drawn by the seed. Where a medium is
    to be described, all captions of one medium are the answers of one record.
    """
    layout, colon, rest = name.partition(":")
    if colon and layout == WRITTEN:
        return _written(Path(rest), template, seed)
    if not colon or layout not in LAYOUTS:
        raise IntakeError(f"{name!r} is no data set; write LAYOUT:PATH with one of {', '.join(LAYOUTS)}, {WRITTEN}")
    found, paths = LAYOUTS[layout], rest.split(",")
    if not len(found.paths) - found.optional <= len(paths) <= len(found.paths) or not all(paths):
        wanted = ",".join(found.paths[: len(found.paths) - found.optional])
        more = "".join(f"[,{path}]" for path in found.paths[len(found.paths) - found.optional :])
        raise IntakeError(f"{layout} is written {layout}:{wanted}{more}; got {rest!r}")
    opened = found.open(*paths)
    if not found.template:
        _own_words(layout, template)
        return opened  # type: ignore[return-value]  # without a template it gives records
    return _worded(opened, template or found.template, seed)  # type: ignore[arg-type]  # with one it gives facts


def _written(path: Path, template: str, seed: int) -> Source:
    """The source that a YAML file describes, its paths relative to the file's folder."""
    try:
        spec: ReaderSpec = TypeAdapter[ReaderSpec](ReaderSpec).validate_python(yaml.safe_load(path.read_text("utf-8")))
    except OSError as error:
        raise IntakeError(
            f"{path} cannot be read ({error.strerror}); name a YAML file that describes a source"
        ) from None
    except (yaml.YAMLError, ValidationError) as error:
        raise IntakeError(f"{path} describes no source of data: {error}") from None
    if not isinstance(spec, FactsReader):
        _own_words(spec.kind, template)
        return spec.open(path.parent, seed)
    return _worded(spec.facts(path.parent), template or spec.words(path.parent), seed)


def _own_words(layout: str, template: str) -> None:
    if template:
        raise IntakeError(f"{layout} holds records in words of their own; leave the template {template!r} out")


def _worded(facts: Facts, template: str, seed: int) -> Worded:
    return Worded(Grouped(facts) if template in _CAPTIONING else facts, template, seed)


class Grouped:
    """Facts of one medium as one fact, whose `answers` are all captions; the first of them stays its caption."""

    def __init__(self, facts: Facts, field: str = "caption") -> None:
        self.name, self._facts = facts.name, facts
        self._answers: dict[str, tuple[str, ...]] = {}
        self._first: list[int] = []
        for number in range(len(facts)):
            fact = facts[number]
            media, caption = fact.values.get("media"), fact.values.get(field)
            if not isinstance(media, Reference) or not isinstance(caption, str):
                raise IntakeError(f"{fact.place} is no medium with a {field}")
            if media.place not in self._answers:
                self._first.append(number)
            self._answers[media.place] = (*self._answers.get(media.place, ()), caption)

    def __len__(self) -> int:
        return len(self._first)

    def __getitem__(self, index: int) -> Fact:
        fact = self._facts[self._first[index]]
        media = fact.values["media"]
        return Fact(fact.values, fact.place, self._answers[media.place] if isinstance(media, Reference) else ())
