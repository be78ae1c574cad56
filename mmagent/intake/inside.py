"""Where a name that somebody else wrote leads: to a file below a folder, or nowhere."""

from __future__ import annotations

from pathlib import Path

_LONGEST = 1024


def inside(folder: str | Path, reference: str) -> Path | None:
    """The regular file that a reference names below a folder, links followed; None for whatever else it may be.

    It never raises, and it reads nothing. A name of more than 1,024 characters is none: most likely it is base64.
    """
    if len(reference) > _LONGEST:
        return None
    try:
        root = Path(folder).resolve()
        path = (root / reference).resolve()
        return path if path.is_relative_to(root) and path.is_file() else None
    except (OSError, ValueError, RuntimeError):  # too long a name; a NUL or half a surrogate pair; links in a circle
        return None
