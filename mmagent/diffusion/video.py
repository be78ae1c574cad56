"""Videos by any video pipeline of diffusers: what such pipelines have in common, under the names that each has for it.

Shapes: F frames, H × W pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mmagent import checkpoint
from mmagent.card import Card, Scalar
from mmagent.context import Context
from mmagent.diffusion.card import card_of
from mmagent.diffusion.conditioning import Conditioning, Encoded, defaults, encodes
from mmagent.diffusion.diffuser import Diffuser
from mmagent.diffusion.latents import encoded
from mmagent.diffusion.layout import INDEX, layout
from mmagent.diffusion.tasks import Task
from mmagent.diffusion.video_wires import WAN_TOKENS, as_told, check_length, fills
from mmagent.errors import MediaError, MissingExtra, ModelError
from mmagent.intake.video import FASTEST
from mmagent.media import Image, Video

if TYPE_CHECKING:
    import numpy as np

FRAMES = ("num_frames", "video_length", "frames")
"""Under which names pipelines take the number of frames."""
TOLD_RATE = ("frame_rate", "fps")
"""Under which names some are told frames a second, which changes what they make."""

_RATES = {
    "Allegro": 15, "Cosmos": 30, "HunyuanVideo": 24, "Kandinsky5": 24, "LTX": 25, "Mochi": 30, "MotifVideo": 24,
    "SanaVideo": 16, "SkyReelsV2": 24, "Wan": 16,
}  # fmt: skip
"""Frames a second that a family was trained on, by the beginning of its pipelines' names; the rest had 8."""

SECONDS = 2
"""How long a clip is taken to be where its frames are not told, for the estimate of a call's cost."""


def rate_of(pipeline: str, denoiser: Mapping[str, Any], expands: object = False) -> float:
    """Frames a second that a pipeline's clips are meant for, by its name and its network's config.

    `expands` is the pipeline's own `expand_timesteps`, which tells Wan 2.2's small network from the others.
    """
    if pipeline.startswith("Wan") and expands:
        return 24.0
    if pipeline.startswith("CogVideoX") and denoiser.get("patch_size_t"):
        return 16.0  # CogVideoX 1.5
    return float(next((rate for name, rate in _RATES.items() if pipeline.startswith(name)), 8))


def video_card(card: Card, settings: Mapping[str, Scalar]) -> Card:
    """`card` with what the configs of a video checkpoint say, see `card_of`; its clips' frames a second, too."""
    model, revision = str(settings.get("config") or settings["model"]), str(settings.get("revision") or "")
    card = card_of(card, settings)
    found = layout(model, revision=revision)
    if found is None:
        return card
    index = checkpoint.config(model, INDEX, revision=revision) or {}
    rate = rate_of(found.pipeline, found.denoiser, index.get("expand_timesteps"))
    fps, frames = settings.get("fps"), settings.get("frames")
    told = float(fps) if isinstance(fps, int | float) else rate
    vae = found.configs.get("vae", {})
    pace = vae.get("temporal_compression_ratio") or vae.get("scale_factor_temporal") or 1
    n_latents = max(1.0, (frames if isinstance(frames, int) else SECONDS * rate) / pace)
    picture = "ImageToVideo" in found.pipeline
    return replace(
        card,
        inputs=tuple(
            replace(port, optional=False) if picture and port.name == "image" else port for port in card.inputs
        ),
        outputs=tuple(replace(port, constraints={**port.constraints, "fps": told}) for port in card.outputs),
        cost=float(f"{card.cost * n_latents:.2g}"),
    )


class VideoDiffuser(Diffuser):
    """A `Diffuser` that makes videos."""

    def load(self) -> None:
        """Read the weights. ModelError if the pipeline makes no video."""
        super().load()
        known = defaults(self.pipe)
        if not any(name in known for name in FRAMES):
            raise ModelError(f"{self.model} is a {type(self.pipe).__name__}, which makes no video; name one that does")

    def video(
        self,
        ctx: Context,
        asked: Conditioning,
        *,
        image: Image | None = None,
        frames: int | None = None,
        fps: float | None = None,
        steps: int | None = None,
        guidance: float | None = None,
        scheduler: str = "",
        **size: int | None,
    ) -> Video:
        """Make a video, from a picture where one is given; `fps` is what the family was trained on unless given."""
        if frames is not None and frames < 1:
            raise ValueError(f"{self._owner}: frames is 1 or more, not {frames}")
        if fps is not None and not 0 < fps <= FASTEST:
            raise ValueError(f"{self._owner}: fps is a number above 0 and at most {FASTEST:g}, not {fps}")
        with self.lock:
            only = _places(self.pipe)
            if only is not None and frames not in (None, 1, only):
                raise ModelError(f"{self.model} makes videos of {only} frames, or of one, not of {frames}")
            known = defaults(self.pipe)
            task: Task | None = "image" if image is not None and "image" not in known else None
            if image is None and "image" in known and known["image"] is not None:
                raise ModelError(f"{type(self.pipe).__name__} makes a video of a picture; give it one as image")
            told = as_told(self, asked, guidance, task)
            options = self._options(told, frames, fps)
            if image is not None:
                options["image"] = image.pil("RGB")
            try:
                made = self.run(
                    ctx, told, task=task, steps=steps, guidance=guidance, scheduler=scheduler,
                    output_type="np", **options, **size,
                )  # fmt: skip
            except NameError as error:
                if error.name != "ftfy":  # some pipelines clean prompts with it, and use it without looking for it
                    raise
                raise MissingExtra("ftfy", "local", self._owner) from error
        return Video(_frames(made.frames), fps=self.rate if fps is None else fps)

    def encode(self, texts: Sequence[str]) -> Encoded:
        """What the pipeline's own text encoders make of texts; of Wan's states, zeros are told by the mask."""
        if not fills(self.pipe):
            return super().encode(texts)
        import torch

        with self.lock, torch.no_grad():  # `encode_prompt` by itself would take fewer states than the pipeline does
            options = {"max_sequence_length": WAN_TOKENS, "device": self.pipe._execution_device}
            states = torch.cat([self.pipe.encode_prompt(text, None, False, **options)[0] for text in texts])
        return Encoded(states, (states != 0).any(dim=-1))

    def null(self) -> Encoded:
        """What stands for no prompt."""
        return self.encode([""]) if fills(self.pipe) and encodes(self.pipe) else super().null()

    def latents(self, media: Sequence[Video], generator: Any) -> Any:
        """The latents `[B, C, f, h, w]` of videos, brought to the size of the first and cut to the frames of the shortest.

        Sides are cut to what the network takes, and frames to 1 + n times those of a latent, or to those that Latte
        has places for; MediaError if there are fewer. CogVideoX 1.5 takes latents by twos: where one is missing the
        first is there twice, as in its training, each with noise of its own.
        """
        import torch

        pipe, vae = self.pipe, self.pipe.vae
        names = ("vae_temporal_compression_ratio", "vae_scale_factor_temporal")
        pace = next((int(getattr(pipe, name)) for name in names if hasattr(pipe, name)), 1)
        n_frames = (min(len(video.array) for video in media) - 1) // pace * pace + 1
        only = _places(pipe)
        if only is not None and n_frames > 1:
            if n_frames < only:
                raise MediaError(f"{self.model} is trained towards {only} frames, and a video of {n_frames} was given")
            n_frames = only
        grain = _grain(pipe)
        size = [max(grain, side // grain * grain) for side in media[0].array.shape[1:3]]
        pixels = torch.stack([_pixels(video.array[:n_frames], size) for video in media])
        latents = encoded(vae, pixels, generator).to(pipe.dtype)  # [B, C, f, h, w]
        network = getattr(pipe, "transformer", None)
        by = (1 if network is None else network.config.get("patch_size_t")) or 1
        return torch.cat([latents[:, :, :1].expand(-1, -1, -latents.shape[2] % by, -1, -1), latents], dim=2)

    @property
    def rate(self) -> float:
        """Frames a second unless told otherwise."""
        pipe = self.pipe
        network = getattr(pipe, "transformer", None) or pipe.unet
        return rate_of(type(pipe).__name__, network.config, pipe.config.get("expand_timesteps"))

    def check_length(self, port: str, n_states: int) -> None:
        """ModelError if the network has not places for so many states."""
        check_length(self.pipe, port, n_states)

    def _options(self, asked: Conditioning, frames: int | None, fps: float | None) -> dict[str, Any]:
        known = defaults(self.pipe)
        name, most = next(name for name in FRAMES if name in known), _most(self.pipe)
        if most is not None and (frames or 0) > most:
            raise ModelError(f"{self.model} has places for {most} frames, not for {frames}; ask for fewer")
        found: dict[str, Any] = {name: frames if most is None or frames else min(most, known[name])}
        told = next((name for name in TOLD_RATE if name in known), None)
        if told is not None:
            found[told] = round(self.rate if fps is None else fps)
            if not found[told]:
                raise ValueError(f"{type(self.pipe).__name__} is told whole frames a second, 1 or more, not {fps}")
        if "mask_feature" in known and asked.prompt_embeds is not None:
            found["mask_feature"] = False  # Latte would cut by a mask of its own making; see `as_told`
        if "prompt_embeds_mask_2" in known and asked.prompt_embeds is not None:
            found |= _nothing_written(self.pipe)
        return found


def _nothing_written(pipe: Any) -> dict[str, Any]:
    """What HunyuanVideo 1.5 gives beside a prompt without quoted words, which it would write into the video."""
    import torch

    shape, like = (1, pipe.tokenizer_2_max_length), {"device": pipe._execution_device, "dtype": pipe.dtype}
    states = torch.zeros(*shape, pipe.transformer.config.text_embed_2_dim, **like)
    return {"prompt_embeds_2": states, "prompt_embeds_mask_2": torch.zeros(*shape, **like)}


def _grain(pipe: Any) -> int:
    """What height and width are multiples of: the VAE's own step, and the patches that a network cuts or halves."""
    names = ("vae_spatial_compression_ratio", "vae_scale_factor_spatial", "vae_scale_factor")
    step = next(int(getattr(pipe, name)) for name in names if hasattr(pipe, name))
    network = getattr(pipe, "transformer", None)
    patch = network.config.get("patch_size", 1) if network is not None else 8
    return step * int(patch[-1] if isinstance(patch, list | tuple) else patch)


def _places(pipe: Any) -> int | None:
    """How many frames Latte's network has places for, which it takes all, or of which one; None for other networks."""
    network = getattr(pipe, "transformer", None)
    if network is None or type(network).__name__ != "LatteTransformer3DModel":
        return None
    return int(network.config.video_length)


def _most(pipe: Any) -> int | None:
    """How many frames AnimateDiff's motion modules have places for; None for other networks."""
    network = getattr(pipe, "unet", None)
    found = None if network is None else network.config.get("motion_max_seq_length")
    return found if isinstance(found, int) else None


def _pixels(frames: Any, size: list[int]) -> Any:
    """Frames `[F, h, w, 3]` as `[3, F, H, W]` of the size `[H, W]`, in -1 … 1; what that shape has no place for is cut."""
    import numpy as np
    import torch
    from torch.nn.functional import interpolate

    rows = torch.from_numpy(np.array(frames)).permute(0, 3, 1, 2).float()  # [F, 3, h, w]
    (height, width), share = rows.shape[2:], size[1] / size[0]
    tall, wide = min(height, max(1, round(width / share))), min(width, max(1, round(height * share)))
    top, left = (height - tall) // 2, (width - wide) // 2
    rows = rows[:, :, top : top + tall, left : left + wide]
    return interpolate(rows, size=size, mode="bilinear", antialias=True).transpose(0, 1) / 127.5 - 1


def _frames(made: Any) -> np.ndarray[Any, np.dtype[Any]]:
    """The frames `[F, H, W, 3]`, uint8, of what a pipeline gave as floats in 0 … 1 `[1, F, H, W, 3]`."""
    import numpy as np

    return (np.asarray(made[0]) * 255).round().clip(0, 255).astype(np.uint8)
