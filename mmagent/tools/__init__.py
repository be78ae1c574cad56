"""The tools of every shelf, as modules `mmagent.tools.<name>`: the user's shelves first, then ours."""

from mmagent.shelf import shelves

_HERE = list(__path__)


def refresh() -> None:
    """Read `MMAGENT_PATH` again."""
    __path__[:] = [str(shelf.tools) for shelf in shelves() if shelf.tools.is_dir()] or _HERE


refresh()
