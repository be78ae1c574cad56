"""The families of image encoders that are known by name: one row each.

Any other that `AutoModel` loads and that has an image processor works too; of it less can be told before it is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

_VIT = {"hidden_size": 768, "num_hidden_layers": 12, "image_size": 224, "patch_size": 16}


@dataclass(frozen=True, slots=True)
class Family:
    """What is true of every checkpoint of a family.

    `tower` is the class that loads the image encoder alone. `classes`: class tokens before the patches;
    `registers`: the config's field that counts more of them. `fixed`: pictures are of the config's own size, else
    of the processor's. `grid`: the states are patches of `patch_size`. `uniform`: all layers are of one width.
    `optional_pooler`: the pooler's weights may be missing, so it is made only when asked for. `projected`: the
    class that makes vectors in the space of its text encoder. `needs`: weights, by how their names go, without which
    there is no such output. `defaults`: fields that a saved config leaves out.
    """

    tower: str = "AutoModel"
    classes: int = 0
    registers: str = ""
    fixed: bool = False
    grid: bool = True
    uniform: bool = True
    pooled: bool = True
    optional_pooler: bool = False
    projected: str = ""
    needs: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)


_CLIP = Family(
    "CLIPVisionModel", classes=1, fixed=True, projected="CLIPVisionModelWithProjection",
    needs={"projected": "visual_projection."}, defaults={**_VIT, "patch_size": 32, "projection_dim": 512},
)  # fmt: skip
_SIGLIP = Family("SiglipVisionModel", fixed=True, projected="SiglipVisionModel", defaults=_VIT)
_NAFLEX = Family("Siglip2VisionModel", projected="Siglip2VisionModel", defaults=_VIT)
_POOLER = {"pooled": "pooler."}
_PYRAMID = Family(grid=False, uniform=False)

FAMILIES: Mapping[str, Family] = {
    "beit": Family(classes=1, optional_pooler=True, needs=_POOLER, defaults=_VIT),
    "clip": _CLIP,
    "clip_vision_model": _CLIP,
    "convnext": _PYRAMID,
    "convnextv2": _PYRAMID,
    "data2vec-vision": Family(classes=1, optional_pooler=True, needs=_POOLER, defaults=_VIT),
    "deit": Family(classes=2, fixed=True, optional_pooler=True, needs=_POOLER, defaults=_VIT),
    "dinov2": Family(classes=1, defaults={**_VIT, "patch_size": 14}),
    "dinov2_with_registers": Family(classes=1, registers="num_register_tokens", defaults=_VIT),
    "ijepa": Family(fixed=True, pooled=False, defaults=_VIT),
    "open_clip": replace(_CLIP, needs={}),
    "open_clip_resnet": Family(fixed=True, uniform=False, projected="ModifiedResNet"),
    "resnet": _PYRAMID,
    "siglip": _SIGLIP,
    "siglip_vision_model": _SIGLIP,
    "siglip2": _NAFLEX,
    "siglip2_vision_model": _NAFLEX,
    "swin": _PYRAMID,
    "swinv2": _PYRAMID,
    "vit": Family(classes=1, fixed=True, optional_pooler=True, needs=_POOLER, defaults=_VIT),
    "vit_msn": Family(classes=1, fixed=True, pooled=False, defaults=_VIT),
}

REFUSED: Mapping[str, str] = {
    **dict.fromkeys(("timesformer", "videomae", "vivit", "vjepa2"), "it is a video encoder; use video-encoder"),
    "vit_mae": "it hides three quarters of a picture at random; load what was fine-tuned from it as ViT",
}


def family(kind: str) -> Family | None:
    """The row of a `model_type`, or None if it is none of these."""
    return FAMILIES.get(kind)
