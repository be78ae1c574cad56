"""A scheduler of its own for every request: schedulers keep state while they run."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from mmagent.errors import ModelError

SEED = "noise_sampler_seed"
"""Where a scheduler takes a seed of its own, and draws from torch's global generator without one (DPMSolverSDE)."""
CLIPS = "clip_sample"
"""Whether what is denoised is cut to -1 … 1, as some schedulers do unless told: latents, which go beyond, lose their colours."""


def fresh(pattern: Any, name: str = "", seed: int = 0) -> Any:
    """A new scheduler with the config of `pattern`, of its class or of the compatible one called `name`.

    ModelError if there is none, if it needs a library that is not there, or later if it cannot take so many steps.
    """
    kind = type(pattern)
    if name and name != kind.__name__:
        compatible = {item.__name__: item for item in pattern.compatibles}
        if name not in compatible:
            raise ModelError(
                f"this pipeline is not scheduled by {name!r}, but by {kind.__name__}"
                + (f" or one of {', '.join(sorted(compatible))}" if compatible else " alone")
            )
        kind = compatible[name]
    own = inspect.signature(kind).parameters
    told: dict[str, Any] = {SEED: seed} if SEED in own else {}
    if CLIPS in own and CLIPS not in pattern.config:
        told[CLIPS] = False
    try:
        made = kind.from_config(pattern.config, **told)
    except ImportError as error:  # diffusers stands in for classes of libraries that it does not find
        raise ModelError(f"{kind.__name__} cannot be had: {' '.join(str(error).split())}") from error
    _tell_too_few(made)
    return made


def _tell_too_few(scheduler: Any) -> None:
    """Let a number of steps that the scheduler cannot take be a ModelError."""
    plain = scheduler.set_timesteps

    @functools.wraps(plain)  # pipelines look at its parameters
    def set_timesteps(num_inference_steps: int | None = None, *args: Any, **options: Any) -> Any:
        try:
            return plain(num_inference_steps, *args, **options)
        except (ValueError, IndexError) as error:
            kind, shown = type(scheduler).__name__, num_inference_steps or "these"
            raise ModelError(
                f"{kind} cannot take {shown} steps ({error}); set another number of steps, or another scheduler"
            ) from error

    scheduler.set_timesteps = set_timesteps


def tell_steps(scheduler: Any, told: Callable[[int, int, Any], None]) -> None:
    """Call `told` after each step with its number from 0, how many there are, and the latents that it left.

    For pipelines without a callback of their own. What `told` raises ends the call.
    """
    plain, n_done = scheduler.step, 0

    @functools.wraps(plain)  # pipelines look at its parameters
    def step(*args: Any, **options: Any) -> Any:
        nonlocal n_done
        made = plain(*args, **options)
        told(n_done, len(scheduler.timesteps), made[0])
        n_done += 1
        return made

    scheduler.step = step
