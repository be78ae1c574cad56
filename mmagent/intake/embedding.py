"""Embeddings as `.npz` files: `states` float32 `[L, D]`, `mask` bool `[L]` and the name of their `space`."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING, Any

from mmagent.errors import IntakeError
from mmagent.intake import npy
from mmagent.intake.limits import DEFAULT, Limits
from mmagent.intake.source import NAMELESS

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

_MEMBERS = ("states.npy", "mask.npy", "space.npy")
_EPOCH = (1980, 1, 1, 0, 0, 0)


def is_space(space: object) -> bool:
    """Whether that can name a space: a short string that can be printed."""
    return isinstance(space, str) and space.isprintable() and 0 < len(space) <= 200


def encode(states: Array, mask: Array, space: str) -> bytes:
    """The embedding as a `.npz` that numpy.load reads; the same embedding is always the same bytes."""
    import numpy as np

    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for member, array in zip(_MEMBERS, (states, mask, np.asarray(space))):
            archive.writestr(zipfile.ZipInfo(member, _EPOCH), npy.encode(array))
    return file.getvalue()


def decode(data: bytes, name: str = "", limits: Limits | None = None) -> tuple[Array, Array, str]:
    """States `[L, D]`, mask `[L]` and space; the sizes that the archive states are checked before it is unpacked."""
    import numpy as np

    name, bounds = name or NAMELESS, limits or DEFAULT
    bounds.check("file_bytes", len(data), name)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sorted(archive.namelist()) != sorted(_MEMBERS):
                raise IntakeError(f"{name}: an embedding holds states, mask and space; save it with Embedding.save")
            infos = [archive.getinfo(member) for member in _MEMBERS]
            bounds.check("decoded_bytes", sum(info.file_size for info in infos), name)
            # zipfile reads no more of a member than the size it states, whatever the bytes inflate to.
            states, mask, space = (npy.decode(archive.read(info), name, bounds) for info in infos)
    except (IntakeError, MemoryError):
        raise
    except Exception as error:  # zipfile raises zlib's, struct's and its own errors on damaged archives
        raise IntakeError(f"{name}: not a readable .npz file; save it again with Embedding.save") from error
    if states.ndim != 2 or states.dtype.kind != "f" or mask.dtype != bool or mask.shape != states.shape[:1]:
        raise IntakeError(
            f"{name}: states are float [L, D] with mask bool [L], not {states.dtype} {states.shape} "
            f"and {mask.dtype} {mask.shape}"
        )
    if not np.isfinite(states).all():
        raise IntakeError(f"{name}: states are NaN or infinite; compute them again")
    if space.shape != () or space.dtype.kind != "U" or not is_space(str(space)):
        raise IntakeError(f"{name}: space is one short name like 'sd15.text'; save it with Embedding.save")
    return states, mask, str(space)
