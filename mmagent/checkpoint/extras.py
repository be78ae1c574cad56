"""Importing what only some installations have."""

from __future__ import annotations

import importlib
from typing import Any

from mmagent.errors import MissingExtra


def imported(library: str, extra: str, owner: str) -> Any:
    """The module of that name; MissingExtra gives the command that installs the extra which brings it."""
    try:
        return importlib.import_module(library)
    except ImportError as error:
        raise MissingExtra(error.name or library, extra, owner) from None
