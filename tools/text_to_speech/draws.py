"""Random numbers of a call's own, and stopping it within a step, in networks that know of neither.

The library draws from torch's generator of the whole process, which other threads draw from as well.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from mmagent import Context

SEEN = 20
"""Steps between two reports of progress; whether to stop is looked at in each."""


@dataclass(slots=True)
class Call:
    """A call that is running: whom to tell of it, and where its random numbers come from."""

    ctx: Context
    draws: Any
    n_parts: int
    index: int = 0
    steps: int = 0
    paused: bool = False

    def tell(self) -> None:
        """Say which part is being said; Cancelled if the call should stop."""
        self.ctx.progress(self.index, self.n_parts, f"sentence {self.index + 1} of {self.n_parts}")


class Watch:
    """Hooks on modules that draw no random numbers: each is a step at which a call can stop.

    A mode of torch looks at every function, which takes time; while a watched module runs it is left.
    """

    def __init__(self, modules: Iterable[Any], device: Any) -> None:
        self._device = device
        self._running: ContextVar[Call | None] = ContextVar("running", default=None)
        for module in modules:
            module.register_forward_pre_hook(self._before)
            module.register_forward_hook(self._after, always_call=True)

    @contextmanager
    def call(self, ctx: Context, n_parts: int) -> Iterator[Call]:
        """A call of this thread: the watched modules look at it while it lasts, and `draws` draws from its seed."""
        import torch

        call = Call(ctx, _mode()(torch.Generator(self._device).manual_seed(ctx.seed)), n_parts)
        token = self._running.set(call)
        try:
            yield call
        finally:
            self._running.reset(token)

    def _before(self, module: Any, inputs: Any) -> None:
        call = self._running.get()
        if call is None:
            return
        call.steps += 1
        if call.steps % SEEN:
            call.ctx.check()
        else:
            call.tell()
        call.draws.__exit__(None, None, None)
        call.paused = True

    def _after(self, module: Any, inputs: Any, output: Any) -> None:
        call = self._running.get()
        if call is not None and call.paused:
            call.paused = False
            call.draws.__enter__()


@functools.cache
def _mode() -> Any:
    """A mode of torch, for one thread, in which random numbers come from a given generator."""
    import torch
    from torch.overrides import TorchFunctionMode

    whole = {torch.randn, torch.rand, torch.bernoulli, torch.multinomial, torch.normal}
    own = {getattr(torch.Tensor, name) for name in ("bernoulli", "bernoulli_", "multinomial", "normal_", "uniform_")}
    # These took no generator in every release; what they are is written out, so that the order in memory is kept.
    like = {torch.randn_like: torch.Tensor.normal_, torch.rand_like: torch.Tensor.uniform_}
    drawing = whole | own

    class Draws(TorchFunctionMode):
        def __init__(self, generator: torch.Generator) -> None:
            super().__init__()
            self.generator = generator

        def __torch_function__(
            self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
        ) -> Any:
            given = kwargs or {}
            if function in drawing:
                return function(*args, **{"generator": self.generator, **given})
            if function in like:
                return like[function](torch.empty_like(*args, **given), generator=self.generator)
            return function(*args, **given)

    return Draws
