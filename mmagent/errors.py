"""Every error that mmagent raises on purpose, one class for each phase in which it can happen.

    MMAgentError
    ├── IntakeError          bytes from outside: unreadable, too large, refused, of an unknown kind
    ├── MediaError           a media value that cannot be what it claims to be
    ├── CardError            a tool or modality whose declaration is wrong
    ├── RegistryError        a name that cannot be found or loaded
    │   ├── UnknownName      no such tool, graph, model or modality
    │   ├── BrokenTool       the file that holds it fails to import
    │   └── MissingExtra     an optional library is not installed
    ├── GraphError           a graph that does not check; carries every fault
    ├── RunError             a call that failed while a graph ran
    │   ├── NodeFailed       a node raised; carries its path and the cause
    │   ├── NodeTimeout      a node showed no progress for its time limit
    │   └── Cancelled        the run, or the node, was cancelled
    ├── ModelError           a backbone, signal table or model folder that does not fit
    ├── ConversationError    a transcript that cannot be continued
    ├── RouteError           a signal that no tool may serve
    └── FetchError           weights that cannot be had
        ├── Offline          no source could be reached
        └── DigestMismatch   what came is not what was asked for

Adapters add kinds of their own below these, where they can tell more: `mmagent.adapters.mcp` says which server
failed, `mmagent.model.chat` what a chat model said.

A message is one or two sentences: what is wrong, where, and what to do about it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class MMAgentError(Exception):
    """The root of the tree; catch it to catch everything that mmagent refuses."""


class IntakeError(MMAgentError):
    """Bytes from outside were refused; the message names the source, the limit and the fix."""


class MediaError(MMAgentError):
    """A media value was asked to be something that its content is not."""


class CardError(MMAgentError):
    """A tool or a modality was declared wrongly; raised when it is declared, not when it runs."""


class RegistryError(MMAgentError):
    """A name could not be turned into a tool, graph or model."""


class UnknownName(RegistryError):
    """No shelf holds that name; the message lists the nearest ones."""


class BrokenTool(RegistryError):
    """The file that should hold the tool fails to import; the message carries its cause."""


class MissingExtra(RegistryError):
    """An optional library is not installed; the message gives the one command that installs it."""

    def __init__(self, library: str, extra: str, wanted_by: str) -> None:
        self.library, self.extra, self.wanted_by = library, extra, wanted_by
        super().__init__(
            f"{wanted_by} needs {library}, which is not installed. Install it with: pip install 'mmagent[{extra}]'"
        )


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a graph: where, what was expected, what was found and the nearest fix.

    >>> str(Fault("speak.yaml", "say", "text", "text", "image", "insert image-tags"))
    'speak.yaml: node say, port text: expected text, got image; fix: insert image-tags'
    """

    graph: str
    node: str
    port: str
    expected: str
    got: str
    fix: str

    def __str__(self) -> str:
        place = f"{self.graph}: node {self.node}" + (f", port {self.port}" if self.port else "")
        return f"{place}: expected {self.expected}, got {self.got}; fix: {self.fix}"


class GraphError(MMAgentError):
    """A graph does not check. `faults` holds every fault found, and the message lists them all."""

    def __init__(self, graph: str, faults: Sequence[Fault]) -> None:
        self.graph, self.faults = graph, tuple(faults)
        count = "1 fault" if len(self.faults) == 1 else f"{len(self.faults)} faults"
        super().__init__("\n  ".join([f"graph {graph} has {count}:", *map(str, self.faults)]))


class RunError(MMAgentError):
    """Something went wrong while a graph ran."""


class NodeFailed(RunError):
    """A node raised. `node` is its path in the graph, `__cause__` what it raised."""

    def __init__(self, node: str, tool: str, cause: BaseException) -> None:
        self.node, self.tool = node, tool
        super().__init__(f"node {node} ({tool}) failed: {type(cause).__name__}: {cause}")
        self.__cause__ = cause


class NodeTimeout(RunError):
    """A node showed no progress for as long as its `timeout` allows."""


class Cancelled(RunError):
    """The run or the node was cancelled before it finished."""


class ModelError(MMAgentError):
    """A backbone, tokenizer, signal table or model folder does not fit the others."""


class ConversationError(MMAgentError):
    """A transcript is malformed or cannot be continued."""


class RouteError(MMAgentError):
    """No tool may serve a signal; the message lists every candidate with the reason it was refused.

    `candidates` holds the same as data.
    """

    def __init__(self, message: str, candidates: Sequence[object] = ()) -> None:
        self.candidates = tuple(candidates)
        super().__init__(message)


class FetchError(MMAgentError):
    """Weights could not be had from any of their sources."""


class Offline(FetchError):
    """No source of the weights could be reached."""


class DigestMismatch(FetchError):
    """A file does not have the sha256 that its source promises; it was not kept."""
