"""Noise as a scheduler means it: clean latents noised to random times, and what the denoiser should say of them.

Shapes: B items, latents `[B, C, …]`, times and signal-to-noise ratios `[B]`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mmagent.errors import ModelError

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Noised:
    """Latents as the denoiser is given them, the times as it is told them, what it should predict, and their SNR."""

    latents: torch.Tensor
    times: torch.Tensor
    target: torch.Tensor
    snr: torch.Tensor


def noised(scheduler: Any, clean: torch.Tensor, generator: torch.Generator) -> Noised:
    """Noise clean latents to random times, as the network behind `scheduler` was trained. ModelError if it does not tell.

    The scheduler's own state is not touched: it may be one that is running.
    """
    import torch

    def draw(shape: Any, like: Any = torch.randn) -> torch.Tensor:
        drawn: torch.Tensor = like(shape, generator=generator, device=generator.device)
        return drawn.to(clean.device)

    noise = draw(clean.shape).to(clean.dtype)
    if is_flow(scheduler):
        return _flow(scheduler, clean, noise, torch.sigmoid(draw((len(clean),))))
    uniform = draw((len(clean),), like=torch.rand)
    if is_edm(scheduler):
        return _edm(scheduler, clean, noise, uniform)
    kept = getattr(scheduler, "alphas_cumprod", None)
    if kept is None:
        raise ModelError(f"{type(scheduler).__name__} does not say how much noise there is at a time; use another one")
    n_steps = scheduler.config.num_train_timesteps
    times = uniform.mul(n_steps).long().clamp(max=n_steps - 1)
    alpha = kept.to(clean.device)[times]  # [B]
    signal, rest = _by_item(alpha.sqrt(), clean), _by_item((1 - alpha).sqrt(), clean)
    kind = _predicted(scheduler)
    targets = {"epsilon": noise, "sample": clean, "v_prediction": signal * noise - rest * clean}
    if kind not in targets:
        raise ModelError(
            f"{type(scheduler).__name__} predicts {kind!r}; a loss is known for {', '.join(targets)}, flow"
        )
    return Noised(signal * clean + rest * noise, times, targets[kind], alpha / (1 - alpha))


def _flow(scheduler: Any, clean: torch.Tensor, noise: torch.Tensor, sigma: torch.Tensor) -> Noised:
    """Straight paths, times drawn logit-normally (Esser et al. 2024, arXiv:2403.03206, section 3.1)."""
    named = scheduler.config.get("flow_shift", scheduler.config.get("shift", 1.0))  # the first is UniPC's
    shift = 1.0 if scheduler.config.get("use_dynamic_shifting") else named
    sigma = shift * sigma / (1 + (shift - 1) * sigma)
    at = _by_item(sigma, clean)
    times = sigma * scheduler.config.num_train_timesteps
    return Noised((1 - at) * clean + at * noise, times, noise - clean, ((1 - sigma) / sigma).square())


def _edm(scheduler: Any, clean: torch.Tensor, noise: torch.Tensor, uniform: torch.Tensor) -> Noised:
    """Preconditioned noise (Karras et al. 2022, arXiv:2206.00364, section 5), its angle drawn uniformly where it runs.

    With a deviation of the data of 1 and `v_prediction`, that is the v-objective on a cosine schedule (Salimans & Ho
    2022, arXiv:2202.00512, appendix D) by which Stable Audio was trained (Evans et al. 2024, arXiv:2402.04825).
    """
    import torch

    config = scheduler.config
    least, most = math.atan(config.sigma_min), math.atan(config.sigma_max)
    sigma = torch.tan(least + uniform * (most - least))  # [B]
    at = _by_item(sigma, clean)
    noisy = clean + at * noise
    skipped = scheduler.precondition_outputs(noisy, torch.zeros_like(noisy), at)
    unit = scheduler.precondition_outputs(torch.zeros_like(noisy), torch.ones_like(noisy), at)
    times = scheduler.precondition_noise(sigma)
    return Noised(
        scheduler.precondition_inputs(noisy, at), times, (clean - skipped) / unit, config.sigma_data**2 / sigma**2
    )


def weights(scheduler: Any, snr: torch.Tensor, gamma: float) -> torch.Tensor:
    """The min-SNR weights `[B]` of times (Hang et al. 2023, arXiv:2303.09556), for what the scheduler predicts."""
    import torch

    kind = "flow" if is_flow(scheduler) else "edm" if is_edm(scheduler) else _predicted(scheduler)
    if kind == "epsilon":
        return (gamma / snr).clamp(max=1)  # 1 also where there is nothing but noise
    capped = torch.clamp(snr, max=gamma)
    if kind == "sample":
        return capped
    # A flow's error is that of the picture over sigma², which is (1 + √SNR)² times as large.
    return capped / ((1 + snr.sqrt()).square() if kind == "flow" else snr + 1)


def _predicted(scheduler: Any) -> str:
    return str(scheduler.config.get("prediction_type", "epsilon"))


def is_flow(scheduler: Any) -> bool:
    """Whether the denoiser predicts the flow from noise to picture."""
    return type(scheduler).__name__.startswith("FlowMatch") or bool(scheduler.config.get("use_flow_sigmas"))


def is_edm(scheduler: Any) -> bool:
    """Whether the denoiser is preconditioned as EDM has it: EDM's own schedulers, and Stable Audio's."""
    return hasattr(scheduler, "precondition_outputs")


def _by_item(values: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Values `[B]` in the shape `[B, 1, …]` and the type of latents."""
    return values.to(like.dtype).reshape(-1, *[1] * (like.ndim - 1))
