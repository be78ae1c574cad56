"""The image processor of a checkpoint: what its config tells of the size of pictures, and the processor itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmagent.checkpoint.loading import load_part
from mmagent.checkpoint.place import config
from mmagent.checkpoint.vision.choice import Choice
from mmagent.errors import ModelError


def image_processor(choice: Choice) -> Any:
    """The image processor of the checkpoint, in the backend that needs no torchvision."""
    names = ("preprocessor_config.json", "processor_config.json")
    if all(config(choice.model, name, revision=choice.revision, optional=True) is None for name in names):
        raise ModelError(
            f"{choice.model} holds no {names[0]}; save the image processor beside the model: "
            "AutoImageProcessor.from_pretrained(...).save_pretrained(FOLDER)"
        )
    return load_part("AutoImageProcessor", choice.model, revision=choice.revision, backend="pil")


def processor_fields(choice: Choice) -> dict[str, Any]:
    """The fields of the image processor, in a file of its own or in that of the whole processor."""
    own = config(choice.model, "preprocessor_config.json", revision=choice.revision, optional=True)
    if own is None:
        whole = config(choice.model, "processor_config.json", revision=choice.revision, optional=True) or {}
        own = dict(whole.get("image_processor") or {})
    return own


def made_size(fields: Mapping[str, Any]) -> tuple[int, int] | None:
    """The size that an image processor makes of every picture, as far as its fields tell."""
    crop, size = fields.get("crop_size"), fields.get("size")
    if fields.get("do_center_crop"):
        return _edges(crop)
    if "do_center_crop" not in fields and crop is not None:
        return None  # cropped or not, as its class has it
    return _edges(size) if fields.get("do_resize", True) else None


def _edges(size: Any) -> tuple[int, int] | None:
    if isinstance(size, dict):
        return (int(size["height"]), int(size["width"])) if {"height", "width"} <= set(size) else None
    return None if size is None else pair(size)  # checkpoints of before 2022 have one number


def pair(size: Any) -> tuple[int, int]:
    """Height and width, of one number or two."""
    return (int(size[0]), int(size[1])) if isinstance(size, list | tuple) else (int(size), int(size))
