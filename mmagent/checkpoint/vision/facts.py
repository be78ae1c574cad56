"""What can be told of an image encoder without loading it: tokens, width, size, from the JSON of its checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from mmagent.checkpoint.describing import check_layer, layers_size, seconds
from mmagent.checkpoint.files import tensors
from mmagent.checkpoint.place import config, here, processor_config
from mmagent.checkpoint.placement import itemsize
from mmagent.checkpoint.vision import openclip
from mmagent.checkpoint.vision.choice import Choice
from mmagent.checkpoint.vision.families import REFUSED, Family, family
from mmagent.checkpoint.vision.processor import made_size, pair
from mmagent.errors import ModelError


@dataclass(frozen=True, slots=True)
class Facts:
    """Of one picture: `tokens` states of `width`, None where it cannot be told; `memory` bytes, `cost` seconds.

    `kind` is the family's name, "" if nothing is known.
    """

    kind: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)
    tokens: int | None = None
    width: int | None = None
    memory: int = 0
    cost: float = 0.0

    def times(self, count: int) -> Facts:
        """The same of so many pictures whose states follow each other."""
        return replace(self, tokens=self.tokens and self.tokens * count, cost=self.cost * count)


def facts(choice: Choice) -> Facts:
    """What the checkpoint tells of a choice; nothing while it is a hub id that is not in the cache.

    ModelError if it is no image encoder, or has no such layer or states.
    """
    found = _fields(choice)
    if found is None:
        return Facts()
    kind, fields, projection = found
    if kind in REFUSED:
        raise ModelError(f"{choice.model} is {kind}: {REFUSED[kind]}")
    opened = kind.startswith("open_clip")  # whose config tells of its processor too
    prepared = {} if opened else processor_config(choice.model, "image_processor", revision=choice.revision)
    row = family(kind)
    if row is None:
        return _unknown(choice, kind, fields)
    _check(choice, kind, row, fields)
    sides = _sides(choice, row, fields, prepared)
    n_layers, hidden = int(fields.get("num_hidden_layers", 0)), _hidden(row, fields, choice)
    prefix = row.classes + int(fields.get(row.registers, 0))
    last = row.uniform or choice.layer == -1  # the maps of others differ in size
    patches = _patches(kind, row, fields, prepared, sides) if last else None
    tokens = patches and patches + prefix
    made = {"patches": patches, "all": tokens}.get(choice.output, 1)
    width = projection if choice.output == "projected" and projection else hidden
    size = layers_size(hidden, n_layers) if row.uniform else 0
    memory = itemsize(choice.device, choice.dtype) * size
    return Facts(kind, fields, made, width, memory, seconds(size, tokens or 0))


def _fields(choice: Choice) -> tuple[str, dict[str, Any], int | None] | None:
    """The family's name, the fields of its image encoder, and the width of the space that it shares with text."""
    top = config(choice.model, revision=choice.revision, optional=True)
    if top is None or "model_type" not in top:
        opened = config(choice.model, openclip.CONFIG, revision=choice.revision, optional=True)
        if opened is not None:
            fields = openclip.fields(opened, choice.model)
            kind = "open_clip_resnet" if "depths" in fields else "open_clip"
            return kind, fields, int(fields["projection_dim"])
        top = config(choice.model, revision=choice.revision)
    if top is None:
        return None
    kind = str(top.get("model_type", ""))
    if not kind:
        raise ModelError(f"{choice.model}: its config.json names no model_type; save it again with transformers")
    row = family(kind)
    inner = top.get("vision_config")
    fields = {**(row.defaults if row else {}), **(inner if isinstance(inner, dict) else top)}
    projection = int((top if inner else fields).get("projection_dim", 512)) if row and "CLIP" in row.projected else None
    return kind, fields, projection


def _unknown(choice: Choice, kind: str, fields: Mapping[str, Any]) -> Facts:
    if choice.output not in ("all", "pooled"):
        raise ModelError(
            f"{choice.model} is {kind}, of which it is not known where its patches begin; take output: all or pooled"
        )
    return Facts(kind, fields, 1 if choice.output == "pooled" else None)


def _check(choice: Choice, kind: str, row: Family, fields: Mapping[str, Any]) -> None:
    check_layer(choice.model, choice.layer, fields.get("num_hidden_layers") if row.uniform else None)
    pooled = row.pooled and fields.get("vision_use_head", True)
    lacks = {
        "cls": "" if row.classes else "has no class token; take pooled",
        "pooled": "" if pooled else "makes no pooled vector; take cls or patches",
        "projected": "" if row.projected and pooled else "shares no space with a text encoder; take pooled",
    }.get(choice.output, "")
    if lacks:
        raise ModelError(f"{choice.model} is {kind} and {lacks}")
    needed = row.needs.get(choice.output, "") if fields.get("use_mean_pooling", True) else ""  # BEiT takes cls then
    path = here(choice.model, choice.revision) if needed else None
    names = tensors(path) if path is not None else None
    if names is not None and not any(needed in name for name in names):
        raise ModelError(
            f"{choice.model} was saved without weights {needed}*, of which {choice.output} is made; take cls or patches"
        )


def _hidden(row: Family, fields: Mapping[str, Any], choice: Choice) -> int | None:
    if row.uniform:
        return int(fields["hidden_size"])
    if choice.layer != -1:
        return None
    sizes = fields.get("hidden_sizes")
    found = sizes[-1] if sizes else fields.get("hidden_size")
    return int(found) if found else None


def _patches(
    kind: str,
    row: Family,
    fields: Mapping[str, Any],
    prepared: Mapping[str, Any],
    sides: tuple[int, int] | None,
) -> int | None:
    if kind.startswith("siglip2"):  # of any size: filled up to the processor's number, with a mask
        told = prepared.get("max_num_patches")
        return int(told) if told else None
    if not row.grid or sides is None:
        return None
    across = pair(fields["patch_size"])
    return (sides[0] // across[0]) * (sides[1] // across[1])


def _sides(
    choice: Choice, row: Family, fields: Mapping[str, Any], prepared: Mapping[str, Any]
) -> tuple[int, int] | None:
    """Height and width of the picture that enters the network; ModelError if the processor makes another size."""
    made = made_size(prepared)
    if not row.fixed:
        return made
    own = pair(fields["image_size"])
    if made is not None and made != own:
        raise ModelError(
            f"{choice.model}: the image processor makes pictures of {made[0]} × {made[1]}, and the model takes "
            f"{own[0]} × {own[1]}; set size and crop_size in preprocessor_config.json"
        )
    return own
