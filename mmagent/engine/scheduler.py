"""A run: the small state machine that takes one graph, and what is spliced into it, from inputs to outputs.

There is no scheduler thread. Whoever finishes a node goes on with what that made ready: inline nodes in place,
one threaded node itself, the rest handed out. The lock is held for bookkeeping only, never
while a tool or a listener is called.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any

from mmagent.engine.each import Items
from mmagent.engine.events import Event, Status
from mmagent.engine.frame import LOST, Frame
from mmagent.engine.job import Job, Ready
from mmagent.engine.log import Listener, Log
from mmagent.engine.plan import NodePlan, Plan
from mmagent.engine.record import Record
from mmagent.engine.result import Result
from mmagent.engine.shortcut import run_shortcut
from mmagent.errors import MediaError, NodeFailed, RunError

if TYPE_CHECKING:
    from mmagent.engine.run import Engine
    from mmagent.registry import Registry


class Thread(Enum):
    """In whose thread a run goes on, which says what it may do there."""

    WORKER = "all that blocks"
    CALLER = "what blocks without a limit of time: the caller, who waits anyway, must be free to leave what has one"
    LOOP = "nothing that blocks"


class Run:
    """One run of a plan. `start` begins it; `ended` is called once when it is over, whatever became of it."""

    def __init__(
        self,
        engine: Engine,
        plan: Plan,
        inputs: Mapping[str, Any],
        seed: int,
        registry: Registry | None,
        listener: Listener | None,
        ended: Callable[[], None],
    ) -> None:
        self.engine, self.registry, self._ended = engine, registry, ended
        self.lock = threading.Lock()
        self.log = Log(listener, self.abort)
        self.seconds = 0.0
        self.root = Frame(plan, inputs, seed)
        self.over = self.cancelled = False
        self.broken: BaseException | None = None
        self._jobs: set[Job] = set()
        self._frames = 1
        self._spans = self.root.spans

    # -- going on

    def start(self, thread: Thread | None = None) -> None:
        """Begin, in this thread, or apart from it; in this thread a run of inline nodes is over when this returns."""
        if self.root.done:
            self._close_frame()
        elif thread is None:
            self.engine.workers.submit(partial(self.work, None, self.root.first()))
        else:
            self.advance(self.root.first(), thread)

    def advance(self, ready: Ready, thread: Thread) -> None:
        """Go on with what is ready until this thread has nothing left to do for the run.

        One call that blocks is kept for this thread, if it may; it is begun when all else has been handed out.
        """
        kept: Job | None = None
        try:
            while True:
                while ready and not self.over:
                    frame, index = ready.popleft()
                    node = frame.plan.nodes[index]
                    short = node.short
                    if short is not None and run_shortcut(self, frame, node, short, ready):
                        continue
                    for job in self._jobs_for(frame, node, ready):
                        if not job.step(ready, False):
                            continue
                        untimed = thread is Thread.CALLER and node.timeout is None
                        if kept is None and (untimed or thread is Thread.WORKER):
                            kept = job
                        else:
                            self.engine.workers.submit(partial(self.work, job))
                if kept is None:
                    return
                job, kept = kept, None
                job.step(ready, True)
        finally:
            if kept is not None:  # Ctrl-C: the job may hold a lease, which it gives back when it finds the run over
                self.engine.workers.submit(partial(self.work, kept))

    def go_on(self, ready: Ready) -> None:
        """Go on with what is ready on the loop; a fault of the engine's own ends the run."""
        try:
            self.advance(ready, Thread.LOOP)
        except BaseException as error:
            self.abort(error)

    def work(self, job: Job | None, ready: Ready | None = None) -> None:
        """Go on with a job, or with what is ready, in a worker; a fault of the engine's own ends the run."""
        ready = deque() if ready is None else ready
        try:
            if job is not None:
                job.step(ready, True)
            self.advance(ready, Thread.WORKER)
        except BaseException as error:
            self.abort(error)

    def _jobs_for(self, frame: Frame, node: NodePlan, ready: Ready) -> list[Job]:
        """The calls of a node whose inputs have come; none if it is left out, or failed already."""
        if node.groups:
            self.enter(frame, node)
        inputs: dict[str, Any] = {}
        for take in node.takes:
            value = frame.take(take)
            if value is LOST:
                return self._skip(frame, node, f"what feeds {take.name} failed", LOST, ready)
            if value is None and not take.gate.port.optional:
                return self._skip(frame, node, f"nothing came for {take.name}", None, ready)
            inputs[take.name] = value
        name, span, parent = frame.name(node.name), frame.span(node), frame.parent_of(node)
        try:
            for take in node.takes:
                if take.name == node.each:
                    take.gate.check_each(inputs[take.name], "its input")
                else:
                    take.gate.check(inputs[take.name], "its input")
        except MediaError as error:
            failure = NodeFailed(name, node.tool, error)
            self._note(frame, node, "failed", failure)
            self.settle(frame, node, failure, ready)
            return []
        if node.each is not None:
            return Items(self, frame, node, inputs).jobs(ready)
        done = partial(self.settle, frame, node)
        return [Job(self, frame, node, inputs, done, name=name, span=span, parent=parent)]

    def _skip(self, frame: Frame, node: NodePlan, reason: str, value: Any, ready: Ready) -> list[Job]:
        self._note(frame, node, "skipped", reason)
        self.fill(frame, node, (value,) * len(node.slots), ready)
        return []

    def _note(self, frame: Frame, node: NodePlan, status: Status, reason: RunError | str) -> None:
        """Note a node that ended before it was called."""
        self.log.end(
            Record(
                frame, frame.name(node.name), node.tool, frame.span(node), frame.parent_of(node), status,
                self.log.now(), 0.0, node, "", node.own.settings, {}, {}, 0, reason,
            )
        )  # fmt: skip

    def settle(self, frame: Frame, node: NodePlan, outcome: tuple[Any, ...] | RunError, ready: Ready) -> None:
        """A node has ended, with its outputs by port or with a failure; `ready` gets what waited for it."""
        if isinstance(outcome, tuple):
            self.fill(frame, node, outcome, ready)
        else:
            frame.failures[frame.name(node.name)] = outcome
            self.fill(frame, node, (LOST,) * len(node.slots), ready)

    def fill(self, frame: Frame, node: NodePlan, values: tuple[Any, ...], ready: Ready) -> None:
        """The same with what is to stand in its slots."""
        if node.groups:
            self._quit(frame, node)
        with self.lock:
            last = frame.fill(node, values, ready)
        if last:
            self._close_frame()

    def _close_frame(self) -> None:
        with self.lock:
            self._frames -= 1
            if self._frames or self.over:
                return
            self.over = True
        self._finish()

    def _finish(self) -> None:
        self.seconds = self.log.now()
        self.log.close()
        self._ended()

    # -- what joins and leaves

    def open(self, job: Job) -> None:
        """Count a call among those that go on."""
        with self.lock:
            self._jobs.add(job)

    def close(self, job: Job) -> bool:
        """Count it out; False if it was before."""
        with self.lock:
            there = job in self._jobs
            self._jobs.discard(job)
            return there

    def spans(self, count: int) -> int:
        """Reserve so many spans; the number before the first of them."""
        with self.lock:
            base, self._spans = self._spans, self._spans + count
        return base

    def join(self, frame: Frame) -> None:
        """Run a spliced graph beside what runs, in workers."""
        with self.lock:
            if self.over:
                return
            self._frames += 1
        if frame.done:
            self._close_frame()
        else:
            self.engine.workers.submit(partial(self.work, None, frame.first()))

    def cancel(self) -> None:
        """End the run now; what goes on is told to stop and its results are dropped."""
        with self.lock:
            if self.over:
                return
            self.over = self.cancelled = True
            jobs = tuple(self._jobs)
        for job in jobs:
            job.stop()
        self._finish()

    def abort(self, error: BaseException) -> None:
        """End the run because the engine, or a listener, failed; whoever waits for it gets `error`."""
        self.broken = self.broken or error
        self.cancel()

    # -- nested graphs

    def enter(self, frame: Frame, node: NodePlan) -> None:
        self._tell_groups(frame, "started", node.groups, frame.enter, node)

    def _quit(self, frame: Frame, node: NodePlan) -> None:
        self._tell_groups(frame, "finished", node.groups[::-1], frame.quit, node)

    def _tell_groups(
        self, frame: Frame, kind: Any, groups: tuple[int, ...], changed: Callable[[int], bool], node: NodePlan
    ) -> None:
        for group in groups:
            with self.lock:
                tell = changed(group)
            if tell:
                outer = [other for other in node.groups if other < group]
                parent = frame.group_span(outer[-1]) if outer else frame.parent
                self.log.emit(kind, frame.group_span(group), parent, frame.name(frame.plan.groups[group]), "")

    # -- what is left of it

    def result(self, frame: Frame | None = None) -> Result:
        """The outcome of the run, or of one of its graphs."""
        frame = self.root if frame is None else frame
        notes = (
            self.log.notes
            if frame is self.root
            else [note for note in self.log.notes if not isinstance(note, Event) and note.frame is frame]
        )
        return Result(
            frame.plan.name,
            frame.outputs(),
            dict(frame.failures),
            notes,
            {place: self.result(inner) for place, inner in frame.spliced.items()},
            self.seconds,
            self.cancelled,
        )
