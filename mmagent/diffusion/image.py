"""Pictures by any pipeline of diffusers: from nothing, over a picture, or into a part of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mmagent.context import Context
from mmagent.diffusion.conditioning import Conditioning
from mmagent.diffusion.diffuser import Diffuser
from mmagent.diffusion.latents import encoded
from mmagent.diffusion.tasks import Task
from mmagent.errors import RunError
from mmagent.media import Image

if TYPE_CHECKING:
    import PIL.Image

BINNED = (32, 64, 128)
"""Latents a side, for which PixArt and Sana know the sizes they were trained on."""
LARGEST = 1024 * 1024
"""Pixels of a picture to train towards, where the checkpoint has no size of its own: Flux and Z-Image are made for so many."""


class ImageDiffuser(Diffuser):
    """A `Diffuser` that makes pictures."""

    def image(
        self,
        ctx: Context,
        asked: Conditioning,
        *,
        image: Image | None = None,
        mask: Image | None = None,
        strength: float | None = None,
        steps: int | None = None,
        width: int | None = None,
        height: int | None = None,
        **options: Any,
    ) -> Image:
        """Make a picture, over `image` where one is given, or into what is white in `mask`; options as `run` has them."""
        task: Task = "text" if image is None else "image" if mask is None else "inpaint"
        if image is None and (mask is not None or strength is not None):
            raise ValueError(f"{self._owner}: mask and strength say what to do with image; give it too")
        if strength is not None and not 0 < strength <= 1:
            raise ValueError(f"{self._owner}: strength is above 0 and at most 1, not {strength}")
        n_steps = self.n_steps(task) if steps is None else steps
        if strength is not None and n_steps is not None and int(strength * n_steps) < 1:
            raise ValueError(f"{self._owner}: of {n_steps} steps, strength {strength} leaves none; raise one of them")
        self.layout.check_size(height, width)
        size = self._blank(height, width) if image is None else self._start(task, image, mask, height, width)
        made = self.run(ctx, asked, task=task, steps=steps, output_type="pil", strength=strength, **size, **options)
        if any(getattr(made, "nsfw_content_detected", None) or ()):
            raise RunError(f"{self._owner}: the checkpoint's own safety checker withholds this picture")
        return Image(made.images[0])

    def _blank(self, height: int | None, width: int | None) -> dict[str, Any]:
        """What the pipeline is told to paint from nothing."""
        unbinned = self.takes("use_resolution_binning") and self.layout.denoiser.get("sample_size") not in BINNED
        return {"height": height, "width": width, **({"use_resolution_binning": False} if unbinned else {})}

    def _start(
        self, task: Task, image: Image, mask: Image | None, height: int | None, width: int | None
    ) -> dict[str, Any]:
        """What it is told to start from; the picture's own size is kept, down to what the pipeline can make."""
        own_height, own_width = self._whole(image.height, image.width)
        size = (width or own_width, height or own_height)
        return {
            "image": _sized(image, "RGB", size),
            "mask_image": None if mask is None else _sized(mask, "L", size),
            **({"height": size[1], "width": size[0]} if self.takes("height", task) else {}),
        }

    def _whole(self, height: float, width: float) -> tuple[int, int]:
        """The nearest size below that the pipeline can make."""
        least = self.layout.multiple
        return max(least, int(height) // least * least), max(least, int(width) // least * least)

    def latents(self, media: Sequence[Image], generator: Any) -> Any:
        """The latents `[B, C, h, w]` of pictures, scaled to the checkpoint's own size, or to that of the first.

        What is left over of one of another shape is cut off, half on each side.
        """
        import numpy as np
        import PIL.ImageOps
        import torch

        height, width = media[0].height, media[0].width
        shrunk = min(1.0, math.sqrt(LARGEST / (height * width)))
        height, width = self.layout.size or self._whole(height * shrunk, width * shrunk)
        pictures = [np.asarray(PIL.ImageOps.fit(picture.pil("RGB"), (width, height))) for picture in media]
        pixels = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)  # [B, 3, H, W]
        return encoded(self.pipe.vae, pixels / 127.5 - 1, generator).to(self.pipe.dtype)


def _sized(picture: Image, mode: str, size: tuple[int, int]) -> PIL.Image.Image:
    """The picture in that mode, width and height."""
    found = picture.pil(mode)
    return found if found.size == size else found.resize(size)
