"""One attempt at a call: the tool runs, in this thread or on the loop, until it returns or its timeout comes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

from mmagent.engine import outcome
from mmagent.engine.context import CallContext
from mmagent.engine.threads import Place
from mmagent.errors import NodeTimeout

if TYPE_CHECKING:
    import asyncio

    from mmagent.engine.instances import Slot
    from mmagent.engine.job import Job, Ready
    from mmagent.engine.loop import Timer


class Attempt:
    """Calls the tool of a job once and tells the job how that ended, unless the attempt was given up before.

    A tool that goes on all the same keeps its lease, `slot`, until it returns.
    """

    __slots__ = ("_open", "_place", "_slot", "_task", "_timer", "job", "seen", "spliced")

    def __init__(self, job: Job, slot: Slot | None) -> None:
        self.job, self._slot = job, slot
        self.spliced = False
        self._open = True
        self._place: Place | None = None
        self.seen = perf_counter()
        """When it last showed that it is alive."""
        self._timer: Timer | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def over(self) -> bool:
        """Whether its result is not wanted any more."""
        return not self._open or self.job.run.over

    def alive(self) -> None:
        """Restart the timeout."""
        self.seen = perf_counter()

    def tell(self, kind: Any, data: Any) -> None:
        """Publish an event of the call, which shows that it is alive; nothing once it is over."""
        if not self.over:
            self.alive()
            self.job.emit(kind, data)

    # -- running

    def here(self, ready: Ready) -> None:
        """Call a sync tool in this thread."""
        variant = self.job.variant
        function, arguments, context = self._begin()
        self._place = Place()
        if self.over:  # stopped before there was a place to give up
            self._place.give_up()
        try:
            result = function(**arguments)
            if variant.card.call == "generator":
                result = outcome.collect(result, variant.card, context or CallContext(self), self.tell)
        except KeyboardInterrupt:
            self._give_back()
            raise
        except BaseException as error:
            self._give_back()
            self._end(None, error, ready)
        else:
            self._give_back()
            self._end(result, None, ready)

    def on_loop(self) -> None:
        """Call an async tool; in the loop's thread."""
        self._task = self.job.run.engine.loop.task(self._call_async())
        self._task.add_done_callback(self._give_back)  # the call may be cancelled before its first line
        if self.over:
            self._task.cancel()

    async def _call_async(self) -> None:
        variant = self.job.variant
        function, arguments, context = self._begin()
        ready: Ready = deque()
        try:
            if variant.card.call == "async-generator":
                made = function(**arguments)
                result = await outcome.collect_async(made, variant.card, context or CallContext(self), self.tell)
            else:
                result = await function(**arguments)
        except BaseException as error:  # also that it was cancelled: it is over then, which _end sees
            self._end(None, error, ready)
        else:
            self._end(result, None, ready)
        self.job.run.go_on(ready)

    def _begin(self) -> tuple[Callable[..., Any], dict[str, Any], CallContext | None]:
        job = self.job
        variant = job.variant
        if job.node.timeout is not None:
            self.alive()
            self._timer = job.run.engine.loop.later(job.node.timeout, self._tick)
        function = variant.function if self._slot is None else self._slot.run
        arguments = {**variant.run_settings, **outcome.arguments(job.inputs)}
        if not variant.card.context:
            return function, arguments, None
        context = arguments["ctx"] = CallContext(self)
        return function, arguments, context

    # -- ends

    def _end(self, result: Any, error: BaseException | None, ready: Ready) -> None:
        if self._close():
            self.job.ended(self, result, error, ready)

    def _give_back(self, task: object = None) -> None:
        if self._place is not None:
            self._place.back()
        if self._slot is not None:
            self._slot.release()

    def _close(self) -> bool:
        """Give the attempt up; False if it was over before."""
        with self.job.run.lock:
            if self.over:
                return False
            self._open = False
        self._disarm()
        return True

    def _disarm(self) -> None:
        timer, self._timer = self._timer, None  # which holds this attempt
        if timer is not None:
            timer.cancel()

    def _tick(self) -> None:
        """The timeout may have come: what shows life has moved it on, or the attempt is given up."""
        job = self.job
        timeout = job.node.timeout or 0.0
        left = self.seen + timeout - perf_counter()
        if left > 0 and not self.over:
            self._timer = job.run.engine.loop.later(left, self._tick)
            return
        if not self._close():
            return
        self._give_up()
        if self._task is not None:
            self._task.cancel()
        ready: Ready = deque()
        error = NodeTimeout(f"node {job.name} ({job.variant.card.name}) showed no progress for {timeout:g} s")
        job.ended(self, None, error, ready)
        job.run.go_on(ready)

    def _give_up(self) -> None:
        """Let others do without the instance and the thread until the tool returns."""
        if self._slot is not None:
            self._slot.given_up()
        if self._place is not None:
            self._place.give_up()

    def stop(self) -> None:
        """The run is over: cancel what can be cancelled."""
        self._give_up()
        if self._task is not None:
            self.job.run.engine.loop.soon(partial(_cancel, self._task))
        self._disarm()


def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
