"""How a denoiser is best used: schedulers, steps and guidance on the same prompts, by what is right and how long it takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path

from mmagent.pocket.generators.scores.makers import MAKERS, Sampling, maker
from mmagent.pocket.generators.scores.media import KINDS
from mmagent.pocket.generators.scores.score import Scores, score

SCHEDULERS = (
    "DPMSolverMultistepScheduler",
    "UniPCMultistepScheduler",
    "DEISMultistepScheduler",
    "DDIMScheduler",
    "EulerDiscreteScheduler",
)
"""Classes of diffusers that need no more than one call of the denoiser a step."""


def trials(
    name: str,
    folder: Path | None,
    schedulers: Sequence[str],
    steps: Sequence[int],
    guidances: Sequence[float],
    n: int,
    seeds: str,
) -> Iterator[tuple[Sampling, Scores]]:
    """The scores of each combination, one after the other. Steps and guidance are for tuning: take no test's seeds."""
    kind = KINDS[MAKERS[name].kind]
    for scheduler, n_steps, guidance in product(schedulers, steps, guidances):
        sampling = Sampling(n_steps, guidance, scheduler)
        yield sampling, score(kind, maker(name, folder, sampling), n, seeds)


def line(sampling: Sampling, scores: Scores) -> str:
    """A row of the table."""
    right = "  ".join(f"{row.name} {row.right.value:.3f}" for row in scores.rows)
    return (
        f"{sampling.scheduler.removesuffix('Scheduler'):20} {sampling.steps:3} steps  guidance {sampling.guidance:<4g} "
        f"{scores.seconds / scores.n:.3f} s each  {right}  Fréchet {scores.distance.value:.2f}"
    )
