"""The media of a page: each embedded once, where it is first shown, and referred to by links everywhere else.

It keeps the page's byte budget and says so wherever a medium is shown smaller than it is, or not at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mmagent.card import Scalar
from mmagent.engine.events import Handle
from mmagent.media import Media, Text
from mmagent.trace.markup import Html, element
from mmagent.trace.preview import preview
from mmagent.trace.words import digest, facts, line, size

CAP = 25_000_000
"""Bytes of embedded media that a page may hold, as they are written in it."""
_KNOWN = frozenset({"text", "image", "audio", "speech", "video", "points", "embedding"})


@dataclass
class Gallery:
    """Shows media by handle. `captions` are alt texts by digest; `facts` say what media are that are not at hand."""

    media: Mapping[str, Media]
    facts: Mapping[str, Mapping[str, Scalar]] = field(default_factory=dict)
    captions: Mapping[str, str] = field(default_factory=dict)
    left: int = CAP
    _handles: dict[str, tuple[int, Handle]] = field(default_factory=dict)
    _shown: set[str] = field(default_factory=set)

    def show(self, handle: Handle) -> Html:
        """The medium itself and its facts; a link once it has been shown."""
        if handle.digest in self._shown:
            return self.chip(handle)
        self._shown.add(handle.digest)
        body, note = self._body(handle)
        phrases = (element("b", handle.modality), *self._facts(handle), element("code", digest(handle.digest)), note)
        wordy = handle.modality == "text" and body is not None and not note  # its facts are plain to see
        caption = None if wordy else element("figcaption", [element("span", phrase) for phrase in phrases if phrase])
        return element(
            "figure", body, caption, id=self._place(handle), class_=f"medium {kind(handle.modality)}", tabindex=-1
        )

    def chip(self, handle: Handle) -> Html:
        """A link to the medium, with what tells it from others; `rest` shows what nothing else on the page shows."""
        medium = self.media.get(handle.digest)
        words = f"“{line(medium.text, 48)}”" if isinstance(medium, Text) else "".join(self._facts(handle)[:1])
        name = element("b", handle.modality)
        label = [name, " ", element("span", words, dir="auto")] if words else name
        return element("a", label, href=f"#{self._place(handle)}", class_=f"chip {kind(handle.modality)}")

    def rest(self) -> list[Html]:
        """The media that have only been referred to so far."""
        return [self.show(handle) for _, handle in list(self._handles.values()) if handle.digest not in self._shown]

    def _place(self, handle: Handle) -> str:
        number, _ = self._handles.setdefault(handle.digest, (len(self._handles) + 1, handle))
        return f"medium-{number}"

    def _facts(self, handle: Handle) -> list[str]:
        medium = self.media.get(handle.digest)
        return facts(medium.describe() if medium is not None else self.facts.get(handle.digest, {}))

    def _body(self, handle: Handle) -> tuple[Html | None, str]:
        """The medium as markup, and a note where that is not the whole medium."""
        medium = self.media.get(handle.digest)
        if medium is None:
            return None, "not kept with this trace"
        body, note = preview(medium, self.captions.get(handle.digest, ""))
        if body is None:
            return None, note
        if len(body) > self.left:
            return None, f"not embedded: {size(len(body))}, and a page holds at most {size(CAP)} of media"
        self.left -= len(body)
        return body, note


def kind(modality: str) -> str:
    """The class that colours a modality; those that users register share one."""
    return f"is-{modality}" if modality in _KNOWN else "is-other"
