"""A loaded image encoder: pictures in, states out, many at a time.

Shapes: B pictures, L states of width D.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mmagent.checkpoint.describing import check_layer
from mmagent.checkpoint.loading import forward, load_part, load_pretrained
from mmagent.checkpoint.place import config, locate
from mmagent.checkpoint.placement import array, given, placement
from mmagent.checkpoint.safety import guard
from mmagent.checkpoint.vision import openclip
from mmagent.checkpoint.vision.choice import Choice
from mmagent.checkpoint.vision.facts import Facts, facts
from mmagent.checkpoint.vision.families import Family, family
from mmagent.errors import MediaError, ModelError

if TYPE_CHECKING:
    import numpy as np
    import PIL.Image

    Array = np.ndarray[Any, np.dtype[Any]]

LONGEST = 50
"""How many times longer than wide a picture may be where its shorter side is scaled: the whole of it is scaled."""


class Tower:
    """The image encoder of a checkpoint with its image processor; `encode` may be called from several threads."""

    def __init__(self, choice: Choice, model: Any, processor: Any, kind: str) -> None:
        self.choice, self.model, self.processor = choice, model, processor
        self._row = family(kind)
        registers = getattr(model.config, self._row.registers, 0) if self._row and self._row.registers else 0
        self._prefix = self._row.classes + int(registers) if self._row else 0

    @classmethod
    def load(cls, choice: Choice) -> Tower:
        """Load what `choice` names, downloading it first if need be; ModelError says what does not fit and why."""
        path = locate(choice.model, revision=choice.revision)
        found = facts(choice)
        if not found.kind:
            raise ModelError(f"{choice.model} holds no config.json; name the folder in which the model was saved")
        if found.kind.startswith("open_clip"):
            opened = config(choice.model, openclip.CONFIG, revision=choice.revision) or {}
            model = openclip.load(path, found.fields, choice.model, pickle=choice.pickle)
            model = model.to(*placement(choice.device, choice.dtype, f"model {choice.model}"))
            processor = openclip.processor(opened, found.fields, choice.model)
            if choice.output != "projected":
                model = getattr(model, "vision_model", model)
            return cls(choice, model, processor, found.kind)
        guard(path, pickle=choice.pickle)  # before anything else is said about the folder
        processor = load_part("AutoImageProcessor", choice.model, revision=choice.revision, backend="pil")
        return cls(choice, _model(choice, found), processor, found.kind)

    def encode(self, pictures: Sequence[PIL.Image.Image]) -> list[tuple[Array, Array | None]]:
        """The states `[L, D]` of each picture, with a mask `[L]` where some of them stand for nothing.

        Pictures that the processor makes equally large go through the network together.
        """
        prepared = [self._prepare(picture) for picture in pictures]
        made: list[tuple[Array, Array | None]] = []
        for begin, end in _runs([item["pixel_values"].shape for item in prepared]):
            made += self._forward(prepared[begin:end])
        return made

    def _prepare(self, picture: PIL.Image.Image) -> Any:
        size = getattr(self.processor, "size", None) or {}
        if size.get("shortest_edge") and max(picture.size) > LONGEST * min(picture.size):
            raise MediaError(
                f"a picture of {picture.width} × {picture.height} is more than {LONGEST} times longer than wide; crop it"
            )
        return self.processor(images=picture, return_tensors="pt")

    def _forward(self, prepared: Sequence[Any]) -> list[tuple[Array, Array | None]]:
        import torch

        batch = {name: torch.cat([item[name] for item in prepared]) for name in prepared[0]}
        with forward(self.choice.model):
            out = self.model(**given(batch, self.model), output_hidden_states=self.choice.layer != -1)
            states = array(self._chosen(out))  # [B, L, D]
        mask = batch.get("pixel_attention_mask") if self.choice.output in ("patches", "all") else None
        masks = mask.bool().numpy() if mask is not None and mask.shape == states.shape[:2] else [None] * len(states)
        return list(zip(states, masks))

    def _chosen(self, out: Any) -> Any:
        if self.choice.output in ("pooled", "projected"):
            vector = getattr(out, "image_embeds", None) if self.choice.output == "projected" else None
            vector = out.pooler_output if vector is None else vector
            if vector is None:
                raise ModelError(f"{self.choice.model} makes no pooled vector; take output: all")
            return vector.flatten(1)[:, None]  # [B, 1, D]; some leave it [B, D, 1, 1]
        states = out.last_hidden_state
        if self.choice.layer != -1:
            check_layer(self.choice.model, self.choice.layer, len(out.hidden_states) - 1)
            states = out.hidden_states[self.choice.layer]
        if states.ndim == 4:  # [B, D, H, W] of convolutions
            states = states.flatten(2).transpose(1, 2)
        if self.choice.output == "cls":
            return states[:, :1]
        return states[:, self._prefix :] if self.choice.output == "patches" else states


def _model(choice: Choice, found: Facts) -> Any:
    row = family(found.kind) or Family()
    options: dict[str, Any] = {}
    if row.optional_pooler:
        options["add_pooling_layer"] = choice.output == "pooled"
    kind = row.tower
    if choice.output == "projected":
        kind = row.projected
        if kind != row.tower:  # CLIP's two configs may differ, and the outer one is true
            options["projection_dim"] = found.width
    model = load_pretrained(
        kind, choice.model, pickle=choice.pickle, revision=choice.revision, device=choice.device, dtype=choice.dtype,
        **options,
    )  # fmt: skip
    return getattr(model, "vision_model", model) if kind == "AutoModel" else model


def _runs(shapes: Sequence[object]) -> list[tuple[int, int]]:
    """Neighbours that are alike: `[begin, end)` of each run.

    >>> _runs(["a", "a", "b"])
    [(0, 2), (2, 3)]
    """
    starts = [index for index, shape in enumerate(shapes) if index == 0 or shape != shapes[index - 1]]
    return list(zip(starts, [*starts[1:], len(shapes)]))
