"""VideoMAE: a transformer over tubelets, small boxes of a video in space and time.

Shapes: T frames, L tubelets of width D, those of the first frames first, row by row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from mmagent.checkpoint.describing import check_layer, layers_size, seconds
from mmagent.checkpoint.loading import forward, load_part, load_pretrained
from mmagent.checkpoint.place import config, processor_config
from mmagent.checkpoint.vision.choice import Choice
from mmagent.checkpoint.vision.facts import Facts
from mmagent.errors import ModelError

if TYPE_CHECKING:
    import numpy as np
    import PIL.Image

    Array = np.ndarray[Any, np.dtype[Any]]

_DEFAULTS = {
    "hidden_size": 768, "num_hidden_layers": 12, "image_size": 224, "patch_size": 16, "num_frames": 16,
    "tubelet_size": 2,
}  # fmt: skip


def is_videomae(choice: Choice) -> bool:
    """Whether the checkpoint is VideoMAE's, as far as it is here."""
    found = config(choice.model, revision=choice.revision, optional=True)
    return found is not None and found.get("model_type") == "videomae"


def facts(choice: Choice, n_frames: int | None) -> Facts:
    """What a checkpoint that is here tells of a choice; ModelError where they do not fit."""
    fields = {**_DEFAULTS, **(config(choice.model, revision=choice.revision) or {})}
    own, depth, width = int(fields["num_frames"]), int(fields["num_hidden_layers"]), int(fields["hidden_size"])
    if n_frames not in (None, own):
        raise ModelError(f"{choice.model} takes {own} frames, not {n_frames}; leave frames out")
    if choice.output in ("cls", "projected"):
        raise ModelError(f"{choice.model} is videomae and has no {choice.output} state; take patches or pooled")
    check_layer(choice.model, choice.layer, depth)
    processor_config(choice.model, "image_processor", revision=choice.revision)  # raises where there is none
    n_boxes = own // int(fields["tubelet_size"]) * (int(fields["image_size"]) // int(fields["patch_size"])) ** 2
    size = layers_size(width, depth)
    made = 1 if choice.output == "pooled" else n_boxes
    return Facts("videomae", fields, made, width, 4 * size, seconds(size, n_boxes))


class TubeletTower:
    """A loaded VideoMAE with its image processor; `pooled` is the mean of the tubelets, as in its classifiers."""

    def __init__(self, choice: Choice, model: Any, processor: Any) -> None:
        self.choice, self.model, self.processor = choice, model, processor
        self.n_frames = int(model.config.num_frames)

    @classmethod
    def load(cls, choice: Choice, n_frames: int | None) -> TubeletTower:
        """Load what `choice` names; ModelError says what does not fit and why."""
        facts(choice, n_frames)
        model = load_pretrained("VideoMAEModel", choice.model, pickle=choice.pickle, revision=choice.revision)
        return cls(
            choice, model, load_part("AutoImageProcessor", choice.model, revision=choice.revision, backend="pil")
        )

    def encode(self, frames: Sequence[PIL.Image.Image], progress: Callable[[int, int], None]) -> tuple[Array, Array]:
        """The states `[L, D]` of one video, given as the frames that the model takes; all of them count, `[L]`."""
        import numpy as np

        progress(0, len(frames))
        batch = self.processor([list(frames)], return_tensors="pt")  # pixel_values [1, T, 3, H, W]
        last = self.choice.layer == -1
        with forward(self.choice.model):
            out = self.model(**batch, output_hidden_states=not last)
            states = out.last_hidden_state if last else out.hidden_states[self.choice.layer]  # [1, L, D]
            chosen: Array = (states.mean(1) if self.choice.output == "pooled" else states[0]).numpy()
        return chosen, np.ones(len(chosen), bool)
