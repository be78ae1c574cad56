"""What a denoiser says of noisy latents under embeddings, called as the pipeline of its family calls it, with gradients.

A family is told by the class of its network; each file here has those of one medium, under `KINDS`.
"""

from __future__ import annotations

from typing import Any

from mmagent.diffusion.denoisers import audio, image, video
from mmagent.diffusion.denoisers.batch import Batch
from mmagent.errors import ModelError

__all__ = ["Batch", "predicted"]

KINDS = {**image.KINDS, **video.KINDS, **audio.KINDS}


def predicted(pipe: Any, batch: Batch) -> Any:
    """What the network of `pipe` predicts of a batch, in the shape of its latents; a variance may follow in the channels.

    ModelError for networks that are not called in a way known here.
    """
    network = getattr(pipe, "unet", None) or getattr(pipe, "transformer", None)
    kind = type(network).__name__
    if kind not in KINDS:
        raise ModelError(
            f"{type(pipe).__name__} cannot be trained towards: its {kind} is not called in a way known here; "
            f"{', '.join(sorted(KINDS))} are"
        )
    return KINDS[kind](pipe, batch)
