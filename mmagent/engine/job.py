"""One call of a node while it is going on: from its recipe to its outputs, through cache, lease and attempts.

A job moves through stages and never waits in a thread: whatever it waits for calls `resume`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from mmagent.engine import keys, outcome
from mmagent.engine.attempt import Attempt
from mmagent.engine.plan import NodePlan
from mmagent.engine.record import Record
from mmagent.engine.threads import Place
from mmagent.errors import Cancelled, NodeFailed, NodeTimeout, RunError

if TYPE_CHECKING:
    from mmagent.engine.frame import Frame
    from mmagent.engine.instances import Slot
    from mmagent.engine.loop import Timer
    from mmagent.engine.scheduler import Run

Ready = deque[tuple["Frame", int]]
Done = Callable[[tuple[Any, ...] | RunError, Ready], None]
"""What is told of a job's end: its outputs by port, lists as tuples, or its failure."""

BACKOFF = 0.05
"""Seconds before the first retry; each further one waits twice as long, to at most two seconds."""

GO_ON, STOP, NEEDS_WORKER = 0, 1, 2
"""What follows a stage: the next one; nothing here, for the job has ended or waits; the same one, in a worker."""


class Job:
    """One call. `done` is told how it ended, unless its run was over before."""

    __slots__ = (
        "_attempt", "_choice", "_clock", "_failed", "_given", "_leads", "_loading", "_seed", "_slot", "_stage", "_started", "_tries",
        "attempts", "done", "frame", "inputs", "key", "name", "node", "parent", "run", "span", "variant",
    )  # fmt: skip

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
        seed: int | None = None,
    ) -> None:
        self.run, self.frame, self.node, self.inputs, self.done = run, frame, node, inputs, done
        self.name, self.span, self.parent, self._seed = name, span, parent, seed
        self.attempts = 0
        self._leads = False
        self._attempt: Attempt | None = None
        self._loading: Place | None = None
        self._clock: Timer | None = None
        self._slot: Slot | None = None
        self._failed: RunError | None = None
        self._given: tuple[Any, ...] | None = None
        self._started = run.log.now()
        self._choose(0)
        run.open(self)
        self.emit("started")

    def _choose(self, choice: int) -> None:
        """Turn to the node's own tool, or to a fallback."""
        self._choice, self._tries = choice, 0
        self.variant = self.node.variants[choice]
        seed = self.seed if self.variant.card.context else None
        self.key = keys.recipe(self.variant.prefix, seed, self.inputs.items())
        # A function of the class, not a bound method: the job would hold itself, and its media, till the next GC.
        self._stage: Callable[[Job, Ready, bool], int] = Job._look if self.variant.cached else Job._lease

    @property
    def seed(self) -> int:
        """The seed of the call."""
        if self._seed is None:
            self._seed = self.frame.seed_of(self.node)
        return self._seed

    def emit(self, kind: Any, data: Any = None) -> None:
        """Publish an event of this call."""
        self.run.log.emit(kind, self.span, self.parent, self.name, self.variant.card.name, data)

    @property
    def seen(self) -> float:
        """When its call last showed that it is alive; before the first call, never."""
        attempt = self._attempt
        return attempt.seen if attempt is not None else 0.0

    # -- stages

    def resume(
        self, *, given: tuple[Any, ...] | None = None, leased: bool = False, failed: RunError | None = None
    ) -> None:
        """What the job waited for has come: an identical call's outputs, a lease, or the failure to get one."""
        self._given, self._failed = given, failed
        self._stop_clock()
        if leased:
            self._stage = Job._call
        self.run.engine.workers.submit(partial(self.run.work, self))

    def step(self, ready: Ready, worker: bool) -> bool:
        """Go on as far as this thread may; True if the rest needs a worker."""
        if self._failed is not None:
            error, self._failed = self._failed, None
            self._fail(error, ready)
            return False
        follows = GO_ON
        while follows == GO_ON:
            if self.run.over:
                self._leave()
                return False
            follows = self._stage(self, ready, worker)
        return follows == NEEDS_WORKER

    def _look(self, ready: Ready, worker: bool) -> int:
        """Is somebody computing it, is it in memory?"""
        engine = self.run.engine
        if self._given is not None:
            self._succeed("cached", self._given, ready)
            return STOP
        if not engine.flights.join(self.key, self):
            self._wait(self._wait_for_call)  # the job may be resumed in another thread already
            return STOP
        self._leads = True
        values = engine.cache.get(self.key)
        if values is not None:
            self._succeed("cached", values, ready)
            return STOP
        self._stage = Job._read if self.variant.stored and engine.store is not None else Job._lease
        return GO_ON

    def _read(self, ready: Ready, worker: bool) -> int:
        """Is it on disk?"""
        if not worker:
            return NEEDS_WORKER
        engine = self.run.engine
        self._stage = Job._lease
        values = engine.store.get(self.key) if engine.store is not None else None
        if values is None:
            return GO_ON
        engine.cache.put(self.key, values)
        self._succeed("cached", values, ready)
        return STOP

    def _lease(self, ready: Ready, worker: bool) -> int:
        """Get the tool's instance, if it has one."""
        self._stage = Job._call
        if self.variant.function is None:
            self._stage = Job._lease
            slot = self._slot = self.run.engine.instances.slot(self.variant)
            lease = slot.lease(self)
            if lease == "wait":  # the same
                self._wait(partial(self._wait_for_lease, slot))
                return STOP
            self._stage = Job._load if lease == "load" else Job._call
        return GO_ON

    def _load(self, ready: Ready, worker: bool) -> int:
        """Load the instance, for all who wait for it."""
        if not worker:
            return NEEDS_WORKER
        slot, place = self._slot, Place()
        if slot is None:
            return STOP
        self._loading = place
        self._wait(partial(self._wait_for_load, place))
        failure = None
        try:
            slot.load()
        except RunError as error:
            failure = error
        finally:
            place.back()
        if not self._end_load(place):
            if failure is None:
                slot.release()
            return STOP
        self._stop_clock()
        self._stage = Job._call
        if failure is not None:
            self._slot = None
            self._fail(failure, ready)
            return STOP
        return GO_ON

    def _end_load(self, place: Place) -> bool:
        """Whether the load was not given up before."""
        with self.run.lock:
            if self._loading is not place:
                return False
            self._loading = None
            return True

    def _call(self, ready: Ready, worker: bool) -> int:
        """Call the tool where it belongs."""
        variant = self.variant
        if variant.on_loop:
            self.run.engine.loop.soon(self._call_on_loop)
        elif worker or variant.card.inline:
            self._begin().here(ready)
        else:
            return NEEDS_WORKER
        return STOP

    def _call_on_loop(self) -> None:
        if self.run.over:
            self._leave()
        else:
            self._begin().on_loop()

    def _begin(self) -> Attempt:
        self.attempts += 1
        self._attempt = Attempt(self, self._slot)
        self._slot = None
        return self._attempt

    def _leave(self) -> None:
        """The run is over before the call: give back what the job holds."""
        self.stop()
        slot, self._slot = self._slot, None
        if slot is not None and self._stage is Job._call:
            slot.release()
        elif slot is not None and self._stage is Job._load:
            slot.leave()

    # -- waits: the timeout covers them, too

    def _wait(self, check: Callable[[float], tuple[float | None, str]], after: float | None = None) -> None:
        """Ask `check` for the seconds that are left, and for what the job waits, once the timeout may be over."""
        limit = self.node.timeout
        if limit is not None:
            later = self.run.engine.loop.later
            self._clock = later(limit if after is None else after, partial(self._tick, check, limit))

    def _tick(self, check: Callable[[float], tuple[float | None, str]], limit: float) -> None:
        left, what = check(limit)
        if left:
            self._wait(check, left)
        elif left is not None:
            self.resume(
                failed=NodeTimeout(f"node {self.name} ({self.variant.card.name}) waited {limit:g} s for {what}")
            )

    def _stop_clock(self) -> None:
        clock, self._clock = self._clock, None  # which holds this job
        if clock is not None:
            clock.cancel()

    def _wait_for_call(self, limit: float) -> tuple[float | None, str]:
        what = "an identical call that shows no progress"
        return self.run.engine.flights.leave(self.key, self, limit), what

    def _wait_for_lease(self, slot: Slot, limit: float) -> tuple[float | None, str]:
        return slot.patience(self, limit), "a load, or for a call that was given up but goes on"

    def _wait_for_load(self, place: Place, limit: float) -> tuple[float | None, str]:
        if not self._end_load(place):
            return None, ""
        self._slot = None  # the load itself gives it back
        place.give_up()
        return 0.0, "its load() to end"

    # -- ends

    def ended(self, attempt: Attempt, result: Any, error: BaseException | None, ready: Ready) -> None:
        """An attempt has ended, with what the tool returned or an error."""
        self._attempt = None
        if error is None:
            try:
                values = outcome.check(result, self.variant, self.key, self.inputs)
            except Exception as wrong:  # not what the card promises, or media that cannot be described
                error = wrong
        if error is not None:
            self._fail(error, ready)
            return
        if self._leads and attempt.spliced:
            self._land(None)  # the call did more than make its outputs: it cannot be left out another time
        elif self._leads:
            engine = self.run.engine
            engine.cache.put(self.key, values)
            if self.variant.stored and engine.store is not None:
                engine.store.put(self.key, values)
        self._succeed("finished", values, ready)

    def _land(self, values: tuple[Any, ...] | None) -> None:
        if self._leads:
            self._leads = False
            self.run.engine.flights.land(self.key, values)

    def _succeed(self, status: Any, values: tuple[Any, ...], ready: Ready) -> None:
        self._land(values)
        if self.run.close(self):
            self._note(status, {gate.port.name: value for gate, value in zip(self.variant.returns, values)})
            self.done(values, ready)

    def _fail(self, error: BaseException, ready: Ready) -> None:
        self._tries += 1
        if self._tries <= self.node.retries:
            self._stage = Job._lease
            self.emit("retried", error)
            self.run.engine.loop.later(min(BACKOFF * 2 ** (self._tries - 1), 2.0), self.resume)
            return
        self._land(None)
        if self._choice + 1 < len(self.node.variants):
            self.emit("retried", error)
            self._choose(self._choice + 1)
            self.resume()
        elif self.run.close(self):
            failure: RunError = NodeFailed(self.name, self.variant.card.name, error)
            if isinstance(error, NodeTimeout):
                failure = error
            self._note("failed", {}, failure)
            self.done(failure, ready)

    def stop(self) -> None:
        """The run is over while this call goes on: tell its tool, and let others compute it."""
        self._land(None)
        self._stop_clock()
        attempt, loading = self._attempt, self._loading
        if attempt is not None:
            attempt.stop()
        if loading is not None:
            loading.give_up()
        if self.run.close(self):
            error = Cancelled(f"node {self.name} ({self.variant.card.name}) was cancelled")
            self.frame.failures[self.name] = error
            self._note("cancelled", {}, error)

    def _note(self, status: Any, outputs: Mapping[str, Any], failure: RunError | None = None) -> None:
        log, variant = self.run.log, self.variant
        log.end(
            Record._make((
                self.frame, self.name, variant.card.name, self.span, self.parent, status, self._started,
                log.now() - self._started, self.node if self._seed is None else self._seed, self.key,
                variant.settings, self.inputs, outputs, self.attempts, failure,
            ))
        )  # fmt: skip
