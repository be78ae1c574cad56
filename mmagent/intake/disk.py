"""Files written whole or not at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from mmagent.errors import MediaError


def write_atomic(path: str | Path, data: bytes) -> None:
    """Put `data` at `path` in one step, replacing what was there; a crash leaves the old file or none.

    MediaError when the folder is missing or cannot be written.
    """
    target = Path(path)
    # Beside the target, since a rename is atomic within one file system only; plainly opened, since
    # tempfile would make it readable by its owner alone.
    draft = target.with_name(f".{secrets.token_hex(8)}.part")
    try:
        try:
            with draft.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise MediaError(
            f"cannot write {target}: {error.strerror}; make its folder first, or choose another place"
        ) from error
