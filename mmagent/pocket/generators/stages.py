"""The trainings of the generators in order: each starts from what those before it left, and leaves a folder of weights.

    autoencoder → pictures-1 → pictures-2 → … → clips-1 → …
    sound-autoencoder → vocoder-1 → vocoder-2 → sounds-1 → sounds-2

A run lies in `OUT/NAME`, what it leaves in `OUT/kept/NAME`: a folder of diffusers, float16. What is not there is taken
from the weights that are shipped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmagent.errors import ModelError, UnknownName
from mmagent.pocket.generators import sound_stages
from mmagent.pocket.generators.pack import TRAINED, listed
from mmagent.pocket.generators.pool import Pool
from mmagent.pocket.world import scenes, splits, videos
from mmagent.training.loop import Recipe, Report, Task, fit

if TYPE_CHECKING:
    import torch

WEIGHTS = Path(__file__).parent / "weights"
KEPT = "kept"
PIPES = "pictures", "clips", "sounds"
STILL = "pictures-2"
"""The pictures that clips set in motion."""
Told = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Stage:
    """A training: the task, made where `OUT` is; the module of it that is kept; how it is trained."""

    task: Callable[[Path, Told], Task]
    module: str
    recipe: Recipe
    facts: Callable[[Task], Mapping[str, Any]] = lambda task: {}  # what its config tells beside the network's shape


def train(
    name: str,
    out: Path,
    minutes: float = math.inf,
    report: Report | None = None,
    told: Told = lambda done, total: None,
    compiled: bool = False,
) -> Path | None:
    """Train a stage from where it was left; the folder of what it leaves, or None while it is not at its end.

    `told` hears of what is prepared first. `compiled` has a denoiser compiled before the first step.
    UnknownName lists the stages; ModelError names one that has to come before.
    """
    import torch

    stage = find(name)
    torch.manual_seed(stage.recipe.seed)  # the weights that it begins with
    task = stage.task(out, told)
    if compiled:
        task.modules[stage.module].compile(dynamic=False)
    if fit(task, stage.recipe, out / name, minutes=minutes, report=report) < stage.recipe.steps:
        return None
    return keep(task.modules[stage.module], out / KEPT / name, stage.facts(task))


def find(name: str) -> Stage:
    """The stage of that name; UnknownName lists them all."""
    if name not in STAGES:
        raise UnknownName(f"no training of the generators is called {name!r}; there are {', '.join(STAGES)}")
    return STAGES[name]


def keep(network: torch.nn.Module, folder: Path, facts: Mapping[str, Any]) -> Path:
    """Write a network of diffusers as float16: a folder that it loads, or what was trained of it if that is not all.

    One of transformers is written whole, and has no facts.
    """
    from safetensors.torch import save_file

    whole: Any = network
    if not hasattr(whole, "register_to_config"):
        deepcopy(whole).half().save_pretrained(folder)
        return folder
    whole.register_to_config(**facts)
    whole.save_config(folder)
    trained = {key for key, value in whole.named_parameters() if value.requires_grad}
    all_of_it = len(trained) == len(list(whole.parameters()))
    tensors = {
        key: value.half().contiguous() for key, value in whole.state_dict().items() if all_of_it or key in trained
    }
    save_file(tensors, folder / ("diffusion_pytorch_model.safetensors" if all_of_it else TRAINED), {"format": "pt"})
    return folder


def kept(name: str, out: Path) -> Path:
    """The folder that a stage left, in `out` or as it is shipped; ModelError says how to come to it."""
    shipped = [
        WEIGHTS / pipe / part
        for pipe in PIPES
        for part, stage in listed(WEIGHTS / pipe, "stages").items()
        if stage == name
    ]
    for folder in (out / KEPT / name, *shipped):
        if folder.is_dir():
            return folder
    raise ModelError(f"{name} has to be trained first: python -m mmagent.pocket.generators train --out {out} {name}")


def _autoencoder(out: Path, told: Told) -> Task:
    from mmagent.pocket.generators.autoencoder import AutoencoderTask

    return AutoencoderTask()


def _scale(task: Task) -> dict[str, float]:
    from mmagent.pocket.generators.autoencoder import scaling_factor

    return {"scaling_factor": scaling_factor(task.modules["vae"])}


def load_autoencoder(out: Path) -> Any:
    """The trained autoencoder, float32."""
    import torch
    from diffusers import AutoencoderKL

    vae = AutoencoderKL.from_pretrained(kept("autoencoder", out), torch_dtype=torch.float32, low_cpu_mem_usage=False)
    return vae.to(memory_format=torch.channels_last)


def _pictures(before: str | None) -> Callable[[Path, Told], Task]:
    def make(out: Path, told: Told) -> Task:
        from mmagent.pocket.generators.diffusion import Captions
        from mmagent.pocket.generators.pictures import PictureTask

        pool = Pool("pictures", 100_000, lambda random: scenes.draw(random, allowed=splits.trained), out / "pool")
        task = PictureTask(load_autoencoder(out), Captions(pool, pool.build(told)))
        if before is not None:
            task.unet.load_state_dict(load_pictures(before, out).state_dict())
        return task

    return make


def load_pictures(name: str, out: Path) -> Any:
    """The denoiser that a stage left, float32."""
    import torch
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel.from_pretrained(kept(name, out), torch_dtype=torch.float32, low_cpu_mem_usage=False)


def _clips(before: str | None) -> Callable[[Path, Told], Task]:
    def make(out: Path, told: Told) -> Task:
        from mmagent.pocket.generators.clips import ClipTask
        from mmagent.pocket.generators.diffusion import Captions

        pool = Pool("clips", 30_000, lambda random: videos.draw(random, splits.trained), out / "pool")
        task = ClipTask(load_autoencoder(out), load_pictures(STILL, out), Captions(pool, pool.build(told)))
        if before is not None:
            task.unet.load_state_dict(load_clips(before, out).state_dict())
        return task

    return make


def load_clips(name: str, out: Path) -> Any:
    """The denoiser with what a stage of the clips trained of it, float32."""
    from safetensors.torch import load_file

    from mmagent.pocket.generators.clips import denoiser

    unet = denoiser(load_pictures(STILL, out))
    trained = load_file(kept(name, out) / TRAINED)
    unet.load_state_dict({key: value.float() for key, value in trained.items()}, strict=False)
    return unet


STAGES: Mapping[str, Stage] = {
    "autoencoder": Stage(
        _autoencoder,
        "vae",
        Recipe(steps=10_000, rate=1.5e-3, average=0.998, keep_every=250, precision="bf16"),
        _scale,
    ),
    "pictures-1": Stage(
        _pictures(None),
        "unet",
        Recipe(steps=6_000, average=0.999, keep_every=250, sample_every=1000, schedule="constant", precision="bf16"),
    ),
    "pictures-2": Stage(
        _pictures("pictures-1"),
        "unet",
        Recipe(steps=8_000, average=0.999, keep_every=250, sample_every=1000, precision="bf16"),
    ),
    "pictures-3": Stage(
        _pictures("pictures-2"),
        "unet",
        Recipe(steps=10_000, average=0.999, keep_every=250, sample_every=1000, precision="bf16", seed=3),
    ),
    "clips-1": Stage(_clips(None), "unet", Recipe(steps=10_000, average=0.998, keep_every=500, precision="bf16")),
    "sound-autoencoder": Stage(sound_stages.autoencoder, "vae", sound_stages.AUTOENCODER, sound_stages.scale),
    "vocoder-1": Stage(sound_stages.vocoder, "vocoder", sound_stages.VOCODER),
    "vocoder-2": Stage(sound_stages.tuning, "vocoder", sound_stages.TUNING),
    "sounds-1": Stage(sound_stages.denoiser(None), "unet", sound_stages.DENOISER),
    "sounds-2": Stage(sound_stages.denoiser("sounds-1"), "unet", sound_stages.LAST),
}
"""By name, in the order in which they are run."""
