"""Sounds by any audio pipeline of diffusers, and by pipelines for pictures whose pictures are spectrograms.

A folder of the second kind is one of Stable Diffusion whose VAE has one channel, with a vocoder of class
SpeechT5HifiGan in its subfolder `vocoder`. As in AudioLDM, the VAE's picture is the log-mel spectrogram that the
vocoder reads, `[T, M]`: times downwards, frequencies across. Shapes: T frames, M mel bins, N samples, C channels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from mmagent import checkpoint
from mmagent.context import Context
from mmagent.diffusion.card import EMBEDS
from mmagent.diffusion.conditioning import Conditioning, Encoded, defaults
from mmagent.diffusion.diffuser import Diffuser
from mmagent.diffusion.preview import unscaled
from mmagent.diffusion.sound_card import embedding_sizes
from mmagent.diffusion.sound_wires import GENERATED, encode_sound, sound_arguments
from mmagent.errors import ModelError
from mmagent.media import Audio, Embedding

SECONDS = ("audio_length_in_s", "audio_end_in_s", "duration", "audio_duration", "audio_duration_s")
"""Under which names pipelines take the length of a sound in seconds."""
VOCODER = "vocoder"


class SoundDiffuser(Diffuser):
    """A `Diffuser` that makes sounds."""

    def load(self) -> None:
        """Read the weights. ModelError if the pipeline makes no sound."""
        super().load()
        self.vocoder: Any = getattr(self.pipe, VOCODER, None)
        if any(name in defaults(self.pipe) for name in SECONDS):
            _repair(self.pipe)
            return
        place = checkpoint.locate(self.model, revision=self._revision)
        if not (place / VOCODER).is_dir() or self.pipe.vae.config.out_channels != 1:
            raise ModelError(
                f"{self.model} is a {type(self.pipe).__name__}, which makes no sound; name a sound pipeline, or put a "
                f"SpeechT5HifiGan into its subfolder {VOCODER} if its VAE has one channel, the spectrogram"
            )
        found = checkpoint.load_pretrained(
            "SpeechT5HifiGan", str(place / VOCODER), pickle=self._pickle, dtype=self.pipe.dtype
        )
        self.vocoder = found.to(self.pipe.device)

    def unload(self) -> None:
        """Give the memory back."""
        self.vocoder = None
        super().unload()

    @property
    def paints(self) -> bool:
        """Whether the pipeline is one for pictures, which are spectrograms."""
        return not any(name in defaults(self.pipe) for name in SECONDS)

    @property
    def rate(self) -> int:
        """Samples a second."""
        if self.vocoder is not None:
            return int(self.vocoder.config.sampling_rate)
        own = self.pipe.vae.config.get("sampling_rate") or getattr(self.pipe, "sample_rate", None)
        if own is None:
            raise ModelError(f"{type(self.pipe).__name__} does not say how many samples a second it makes")
        return int(own)

    @property
    def hop(self) -> int:
        """Samples that the vocoder makes of a frame of the spectrogram."""
        return math.prod(self.vocoder.config.upsample_rates)

    def sound(
        self,
        ctx: Context,
        asked: Conditioning,
        *,
        generated: Embedding | None = None,
        negative_generated: Embedding | None = None,
        seconds: float | None = None,
        **options: Any,
    ) -> Audio:
        """Make a sound of about so many seconds (None: what the checkpoint is made for). Options as `run` has them.

        `generated` and `negative_generated` are AudioLDM 2's second embeddings, which its language model makes.
        """
        if seconds is not None and not 0 < seconds < math.inf:
            raise ValueError(f"{self._owner}: seconds is a number above 0, not {seconds}")
        with self.lock:
            if self.paints:
                if generated is not None or negative_generated is not None:
                    raise ModelError(f"{type(self.pipe).__name__} takes no generated_prompt_embeds; leave them out")
                return Audio(self._painted(ctx, asked, seconds, options), self.rate)
            known = defaults(self.pipe)
            ports = {name: getattr(asked, name) for name in EMBEDS}
            for port, given in {**ports, GENERATED: generated, f"negative_{GENERATED}": negative_generated}.items():
                self._check(port, given, embedding_sizes(self.layout, port).get("width"))
            told, embedded = sound_arguments(self, asked, options.get("guidance"), generated, negative_generated)
            embedded[next(name for name in SECONDS if name in known)] = seconds
            made = self.run(ctx, told, output_type="np", **embedded, **options)
            return Audio(_samples(made.audios[0]), self.rate)

    def _painted(self, ctx: Context, asked: Conditioning, seconds: float | None, options: dict[str, Any]) -> Any:
        """The samples `[N]` of a spectrogram that the pipeline paints."""
        import torch

        pipe = self.pipe
        n_bins = int(self.vocoder.config.model_in_dim)
        if seconds is None:
            n_frames = (self.layout.size or (n_bins, n_bins))[0]
        else:
            n_frames = max(1, math.ceil(seconds * self.rate / self.hop))
        whole = math.ceil(n_frames / self.layout.multiple) * self.layout.multiple
        made = self.run(ctx, asked, height=whole, width=n_bins, output_type="latent", **options)
        with torch.no_grad():
            mel = pipe.vae.decode(unscaled(pipe.vae, made.images.to(pipe.vae.dtype))).sample  # [1, 1, T, M]
            samples = self.vocoder(mel[:, 0])[0].float().cpu().numpy()  # [N]
        return samples[: n_frames * self.hop if seconds is None else round(seconds * self.rate)]

    def encode(self, texts: Sequence[str]) -> Encoded:
        """What the pipeline's own text encoders make of texts; one vector `[B, 1, D]` of AudioLDM's."""
        with self.lock:
            return super().encode(texts) if self.paints else encode_sound(self.pipe, texts)


def _repair(pipe: Any) -> None:
    """Give AudioLDM 2 the language model that its pipeline runs: old checkpoints name the one without a head.

    transformers takes what generates out of the plain GPT2Model since 4.50 (diffusers #12630).
    """
    if type(getattr(pipe, "language_model", None)).__name__ != "GPT2Model":
        return
    import torch
    from transformers import GPT2LMHeadModel

    with torch.device("meta"):
        whole = GPT2LMHeadModel(pipe.language_model.config)
    whole.transformer = pipe.language_model
    whole.tie_weights()
    pipe.register_modules(language_model=whole.eval().requires_grad_(False))


def _samples(made: Any) -> Any:
    """Samples `[N]` or `[N, C]` of what a pipeline gave, `[N]` or `[C, N]`; what is louder than full scale is cut."""
    import numpy as np

    found = np.asarray(made, dtype=np.float32).clip(-1, 1)
    return found.T if found.ndim == 2 else found
