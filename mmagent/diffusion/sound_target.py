"""Training towards a generator of sounds, as `trainable` has it for pictures, by the spectrograms of its VAE.

The spectrogram is HiFi-GAN's, as AudioLDM has it (arXiv:2301.12503): magnitudes in mel bins up to half the rate, and
their natural logarithm from 1e-5 on. Window and bins are not in the configs of such checkpoints: 1024 samples, unless
the vocoder's config says `n_fft`, `win_length`, `fmin` or `fmax`. Shapes: B sounds, T frames, M bins, L tokens, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mmagent.diffusion.preview import scaled
from mmagent.diffusion.sound_wires import generated_states, takes_vector
from mmagent.diffusion.trainable import DenoisingTarget
from mmagent.errors import MediaError, ModelError
from mmagent.media import Audio, Embedding

if TYPE_CHECKING:
    import torch

    from mmagent.diffusion.sounds import SoundDiffuser

FLOOR = 1e-5


class SoundTarget(DenoisingTarget):
    """Training towards a loaded `SoundDiffuser`: AudioLDM, AudioLDM 2, and pipelines that paint spectrograms.

    AudioLDM 2's second embeddings are made of the first, as when it runs on embeddings. Of sounds of unlike
    lengths as much is taken as the shortest has. ModelError for the others.
    """

    _diffuser: SoundDiffuser

    def null(self) -> Embedding:
        """What the pipeline itself puts in the place of a negative prompt that is not given."""
        return super().null() if self._diffuser.paints else self.condition([""])[0]

    def _latents(self, pipe: Any, media: Sequence[Any], generator: torch.Generator) -> Any:
        import numpy as np
        import torch

        if self._diffuser.vocoder is None:
            raise ModelError(f"{type(pipe).__name__} cannot be trained towards: it makes sounds without a spectrogram")
        voice, vae = self._diffuser.vocoder.config, pipe.vae
        mels = [log_mel(audio, voice) for audio in media]
        step = self._diffuser.layout.multiple
        n_frames = min(len(mel) for mel in mels) // step * step
        if not n_frames:
            raise MediaError(f"a sound to train towards has {step * self._diffuser.hop} samples or more")
        picture = torch.from_numpy(np.stack([mel[:n_frames] for mel in mels])).to(vae.device, vae.dtype)[:, None]
        with torch.no_grad():
            return scaled(vae, vae.encode(picture).latent_dist.sample(generator))

    def _predict(
        self, pipe: Any, noisy: Any, times: Any, states: Any, mask: torch.Tensor | None, pooled: torch.Tensor | None
    ) -> Any:
        if takes_vector(pipe):
            return pipe.unet(noisy, times, encoder_hidden_states=None, class_labels=states[:, 0]).sample
        if type(pipe).__name__ != "AudioLDM2Pipeline":
            return super()._predict(pipe, noisy, times, states, mask, pooled)
        kept = states.new_ones(states.shape[:2]) if mask is None else mask.to(states.device)
        return pipe.unet(
            noisy, times, encoder_hidden_states=generated_states(pipe, states, kept.long()),
            encoder_hidden_states_1=states, encoder_attention_mask_1=kept.long(),
        ).sample  # fmt: skip


def log_mel(audio: Audio, voice: Any) -> Any:
    """The log-mel spectrogram `[T, M]`, float32, that a vocoder with the config `voice` reads back as that sound."""
    import math

    import numpy as np
    from transformers.audio_utils import mel_filter_bank, spectrogram, window_function

    rate, hop = int(voice.sampling_rate), math.prod(voice.upsample_rates)
    if audio.rate != rate:
        raise MediaError(f"this generator makes sounds at {rate} Hz, and one of {audio.rate} was given; resample it")
    n_fft = int(getattr(voice, "n_fft", 1024))
    length = int(getattr(voice, "win_length", n_fft))
    filters = mel_filter_bank(
        n_fft // 2 + 1, voice.model_in_dim, getattr(voice, "fmin", 0.0), getattr(voice, "fmax", rate / 2), rate,
        norm="slaney", mel_scale="slaney",
    )  # fmt: skip
    around = (n_fft - hop) // 2, (n_fft - hop + 1) // 2
    samples = np.pad(audio.mono(), around, mode="reflect" if audio.array.shape[0] > max(around) else "constant")
    found = spectrogram(
        samples, window_function(length, "hann"), length, hop, n_fft, power=1.0, center=False, mel_filters=filters,
        mel_floor=FLOOR, log_mel="log",
    )  # fmt: skip
    return np.ascontiguousarray(found.T, dtype=np.float32)
