"""Calling a tool by hand: a context that watches what the tool asks of it, and one way to call all four kinds.

It knows nothing of graphs, caches or retries; the engine is what runs tools in earnest.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from mmagent.card import Card, Scalar
from mmagent.errors import Cancelled, RunError
from mmagent.media import Media
from mmagent.tool import Instance, Splice

Value = Media | list[Media] | None


class Probe:
    """A Context that counts how often the tool looks whether it should stop, and stops it at look `cancel_at`."""

    def __init__(self, seed: int = 0, cancel_at: int = 0) -> None:
        self._seed, self._cancel_at = seed, cancel_at
        self.looks = 0
        self.cancelled_since: float | None = None

    @property
    def seed(self) -> int:
        return self._seed

    @property
    def cancelled(self) -> bool:
        self.looks += 1
        if self.looks == self._cancel_at:
            self.cancelled_since = time.monotonic()
        return self.cancelled_since is not None

    def check(self) -> None:
        if self.cancelled:
            raise Cancelled("the check cancelled this call")

    def progress(self, done: float, total: float = 1.0, note: str = "") -> None:
        self.check()

    def token(self, text: str) -> None:
        """Pieces of text are published, not looked at."""

    def preview(self, media: Media) -> None:
        """Unfinished results are published, not looked at."""

    def splice(self, graph: Any, inputs: Mapping[str, Media], place: str) -> Splice:
        raise RunError("a tool that splices graphs needs an engine; try it inside a graph, with `mmagent graph run`")


class Caller:
    """Calls tools from any thread; async ones run on one loop, as they do in the engine. Close it after use."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Caller:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)

    def call(
        self, instance: Instance, inputs: Mapping[str, Value], settings: Mapping[str, Scalar], ctx: Probe
    ) -> object:
        """What `run` returns; of a tool that yields, what its output is in the end."""
        result = instance.run(**arguments(instance.card, inputs, settings, ctx))
        if inspect.isgenerator(result):
            return gathered(instance.card, list(result))
        if inspect.isasyncgen(result):
            items = asyncio.run_coroutine_threadsafe(_collect(result), self._running()).result()
            return gathered(instance.card, items)
        if inspect.iscoroutine(result):
            return asyncio.run_coroutine_threadsafe(result, self._running()).result()
        return result

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=_serve, args=(self._loop,), name="tool check", daemon=True).start()
            return self._loop


def arguments(card: Card, inputs: Mapping[str, Value], settings: Mapping[str, Scalar], ctx: Probe) -> dict[str, object]:
    """The keyword arguments of `run`: inputs, those settings that go to each call, and `ctx` if it takes one."""
    given: dict[str, object] = dict(inputs)
    given.update((item.name, settings[item.name]) for item in card.settings if item.at == "run")
    if card.context:
        given["ctx"] = ctx
    return given


def gathered(card: Card, items: Sequence[object]) -> object:
    """The output of a tool that yields, as the engine takes it: all the media for a `list` port, the last for any other.

    What is not media is said, and is no output.
    """
    flat = [part for item in items for part in (item if isinstance(item, list) else [item])]
    media = [item for item in flat if isinstance(item, Media | tuple)]
    if card.outputs[0].many:
        return media
    return media[-1] if media else None


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    loop.run_forever()
    loop.close()


async def _collect(items: AsyncIterator[object]) -> list[object]:
    return [item async for item in items]
