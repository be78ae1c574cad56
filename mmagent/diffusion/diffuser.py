"""A pipeline at work: one request at a time, each with a scheduler and a generator of its own.

Pipelines and schedulers keep state while they run (diffusers #3672, #7851), so two requests wait for each other
here, whoever they come from. Nothing is drawn from torch's global generator.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from mmagent import checkpoint
from mmagent.context import Context
from mmagent.diffusion.conditioning import (
    POOLED,
    Conditioning,
    Encoded,
    arguments,
    defaults,
    encode,
    guides_apart,
    null,
)
from mmagent.diffusion.layout import NULL, Layout, layout_of
from mmagent.diffusion.loading import load_pipeline
from mmagent.diffusion.preview import LatentColours, frames_first
from mmagent.diffusion.schedulers import fresh, tell_steps
from mmagent.diffusion.tasks import Task, sibling
from mmagent.errors import ModelError
from mmagent.media import Embedding, Media

Preview = Callable[[Any], Media | None]
"""Makes a preview of the latents that a pipeline holds, or None."""


class Diffuser:
    """Any pipeline of diffusers out of a user's checkpoint. Cheap to make; `load` reads the weights.

    `owner` is the tool's name, for messages. The rest are the tool's settings, see `load_pipeline`.
    """

    def __init__(
        self,
        model: str,
        *,
        owner: str,
        config: str = "",
        revision: str = "",
        pickle: bool = False,
        space: str = "",
        device: str = "auto",
        dtype: str = "auto",
    ) -> None:
        self.model, self._owner, self._space = model, owner, space
        self._config, self._revision = config, revision
        self._pickle, self._device, self._dtype = pickle, device, dtype
        self._lock = threading.RLock()
        self._pipe: Any = None
        self._pattern: Any = None
        self._tasks: dict[str, Any] = {}
        self._stored: Embedding | None = None
        self._layout: Layout | None = None
        self.preview: Preview | None = None
        """Makes the previews of `run`, of the colours that the latents stand for; whoever loads the pipeline may set it."""

    def load(self) -> None:
        """Read the weights. ModelError, Offline or MissingExtra says what is wrong, and what to do about it."""
        self._pipe = load_pipeline(
            self.model, owner=self._owner, config=self._config, revision=self._revision,
            pickle=self._pickle, device=self._device, dtype=self._dtype,
        )  # fmt: skip
        self._pattern = self._pipe.scheduler
        vae = getattr(self._pipe, "vae", None)
        self.preview = LatentColours(vae, frames_first(self._pipe)) if vae is not None else None
        place = checkpoint.locate(self.model, revision=self._revision)
        self._stored = Embedding.open(place / NULL) if (place / NULL).is_file() else None

    def unload(self) -> None:
        """Give the memory back."""
        with self._lock:
            import torch

            self._pipe = self._pattern = self._stored = self._layout = self.preview = None
            self._tasks = {}
            if torch.cuda.is_available():
                torch.cuda.empty_cache()

    @property
    def pipe(self) -> Any:
        """The loaded pipeline, of the class that the checkpoint names; only to look at, or while `lock` is held."""
        if self._pipe is None:
            raise ModelError(f"{self._owner}: {self.model} is not loaded; call load() first")
        return self._pipe

    @property
    def lock(self) -> threading.RLock:
        """Held by whoever uses the pipeline."""
        return self._lock

    @property
    def stored(self) -> Embedding | None:
        """What stands for no prompt, where it is saved with the checkpoint."""
        return self._stored

    @property
    def space(self) -> str:
        """The space of its prompt embeddings; that of the pooled ones is this and `.pooled`."""
        return self._space or f"{checkpoint.slug(self.model)}.text"

    @property
    def layout(self) -> Layout:
        """What the configs of the loaded pipeline say."""
        if self._layout is None:
            self._layout = layout_of(self.pipe, self.model)
        return self._layout

    def takes(self, name: str, task: Task | None = None) -> bool:
        """Whether the pipeline for a task (None: the checkpoint's own) has an argument of that name."""
        return name in defaults(self.pipe if task is None else self.task(task))

    def generator(self, seed: int) -> Any:
        """Random numbers from a seed, drawn on the processor: the same wherever the pipeline runs."""
        import torch

        return torch.Generator("cpu").manual_seed(seed)

    def task(self, task: Task) -> Any:
        """The pipeline of this family for a task, over the same modules; ModelError if there is none.

        A network that was widened to see a picture has the checkpoint's own task alone.
        """
        if self.layout.needs_image:
            return self.pipe
        with self._lock:
            if task not in self._tasks:
                self._tasks[task] = sibling(self.pipe, task)
            return self._tasks[task]

    def run(
        self,
        ctx: Context,
        asked: Conditioning,
        *,
        task: Task | None = None,
        steps: int | None = None,
        guidance: float | None = None,
        scheduler: str = "",
        **options: Any,
    ) -> Any:
        """Run the pipeline once and return its output object, `.images`, `.frames` or `.audios`.

        `task` picks the pipeline of a family (None: the checkpoint's own). `steps`, `guidance` and `scheduler` (a
        class name) are the pipeline's own unless given. Progress is told after each step, with what `self.preview`
        makes of the latents, and there a cancelled call ends. `options` go to the pipeline as they are; those that
        are None are left to it. Draws from `ctx.seed`.
        """
        with self._lock:
            ctx.check()
            self._check_width(asked)
            pipe = self.pipe if task is None else self.task(task)
            known = defaults(pipe)
            told = arguments(pipe, asked, guidance, self._stored)
            given = {name: value for name, value in options.items() if value is not None}
            if steps is not None:
                if steps < 1:
                    raise ValueError(f"{self._owner}: steps is 1 or more, not {steps}")
                given["num_inference_steps"] = steps
            if "clean_caption" in known:  # it needs two more libraries, and `encode_prompt` by itself does not do it
                given.setdefault("clean_caption", False)
            unknown = [name for name in given if name not in known]
            missing = [name for name in ("image", "mask_image") if name in known and name not in given]
            if self.layout.needs_image and missing:
                raise ModelError(f"{self.model} edits pictures and does nothing else; give it {' and '.join(missing)}")
            if unknown:
                raise ModelError(f"{type(pipe).__name__} takes no {unknown[0]}; leave it out")
            pipe.scheduler = fresh(self._pattern, scheduler, ctx.seed)
            total = steps or known.get("num_inference_steps") or 1
            listener = _listener(known, pipe.scheduler, _teller(ctx, self.preview), total)
            from mmagent.checkpoint.threads import modest  # here, since it imports torch

            guider = pipe.guider if guides_apart(pipe) else None
            if guider is not None:  # it counts steps, as a scheduler does
                pipe.guider = guider.new(**({} if guidance is None else {"guidance_scale": guidance}))
            try:
                with modest():
                    return pipe(**told, **given, **listener, generator=self.generator(ctx.seed))
            finally:
                pipe.scheduler = self._pattern  # which never runs
                if guider is not None:
                    pipe.guider = guider

    def _check_width(self, asked: Conditioning) -> None:
        widths = {"prompt_embeds": self.layout.width, POOLED: self.layout.pooled}
        for name, width in widths.items():
            for port in (name, f"negative_{name}"):
                self._check(port, getattr(asked, port), width)

    def _check(self, port: str, given: Embedding | None, width: int | None) -> None:
        """ModelError if an embedding has not the width that the checkpoint takes there."""
        if given is not None and width not in (None, given.array.shape[1]):
            raise ModelError(f"{self.model} takes {port} {width} wide, not {given.array.shape[1]} ({given.space})")

    def check_length(self, port: str, n_states: int) -> None:
        """ModelError if the pipeline does not take so many states of a prompt; most take any number."""

    def n_steps(self, task: Task | None = None) -> int | None:
        """How many steps the pipeline for a task takes unless told otherwise."""
        found = defaults(self.pipe if task is None else self.task(task)).get("num_inference_steps")
        return found if isinstance(found, int) else None

    def encode(self, texts: Sequence[str]) -> Encoded:
        """What the pipeline's own text encoders make of texts."""
        with self._lock:
            return encode(self.pipe, texts)

    def null(self) -> Encoded:
        """What stands for no prompt."""
        with self._lock:
            return null(self.pipe, self._stored)

    def latents(self, media: Sequence[Any], generator: Any) -> Any:
        """The clean latents `[B, C, …]` of media to train towards, as the denoiser has them."""
        raise ModelError(f"{type(self).__name__} knows no media; train towards an Image-, Video- or AudioDiffuser")


Teller = Callable[[int, int, Any], None]


def _teller(ctx: Context, preview: Preview | None) -> Teller:
    """Tells `ctx` of a step from its number, how many there are, and the latents; what it raises ends the call."""

    def told(step: int, total: int, latents: Any) -> None:
        done, total = step + 1, max(total, step + 1)
        ctx.progress(done, total, f"step {done} of {total}")
        if preview is not None and done < total:
            shown = preview(latents)
            if shown is not None:
                ctx.preview(shown)

    return told


def _listener(known: Any, scheduler: Any, told: Teller, total: int) -> dict[str, Any]:
    """The callback arguments that let `told` hear of each step; a pipeline without any is heard by its scheduler."""

    def at_end(pipe: Any, step: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        told(step, getattr(pipe, "num_timesteps", total), tensors["latents"])  # fewer than asked, from a picture
        return {}

    def every(step: int, timestep: Any, latents: Any) -> None:
        told(step, total, latents)

    if "callback_on_step_end" in known:
        return {"callback_on_step_end": at_end}
    if "callback" in known:
        return {"callback": every, "callback_steps": 1}
    tell_steps(scheduler, told)
    return {}
