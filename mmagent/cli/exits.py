"""Exit codes, the same for every command, and which error leads to which."""

from __future__ import annotations

from mmagent.errors import (
    BrokenTool,
    CardError,
    FetchError,
    GraphError,
    IntakeError,
    MediaError,
    MissingExtra,
    MMAgentError,
    NodeFailed,
    RegistryError,
)

OK = 0
FINDINGS = 1
"""`doctor` found that something is missing which the default agent needs."""
USAGE = 2
"""The command line is wrong: an unknown option, name, port or setting."""
FAULTS = 3
"""A graph does not check."""
TOOL = 4
"""A tool is broken, or is not what its card says."""
FAILED = 5
"""A run failed, or a part of the reply could not be made."""
INTAKE = 6
"""A file or value from outside was refused."""
FETCH = 7
"""Weights could not be had."""
INTERRUPTED = 130

_CODES: tuple[tuple[type[MMAgentError], int], ...] = (
    (GraphError, FAULTS),
    (BrokenTool, TOOL),
    (MissingExtra, FAILED),
    (RegistryError, USAGE),
    (CardError, USAGE),
    (IntakeError, INTAKE),
    (MediaError, INTAKE),
    (FetchError, FETCH),
)


def code_of(error: MMAgentError) -> int:
    """The exit code of a refused command: that of the first class in the table, else that of a failed run.

    A node that failed because its weights could not be had counts as that.
    """
    if isinstance(error, NodeFailed) and isinstance(error.__cause__, FetchError):
        return FETCH
    return next((code for kind, code in _CODES if isinstance(error, kind)), FAILED)
