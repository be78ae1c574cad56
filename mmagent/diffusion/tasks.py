"""Pipelines for other tasks over the same modules: one in memory serves text to image, image to image, inpainting.

Classes are found by the names that diffusers gives the pipelines of a family. Its AutoPipelines would do, but
importing them imports every family there is, which takes longer than many a picture.
"""

from __future__ import annotations

import inspect
import re
from typing import Any, Literal

from mmagent.diffusion.conditioning import defaults
from mmagent.errors import ModelError

Task = Literal["text", "image", "inpaint"]
"""What a picture is made of: nothing but the prompt, a picture, or a picture in part."""

_NAMES = {"text": "Pipeline", "image": "Img2ImgPipeline", "inpaint": "InpaintPipeline"}
_MOVED = {"LTXPipeline": "LTXImageToVideoPipeline", "WanPipeline": "WanImageToVideoPipeline"}
"""Those that set a picture in motion with the very same network."""
_SHOWN = {"text": "without a picture to start from", "image": "that starts from a picture", "inpaint": "for inpainting"}


def sibling(pipe: Any, task: Task) -> Any:
    """The pipeline of the same family and the same modules for a task; `pipe` itself if that is its task.

    ModelError if diffusers has none for this family.
    """
    import diffusers

    own = type(pipe).__name__
    if _own(pipe) == task:
        return pipe
    name = (
        _MOVED[own] if task == "image" and own in _MOVED else re.sub(r"(Img2Img|Inpaint)?Pipeline$", _NAMES[task], own)
    )
    kind = getattr(diffusers, name, None)
    if kind is None or (own == "WanPipeline" and not pipe.config.expand_timesteps):  # as Wan 2.2's small network does
        raise ModelError(f"diffusers has no pipeline like {own} {_SHOWN[task]}")
    wanted = inspect.signature(kind.__init__).parameters
    there = {**pipe.config, **pipe.components}
    made = kind(**{name: there[name] for name in wanted if name in there})
    made.set_progress_bar_config(disable=True)
    return made


def _own(pipe: Any) -> Task:
    """The task of the pipeline itself, by what it takes."""
    known = defaults(pipe)
    return "inpaint" if "mask_image" in known else "image" if "image" in known else "text"
