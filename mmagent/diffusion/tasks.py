"""Pipelines for other tasks over the same modules: one in memory serves text to image, image to image, inpainting."""

from __future__ import annotations

from typing import Any, Literal

from mmagent.diffusion.conditioning import defaults
from mmagent.errors import ModelError

Task = Literal["text", "image", "inpaint"]
"""What a picture is made of: nothing but the prompt, a picture, or a picture in part."""

_MAKERS = {
    "text": "AutoPipelineForText2Image",
    "image": "AutoPipelineForImage2Image",
    "inpaint": "AutoPipelineForInpainting",
}
_SHOWN = {"text": "without a picture to start from", "image": "that starts from a picture", "inpaint": "for inpainting"}


def sibling(pipe: Any, task: Task) -> Any:
    """The pipeline of the same family and the same modules for a task; `pipe` itself if that is its task.

    ModelError if diffusers has none for this family.
    """
    import diffusers

    try:
        made = getattr(diffusers, _MAKERS[task]).from_pipe(pipe)
    except ValueError:
        if _own(pipe) == task:
            return pipe
        raise ModelError(f"diffusers has no pipeline like {type(pipe).__name__} {_SHOWN[task]}") from None
    if type(made) is type(pipe):
        return pipe
    made.set_progress_bar_config(disable=True)
    return made


def _own(pipe: Any) -> Task:
    """The task of the pipeline itself, by what it takes."""
    known = defaults(pipe)
    return "inpaint" if "mask_image" in known else "image" if "image" in known else "text"
