"""The reply: parts in the order in which the model made them, the trace, and both on disk.

It knows media and traces; it does not know how a reply comes about, only how to ask its agent for another.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from mmagent.errors import ConversationError, IntakeError, RunError
from mmagent.media import Media, Text, modality
from mmagent.trace import Trace

TRACE_JSON, TRACE_PAGE, MEDIA = "trace.json", "trace.html", "media"


class Replayer(Protocol):
    """What can run a traced turn again: an agent."""

    def replay(self, trace: Trace, media: Mapping[str, Media], change: Mapping[str, Any]) -> Reply: ...


@dataclass(frozen=True, slots=True)
class PartError:
    """What stands in the place of a part that could not be made: what was asked for, and why it is not there."""

    modality: str
    caption: str
    error: str

    def __str__(self) -> str:
        return f"[{self.modality} {self.caption!r} could not be made: {self.error}]"


@dataclass(frozen=True)
class Reply:
    """What an agent answers. `parts` are media in order, a `PartError` where one failed.

    `media` holds, by digest, every medium that the trace names and that is still at hand.
    """

    parts: tuple[Media | PartError, ...]
    trace: Trace
    media: Mapping[str, Media] = field(default_factory=dict, repr=False)
    agent: Replayer | None = field(default=None, repr=False, compare=False)

    @property
    def text(self) -> str:
        """The words of the reply, its text parts joined."""
        return "\n".join(part.text for part in self.parts if isinstance(part, Text))

    @property
    def failed(self) -> tuple[PartError, ...]:
        """The parts that could not be made."""
        return tuple(part for part in self.parts if isinstance(part, PartError))

    def check(self) -> Reply:
        """This reply, if no part failed; RunError naming every failed part otherwise."""
        if self.failed:
            raise RunError("; ".join(map(str, self.failed)))
        return self

    def page(self) -> str:
        """The trace as one self-contained HTML page."""
        from mmagent.trace.page import page

        return page(self.trace, self.media)

    def save(self, folder: str | Path) -> list[Path]:
        """Write the parts as `1.txt 2.wav …`, the trace as page and as data, and all media it names; the part files.

        What lies in the folder already under these names is replaced; nothing else is touched. `Reply.load`
        reads it back.
        """
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        for old in target.iterdir():
            if old.is_file() and old.stem.isdigit():
                old.unlink()
        shutil.rmtree(target / MEDIA, ignore_errors=True)
        written = [
            part.save(target / f"{place}{part.suffix}")
            if isinstance(part, Media)
            else Text(str(part)).save(target / f"{place}.error.txt")
            for place, part in enumerate(self.parts, 1)
        ]
        for digest, medium in self.media.items():
            if medium.suffix:
                (target / MEDIA).mkdir(exist_ok=True)
                medium.save(target / MEDIA / f"{digest}{medium.suffix}")
        Text(self.page()).save(target / "trace.txt").replace(target / TRACE_PAGE)
        Text(self.trace.to_json()).save(target / "trace.txt").replace(target / TRACE_JSON)
        return written

    @classmethod
    def load(cls, folder: str | Path) -> Reply:
        """A reply that was saved; IntakeError when the folder holds none."""
        source = Path(folder)
        try:
            trace = Trace.from_json((source / TRACE_JSON).read_bytes())
        except (OSError, ValueError) as error:
            raise IntakeError(
                f"{source} holds no saved reply ({error}); give the folder that Reply.save wrote"
            ) from error
        media = {}
        for path in sorted((source / MEDIA).glob("*")):
            kind = modality(str(trace.media.get(path.stem, {}).get("modality", "text")))
            media[path.stem] = kind.decode(path.read_bytes(), path.name)
        captions = {part.place: route.caption for route, part in trace.signals if part is not None}
        parts = [
            media[part.handle.digest]
            if part.handle and part.handle.digest in media
            else PartError(part.modality, captions.get(part.place, ""), part.error)
            for part in trace.parts
        ]
        return cls(tuple(parts), trace, media)

    def replay(self, change: Mapping[str, Any] | None = None, agent: Replayer | None = None) -> Reply:
        """The same turn again, with one or more parts swapped; what the change does not touch comes from the cache.

        `change` maps `text` to another request, `input-1` (`input-2` …) to another medium, `model`, `policy` and
        `seed` to others, and a tool's name to another tool's name or to settings: `{"say": {"speed": 1.2}}`.
        The agent is the one that made the reply; a reply that was loaded needs one given. Its memory is not touched.
        """
        again = agent or self.agent
        if again is None:
            raise ConversationError("a loaded reply has no agent; give one: reply.replay(change, agent=Agent('pocket'))")
        return again.replay(self.trace, self.media, change or {})

    def _repr_html_(self) -> str:
        from mmagent.intake.html import escape, show

        shown = (show(part) if isinstance(part, Media) else f"<p>{escape(str(part))}</p>" for part in self.parts)
        return "".join(f"<div>{item}</div>" for item in shown)


def changed_request(parts: Sequence[Media], change: Mapping[str, Any]) -> list[Media]:
    """The parts of a request with `text` and `input-N` of `change` in place; ConversationError for one that is not there."""
    inputs = [place for place, part in enumerate(parts) if not isinstance(part, Text)]
    result = list(parts)
    for key, value in change.items():
        if key == "text":
            result = [part for part in result if not isinstance(part, Text)]
            result.insert(0, Text(value))
            inputs = [place for place, part in enumerate(result) if not isinstance(part, Text)]
    for key, value in change.items():
        if key.startswith("input-"):
            number = key.removeprefix("input-")
            if not number.isdigit() or not 1 <= int(number) <= len(inputs):
                raise ConversationError(f"replay cannot change {key}: the request has {len(inputs)} media (input-1 …)")
            result[inputs[int(number) - 1]] = value
    return result
