"""The engine: runs checked graphs, from any thread, with or without a running event loop."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypedDict, Unpack
from weakref import WeakSet

from mmagent.engine.cache import Cache
from mmagent.engine.flights import Flights
from mmagent.engine.instances import Instances
from mmagent.engine.log import Listener
from mmagent.engine.loop import LoopThread
from mmagent.engine.plan import OwnPlan, Plan, compile
from mmagent.engine.result import Result
from mmagent.engine.scheduler import Run, Thread
from mmagent.engine.stream import AsyncStream, Begin, Stream
from mmagent.engine.threads import Workers, forget_thread, waiting
from mmagent.errors import Fault, GraphError, RunError
from mmagent.graph.checked import CheckedGraph

if TYPE_CHECKING:
    from mmagent.engine.cancel import CancelToken
    from mmagent.engine.store import Store
    from mmagent.graph.library import Library
    from mmagent.media import Media
    from mmagent.registry import Registry

    Inputs = Mapping[str, Media | Sequence[Media] | None]


class Options(TypedDict, total=False):
    """How to run a graph.

    `wanted`: the outputs to work out, if not all. `seed`: what the nodes' seeds come from. `partial`: give the
    outputs that exist although a node failed. `registry`: where tools, those of spliced graphs too, are found.
    """

    wanted: Collection[str] | None
    seed: int
    partial: bool
    registry: Registry | None
    cancel: CancelToken | None


class HeardOptions(Options, total=False):
    """The same with a listener, which is told every event."""

    on_event: Listener | None


class Request(NamedTuple):
    """What an engine is asked to run, and how."""

    graph: Any
    inputs: Inputs
    wanted: Collection[str] | None = None
    seed: int = 0
    partial: bool = False
    registry: Registry | None = None
    cancel: CancelToken | None = None
    on_event: Listener | None = None


class Engine:
    """Runs graphs: order, parallelism, cache, retries, timeouts, cancel, events.

    `cache` keeps results in memory, `store`, if there is one, the dear ones on disk. Sync tools run in up to
    `threads` threads and in that of a caller who waits, async ones on one event loop of the engine's own.
    Tools are loaded once and stay loaded until `close`. All its methods may be called from any thread, and
    from tools; in an async tool await `arun`.
    """

    def __init__(
        self,
        *,
        cache: Cache | None = None,
        store: Store | None = None,
        threads: int = 32,
    ) -> None:
        self.cache = Cache() if cache is None else cache
        self.store = store
        self._threads = threads
        self.workers = Workers(threads)
        self.loop = LoopThread()
        self.instances = Instances()
        self.flights = Flights()
        self._last: Library | None = None
        _engines.add(self)

    def plan(self, graph: Any, wanted: Collection[str] | None = None, registry: Registry | None = None) -> Plan:
        """The plan of a `Graph`, or of one given by name, path or spec, or checked; GraphError if it does not check.

        `registry` is where its tools are found, if not in the shared one; a `Graph` carries its own.
        """
        if isinstance(graph, Plan):
            return graph if wanted is None else self.plan(graph.checked, wanted, registry)
        if registry is None:
            from mmagent.registry import registry as shared

            registry = shared
        if not isinstance(graph, CheckedGraph):
            if isinstance(graph, OwnPlan):
                return graph.plan(wanted)
            graph = self._library(registry).checked(graph, wanted)
        return compile(graph, registry, wanted)

    def _library(self, registry: Registry) -> Library:
        from mmagent.graph.library import Library

        if self._last is None or self._last.registry is not registry:
            self._last = Library(registry)
        return self._last

    def check_inputs(self, plan: Plan, inputs: Inputs) -> None:
        """Raise GraphError, with every fault, unless these are inputs that the graph can run on."""
        if len(inputs) == len(plan.inputs) and all(
            name in inputs and type(inputs[name]) in gate.single for name, (_, gate) in plan.inputs.items()
        ):
            return
        faults = []
        for name, value in inputs.items():
            if name not in plan.inputs:
                takes = ", ".join(plan.inputs) or "none"
                faults.append(Fault(plan.name, "inputs", name, f"one of {takes}", "no such input", "leave it out"))
                continue
            gate = plan.inputs[name][1]
            got = gate.refusal(value) if value is not None or not gate.port.optional else ""
            if got:
                faults.append(Fault(plan.name, "inputs", name, str(gate.port), got, f"pass {gate.port}"))
        for name, (slot, gate) in plan.inputs.items():
            if name not in inputs and not gate.port.optional and slot in plan.needs:
                faults.append(Fault(plan.name, "inputs", name, str(gate.port), "nothing", f"pass {name}=…"))
        if faults:
            raise GraphError(plan.name, faults)

    # -- running

    def run(self, graph: Any, inputs: Inputs | None = None, **options: Unpack[HeardOptions]) -> Result:
        """Run a graph to its end; `options` are those of `Options`, and `on_event`, which is told every event.

        When a node fails, everything that does not depend on it still finishes; then the failure is raised, or,
        with `partial`, the result is returned with the outputs that exist. Cancelled is raised if `cancel` was
        used. Ctrl-C cancels the run.
        """
        if self.loop.current:
            raise RunError("run() would block the engine's event loop; in an async tool await arun()")
        over = threading.Lock()
        over.acquire()
        run = self._begin(Request(graph, inputs or {}, **options), over.release)
        try:
            # Waking a thread costs more than most calls: the caller's, which would only wait, works for the run. Not
            # if it must be free to leave at a word, nor under a running loop, where tools cannot start their own.
            run.start(Thread.LOOP if options.get("cancel") is not None or _under_loop() else Thread.CALLER)
            if not over.acquire(blocking=False):
                with waiting():
                    over.acquire()
        except BaseException:
            run.cancel()
            raise
        return _outcome(run, options.get("partial", False))

    async def arun(self, graph: Any, inputs: Inputs | None = None, **options: Unpack[HeardOptions]) -> Result:
        """The same without blocking the running loop; cancelling the task cancels the run."""
        import asyncio

        loop = asyncio.get_running_loop()
        over = asyncio.Event()

        def ended() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(over.set)

        run = self._begin(Request(graph, inputs or {}, **options), ended)
        try:
            run.start(Thread.LOOP)
            if not run.over:
                await over.wait()
        except BaseException:
            run.cancel()
            raise
        return _outcome(run, options.get("partial", False))

    def stream(self, graph: Any, inputs: Inputs | None = None, **options: Unpack[Options]) -> Stream:
        """The events of a run as they happen; `.result` afterwards is, or raises, what `run` would."""
        return Stream(self._streamed(Request(graph, inputs or {}, **options)))

    def astream(self, graph: Any, inputs: Inputs | None = None, **options: Unpack[Options]) -> AsyncStream:
        """The same for `async for`; RunError where no event loop runs."""
        return AsyncStream(self._streamed(Request(graph, inputs or {}, **options)))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self, wait: float = 0.0) -> bool:
        """Unload the tools, end the threads and the loop, and write what is still to be stored.

        Waits up to `wait` seconds for calls that still run, and returns whether all have ended. All of it is done
        whatever `unload` of a tool raises; then RunError names the tools that failed.
        """
        self.loop.close()
        self.workers.close()
        ended = self.workers.join(wait)
        errors = self.instances.close()
        if self.store is not None:
            self.store.flush()
        if errors:
            raise RunError("; ".join(map(str, errors))) from errors[0]
        return ended

    def _begin(self, request: Request, ended: Callable[[], None]) -> Run:
        """A run that can be started; it listens to the request's token until it is over."""
        plan = self.plan(request.graph, request.wanted, request.registry)
        self.check_inputs(plan, request.inputs)
        forget = _nothing

        def over() -> None:
            forget()
            ended()

        token = request.cancel
        run = Run(
            self,
            plan,
            request.inputs,
            request.seed,
            request.registry,
            request.on_event,
            ended if token is None else over,
        )
        if token is not None:
            forget = token.subscribe(run.cancel)
        return run

    def _streamed(self, request: Request) -> Begin:
        def begin(listener: Listener, ended: Callable[[], None], own: CancelToken) -> Callable[[], Result]:
            run = self._begin(request._replace(on_event=listener), ended)
            own.subscribe(run.cancel)
            run.start()
            return lambda: _outcome(run, request.partial)

        return begin

    def after_fork(self) -> None:
        """Start anew in a child process, which has none of the parent's threads: no tool is loaded, no call goes on."""
        self.workers, self.loop = Workers(self._threads), LoopThread()
        self.instances, self.flights = Instances(), Flights()
        self.cache.after_fork()
        if self.store is not None:
            self.store.after_fork()


def _outcome(run: Run, partial: bool) -> Result:
    if run.broken is not None:
        raise run.broken
    result = run.result()
    return result if partial else result.raise_failure()


def _under_loop() -> bool:
    asyncio = sys.modules.get("asyncio")  # not imported: no loop runs
    return asyncio is not None and asyncio._get_running_loop() is not None


def _nothing() -> None:
    pass


_engines: WeakSet[Engine] = WeakSet()
PATIENCE = 10.0
"""Seconds that the default engine waits at exit for calls that still run."""

_default: Engine | None = None
_default_lock = threading.Lock()


def default_engine() -> Engine:
    """The engine that is used where none is named: it caches in memory, and dear results on disk."""
    global _default
    with _default_lock:
        if _default is None:
            from mmagent.engine.store import Store

            _default = Engine(store=Store())
            atexit.register(close_default)
        return _default


def close_default(wait: float = PATIENCE) -> bool:
    """Close the default engine, if there is one; whether all its calls have ended within `wait` seconds.

    It waits for them a while: a thread that is in a library's own code when the interpreter goes down takes the
    process down with it.
    """
    return _default is None or _default.close(wait)


def _after_fork() -> None:
    global _default_lock
    _default_lock = threading.Lock()
    forget_thread()
    for engine in list(_engines):
        engine.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
