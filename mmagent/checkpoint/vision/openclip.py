"""OpenCLIP's own folders (`open_clip_config.json`, `open_clip_model.safetensors`).

Covered are the vision transformers of OpenCLIP's `VisionTransformer` as they were released for CLIP (class token,
learned positions, norm before, pooling by the class token, GELU or QuickGELU), which become CLIP of transformers, and
its ResNets. Towers of timm and variants of the block are refused by name. Source of names and arithmetic: open_clip
3.3, `transformer.py` and `model.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmagent.checkpoint.extras import imported
from mmagent.checkpoint.files import weights
from mmagent.checkpoint.loading import load_tensors, loading
from mmagent.checkpoint.vision.fitting import BICUBIC, BILINEAR, Fitting, FittingProcessor
from mmagent.checkpoint.vision.processor import pair
from mmagent.errors import ModelError

CONFIG = "open_clip_config.json"

_PLAIN: Mapping[str, Any] = {
    "attentional_pool": False, "final_ln_after_pool": False, "ls_init_value": None, "no_ln_pre": False,
    "pool_type": "tok", "block_type": None, "qk_norm": False, "scaled_cosine_attn": False, "scale_heads": False,
    "scale_attn_inner": False, "scale_attn": False, "scale_fc": False, "act_kwargs": None, "norm_kwargs": None,
}  # fmt: skip
"""Fields that change the arithmetic, at the values that CLIP of transformers has."""

_IDLE = {
    "image_size", "layers", "width", "head_width", "mlp_ratio", "patch_size", "patch_dropout", "pos_embed_type",
    "output_tokens", "attn_pooler_queries", "attn_pooler_heads", "timm_model_pretrained", "timm_pool", "timm_proj",
    "timm_proj_bias", "timm_drop", "timm_drop_path",
}  # fmt: skip
"""Fields that are read here, or that change nothing when it runs."""

_RENAMED = {
    "ln_1": "layer_norm1", "ln_2": "layer_norm2", "mlp.c_fc": "mlp.fc1", "mlp.c_proj": "mlp.fc2",
    "attn.out_proj": "self_attn.out_proj",
}  # fmt: skip


def fields(opened: Mapping[str, Any], model: str) -> dict[str, Any]:
    """The fields of a `CLIPVisionConfig` for an OpenCLIP config; ModelError names what is not covered.

    Of a ResNet those that have a meaning there, and `depths`, the blocks of its stages.

    >>> fields({"model_cfg": {"embed_dim": 8, "vision_cfg": {"width": 128, "image_size": 32}}}, "")["num_attention_heads"]
    2
    """
    top = opened.get("model_cfg", {})
    vision = top.get("vision_cfg", {})
    odd = [name for name, plain in _PLAIN.items() if (vision.get(name) or plain) != plain]
    odd += sorted(set(vision) - set(_PLAIN) - _IDLE)
    if vision.get("timm_model_name"):
        raise ModelError(
            f"{model}: its tower is timm's {vision['timm_model_name']}, and timm does not run without torchvision; take "
            "the model's transformers version"
        )
    if odd:
        raise ModelError(
            f"{model}: OpenCLIP towers with {', '.join(odd)} are not covered; take the model's transformers version"
        )
    width, head, depth = int(vision.get("width", 768)), int(vision.get("head_width", 64)), vision.get("layers", 12)
    if isinstance(depth, list):
        return {
            "hidden_size": 32 * width,
            "depths": tuple(map(int, depth)),
            "num_attention_heads": 32 * width // head,
            "image_size": vision.get("image_size", 224),
            "patch_size": 32,
            "projection_dim": int(top.get("embed_dim", 512)),
        }
    return {
        "hidden_size": width,
        "intermediate_size": int(width * vision.get("mlp_ratio", 4.0)),
        "num_hidden_layers": int(depth),
        "num_attention_heads": width // head,
        "image_size": vision.get("image_size", 224),
        "patch_size": vision.get("patch_size", 16),
        "projection_dim": int(top.get("embed_dim", 512)),
        "hidden_act": "quick_gelu" if top.get("quick_gelu") else "gelu",
        "layer_norm_eps": 1e-5,
    }


def load(path: Path, shape: Mapping[str, Any], model: str, *, pickle: bool) -> Any:
    """The vision tower with its projection, frozen: a `CLIPVisionModelWithProjection`, or a `ModifiedResNet`."""
    transformers = imported("transformers", "local", f"model {model}")
    file = _file(path, model)
    state = _visual(load_tensors(file, pickle=pickle))
    tower: Any
    with loading():
        if "depths" in shape:
            from mmagent.checkpoint.vision.modified_resnet import ModifiedResNet  # here, since it imports torch

            width, side = shape["hidden_size"] // 32, pair(shape["image_size"])[0]
            tower = ModifiedResNet(
                shape["depths"], width, shape["num_attention_heads"], side, shape["projection_dim"]
            )  # fmt: skip
        else:
            tower, state = (
                transformers.CLIPVisionModelWithProjection(transformers.CLIPVisionConfig(**shape)),
                renamed(state),
            )
    try:
        tower.load_state_dict(state)
    except RuntimeError as error:
        raise ModelError(f"{file} does not fit its {CONFIG}: {str(error).splitlines()[1].strip():.300}") from error
    return tower.float().eval().requires_grad_(False)


def _visual(state: Mapping[str, Any]) -> dict[str, Any]:
    """The tensors of the image encoder by their names within it."""
    plain = {
        name.removeprefix("module."): value for name, value in state.items()
    }  # training on several devices adds it
    return {name.removeprefix("visual."): value for name, value in plain.items() if name.startswith("visual.")}


def renamed(state: Mapping[str, Any]) -> dict[str, Any]:
    """The tensors of OpenCLIP's vision transformer under the names of transformers.

    `transformer.resblocks.3.ln_1.bias` becomes `vision_model.encoder.layers.3.layer_norm1.bias`.
    """
    known = {
        "class_embedding": "embeddings.class_embedding", "conv1.weight": "embeddings.patch_embedding.weight",
        "positional_embedding": "embeddings.position_embedding.weight",
        "ln_pre.weight": "pre_layrnorm.weight", "ln_pre.bias": "pre_layrnorm.bias",
        "ln_post.weight": "post_layernorm.weight", "ln_post.bias": "post_layernorm.bias",
    }  # fmt: skip
    made: dict[str, Any] = {}
    for name, value in state.items():
        if name == "proj":
            made["visual_projection.weight"] = value.T.contiguous()  # OpenCLIP multiplies from the right
        elif name in known:
            made[f"vision_model.{known[name]}"] = value
        elif block := re.fullmatch(r"transformer\.resblocks\.(\d+)\.(.+)\.(\w+)", name):
            place = f"vision_model.encoder.layers.{block[1]}."
            if block[2] == "attn":  # in_proj_weight and in_proj_bias hold query, key and value, one after the other
                for part, third in zip("qkv", value.chunk(3)):
                    made[f"{place}self_attn.{part}_proj.{block[3].removeprefix('in_proj_')}"] = third
            else:
                made[f"{place}{_RENAMED.get(block[2], block[2])}.{block[3]}"] = value
        else:
            made[name] = value  # loading names it as unexpected
    return made


def processor(opened: Mapping[str, Any], shape: Mapping[str, Any], model: str) -> FittingProcessor:
    """The image processor that OpenCLIP's evaluation transform is."""
    from transformers import CLIPImageProcessorPil
    from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

    told = opened.get("preprocess_cfg", {})
    height, width = pair(told.get("size", shape["image_size"]))
    mode = told.get("resize_mode") or "shortest"
    if mode not in ("shortest", "longest", "squash"):
        raise ModelError(f"{model}: resize_mode in its {CONFIG} is shortest, longest or squash, not {mode!r}")
    resample = BILINEAR if told.get("interpolation") == "bilinear" else BICUBIC  # any other word means bicubic
    inner = CLIPImageProcessorPil(
        do_resize=False,
        do_center_crop=False,
        image_mean=list(told.get("mean") or OPENAI_CLIP_MEAN),
        image_std=list(told.get("std") or OPENAI_CLIP_STD),
    )
    return FittingProcessor(Fitting(height, width, mode, resample, int(told.get("fill_color") or 0)), inner)


def _file(path: Path, model: str) -> Path:
    if path.is_file():
        return path
    found = sorted(weights(path), key=lambda item: (item.suffix != ".safetensors", "open_clip" not in item.name))
    if not found:
        raise ModelError(f"{model} holds no weights; put open_clip_model.safetensors beside its {CONFIG}")
    return found[0]
