"""Where media that a message or a model's argument names may come from: a store, hosts and folders that were allowed.

What an LLM or an end user wrote is read here, so nothing is open unless the developer opened it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from mmagent.adapters.langchain.store import PREFIX, MediaStore
from mmagent.errors import IntakeError, MediaError
from mmagent.intake import Limits, inside
from mmagent.media import Media, fits
from mmagent.trace.redact import harmless

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_SHOWN = 120


@dataclass(slots=True)
class Sources:
    """What may be read: handles of `store`, URLs on `hosts`, files inside `folders`; data URIs always, within `limits`.

    `counted`: `limits.decoded_bytes` is for all that is opened together, not for each.
    """

    store: MediaStore | None = None
    hosts: Sequence[str] = ()
    folders: Sequence[str | Path] = ()
    limits: Limits | None = None
    counted: bool = False

    def open(self, reference: str, kind: type[Media] = Media) -> Media:
        """The medium that a reference names, as a `kind`; IntakeError says what was refused and how to allow it."""
        if reference.startswith(PREFIX):
            return self._held(reference, kind)
        named = reference[:5].lower() == "data:" or _URL.match(reference)
        medium = kind.open(reference if named else self._file(reference), hosts=self.hosts, limits=self.limits)
        if self.counted:
            self.limits = (self.limits or Limits()).less(medium.nbytes)
        return medium

    def refers(self, text: str) -> bool:
        """Whether a text is a reference by its form: a handle, a data URI, a URL."""
        return text.startswith(PREFIX) or text[:5].lower() == "data:" or _URL.match(text) is not None

    def _held(self, handle: str, kind: type[Media]) -> Media:
        if self.store is None:
            raise IntakeError(f"{handle[:_SHOWN]} is a handle, and there is no store; give store=MediaStore()")
        found = self.store.get(handle)
        if kind is not Media and not fits(found.modality, kind.modality):
            raise MediaError(f"{handle} is {found.modality}, and {kind.modality} is wanted; name another medium")
        return found

    def _file(self, reference: str) -> Path:
        for folder in self.folders:
            path = inside(folder, reference)
            if path is not None:
                return path
        allowed = ", ".join(str(folder) for folder in self.folders) or "none"
        raise IntakeError(
            f"no file {harmless(reference, longest=_SHOWN)!r} in the folders that may be read ({allowed}); "
            f"give a handle ({PREFIX}…) or a data: URI, or allow its folder with folders=[...]"
        )


def sources(
    store: MediaStore | None, hosts: Sequence[str], folders: Sequence[str | Path], limits: Limits | None
) -> Sources:
    """The same from options as callers give them; IntakeError for one name where several are meant."""
    for option, value in (("hosts", hosts), ("folders", folders)):
        if isinstance(cast(object, value), str | Path):
            raise IntakeError(f"{option} is a list; write {option}=[{str(value)!r}]")
    return Sources(store, tuple(hosts), tuple(folders), limits)
