"""What the trainings left, put into the package as pipelines that the tools for anybody's checkpoints run.

Clips are pictures set in motion: of their denoiser no more is shipped than what its training changed, as long as the
pictures that it began with are those that are shipped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from mmagent.diffusion.loading import quiet
from mmagent.errors import ModelError
from mmagent.pocket.generators import clips, pictures, sound_stages, sounds, stages
from mmagent.pocket.generators.pack import pack


def ship(out: Path, name: str) -> Path:
    """Make what the stage of that name left in `out` the generator of its kind that comes with the package.

    UnknownName if there is no such stage; ModelError if it trains no denoiser, or is not at its end.
    """
    stages.find(name)
    kind = name.rsplit("-", 1)[0]
    if kind not in _SHIPPED:
        raise ModelError(f"{name} trains a part of a generator; ship the stage of one: {', '.join(_SHIPPED)}, numbered")
    with quiet():
        return _SHIPPED[kind](out, name)


def _pictures(out: Path, name: str) -> Path:
    pipe = pictures.pipeline(stages.load_pictures(name, out), stages.load_autoencoder(out))
    about = "the pocket world's picture generator, 64 × 64 pixels, prompts in English"
    told = {"vae": "autoencoder", "unet": name}
    return pack(pipe.save_pretrained, stages.WEIGHTS / "pictures", about, told, cut=clips.trains)


def _clips(out: Path, name: str) -> Path:
    pipe = clips.pipeline(stages.load_clips(name, out), stages.load_autoencoder(out))
    about = "the pocket world's video generator, 8 frames of 64 × 64 pixels, prompts in English"
    told, beside = {"vae": "autoencoder", "unet": name}, stages.WEIGHTS / "pictures"
    return pack(pipe.save_pretrained, stages.WEIGHTS / "clips", about, told, cut=clips.trains, beside=beside)


def _sounds(out: Path, name: str) -> Path:
    parts = sound_stages.load_denoiser(out, name), sound_stages.load_autoencoder(out), sound_stages.load_vocoder(out)
    about = "the pocket world's sound generator, 2 seconds at 16 kHz, prompts in English"
    told = {"vae": "sound-autoencoder", "unet": name, "vocoder": "vocoder-2"}
    return pack(lambda folder: sounds.assemble(*parts, folder), stages.WEIGHTS / "sounds", about, told)


_SHIPPED: Mapping[str, Callable[[Path, str], Path]] = {"pictures": _pictures, "clips": _clips, "sounds": _sounds}
