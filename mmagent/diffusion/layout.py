"""What the configs of a diffusers checkpoint say: pipeline class, parts, and what its prompt embeddings look like.

Only JSON is read, and nothing heavy imported, so that a card can follow it. It knows no media and no tools.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mmagent import checkpoint
from mmagent.diffusion.size import parameters
from mmagent.errors import ModelError

INDEX = "model_index.json"
NULL = "null.npz"
"""Beside it, for a checkpoint without a text encoder: the embedding of no prompt."""
DENOISERS = ("unet", "transformer", "prior")
ENCODERS = ("text_encoder", "text_encoder_2", "text_encoder_3")
FLOPS = 40e9
"""Operations a second that two processor cores give in float32, for the estimate of a call's seconds."""

_WIDTHS = (
    "caption_channels", "encoder_hid_dim", "joint_attention_dim", "text_embed_dim", "text_dim", "cap_feat_dim",
    "cross_attention_dim",
)  # fmt: skip
"""Where a denoiser's config says how wide prompt embeddings are; where one has two of them, the earlier is meant."""


@dataclass(frozen=True, slots=True)
class Layout:
    """A checkpoint as its configs describe it. `parts`: library and class of each part that is there, by name."""

    model: str
    pipeline: str
    parts: Mapping[str, tuple[str, str]]
    configs: Mapping[str, Mapping[str, Any]]
    parameters: Mapping[str, int]
    """How many parameters each part has, as far as its weights lie here."""

    @property
    def space(self) -> str:
        """The name of the space of its prompt embeddings, unless a setting gives it another."""
        return f"{checkpoint.slug(self.model)}.text"

    @property
    def denoiser(self) -> Mapping[str, Any]:
        """The config of the network that denoises."""
        return next((self.configs[name] for name in DENOISERS if name in self.configs), {})

    @property
    def width(self) -> int | None:
        """D of its prompt embeddings `[L, D]`."""
        found = next((self.denoiser[key] for key in _WIDTHS if self.denoiser.get(key) is not None), None)
        found = next(iter(found), None) if isinstance(found, list) else found
        return found if isinstance(found, int) else None

    @property
    def tokens(self) -> int | None:
        """L of its prompt embeddings, where it is always the same: CLIP's full length, and CogVideoX's own."""
        own = self.denoiser.get("max_text_seq_length")
        if isinstance(own, int):
            return own
        encoders = [self.parts[name][1] for name in ENCODERS if name in self.parts]
        if "joint_attention_dim" in self.denoiser or not all(name.startswith("CLIPTextModel") for name in encoders):
            return None
        lengths = [
            self.configs[name].get(key)
            for name, key in (("tokenizer", "model_max_length"), ("text_encoder", "max_position_embeddings"))
            if name in self.configs
        ]
        known = [length for length in lengths if isinstance(length, int) and 0 < length < 1_000_000]
        return min(known) if known else None

    @property
    def pooled(self) -> int | None:
        """Width of the pooled embedding that it takes beside the prompt embeddings, or None."""
        direct = self.denoiser.get("pooled_projection_dim")
        if isinstance(direct, int):
            return direct
        if self.denoiser.get("addition_embed_type") != "text_time":
            return None
        last = self.configs.get("text_encoder_2", {}).get("projection_dim")
        if isinstance(last, int):
            return last
        total, ids = (
            self.denoiser.get(f"{key}") for key in ("projection_class_embeddings_input_dim", "addition_time_embed_dim")
        )
        return total - 6 * ids if isinstance(total, int) and isinstance(ids, int) else None

    @property
    def encodes(self) -> bool:
        """Whether it has a text encoder of its own."""
        return any(name in self.parts for name in ENCODERS)

    @property
    def scale(self) -> int:
        """Pixels a latent's side stands for."""
        vae = self.configs.get("vae", {})
        blocks = vae.get("encoder_block_out_channels", vae.get("block_out_channels"))  # the first is Sana's
        return int(2 ** (len(blocks) - 1)) if isinstance(blocks, list) and blocks else 8

    @property
    def patch(self) -> int:
        """Latents a side of what its network takes as one: cut there, or, as Flux has it, packed by the pipeline."""
        latent = self.configs.get("vae", {}).get("latent_channels")
        seen = [self.denoiser.get(key) for key in ("in_channels", "out_channels")]
        if "transformer" in self.configs and isinstance(latent, int) and 4 * latent in seen:
            return 2
        found = self.denoiser.get("patch_size", self.denoiser.get("all_patch_size"))  # the second is Z-Image's
        found = max(found, default=1) if isinstance(found, list | tuple) else found
        return found if isinstance(found, int) else 1

    @property
    def multiple(self) -> int:
        """What height and width are multiples of: diffusers asks for 8, and transformers cut latents into patches."""
        return math.lcm(8, self.scale * self.patch)

    @property
    def size(self) -> tuple[int, int] | None:
        """Height and width in pixels that it makes unless told otherwise, if its config says so."""
        side = self.denoiser.get("sample_size")
        sides = [side, side] if isinstance(side, int) else side
        if not isinstance(sides, list) or len(sides) != 2:
            return None
        return sides[0] * self.scale, sides[1] * self.scale

    @property
    def needs_image(self) -> bool:
        """Whether its network was widened to see a picture beside the latents: it edits, and does nothing else."""
        latent = self.configs.get("vae", {}).get("latent_channels")
        seen = self.denoiser.get("in_channels")
        return "unet" in self.configs and isinstance(latent, int) and isinstance(seen, int) and seen > latent

    def check_size(self, height: int | None, width: int | None) -> None:
        """ValueError if pictures cannot have that height or width."""
        for name, side in (("height", height), ("width", width)):
            if side is not None and (side < self.multiple or side % self.multiple):
                raise ValueError(f"{name} is a multiple of {self.multiple} pixels for {self.pipeline}, not {side}")

    def memory(self, dtype: str = "auto", device: str = "auto") -> int:
        """Bytes of its weights once they are loaded so; where it is not said where, on the processor, in float32."""
        return sum(self.parameters.values()) * checkpoint.itemsize(device, dtype)

    def seconds(self, steps: int, size: tuple[int, int] | None = None) -> float:
        """About how long a guided call takes on two cores: two passes a step, all parameters at each place.

        A U-Net works most of its parameters at few places, which takes about a tenth of that.
        """
        height, width = size or self.size or (1024, 1024)
        share = 0.1 if "unet" in self.configs else 1 / self.patch**2
        parameters = sum(self.parameters.get(name, 0) for name in DENOISERS)
        places = height * width / self.scale**2
        return max(0.1, steps * 2 * 2 * parameters * places * share / FLOPS)


def layout(model: str, *, config: str = "", revision: str = "") -> Layout | None:
    """What the configs of `model` say, or None if it is a hub id, or a single file, of which no configs lie here.

    `config` is the folder or hub id whose configs describe a single file of weights. ModelError if what is there
    is no diffusers checkpoint, or one that needs code of its own.
    """
    source = config or model
    index = checkpoint.config(source, INDEX, revision=revision)
    if index is None:
        return None
    pipeline = index.get("_class_name")
    if not isinstance(pipeline, str):
        raise ModelError(
            f"{source} needs a pipeline of its own ({pipeline!r}), and code from a folder of weights is never run; "
            "use a checkpoint of a pipeline that diffusers has"
        )
    named = {
        name: (str(value[0]), str(value[1]))
        for name, value in index.items()
        if name[0] != "_" and isinstance(value, list) and len(value) == 2 and value[0] is not None
    }
    configs = {name: _config(source, name, revision) for name in named}
    return Layout(
        model,
        pipeline,
        {name: kind for name, kind in named.items() if configs[name] is not None},
        {name: found for name, found in configs.items() if found},
        parameters(model, revision),
    )


def layout_of(pipe: Any, model: str) -> Layout:
    """The layout of a loaded pipeline, whatever it was loaded from."""
    there = {name: part for name, part in pipe.components.items() if part is not None}
    configs = {name: getattr(part, "config", None) or getattr(part, "init_kwargs", {}) for name, part in there.items()}
    return Layout(
        model,
        type(pipe).__name__,
        {name: (type(part).__module__.split(".")[0], type(part).__name__) for name, part in there.items()},
        {name: found.to_dict() if hasattr(found, "to_dict") else dict(found) for name, found in configs.items()},
        {name: part.num_parameters() for name, part in there.items() if hasattr(part, "num_parameters")},
    )


def _config(source: str, name: str, revision: str) -> Mapping[str, Any] | None:
    """The config of a part, whatever its file is called; None if the part is named, but is not there."""
    files = ["tokenizer_config", "config", "scheduler_config", "preprocessor_config", "guider_config"]
    files.sort(key=lambda file: not file.startswith(name.rstrip("_23")))
    for file in files:
        found = checkpoint.config(source, f"{name}/{file}.json", revision=revision, optional=True)
        if found is not None:
            return found
    return None
