"""Encoders of whole videos: VideoMAE, ViViT, TimeSformer, V-JEPA 2, transformers over boxes in space and time.

Shapes: B videos of T frames, L tubelets of width D, those of the first frames first, row by row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mmagent.checkpoint.describing import check_layer, layers_size, seconds
from mmagent.checkpoint.extras import imported
from mmagent.checkpoint.loading import forward, load_part, load_pretrained
from mmagent.checkpoint.place import config, here, processor_config
from mmagent.checkpoint.placement import array, given, itemsize
from mmagent.checkpoint.vision.choice import Choice
from mmagent.checkpoint.vision.facts import Facts
from mmagent.checkpoint.vision.processor import pair
from mmagent.errors import ModelError

if TYPE_CHECKING:
    import numpy as np
    import PIL.Image

    Array = np.ndarray[Any, np.dtype[Any]]

_VIT = {"hidden_size": 768, "num_hidden_layers": 12, "image_size": 224, "patch_size": 16}


@dataclass(frozen=True, slots=True)
class Row:
    """What is true of every checkpoint of a family.

    `tower` is the class that loads the encoder, with `options`; `asked` goes to each call. `frames` and `side` are
    the config's fields for a video's size; `free` encoders take other numbers of frames too. `classes`: class tokens
    before the tubelets, whose state is `pooled`, which is else the tubelets' mean. `by_place`: the states of one
    place through all frames follow each other. `fields` tell of the image processor where only torchvision has one
    for videos. `defaults`: fields that a saved config leaves out.
    """

    tower: str
    frames: str = "num_frames"
    side: str = "image_size"
    free: bool = False
    classes: int = 0
    by_place: bool = False
    fields: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    asked: Mapping[str, Any] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=lambda: _VIT)


FAMILIES: Mapping[str, Row] = {
    "videomae": Row("VideoMAEModel", defaults={**_VIT, "num_frames": 16, "tubelet_size": 2}),
    "vivit": Row(
        "VivitModel", classes=1, options={"add_pooling_layer": False},  # which classifiers are saved without
        defaults={**_VIT, "num_frames": 32, "tubelet_size": (2, 16, 16)},
    ),
    "timesformer": Row(
        "TimesformerModel", classes=1, by_place=True, defaults={**_VIT, "num_frames": 8, "tubelet_size": 1},
    ),
    "vjepa2": Row(
        "VJEPA2Model", "frames_per_clip", "crop_size", free=True, fields="video_preprocessor_config.json",
        asked={"skip_predictor": True},
        defaults={
            "hidden_size": 1024, "num_hidden_layers": 24, "crop_size": 256, "patch_size": 16, "frames_per_clip": 64,
            "tubelet_size": 2,
        },
    ),
}  # fmt: skip


def row_of(choice: Choice) -> Row | None:
    """The family of a checkpoint, as far as it is here; None if it encodes no whole videos."""
    found = config(choice.model, revision=choice.revision, optional=True) or {}
    return FAMILIES.get(str(found.get("model_type")))


def facts(choice: Choice, row: Row, n_frames: int | None) -> Facts:
    """What a checkpoint that is here tells of a choice; ModelError where they do not fit."""
    fields = {**row.defaults, **(config(choice.model, revision=choice.revision) or {})}
    kind, depth, width = str(fields["model_type"]), int(fields["num_hidden_layers"]), int(fields["hidden_size"])
    long, high, wide = _tubelet(fields)
    own = int(fields[row.frames])
    n = n_frames or own
    if row.free and n % long:
        raise ModelError(f"{choice.model} takes frames in groups of {long}; {n} is no whole number of them")
    if n != own and not row.free:
        raise ModelError(f"{choice.model} takes {own} frames, not {n}; leave frames out")
    if choice.output == "projected" or (choice.output == "cls" and not row.classes):
        raise ModelError(f"{choice.model} is {kind} and has no {choice.output} state; take patches or pooled")
    if fields.get("attention_type") == "space_only":
        raise ModelError(f"{choice.model} looks at each frame alone (attention_type: space_only); that is not covered")
    check_layer(choice.model, choice.layer, depth)
    _prepares(choice, row)
    sides = pair(fields[row.side])
    n_boxes = n // long * (sides[0] // high) * (sides[1] // wide)
    size = layers_size(width, depth)
    made = {"patches": n_boxes, "all": n_boxes + row.classes}.get(choice.output, 1)
    return Facts(kind, fields, made, width, itemsize(choice.device, choice.dtype) * size, seconds(size, n_boxes))


def _tubelet(fields: Mapping[str, Any]) -> tuple[int, int, int]:
    """Frames, height and width of a tubelet."""
    size = fields["tubelet_size"]
    if isinstance(size, list | tuple):
        return int(size[0]), int(size[1]), int(size[2])
    return int(size), *pair(fields["patch_size"])


def _prepares(choice: Choice, row: Row) -> Mapping[str, Any]:
    """The fields of what prepares frames; ModelError where there is none."""
    if not row.fields:
        return processor_config(choice.model, "image_processor", revision=choice.revision)
    found = config(choice.model, row.fields, revision=choice.revision, optional=True)
    if found is None and here(choice.model, choice.revision) is not None:
        raise ModelError(f"{choice.model} holds no {row.fields}; download it beside the weights")
    return found or {}


class TubeletTower:
    """A loaded encoder of whole videos, of `n_frames` each, with what prepares their frames."""

    def __init__(self, choice: Choice, row: Row, model: Any, processor: Any, n_frames: int) -> None:
        self.choice, self.model, self.processor, self.n_frames = choice, model, processor, n_frames
        self._row = row

    @classmethod
    def load(cls, choice: Choice, row: Row, n_frames: int | None) -> TubeletTower:
        """Load what `choice` names; ModelError says what does not fit and why."""
        found = facts(choice, row, n_frames)
        model = load_pretrained(
            row.tower, choice.model, pickle=choice.pickle, revision=choice.revision, device=choice.device,
            dtype=choice.dtype, **row.options,
        )  # fmt: skip
        processor = _processor(choice, row)
        return cls(choice, row, model, processor, n_frames or int(found.fields[row.frames]))

    def encode(
        self, videos: Sequence[Sequence[PIL.Image.Image]], progress: Callable[[int, int], None]
    ) -> list[tuple[Array, Array]]:
        """The states `[L, D]` of each video, given as the frames that the model takes; all of them count, `[L]`.

        They go through the network together.
        """
        import numpy as np

        progress(0, len(videos) * self.n_frames)
        batch = self.processor([list(frames) for frames in videos])
        last = self.choice.layer == -1
        with forward(self.choice.model):
            inputs = given(batch, self.model)  # [B, T, 3, H, W]
            out = self.model(**inputs, **self._row.asked, output_hidden_states=not last)
            states = self._chosen(out.last_hidden_state if last else out.hidden_states[self.choice.layer])
            return [(found, np.ones(len(found), bool)) for found in array(states)]

    def _chosen(self, states: Any) -> Any:
        """What was asked for, of all states `[B, L, D]`."""
        own, tubelets = states[:, : self._row.classes], states[:, self._row.classes :]
        if self.choice.output in ("cls", "pooled"):
            return own if self._row.classes else tubelets.mean(1, keepdim=True)
        if self._row.by_place:
            n_places = tubelets.shape[1] // self.n_frames
            tubelets = tubelets.unflatten(1, (n_places, self.n_frames)).transpose(1, 2).flatten(1, 2)
        if self.choice.output == "patches":
            return tubelets
        import torch

        return torch.cat([own, tubelets], dim=1)


def _processor(choice: Choice, row: Row) -> Callable[[list[list[PIL.Image.Image]]], Any]:
    """What makes the network's inputs of the frames of videos."""
    if not row.fields:
        whole = load_part("AutoImageProcessor", choice.model, revision=choice.revision, backend="pil")
        return lambda videos: whole(videos, return_tensors="pt")
    transformers = imported("transformers", "local", f"model {choice.model}")
    names = ("size", "crop_size", "image_mean", "image_std", "resample", "rescale_factor")
    steps = ("do_resize", "do_center_crop", "do_rescale", "do_normalize")
    told = _prepares(choice, row)
    each = transformers.CLIPImageProcessorPil(**{name: told[name] for name in (*names, *steps) if name in told})

    def prepare(videos: list[list[PIL.Image.Image]]) -> dict[str, Any]:
        frames = each([frame for video in videos for frame in video], return_tensors="pt").pixel_values
        return {"pixel_values_videos": frames.unflatten(0, (len(videos), -1))}

    return prepare
