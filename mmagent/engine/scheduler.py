"""A run: the small state machine that takes one graph, and what is spliced into it, from inputs to outputs.

There is no scheduler thread. Whoever finishes a node goes on with what that made ready: inline nodes in place,
one threaded node itself if it is a worker, the rest handed out. The lock is held for bookkeeping only, never
while a tool or a listener is called.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

from blake3 import blake3

from mmagent.engine.each import Items
from mmagent.engine.events import Event
from mmagent.engine.frame import LOST, Frame
from mmagent.engine.job import Job, Ready
from mmagent.engine.plan import NodePlan, Plan
from mmagent.engine.result import Record, Result, Short
from mmagent.errors import MediaError, NodeFailed, RunError

if TYPE_CHECKING:
    from mmagent.engine.run import Engine
    from mmagent.registry import Registry

Listener = Callable[[Event], object]


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
        self.engine, self.registry, self._listener, self._ended = engine, registry, listener, ended
        self.lock = threading.Lock()
        self._telling = threading.RLock()
        self.began, self.seconds = perf_counter(), 0.0
        self.events: list[Event] = []
        self.records: list[Record | Short] = []
        self.root = Frame(plan, inputs, seed)
        self.over = self.cancelled = False
        self.broken: BaseException | None = None
        self._jobs: set[Job] = set()
        self._frames = 1
        self._spans = self.root.spans

    # -- going on

    def start(self, apart: bool = False) -> None:
        """Begin, in this thread or `apart` from it; in this thread a run of inline nodes is over when this returns."""
        if self.root.done:
            self._close_frame()
        elif apart:
            self.engine.workers.submit(partial(self.work, None, self.root.first()))
        else:
            self.advance(self.root.first(), worker=False)

    def advance(self, ready: Ready, worker: bool) -> None:
        """Go on with what is ready until this thread has nothing left to do for the run."""
        kept: Job | None = None
        while True:
            while ready and not self.over:
                frame, index = ready.popleft()
                node = frame.plan.nodes[index]
                if node.simple and self._run_simple(frame, node, ready):
                    continue
                for job in self._jobs_for(frame, node, ready):
                    if job.step(ready, False):
                        if worker and kept is None:
                            kept = job
                        else:
                            self.engine.workers.submit(partial(self.work, job))
            if kept is None:
                return
            job, kept = kept, None
            job.step(ready, True)

    def work(self, job: Job | None, ready: Ready | None = None) -> None:
        """Go on with a job, or with what is ready, in a worker; a fault of the engine's own ends the run."""
        ready = deque() if ready is None else ready
        try:
            if job is not None:
                job.step(ready, True)
            self.advance(ready, True)
        except BaseException as error:
            self.abort(error)

    def _run_simple(self, frame: Frame, node: NodePlan, ready: Ready) -> bool:
        """Run a simple node in place; False, and nothing has happened, if its inputs need a closer look."""
        arguments = dict(node.settings)
        text = node.prefix
        values = frame.values
        for name, slot, types in node.straight:
            value = values[slot]
            if type(value) not in types:
                return False
            arguments[name] = value
            text += f"\0{name}={value.digest}"
        if node.groups:
            self._enter(frame, node)
        key = blake3(text.encode()).hexdigest()
        name = frame.path + node.name
        span = frame.base + node.index + 1
        parent = frame.parent_of(node) if node.groups else frame.parent
        started = perf_counter()
        self.tell(Event("started", span, parent, name, node.tool, started - self.began))
        try:
            output = node.function(**arguments)
            if type(output) not in node.returns:
                output = self._unpacked(node, output)
        except KeyboardInterrupt:
            raise
        except BaseException as cause:
            failure = NodeFailed(name, node.tool, cause)
            self.records.append(
                Record(frame, name, node.tool, span, parent, "failed", started - self.began, perf_counter() - started,
                       frame.seed_of(node), key, node.settings, arguments, {}, 1, str(failure))
            )  # fmt: skip
            self.emit("failed", span, parent, name, node.tool, failure)
            self.settle(frame, node, failure, ready)
            return True
        ended = perf_counter()
        self.records.append(Short(frame, node, started - self.began, ended - started, key, arguments, output))
        self.tell(Event("finished", span, parent, name, node.tool, ended - self.began, {node.output: output}))
        self.settle(frame, node, (output,), ready)
        return True

    def _unpacked(self, node: NodePlan, output: Any) -> Any:
        if isinstance(output, tuple) and hasattr(output, "_fields") and len(output) == 1:
            output = output[0]
        node.variants[0].returns[0].check(output, "its output")
        return output

    def _jobs_for(self, frame: Frame, node: NodePlan, ready: Ready) -> list[Job]:
        """The calls of a node whose inputs have come; none if it is left out, or failed already."""
        if node.groups:
            self._enter(frame, node)
        inputs: dict[str, Any] = {}
        for take in node.takes:
            value = frame.take(take)
            if value is LOST:
                return self._skip(frame, node, f"what feeds {take.name} failed", LOST, ready)
            if value is None and not take.gate.port.optional:
                return self._skip(frame, node, f"nothing came for {take.name}", None, ready)
            inputs[take.name] = value
        name, span, parent, seed = frame.name(node.name), frame.span(node), frame.parent_of(node), frame.seed_of(node)
        try:
            for take in node.takes:
                if take.name == node.each:
                    take.gate.check_each(inputs[take.name], "its input")
                else:
                    take.gate.check(inputs[take.name], "its input")
        except MediaError as error:
            failure = NodeFailed(name, node.tool, error)
            self.emit("failed", span, parent, name, node.tool, failure)
            self.settle(frame, node, failure, ready)
            return []
        if node.each is not None:
            return Items(self, frame, node, inputs).jobs(ready)
        done = partial(self.settle, frame, node)
        return [Job(self, frame, node, inputs, done, name=name, span=span, parent=parent, seed=seed)]

    def _skip(self, frame: Frame, node: NodePlan, reason: str, value: Any, ready: Ready) -> list[Job]:
        name, span, parent = frame.name(node.name), frame.span(node), frame.parent_of(node)
        began = perf_counter() - self.began
        self.records.append(
            Record(frame, name, node.tool, span, parent, "skipped", began, 0.0, frame.seed_of(node), "",
                   node.variants[0].settings, {}, {}, 0, reason)
        )  # fmt: skip
        self.emit("skipped", span, parent, name, node.tool, reason)
        self._fill(frame, node, (value,) * len(node.slots), ready)
        return []

    def settle(self, frame: Frame, node: NodePlan, outcome: tuple[Any, ...] | RunError, ready: Ready) -> None:
        """A node has ended, with its outputs by port or with a failure; `ready` gets what waited for it."""
        if isinstance(outcome, tuple):
            self._fill(frame, node, outcome, ready)
        else:
            frame.failures[frame.name(node.name)] = outcome
            self._fill(frame, node, (LOST,) * len(node.slots), ready)

    def _fill(self, frame: Frame, node: NodePlan, values: tuple[Any, ...], ready: Ready) -> None:
        if node.groups:
            self._quit(frame, node)
        with self.lock:
            frame.fill(node, values, ready)
            if frame.left:
                return
            frame.done = True
        self._close_frame()

    def _close_frame(self) -> None:
        with self.lock:
            self._frames -= 1
            if self._frames or self.over:
                return
            self.over = True
        self._finish()

    def _finish(self) -> None:
        self.seconds = perf_counter() - self.began
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

    # -- events

    def emit(self, kind: Any, span: int, parent: int, node: str, tool: str, data: Any = None) -> None:
        """Publish an event."""
        self.tell(Event(kind, span, parent, node, tool, perf_counter() - self.began, data))

    def tell(self, event: Event) -> None:
        """Publish an event; listeners hear one at a time, and one that raises ends the run."""
        if self._listener is None:
            self.events.append(event)
            return
        with self._telling:
            self.events.append(event)
            try:
                self._listener(event)
            except BaseException as error:
                self._listener = None
                self.abort(error)

    def _enter(self, frame: Frame, node: NodePlan) -> None:
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
                self.emit(kind, frame.group_span(group), parent, frame.name(frame.plan.groups[group]), "")

    # -- what is left of it

    def result(self, frame: Frame | None = None) -> Result:
        """The outcome of the run, or of one of its graphs."""
        frame = self.root if frame is None else frame
        records = self.records if frame is self.root else [item for item in self.records if item.frame is frame]
        return Result(
            frame.plan.name,
            frame.outputs(),
            dict(frame.failures),
            records,
            self.events if frame is self.root else [],
            {place: self.result(inner) for place, inner in frame.spliced.items()},
            self.seconds,
            self.cancelled,
        )
