"""Noise as a scheduler means it: pictures noised to random times, and what the denoiser should say of them.

Shapes: B pictures, latents `[B, C, h, w]`, times and signal-to-noise ratios `[B]`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mmagent.errors import ModelError

if TYPE_CHECKING:
    import torch


def noised(
    scheduler: Any, clean: torch.Tensor, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Latents noised to random times; the times as the denoiser takes them; what it should predict; their SNR.

    The scheduler's own state is not touched: it may be one that is running.
    """
    import torch

    def draw(shape: Any, like: Any = torch.randn) -> torch.Tensor:
        drawn: torch.Tensor = like(shape, generator=generator, device=generator.device)
        return drawn.to(clean.device)

    noise = draw(clean.shape).to(clean.dtype)
    n_steps = scheduler.config.num_train_timesteps
    if is_flow(scheduler):  # Esser et al. 2024, arXiv:2403.03206: straight paths, times drawn logit-normally
        sigma = torch.sigmoid(draw((len(clean),)))
        named = scheduler.config.get("flow_shift", scheduler.config.get("shift", 1.0))  # the first is UniPC's
        shift = 1.0 if scheduler.config.get("use_dynamic_shifting") else named
        sigma = shift * sigma / (1 + (shift - 1) * sigma)
        at = _by_picture(sigma, clean)
        return (1 - at) * clean + at * noise, sigma * n_steps, noise - clean, ((1 - sigma) / sigma).square()
    kept = getattr(scheduler, "alphas_cumprod", None)
    if kept is None:
        raise ModelError(f"{type(scheduler).__name__} does not say how much noise there is at a time; use another one")
    times = draw((len(clean),), like=torch.rand).mul(n_steps).long().clamp(max=n_steps - 1)
    alpha = kept.to(clean.device)[times]  # [B]
    signal, rest = _by_picture(alpha.sqrt(), clean), _by_picture((1 - alpha).sqrt(), clean)
    kind = scheduler.config.get("prediction_type", "epsilon")
    targets = {"epsilon": noise, "sample": clean, "v_prediction": signal * noise - rest * clean}
    if kind not in targets:
        raise ModelError(
            f"{type(scheduler).__name__} predicts {kind!r}; a loss is known for {', '.join(targets)}, flow"
        )
    return signal * clean + rest * noise, times, targets[kind], alpha / (1 - alpha)


def weights(scheduler: Any, snr: torch.Tensor, gamma: float) -> torch.Tensor:
    """The min-SNR weights `[B]` of times (Hang et al. 2023, arXiv:2303.09556), for what the scheduler predicts."""
    import torch

    kind = "flow" if is_flow(scheduler) else scheduler.config.get("prediction_type", "epsilon")
    if kind == "epsilon":
        return (gamma / snr).clamp(max=1)  # 1 also where there is nothing but noise
    capped = torch.clamp(snr, max=gamma)
    if kind == "sample":
        return capped
    # A flow's error is that of the picture over sigma², which is (1 + √SNR)² times as large.
    return capped / (snr + 1 if kind == "v_prediction" else (1 + snr.sqrt()).square())


def is_flow(scheduler: Any) -> bool:
    """Whether the denoiser predicts the flow from noise to picture."""
    return type(scheduler).__name__.startswith("FlowMatch") or bool(scheduler.config.get("use_flow_sigmas"))


def _by_picture(values: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Values `[B]` in the shape `[B, 1, 1, 1]` and the type of latents."""
    return values.to(like.dtype).reshape(-1, *[1] * (like.ndim - 1))
