"""Training towards a generator: targets for a projector, and the generator's own loss as a judge of its embeddings.

`DenoisingTarget` does it for pipelines that have a text encoder and a VAE: the encoder's states are the targets
(GILL, arXiv:2305.17216), and the frozen denoiser's loss on noised media flows back to the embeddings
(MiniGPT-5, arXiv:2310.02239). Shapes: B items, L tokens, D width, P pooled width, C latent channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from mmagent.diffusion.conditioning import POOLED, Encoded, defaults
from mmagent.diffusion.denoisers import Batch, check, predicted
from mmagent.diffusion.noise import noised, weights
from mmagent.errors import ModelError
from mmagent.media import Embedding

if TYPE_CHECKING:
    import torch

    from mmagent.diffusion.diffuser import Diffuser


@runtime_checkable
class Trainable(Protocol):
    """A loaded generator that others can be trained towards; its own weights stay as they are."""

    def condition(self, texts: Sequence[str]) -> list[Embedding]:
        """What its own text encoder makes of each text: what it would be given for that prompt."""
        ...

    def null(self) -> Embedding:
        """What it is given where there is no prompt, for classifier-free guidance."""
        ...

    def loss(
        self,
        states: torch.Tensor,
        media: Sequence[Any],
        *,
        generator: torch.Generator,
        mask: torch.Tensor | None = None,
        pooled: torch.Tensor | None = None,
        snr_gamma: float | None = None,
    ) -> torch.Tensor:
        """How badly it denoises `media` under embeddings `[B, L, D]`, a scalar; gradients reach the embeddings."""
        ...


class DenoisingTarget:
    """Training towards a loaded `Diffuser` of any medium; `denoisers` has the families that it takes."""

    def __init__(self, diffuser: Diffuser) -> None:
        self._diffuser = diffuser

    def condition(self, texts: Sequence[str]) -> list[Embedding]:
        """The prompt embeddings `[L, D]` of texts, exactly what the pipeline would use; some have an L of their own."""
        return [self._embedding(self._diffuser.encode([text])) for text in texts]

    def null(self) -> Embedding:
        """What the pipeline itself puts in the place of a negative prompt that is not given."""
        return self._embedding(self._diffuser.null())

    def _embedding(self, found: Encoded) -> Embedding:
        mask = None if found.mask is None else found.mask[0].cpu().numpy()
        return Embedding(found.states[0].float().cpu().numpy(), self._diffuser.space, mask)

    def pooled(self, texts: Sequence[str]) -> list[Embedding]:
        """The pooled embeddings `[1, P]` of texts; ModelError if the pipeline has none."""
        found = [self._diffuser.encode([text]).pooled for text in texts]
        if None in found:
            raise ModelError(f"{type(self._diffuser.pipe).__name__} takes no pooled embeddings")
        space = f"{self._diffuser.space}.pooled"
        return [Embedding(row.float().cpu().numpy(), space) for row in found if row is not None]

    def loss(
        self,
        states: torch.Tensor,
        media: Sequence[Any],
        *,
        generator: torch.Generator,
        mask: torch.Tensor | None = None,
        pooled: torch.Tensor | None = None,
        snr_gamma: float | None = None,
    ) -> torch.Tensor:
        """The mean squared error of the denoiser on `media`, noised to random times, under embeddings `states` [B, L, D].

        What is compared is what the pipeline's scheduler predicts: noise, velocity, the picture, or a flow. Times and
        noise come from `generator`, drawn on its device. `mask` `[B, L]` tells which states count where the pipeline
        looks; `pooled` `[B, P]` is that of no prompt unless given. `snr_gamma` weighs times by min-SNR
        (arXiv:2303.09556, 5 is usual). Media are brought to the form that the pipeline takes, see `Diffuser.latents`.
        """
        import torch

        with self._diffuser.lock:
            pipe = self._diffuser.pipe
            check(pipe)
            if not len(media):
                raise ValueError("there are no media to denoise; give one or more")
            if len(media) != len(states):
                raise ValueError(f"{len(states)} embeddings and {len(media)} media; give one of them for each")
            self._diffuser.check_length("prompt_embeds", states.shape[1])
            clean = self._diffuser.latents(media, generator)  # [B, C, …]
            made = noised(pipe.scheduler, clean, generator)
            states = states.to(clean.device, clean.dtype)
            kept = torch.ones(states.shape[:2]) if mask is None else mask
            if pooled is None and POOLED in defaults(pipe):
                empty = self._diffuser.null().pooled
                pooled = None if empty is None else empty.expand(len(states), -1)
            pooled = None if pooled is None else pooled.to(clean.device, clean.dtype)
            batch = Batch(made.latents, made.times, states, kept.bool().to(clean.device), pooled, media)
            guess = predicted(pipe, batch)[:, : clean.shape[1]]  # drops a variance
            each = (guess.float() - made.target.float()).square().flatten(1).mean(dim=1)  # [B]
            if snr_gamma is not None:
                each = each * weights(pipe.scheduler, made.snr, snr_gamma)
            return torch.mean(each)
