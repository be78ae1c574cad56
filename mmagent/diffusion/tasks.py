"""Pipelines for other tasks over the same modules: one in memory serves text to image, image to image, inpainting."""

from __future__ import annotations

from typing import Any, Literal

from mmagent.errors import ModelError

Task = Literal["text", "image", "inpaint"]
"""What a picture is made of: nothing but the prompt, a picture, or a picture in part."""

_MAKERS = {
    "text": "AutoPipelineForText2Image",
    "image": "AutoPipelineForImage2Image",
    "inpaint": "AutoPipelineForInpainting",
}


def sibling(pipe: Any, task: Task) -> Any:
    """The pipeline of the same family and the same modules for a task; `pipe` itself if that is its task.

    ModelError if diffusers has none for this family.
    """
    import diffusers

    maker = getattr(diffusers, _MAKERS[task])
    try:
        made = maker.from_pipe(pipe)
    except ValueError:
        raise ModelError(
            f"diffusers has no pipeline like {type(pipe).__name__} "
            + {
                "text": "without a picture to start from",
                "image": "that starts from a picture",
                "inpaint": "for inpainting",
            }[task]
        ) from None
    if type(made) is type(pipe):
        return pipe
    made.set_progress_bar_config(disable=True)
    return made
