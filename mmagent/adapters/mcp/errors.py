"""What may go wrong with a server that is not ours, and the library that must be there to speak to one.

RunError
└── RemoteError        a call that its server, or what lies between, did not answer as it should
    ├── RemoteTimeout  it showed no progress for as long as it may
    └── ServerGone     it ended, could not be started or could not be reached

and, for our own server, ServeError.
"""

from __future__ import annotations

from mmagent.errors import MissingExtra, MMAgentError, RunError
from mmagent.trace.redact import harmless


class RemoteError(RunError):
    """A server's tool failed. `server` and `tool` say which one; `tool` is empty where no tool was called."""

    def __init__(self, server: str, tool: str, why: str) -> None:
        self.server, self.tool = server, tool
        super().__init__(f"MCP server {server}{f', tool {tool}' if tool else ''}: {why}")


class RemoteTimeout(RemoteError):
    """A server showed no progress in time; the request was cancelled."""


class ServerGone(RemoteError):
    """A server ended, could not be started or could not be reached; the next call tries to reach it anew."""


class ServeError(MMAgentError):
    """Our server cannot be reached in the way that was asked for."""


def require(owner: str) -> None:
    """Raise MissingExtra, which names `owner` and the command to install it, unless `mcp` of version 2 is there."""
    try:
        from mcp import Client  # noqa: F401  # version 1 has no such name
    except ImportError as error:
        raise MissingExtra("mcp", "mcp", owner) from error


def leaf(error: BaseException) -> BaseException:
    """The first error in a group, which is what task groups wrap failures in.

    >>> leaf(ExceptionGroup("all", [ExceptionGroup("some", [OSError("no such file")])]))
    OSError('no such file')
    """
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def words(error: BaseException) -> str:
    """An error in a line that is fit for a message, whoever wrote it.

    >>> words(OSError(2, "No such file or directory", "paint"))
    "FileNotFoundError: [Errno 2] No such file or directory: 'paint'"
    """
    first = leaf(error)
    return harmless(f"{type(first).__name__}: {first}").removesuffix(":")
