"""Clips by any video pipeline of diffusers: what such pipelines have in common, under the names that each has for it.

Shapes: F frames, H × W pixels, C latent channels, f × h × w latents, L tokens, D width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mmagent import checkpoint
from mmagent.card import Card, Scalar
from mmagent.context import Context
from mmagent.diffusion.card import card_of
from mmagent.diffusion.clip_preview import ClipColours
from mmagent.diffusion.conditioning import Conditioning, Encoded, defaults, guided, mask_name
from mmagent.diffusion.diffuser import Diffuser
from mmagent.diffusion.layout import INDEX, layout
from mmagent.diffusion.loading import quiet
from mmagent.diffusion.tasks import Task
from mmagent.errors import MissingExtra, ModelError
from mmagent.media import Embedding, Image, Video

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

_FROM_PICTURE = {"LTXPipeline": "LTXImageToVideoPipeline", "WanPipeline": "WanImageToVideoPipeline"}
"""Pipelines with a sibling that makes clips of pictures with the very same network."""

SECONDS = 2
"""How long a clip is taken to be where its frames are not told, for the estimate of a call's cost."""
WAN_TOKENS = 512
"""To so many states Wan fills up every prompt, with zeros, which it attends to."""


def rate_of(pipeline: str, denoiser: Mapping[str, Any], expands: object = False) -> float:
    """Frames a second that a pipeline's clips are meant for, by its name and its network's config.

    `expands` is the pipeline's own `expand_timesteps`, which tells Wan 2.2's small network from the others.
    """
    if pipeline.startswith("Wan") and expands:
        return 24.0
    if pipeline.startswith("CogVideoX") and denoiser.get("patch_size_t"):
        return 16.0  # CogVideoX 1.5
    return float(next((rate for name, rate in _RATES.items() if pipeline.startswith(name)), 8))


def clip_card(card: Card, settings: Mapping[str, Scalar]) -> Card:
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


class ClipDiffuser(Diffuser):
    """A `Diffuser` that makes clips."""

    def load(self) -> None:
        """Read the weights. ModelError if the pipeline makes no clips."""
        super().load()
        known = defaults(self.pipe)
        if not any(name in known for name in FRAMES):
            raise ModelError(f"{self.model} is a {type(self.pipe).__name__}, which makes no video; name one that does")
        self._colours = ClipColours(self.pipe)

    def task(self, task: Task) -> Any:
        """The pipeline that starts from a picture, over the same modules. ModelError if there is none."""
        kind = type(self.pipe).__name__
        if task not in self._tasks:
            name = _FROM_PICTURE.get(kind)
            if task != "image" or name is None or (kind == "WanPipeline" and not self.pipe.config.expand_timesteps):
                raise ModelError(f"{self.model} is a {kind}, which makes no video of a picture; leave image out")
            import diffusers

            with quiet():
                made = getattr(diffusers, name).from_pipe(self.pipe, dtype=self.pipe.dtype)
            made.set_progress_bar_config(disable=True)
            self._tasks[task] = made
        return self._tasks[task]

    def clip(
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
        """Make a clip, from a picture where one is given; `fps` is what the family was trained on unless given."""
        with self.lock:
            known = defaults(self.pipe)
            task: Task | None = "image" if image is not None and "image" not in known else None
            if image is None and "image" in known and known["image"] is not None:
                raise ModelError(f"{type(self.pipe).__name__} makes a clip of a picture; give it one as image")
            told = self._told(asked, guidance, task)
            options = self._options(told, frames, fps)
            if image is not None:
                options["image"] = image.pil("RGB")
            try:
                made = self.run(
                    ctx, told, task=task, steps=steps, guidance=guidance, scheduler=scheduler, look=self._colours,
                    output_type="np", **options, **size,
                )  # fmt: skip
            except NameError as error:
                if error.name != "ftfy":  # some pipelines clean prompts with it, and use it without looking for it
                    raise
                raise MissingExtra("ftfy", "local", self._owner) from error
        return Video(_frames(made.frames), fps=self.rate if fps is None else fps)

    def _told(self, asked: Conditioning, guidance: float | None, task: Task | None) -> Conditioning:
        """What is asked for, as the pipeline takes it: embeddings as its own text encoder would have left them.

        Words beside embeddings become embeddings, and so does all that is said to Wan's sibling: it would need
        another library to read words.
        """
        pipe = self.pipe
        given, avoided, words = asked.prompt_embeds, asked.negative_prompt_embeds, asked.negative_prompt
        blind = task is not None and _fills(pipe)
        if (given is None and avoided is None and not blind) or (avoided is not None and words is not None):
            return asked
        if given is None and asked.prompt is not None:
            given = self._embedding(asked.prompt.text)
        if words is not None:
            avoided = self._embedding(words.text, len(_cut(given).array) if given and _cuts(pipe) else None)
        elif avoided is None and blind and guided(pipe, asked, guidance):
            avoided = self._embedding("")
        change = _filled if _fills(pipe) else _cut if _cuts(pipe) else None
        if change is not None:
            given, avoided = (None if item is None else change(item) for item in (given, avoided))
        if given is not None and avoided is not None:
            given, avoided = _alike(pipe, given, avoided)
        return Conditioning(prompt_embeds=given, negative_prompt_embeds=avoided)

    def _embedding(self, text: str, first: int | None = None) -> Embedding:
        """The embedding of words; with `first` so many states of it, whether they count or not, as Latte does it."""
        if first is not None:
            options = {"do_classifier_free_guidance": False, "negative_prompt": "", "mask_feature": False}
            states = self.pipe.encode_prompt(prompt=text, device=self.pipe._execution_device, **options)[0]  # [1, L, D]
            return Embedding(states[0, :first].float().detach().cpu().numpy(), self.space)
        found = self.encode([text])
        mask = None if found.mask is None else found.mask[0].cpu().numpy()
        return Embedding(found.states[0].float().cpu().numpy(), self.space, mask)

    def encode(self, texts: Sequence[str]) -> Encoded:
        """What the pipeline's own text encoders make of texts; of Wan's states, zeros are told by the mask."""
        found = super().encode(texts)
        return replace(found, mask=(found.states != 0).any(dim=-1)) if _fills(self.pipe) else found

    @property
    def rate(self) -> float:
        """Frames a second unless told otherwise."""
        pipe = self.pipe
        network = getattr(pipe, "transformer", None) or pipe.unet
        return rate_of(type(pipe).__name__, network.config, pipe.config.get("expand_timesteps"))

    def _options(self, asked: Conditioning, frames: int | None, fps: float | None) -> dict[str, Any]:
        known = defaults(self.pipe)
        found: dict[str, Any] = {next(name for name in FRAMES if name in known): frames}
        told = next((name for name in TOLD_RATE if name in known), None)
        if told is not None:
            found[told] = round(self.rate if fps is None else fps)
        if "mask_feature" in known and asked.prompt_embeds is not None:
            found["mask_feature"] = False  # Latte would cut by a mask of its own making; see `_as_told`
        return found


def _alike(pipe: Any, one: Embedding, other: Embedding) -> tuple[Embedding, Embedding]:
    """Both in one length, which pipelines ask for; ModelError where the pipeline has no mask to tell what was added."""
    n_states = max(len(one.array), len(other.array))
    if len(one.array) != len(other.array) and mask_name(pipe) is None:
        raise ModelError(
            f"{type(pipe).__name__} takes {len(one.array)} states of the prompt and {len(other.array)} of what to avoid "
            "only in one length; give both as words, or both as embeddings of one length"
        )
    return _longer(one, n_states), _longer(other, n_states)


def _longer(embedding: Embedding, n_states: int) -> Embedding:
    import numpy as np

    missing = n_states - len(embedding.array)
    states, mask = np.pad(embedding.array, ((0, missing), (0, 0))), np.pad(embedding.mask, (0, missing))
    return Embedding(states, embedding.space, mask)


def _fills(pipe: Any) -> bool:
    """Whether the pipeline fills prompts up with zeros, and attends to them."""
    return type(pipe).__name__.startswith(("Wan", "SkyReelsV2"))


def _cuts(pipe: Any) -> bool:
    """Whether the pipeline leaves out states that do not count."""
    return type(pipe).__name__.startswith("Latte")


def _filled(embedding: Embedding) -> Embedding:
    """Its states, zeros where they do not count, and zeros up to the length that Wan's network was trained on.

    `[3, D]` with the mask `[1, 1, 0]` gives `[512, D]`, of which two are not zero.
    """
    import numpy as np

    states = embedding.array * embedding.mask[:, None]
    missing = WAN_TOKENS - len(states)
    if missing < 0:
        raise ModelError(f"this pipeline attends to {WAN_TOKENS} states at most, and {len(states)} were given")
    return Embedding(np.pad(states, ((0, missing), (0, 0))), embedding.space)


def _cut(embedding: Embedding) -> Embedding:
    """The states that count, alone."""
    return Embedding(embedding.array[embedding.mask], embedding.space)


def _frames(made: Any) -> np.ndarray[Any, np.dtype[Any]]:
    """The frames `[F, H, W, 3]`, uint8, of what a pipeline gave as floats in 0 … 1 `[1, F, H, W, 3]`."""
    import numpy as np

    return (np.asarray(made[0]) * 255).round().clip(0, 255).astype(np.uint8)
