"""One call of a node while it is going on: from its recipe to its outputs, through cache, lease, attempts, timeout.

A job moves through stages and never waits in a thread: whatever it waits for calls `resume`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from enum import Enum
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

from mmagent.engine import keys, outcome
from mmagent.engine.context import CallContext
from mmagent.engine.loop import Timer
from mmagent.engine.plan import NodePlan, Variant
from mmagent.engine.result import Record
from mmagent.errors import Cancelled, NodeFailed, NodeTimeout, RunError

if TYPE_CHECKING:
    import asyncio

    from mmagent.engine.frame import Frame
    from mmagent.engine.instances import Slot
    from mmagent.engine.scheduler import Run

Ready = deque[tuple["Frame", int]]
Done = Callable[[tuple[Any, ...] | RunError, Ready], None]
"""What is told of a job's end: its outputs by port, lists as tuples, or its failure."""

BACKOFF = 0.05
"""Seconds before the first retry; each further one waits twice as long, to at most two seconds."""


def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()


class Stage(Enum):
    """What a job does next."""

    LOOK = "is somebody computing it, is it in memory"
    READ = "is it on disk"
    LEASE = "get the tool's instance"
    LOAD = "load the instance"
    CALL = "call it"


class Job:
    """One call. `done` is told how it ended, unless its run was over before."""

    def __init__(
        self,
        run: Run,
        frame: Frame,
        node: NodePlan,
        inputs: Mapping[str, Any],
        done: Done,
        *,
        name: str,
        span: int,
        parent: int,
        seed: int,
    ) -> None:
        self.run, self.frame, self.node, self.inputs, self.done = run, frame, node, inputs, done
        self.name, self.span, self.parent, self.seed = name, span, parent, seed
        self.started = perf_counter()
        self.attempt: CallContext | None = None
        self.attempts = 0
        self._stage = Stage.LOOK
        self._choice = self._tries = 0
        self._leads = False
        self._slot: Slot | None = None
        self._failed: RunError | None = None
        self._given: tuple[Any, ...] | None = None
        self._task: asyncio.Task[None] | None = None
        self._timer: Timer | None = None
        self._choose(0)
        run.open(self)
        self.emit("started")

    def _choose(self, choice: int) -> None:
        self._choice, self._tries = choice, 0
        self.variant: Variant = self.node.variants[choice]
        seed = self.seed if self.variant.card.context else None
        self.key = keys.recipe(self.variant.prefix, seed, self.inputs.items())

    def emit(self, kind: Any, data: Any = None) -> None:
        """Publish an event of this call."""
        self.run.emit(kind, self.span, self.parent, self.name, self.variant.card.name, data)

    # -- stages

    def resume(
        self, *, given: tuple[Any, ...] | None = None, leased: bool = False, failed: RunError | None = None
    ) -> None:
        """What the job waited for has come: an identical call's outputs, a lease, or the failure to get one."""
        self._given, self._failed = given, failed
        if leased:
            self._stage = Stage.CALL
        self.run.engine.workers.submit(partial(self.run.work, self))

    def step(self, ready: Ready, worker: bool) -> bool:
        """Go on as far as this thread may; True if the rest needs a worker."""
        if self._failed is not None:
            error, self._failed = self._failed, None
            self._fail(error, ready)
            return False
        while True:
            if self.run.over:
                self._leave()
                return False
            if self._stage is Stage.LOOK:
                if not self._look(ready):
                    return False
            elif self._stage is Stage.READ:
                if not worker:
                    return True
                if not self._read(ready):
                    return False
            elif self._stage is Stage.LEASE:
                if not self._lease():
                    return False
            elif self._stage is Stage.LOAD:
                if not worker:
                    return True
                if not self._load(ready):
                    return False
            elif self.variant.card.call.startswith("async"):
                self.run.engine.loop.soon(self._start)
                return False
            elif worker or self.variant.card.inline:
                self._call(ready)
                return False
            else:
                return True

    def _look(self, ready: Ready) -> bool:
        engine, recipe = self.run.engine, (self.key, self.variant.code)
        if self._given is not None:
            self._succeed("cached", self._given, ready)
            return False
        if self.variant.cached:
            if not engine.flights.join(recipe, self):
                return False  # from here on the job may be resumed in another thread
            self._leads = True
            values = engine.cache.get(recipe)
            if values is not None:
                self._succeed("cached", values, ready)
                return False
        self._stage = Stage.READ if self.variant.stored and engine.store is not None else Stage.LEASE
        return True

    def _read(self, ready: Ready) -> bool:
        engine, recipe = self.run.engine, (self.key, self.variant.code)
        self._stage = Stage.LEASE
        values = engine.store.get(recipe) if engine.store is not None else None
        if values is None:
            return True
        engine.cache.put(recipe, values)
        self._succeed("cached", values, ready)
        return False

    def _lease(self) -> bool:
        if self.variant.function is None:
            self._slot = self.run.engine.instances.slot(self.variant)
            lease = self._slot.lease(self)
            if lease == "wait":
                return False  # from here on the job may be resumed in another thread
            if lease == "load":
                self._stage = Stage.LOAD
                return True
        self._stage = Stage.CALL
        return True

    def _load(self, ready: Ready) -> bool:
        try:
            if self._slot is not None:
                self._slot.load()
        except RunError as error:
            self._slot = None
            self._fail(error, ready)
            return False
        self._stage = Stage.CALL
        return True

    def _leave(self) -> None:
        """Give back what the job holds before its call; the run is over."""
        self.stop()
        if self._stage is Stage.CALL and self._slot is not None:
            self._slot.release()
        self._slot = None

    # -- the call itself

    def _begin(self) -> tuple[Callable[..., Any], dict[str, Any], CallContext]:
        context = self.attempt = CallContext(self, self._slot)
        self.attempts += 1
        self._tries += 1
        if self.node.timeout is not None:
            self._timer = self.run.engine.loop.later(self.node.timeout, partial(self._tick, context))
        function = self.variant.function if self._slot is None else self._slot.run
        arguments = {**self.variant.run_settings, **outcome.arguments(self.inputs)}
        if self.variant.card.context:
            arguments["ctx"] = context
        return function, arguments, context

    def _call(self, ready: Ready) -> None:
        function, arguments, context = self._begin()
        try:
            result = function(**arguments)
            if self.variant.card.call == "generator":
                result = outcome.collect(result, self.variant.card, context)
        except KeyboardInterrupt:
            self._give_back(context)
            raise
        except BaseException as error:
            self._end(context, None, error, ready)
        else:
            self._end(context, result, None, ready)

    def _start(self) -> None:
        if self.run.over:
            self._leave()
        else:
            self._task = self.run.engine.loop.task(self._call_async())

    async def _call_async(self) -> None:
        function, arguments, context = self._begin()
        ready: Ready = deque()
        try:
            if self.variant.card.call == "async-generator":
                result = await outcome.collect_async(function(**arguments), self.variant.card, context)
            else:
                result = await function(**arguments)
        except BaseException as error:  # a cancelled task has been replaced or its run is over: _end sees it
            self._end(context, None, error, ready)
        else:
            self._end(context, result, None, ready)
        self.run.advance(ready, worker=False)

    def _give_back(self, context: CallContext) -> None:
        if context.slot is not None:
            context.slot.release()

    def _end(self, context: CallContext, result: Any, error: BaseException | None, ready: Ready) -> None:
        self._give_back(context)
        if not self._close(context):
            return
        if error is None:
            try:
                values = outcome.check(result, self.variant, self.key, self.inputs)
            except Exception as wrong:
                error = wrong
        if error is None:
            self._keep(values, context)
            self._succeed("finished", values, ready)
        else:
            self._fail(error, ready)

    def _close(self, context: CallContext) -> bool:
        """End the attempt; False if it was ended before, by its timeout or with its run."""
        with self.run.lock:
            if self.run.over or self.attempt is not context:
                return False
            self.attempt = self._task = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return True

    def _tick(self, context: CallContext) -> None:
        """The timeout may have come; progress has moved it on, or the attempt is given up."""
        left = context.deadline - perf_counter()
        if left > 0 and self.attempt is context:
            self._timer = self.run.engine.loop.later(left, partial(self._tick, context))
            return
        task = self._task
        if not self._close(context):
            return
        if task is not None:
            task.cancel()
        ready: Ready = deque()
        limit = f"{self.node.timeout:g} s"
        self._fail(NodeTimeout(f"node {self.name} ({self.variant.card.name}) showed no progress for {limit}"), ready)
        self.run.advance(ready, worker=False)

    # -- ends

    def _keep(self, values: tuple[Any, ...], context: CallContext) -> None:
        """Remember the outputs, unless the call did more than make them."""
        engine, recipe = self.run.engine, (self.key, self.variant.code)
        if self._leads and not context.spliced:
            engine.cache.put(recipe, values)
            if self.variant.stored and engine.store is not None:
                engine.store.put(recipe, values)
        self._land(None if context.spliced else values)

    def _land(self, values: tuple[Any, ...] | None) -> None:
        if self._leads:
            self._leads = False
            self.run.engine.flights.land((self.key, self.variant.code), values)

    def _succeed(self, kind: Any, values: tuple[Any, ...], ready: Ready) -> None:
        self._land(values)
        if not self.run.close(self):
            return
        outputs = {gate.port.name: value for gate, value in zip(self.variant.returns, values)}
        self.record(kind, outputs)
        self.emit(kind, outcome.arguments(outputs))
        self.done(values, ready)

    def _fail(self, error: BaseException, ready: Ready) -> None:
        self._slot = None
        if self._tries and self._tries <= self.node.retries:
            self._stage = Stage.LEASE
            self.emit("retried", error)
            self.run.engine.loop.later(min(BACKOFF * 2 ** (self._tries - 1), 2.0), self.resume)
            return
        self._land(None)
        if self._choice + 1 < len(self.node.variants):
            self.emit("retried", error)
            self._choose(self._choice + 1)
            self._stage = Stage.LOOK
            self.resume()
            return
        if not self.run.close(self):
            return
        failure = error if isinstance(error, NodeTimeout) else NodeFailed(self.name, self.variant.card.name, error)
        self.record("failed", {}, str(failure))
        self.emit("failed", failure)
        self.done(failure, ready)

    def stop(self) -> None:
        """The run is over while this call goes on: tell its tool, and let others compute it."""
        self._land(None)
        task = self._task
        if task is not None:
            self.run.engine.loop.soon(partial(_cancel, task))
        if self._timer is not None:
            self._timer.cancel()
        if self.run.close(self):
            error = Cancelled(f"node {self.name} ({self.variant.card.name}) was cancelled")
            self.record("cancelled", {}, str(error))
            self.frame.failures[self.name] = error
            self.emit("failed", error)

    def record(self, status: Any, outputs: Mapping[str, Any], error: str = "") -> None:
        """Note how the call ended."""
        began = self.run.began
        self.run.records.append(
            Record(
                self.frame, self.name, self.variant.card.name, self.span, self.parent, status, self.started - began,
                perf_counter() - self.started, self.seed, self.key, self.variant.settings, self.inputs, outputs,
                self.attempts, error,
            )
        )  # fmt: skip
