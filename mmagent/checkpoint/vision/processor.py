"""What the config of an image processor tells of the size of pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


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
