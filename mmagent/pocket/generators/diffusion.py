"""What the generators' trainings share: captioned batches, the objective, the schedule.

Latent diffusion (Rombach et al. 2022, arXiv:2112.10752) that predicts velocities (Salimans & Ho 2022, arXiv:2202.00512)
on a cosine schedule that ends in nothing but noise (Lin et al. 2024, arXiv:2305.08891), with min-SNR weights (Hang et
al. 2023, arXiv:2303.09556). Shapes: B items, L tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from mmagent.diffusion.noise import noised, weights
from mmagent.pocket.generators.pool import Pool
from mmagent.pocket.generators.text import states_of
from mmagent.pocket.world.words import Spec

if TYPE_CHECKING:
    import numpy as np
    import torch

    Array = np.ndarray[Any, np.dtype[Any]]

S = TypeVar("S", bound=Spec)

UNCAPTIONED = 0.1
"""How many items are learnt without their caption, for classifier-free guidance (arXiv:2207.12598)."""
GAMMA = 5.0


@dataclass(frozen=True, slots=True)
class Batch:
    """Scaled latents `[B, 4, …]` and the states `[B, L, 384]` of their captions."""

    latents: torch.Tensor
    states: torch.Tensor


class Captions(Generic[S]):
    """Facts of a pool by chance, with the states of their captions, some of which are left out."""

    def __init__(self, pool: Pool[S], states: Array) -> None:
        self._pool, self._states = pool, states
        self._null = states_of([""])

    def draw(self, random: Random, n: int) -> tuple[list[S], torch.Tensor]:
        """`n` facts, and states `[n, L, 384]`."""
        import numpy as np
        import torch

        numbers = [random.randrange(self._pool.size) for _ in range(n)]
        states = torch.from_numpy(np.stack([self._states[number] for number in numbers])).float()
        states[[at for at in range(n) if random.random() < UNCAPTIONED]] = self._null
        return [self._pool.fact(number)[0] for number in numbers], states


def scheduler() -> Any:
    """The schedule that the denoisers learn, and a sampler of few steps over it."""
    from diffusers import DPMSolverMultistepScheduler

    return DPMSolverMultistepScheduler(
        num_train_timesteps=1000, beta_schedule="squaredcos_cap_v2", prediction_type="v_prediction",
        timestep_spacing="trailing", steps_offset=1,
    )  # fmt: skip


def losses(denoiser: Any, schedule: Any, batch: Batch) -> dict[str, torch.Tensor]:
    """The weighted loss of a denoiser at random times, and the plain one."""
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel

    generator = torch.Generator().manual_seed(int(torch.randint(2**62, ())))
    made = noised(schedule, batch.latents, generator)
    with sdpa_kernel(SDPBackend.MATH):  # of few tokens, and on CPUs, the fused one's backward takes 1.6 times as long
        guess = denoiser(made.latents, made.times, encoder_hidden_states=batch.states).sample
    each = (guess - made.target).square().flatten(1).mean(dim=1)  # [B]
    return {"loss": (each * weights(schedule, made.snr, GAMMA)).mean(), "plain": each.detach().mean()}
