"""The reply: parts in the order in which the model made them, the trace, and both on disk.

It knows media and traces; it does not know how a reply comes about, only how to ask its agent for another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from mmagent.card import Scalar
from mmagent.errors import ConversationError, IntakeError, MediaError, RunError
from mmagent.intake import write_atomic
from mmagent.media import MODALITIES, Embedding, Media, Text, modality
from mmagent.trace import Trace

TRACE_JSON, TRACE_PAGE, MEDIA, ERROR = "trace.json", "trace.html", "media", ".error.txt"


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

        `Reply.load` reads it back. What an earlier save wrote there is replaced; nothing else is touched. MediaError
        if it cannot be written.
        """
        target = Path(folder)
        try:
            old = _written_before(target)
            (target / MEDIA).mkdir(parents=True, exist_ok=True)
            written = [
                _save(part, target / str(place), part.error if isinstance(part, PartError) else "")
                for place, part in enumerate(self.parts, 1)
            ]
            kept = [medium.save(target / MEDIA / f"{digest}{medium.suffix}") for digest, medium in self._files()]
            write_atomic(target / TRACE_PAGE, self.page().encode())
            write_atomic(target / TRACE_JSON, self.trace.to_json().encode())
            for path in old - {*written, *kept}:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise MediaError(
                f"the reply cannot be saved in {target}: {error.strerror or error}; choose another folder"
            ) from error
        return written

    def _files(self) -> list[tuple[str, Media]]:
        """The media that have a file format, by digest."""
        return [(digest, medium) for digest, medium in self.media.items() if medium.suffix]

    @classmethod
    def load(cls, folder: str | Path) -> Reply:
        """A reply that was saved; IntakeError when the folder holds none, or media other than those that were saved."""
        source = Path(folder)
        try:
            trace = Trace.from_json((source / TRACE_JSON).read_bytes())
        except (OSError, ValueError) as error:
            raise IntakeError(
                f"{source} holds no saved reply ({error}); give the folder that Reply.save wrote"
            ) from error
        media = {}
        for path in sorted((source / MEDIA).glob("*")):
            if path.stem in trace.media:
                media[path.stem] = _load(path, trace.media[path.stem])
        captions = {part.place: route.caption for route, part in trace.signals if part is not None}
        parts = [
            media[part.handle.digest]
            if part.handle and part.handle.digest in media
            else PartError(
                part.modality, captions.get(part.place, ""), part.error or "it was not saved: it has no file format"
            )
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
            raise ConversationError(
                "a loaded reply has no agent; give one: reply.replay(change, agent=Agent('pocket'))"
            )
        return again.replay(self.trace, self.media, change or {})

    def _repr_html_(self) -> str:
        from mmagent.intake.html import escape, show

        shown = (show(part) if isinstance(part, Media) else f"<p>{escape(str(part))}</p>" for part in self.parts)
        return "".join(f"<div>{item}</div>" for item in shown)


def _save(part: Media | PartError, path: Path, error: str) -> Path:
    if isinstance(part, Media) and part.suffix:
        return part.save(path.with_name(f"{path.name}{part.suffix}"))
    words = str(part) if error else f"[{part!r} has no file format; implement encode() to save it]"
    return Text(words).save(path.with_name(f"{path.name}{ERROR}"))


def _written_before(target: Path) -> set[Path]:
    """The files of an earlier save: its parts by number, its media by digest, as its trace tells them."""
    try:
        trace = Trace.from_json((target / TRACE_JSON).read_bytes())
    except (OSError, ValueError):
        return set()
    endings = {kind.suffix for kind in MODALITIES.values() if kind.suffix} | {ERROR}
    parts = {target / f"{place}{ending}" for place in range(1, len(trace.parts) + 1) for ending in endings}
    return {*parts, *(path for path in (target / MEDIA).glob("*") if path.stem in trace.media)}


def _load(path: Path, facts: Mapping[str, Scalar]) -> Media:
    """A medium that was saved, with what its file does not hold; IntakeError if it is another by now."""
    kind = modality(str(facts.get("modality", "text")))
    medium = kind.decode(path.read_bytes(), path.name)
    if isinstance(medium, Text) and facts.get("lang"):
        medium = Text(medium.text, str(facts["lang"]))
    if isinstance(medium, Embedding):  # its digest is the recipe that made it
        medium = Embedding(medium.array, medium.space, medium.mask, digest=path.stem)
    if medium.digest != path.stem:
        raise IntakeError(
            f"{path} is not what was saved there (its digest is {medium.digest[:12]}…); restore or delete it"
        )
    return medium
