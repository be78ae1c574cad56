"""Importing the file of a tool, as the module `mmagent.tools.<stem>`. It knows modules, and no tool in them."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import sys
import warnings
from pathlib import Path
from types import ModuleType

from mmagent.errors import MMAgentError
from mmagent.shelf import tool_files, tool_folders

PACKAGE = "mmagent.tools"

replaced: dict[str, tuple[Path, str]] = {}
"""Stem → the file on a later shelf that stands in for one that fails to import, and why that one fails."""


def stem(name: str) -> str:
    """The name, without its ending, of the file in which a tool of that name is looked for first.

    >>> stem("image-tags.v1")
    'image_tags'
    """
    return name.split(".v")[0].replace("-", "_")


def cause(error: BaseException) -> str:
    """Why a file cannot be imported, in a line."""
    return str(error) if isinstance(error, MMAgentError) else f"{type(error).__name__}: {error}"


def import_file(name: str) -> ModuleType:
    """The module of the file of that stem; what it raises at import is raised.

    A file that fails gives way, with a warning, to one of its name on a later shelf, so that a mistake in a user's
    file does not take ours away.
    """
    full = f"{PACKAGE}.{name}"
    if full in sys.modules:
        return sys.modules[full]
    importlib.import_module(PACKAGE).__path__[:] = tool_folders()  # MMAGENT_PATH may have changed
    try:
        return importlib.import_module(full)
    except (Exception, SystemExit) as error:
        first, *others = tool_files().get(name, [Path()])
        for path in others:
            module = None
            with contextlib.suppress(Exception, SystemExit):  # the error of the first file is the one to mend
                module = read_file(full, path)
            if module is not None:
                why = cause(error)
                replaced[name] = path, why
                warnings.warn(f"{first} fails to import ({why}); {path} stands in", RuntimeWarning, stacklevel=2)
                return module
        raise


def read_file(name: str, path: Path) -> ModuleType:
    """Import a file as the module `name`, in place of one of that name; if it raises, that one stays."""
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be imported as a Python module")
    module = importlib.util.module_from_spec(spec)
    before = sys.modules.get(name)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        if before is None:
            del sys.modules[name]
        else:
            sys.modules[name] = before
        raise
    return module


def forget(name: str) -> None:
    """Drop an imported tool file by its stem, so that its next use reads it anew (after it was edited)."""
    sys.modules.pop(f"{PACKAGE}.{name}", None)
    replaced.pop(name, None)
    importlib.invalidate_caches()
