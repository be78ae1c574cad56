"""The spectrogram that vocoders read back as sound: HiFi-GAN's, as AudioLDM has it (arXiv:2301.12503).

Magnitudes in mel bins up to half the rate, and their natural logarithm from 1e-5 on. Window and bins are not in the
configs of such checkpoints: 1024 samples, unless the vocoder's config says `n_fft`, `win_length`, `fmin` or `fmax`.
Shapes: T frames, M bins.
"""

from __future__ import annotations

from typing import Any

from mmagent.media import Audio

FLOOR = 1e-5


def log_mel(audio: Audio, voice: Any) -> Any:
    """The log-mel spectrogram `[T, M]`, float32, that a vocoder with the config `voice` reads back as that sound."""
    import math

    import numpy as np
    from transformers.audio_utils import mel_filter_bank, spectrogram, window_function

    rate, hop = int(voice.sampling_rate), math.prod(voice.upsample_rates)
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
