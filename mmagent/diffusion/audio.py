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
from mmagent.diffusion.audio_card import embedding_sizes
from mmagent.diffusion.audio_wires import GENERATED, audio_arguments, encode_audio
from mmagent.diffusion.card import EMBEDS
from mmagent.diffusion.conditioning import Conditioning, Encoded, defaults
from mmagent.diffusion.diffuser import Diffuser
from mmagent.diffusion.latents import encoded, unscaled
from mmagent.diffusion.log_mel import log_mel
from mmagent.errors import MediaError, ModelError
from mmagent.media import Audio, Embedding

SECONDS = ("audio_length_in_s", "audio_end_in_s", "duration", "audio_duration", "audio_duration_s")
"""Under which names pipelines take the length of a sound in seconds."""
VOCODER = "vocoder"


class AudioDiffuser(Diffuser):
    """A `Diffuser` that makes sounds."""

    def load(self) -> None:
        """Read the weights. ModelError if the pipeline makes no sound."""
        super().load()
        self.preview = None  # nobody sees a sound
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
        self.vocoder = checkpoint.load_pretrained(
            "SpeechT5HifiGan", str(place / VOCODER), pickle=self._pickle, device=str(self.pipe.device),
            dtype=self.pipe.dtype,
        )  # fmt: skip

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

    def audio(
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
            told, embedded = audio_arguments(self, asked, options.get("guidance"), generated, negative_generated)
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
            return super().encode(texts) if self.paints else encode_audio(self.pipe, texts)

    def null(self) -> Encoded:
        """What stands for no prompt: of spectrograms, the pipeline's own; of Stable Audio, states that do not count."""
        import torch

        if self.paints:
            return super().null()
        empty = self.encode([""])
        if type(self.pipe).__name__ != "StableAudioPipeline":
            return empty
        return Encoded(torch.zeros_like(empty.states), torch.zeros(empty.states.shape[:2], dtype=torch.bool))

    def latents(self, media: Sequence[Audio], generator: Any) -> Any:
        """The latents of sounds at the checkpoint's rate, `[B, C, t, m]` of their spectrograms or `[B, C, t]` of waveforms.

        Of spectrograms of unlike lengths as much is taken as the shortest has; waveforms are filled up with silence, or
        cut, to the one length that the network makes. MediaError if one has another rate, or none of them lasts.
        """
        import numpy as np
        import torch

        for audio in media:
            if audio.rate != self.rate:
                raise MediaError(
                    f"this generator makes sounds at {self.rate} Hz, and one of {audio.rate} was given; resample it"
                )
        vae = self.pipe.vae
        if self.vocoder is None:
            length = self.layout.denoiser["sample_size"] * vae.hop_length
            waves = [_wave(audio, length, vae.config.audio_channels) for audio in media]
            return encoded(vae, torch.from_numpy(np.stack(waves)), generator).to(self.pipe.dtype)
        mels = [log_mel(audio, self.vocoder.config) for audio in media]
        step = self.layout.multiple
        n_frames = min(len(mel) for mel in mels) // step * step
        if not n_frames:
            raise MediaError(f"a sound to train towards has {step * self.hop} samples or more")
        pictures = torch.from_numpy(np.stack([mel[:n_frames] for mel in mels]))[:, None]  # [B, 1, T, M]
        return encoded(vae, pictures, generator).to(self.pipe.dtype)


def _wave(audio: Audio, length: int, n_channels: int) -> Any:
    """The samples `[n_channels, length]` of a sound: one channel goes to all, several become one as their mean."""
    import numpy as np

    samples = audio.array[:length].T  # [C, N]
    if len(samples) != n_channels:
        samples = np.repeat(samples.mean(axis=0, keepdims=True), n_channels, axis=0)
    return np.pad(samples, ((0, 0), (0, length - samples.shape[1])))


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
