"""What makes the media that are scored: the shipped weights, a folder of a whole pipeline, or what a stage left."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mmagent.diffusion.layout import INDEX
from mmagent.diffusion.loading import load_pipeline, quiet
from mmagent.diffusion.schedulers import fresh
from mmagent.errors import ModelError
from mmagent.fetch import fetch
from mmagent.pocket.generators import clips, pictures, sound_autoencoder, sound_stages, sounds, stages
from mmagent.pocket.generators.scores.judging import Array
from mmagent.pocket.generators.scores.score import Make
from mmagent.pocket.generators.spectrogram import log_mel


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a denoiser is used; `scheduler` is a class of diffusers, the checkpoint's own unless named."""

    steps: int = pictures.STEPS
    guidance: float = pictures.GUIDANCE
    scheduler: str = ""


@dataclass(frozen=True, slots=True)
class Maker:
    """What can be scored: the kind of media that it makes, how it is made of a folder, and a bar in place of all others."""

    kind: str
    make: Callable[[Path, Sampling], Make]
    bar: float | None = None


def maker(name: str, folder: Path | None = None, sampling: Sampling | None = None) -> Make:
    """Makes media by the weights in a folder, a whole pipeline's or `OUT/kept/STAGE` of a training, or by the shipped.

    ModelError if the folder is neither.
    """
    found = MAKERS[name]
    with quiet():
        return found.make(folder or fetch(f"pocket-{found.kind}"), sampling or Sampling())


def _pictures(folder: Path, sampling: Sampling) -> Make:
    if _whole(folder):
        pipe = _pipeline(folder)
    else:
        name, out = _stage(folder)
        pipe = pictures.pipeline(stages.load_pictures(name, out), stages.load_autoencoder(out))
    _schedule(pipe, sampling)
    return _by_parts(
        16, lambda captions, seed: pictures.generate(pipe, captions, seed, sampling.steps, sampling.guidance)
    )


def _clips(folder: Path, sampling: Sampling) -> Make:
    if _whole(folder):
        pipe = _pipeline(folder)
    else:
        name, out = _stage(folder)
        pipe = clips.pipeline(stages.load_clips(name, out), stages.load_autoencoder(out))
    _schedule(pipe, sampling)
    return _by_parts(2, lambda captions, seed: clips.generate(pipe, captions, seed, sampling.steps, sampling.guidance))


def _sounds(folder: Path, sampling: Sampling) -> Make:
    if _whole(folder):
        pipe, vocoder = _pipeline(folder), _vocoder(folder / "vocoder")
    else:
        name, out = _stage(folder)
        vocoder = sound_stages.load_vocoder(out)
        pipe = pictures.pipeline(sound_stages.load_denoiser(out, name), sound_stages.load_autoencoder(out))
    _schedule(pipe, sampling)

    def make(captions: Sequence[str], seed: int) -> Sequence[Array]:
        mels = sounds.generate(pipe, captions, seed, sampling.steps, sampling.guidance)
        return list(sounds.sounding(vocoder, mels).numpy())

    return _by_parts(8, make)


def _autoencoder(folder: Path, sampling: Sampling) -> Make:
    vae = _vae(folder)

    def kept(true: Array) -> Array:
        latents = pictures.latents_of(vae, list(true)) / vae.config.scaling_factor
        with torch.inference_mode():
            pixels = vae.decode(latents).sample.clamp(-1, 1).add(1).mul(127.5).round().to(torch.uint8)
        made: Array = pixels.permute(0, 2, 3, 1).numpy()
        return made

    return lambda prompts, true: np.concatenate([kept(part) for part in _parts(true, 16)])


def _sound_autoencoder(folder: Path, sampling: Sampling) -> Make:
    vae = _vae(folder)
    vocoder = _vocoder(folder / "vocoder") if _whole(folder) else sound_stages.load_vocoder(_stage(folder)[1])

    def kept(true: Array) -> Array:
        with torch.inference_mode():
            mels = sound_autoencoder.reconstructed(vae, log_mel(torch.from_numpy(true)))
        made: Array = sounds.sounding(vocoder, mels).numpy()
        return made

    return lambda prompts, true: np.concatenate([kept(part) for part in _parts(true, 8)])


MAKERS: Mapping[str, Maker] = {
    "pictures": Maker("pictures", _pictures),
    "clips": Maker("clips", _clips),
    "sounds": Maker("sounds", _sounds),
    "autoencoder": Maker("pictures", _autoencoder, 0.98),
    "sound-autoencoder": Maker("sounds", _sound_autoencoder, 0.98),
}
"""Autoencoders are scored by what they leave of true media; that of sounds with the vocoder behind it."""


def _whole(folder: Path) -> bool:
    return (folder / INDEX).is_file()


def _stage(folder: Path) -> tuple[str, Path]:
    """A stage's name, and where its run lies."""
    folder = folder.resolve()
    if folder.parent.name != stages.KEPT or folder.name not in stages.STAGES:
        raise ModelError(
            f"{folder} is neither a pipeline with its {INDEX} nor OUT/{stages.KEPT}/STAGE of a training; "
            f"stages are {', '.join(stages.STAGES)}"
        )
    return folder.name, folder.parent.parent


def _pipeline(folder: Path) -> Any:
    return load_pipeline(str(folder), owner="score", device="cpu", dtype="float32")


def _vae(folder: Path) -> Any:
    """An autoencoder that lies in a folder or in the pipeline there."""
    from diffusers import AutoencoderKL

    place = folder / "vae" if _whole(folder) else folder
    vae = AutoencoderKL.from_pretrained(
        place, torch_dtype=torch.float32, low_cpu_mem_usage=False, use_safetensors=True, local_files_only=True
    )
    return vae.to(memory_format=torch.channels_last)


def _vocoder(folder: Path) -> Any:
    from transformers import SpeechT5HifiGan

    return SpeechT5HifiGan.from_pretrained(folder, dtype=torch.float32, use_safetensors=True)


def _schedule(pipe: Any, sampling: Sampling) -> None:
    pipe.scheduler = fresh(pipe.scheduler, sampling.scheduler)


def _by_parts(n: int, make: Callable[[Sequence[str], int], Sequence[Array]]) -> Make:
    """Media of prompts, `n` at once, each part from a seed of its own."""
    return lambda prompts, true: np.concatenate(
        [np.stack(make([item.caption for item in part], seed)) for seed, part in enumerate(_parts(prompts, n))]
    )


def _parts(items: Any, n: int) -> Iterator[Any]:
    return (items[first : first + n] for first in range(0, len(items), n))
