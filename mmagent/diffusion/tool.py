"""What every tool over a diffusers pipeline has beside its card and its `run`: settings, loading, training towards it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from mmagent.checkpoint import Dtype
from mmagent.diffusion.diffuser import Diffuser
from mmagent.diffusion.trainable import DenoisingTarget
from mmagent.media import Embedding
from mmagent.tool import Tool

if TYPE_CHECKING:
    import torch

D = TypeVar("D", bound=Diffuser)


class DiffusionTool(Tool, Generic[D]):
    """A tool over a pipeline, `Trainable`; a subclass names the class of its `Diffuser` as `_kind`, and runs it."""

    _kind: type[D]

    def __init__(
        self,
        model: str,
        config: str = "",
        revision: str = "",
        pickle: bool = False,
        space: str = "",
        device: str = "auto",
        dtype: Dtype = "auto",
    ) -> None:
        self._diffuser = self._kind(
            model, owner=self.card.name, config=config, revision=revision, pickle=pickle, space=space, device=device,
            dtype=dtype,
        )  # fmt: skip

    def load(self) -> None:
        """Read the weights."""
        self._diffuser.load()

    def unload(self) -> None:
        """Give the memory back."""
        self._diffuser.unload()

    def condition(self, texts: Sequence[str]) -> list[Embedding]:
        """What its text encoder makes of each text."""
        return DenoisingTarget(self._diffuser).condition(texts)

    def pooled(self, texts: Sequence[str]) -> list[Embedding]:
        """The pooled embedding of each text, for checkpoints that take one too (SDXL, SD3, Flux)."""
        return DenoisingTarget(self._diffuser).pooled(texts)

    def null(self) -> Embedding:
        """What it is given where there is no prompt."""
        return DenoisingTarget(self._diffuser).null()

    def loss(self, states: torch.Tensor, media: Sequence[Any], **options: Any) -> torch.Tensor:
        """How badly it denoises `media` under embeddings `[B, L, D]`; options as `DenoisingTarget.loss` has them."""
        return DenoisingTarget(self._diffuser).loss(states, media, **options)
