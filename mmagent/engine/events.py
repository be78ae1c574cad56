"""What a run tells while it runs, and the record of each call that it leaves behind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from mmagent.card import Scalar

EventKind = Literal[
    "started", "progress", "token", "preview", "finished", "cached", "failed", "skipped", "retried", "spliced", "said"
]
Status = Literal["finished", "cached", "failed", "skipped", "cancelled"]


class Event(NamedTuple):
    """One thing that happened in a run.

    `span` numbers the call within its run, `parent` is the span of the call or graph that it belongs to (0: the
    run itself). `time` is seconds since the run began. `data` by kind: progress `(done, total, note)`, token
    str, preview Media, finished and cached the outputs by port, failed the error, skipped the reason, spliced
    the place, said a piece of a reasoner's answer.
    """

    kind: EventKind
    span: int
    parent: int
    node: str
    tool: str
    time: float
    data: Any = None


class Handle(NamedTuple):
    """A medium as traces and journals carry it: by modality and digest, never by content."""

    modality: str
    digest: str


@dataclass(frozen=True, slots=True)
class Call:
    """The record of one call of a tool. Times are seconds since the run began; `key` is its recipe key."""

    node: str
    tool: str
    span: int
    parent: int
    status: Status
    started: float
    seconds: float
    seed: int
    key: str
    settings: Mapping[str, Scalar] = field(default_factory=dict)
    inputs: Mapping[str, tuple[Handle, ...]] = field(default_factory=dict)
    outputs: Mapping[str, tuple[Handle, ...]] = field(default_factory=dict)
    attempts: int = 1
    error: str = ""
