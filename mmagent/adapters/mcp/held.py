"""Media that a server keeps for those to whom it gave an address, as files, within a budget of bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field

from mmagent.adapters.mcp.labels import SCHEME
from mmagent.errors import IntakeError
from mmagent.media import Media


@dataclass(frozen=True, slots=True)
class Held:
    """One medium as a file: its address, modality, MIME type and plain facts."""

    uri: str
    modality: str
    mime: str
    facts: str
    data: bytes = field(repr=False)

    @property
    def name(self) -> str:
        """What the file is called, by its digest."""
        return self.uri.removeprefix(SCHEME)


class Shelter:
    """Files by address. When they are more than `budget` bytes, those that nobody has asked for the longest go.

    An address holds the digest of what is there, so that nobody can guess one, and two that are the same are one.
    """

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self._lock = threading.Lock()
        self._files: OrderedDict[str, Held] = OrderedDict()
        self._bytes = 0

    def keep(self, media: Media, data: bytes) -> Held | None:
        """Keep a medium whose file is `data`; None if it is larger than the whole budget."""
        facts = ", ".join(f"{key} {value}" for key, value in media.describe().items())
        uri = f"{SCHEME}{media.modality}-{media.digest}{media.suffix}"
        held = Held(uri, media.modality, media.mime, f"{media.modality}: {facts}" if facts else media.modality, data)
        if len(data) > self.budget:
            return None
        with self._lock:
            before = self._files.pop(uri, None)
            self._bytes += len(data) - (len(before.data) if before else 0)
            self._files[uri] = held
            while self._bytes > self.budget:
                _, gone = self._files.popitem(last=False)
                self._bytes -= len(gone.data)
        return held

    def get(self, uri: str) -> Held:
        """The file at that address; IntakeError if there is none, or none any more."""
        with self._lock:
            held = self._files.get(uri)
            if held is not None:
                self._files.move_to_end(uri)
                return held
        raise IntakeError(f"nothing is held at {uri[:120]!r}, or no longer; call the tool again that gave this address")
