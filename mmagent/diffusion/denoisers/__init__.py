"""What a denoiser says of noisy latents under embeddings, called as the pipeline of its family calls it, with gradients.

A family is told by the class of its network; each file here has those of one medium, under `KINDS`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mmagent.diffusion.denoisers import audio, image, video
from mmagent.diffusion.denoisers.batch import Batch
from mmagent.diffusion.latents import channels
from mmagent.errors import ModelError

__all__ = ["Batch", "check", "predicted"]

KINDS = {**image.KINDS, **video.KINDS, **audio.KINDS}
_SEEN: dict[str, Callable[[int], int]] = {
    "FluxTransformer2DModel": lambda latent: 4 * latent,  # packed by fours
    "HunyuanVideo15Transformer3DModel": lambda latent: 2 * latent + 1,  # beside a picture, which may be nothing
}
"""How many channels a network sees of so many latent ones, where they are not as many."""


def check(pipe: Any) -> None:
    """ModelError if a pipeline cannot be trained towards: its network is unknown or sees more than latents, or its VAE gives none to draw."""
    network, vae = _network(pipe), getattr(pipe, "vae", None)
    kind, coder = type(network).__name__, type(vae).__name__
    why = ""
    if kind not in KINDS:
        why = f"its {kind} is not called in a way known here; {', '.join(sorted(KINDS))} are"
    elif vae is None:
        why = "it has no VAE"
    elif "AutoencoderKL" not in coder and coder != "AutoencoderOobleck":
        why = f"its {coder} is no variational autoencoder of a kind known here, which are AutoencoderKL* and AutoencoderOobleck"
    else:
        latent = channels(vae)
        if latent is not None and network.config.in_channels != _SEEN.get(kind, int)(latent):
            why = f"its network was widened to see a picture ({network.config.in_channels} channels for {latent} of latents)"
    if why:
        raise ModelError(f"{type(pipe).__name__} cannot be trained towards: {why}")


def predicted(pipe: Any, batch: Batch) -> Any:
    """What the network of a pipeline that `check` passes predicts of a batch, in the shape of its latents; a variance may follow in the channels."""
    return KINDS[type(_network(pipe)).__name__](pipe, batch)


def _network(pipe: Any) -> Any:
    return getattr(pipe, "unet", None) or getattr(pipe, "transformer", None)
