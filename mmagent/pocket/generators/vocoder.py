"""The vocoder: spectrograms to sound, a HiFi-GAN (Kong et al. 2020, arXiv:2010.05646) about as its V2, in small.

It is trained without a discriminator, by what is heard of its sounds at several resolutions (Yamamoto et al. 2020,
arXiv:1910.11480, section 2.2), first on true spectrograms, then on those that an autoencoder leaves, too.
Shapes: B sounds, N samples, T frames, M bins.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from mmagent.media import Audio
from mmagent.pocket.generators.sound_autoencoder import reconstructed
from mmagent.pocket.generators.spectrogram import (
    HOP,
    MEAN,
    N_BINS,
    N_FFT,
    N_FRAMES,
    SCALE,
    drawn,
    log_mel,
    rendered,
    sheet,
)
from mmagent.pocket.world.sounds import RATE

if TYPE_CHECKING:
    import torch

BATCH = 8
SEGMENT = 32
"""Frames that are learnt from at once: half a second, more than the network sees around a sample."""
RESOLUTIONS = (2048, 512, 128)
"""Samples in a window; a fourth of it lies between two windows."""
_QUIET = 1e-2
"""Magnitude below which loudness does not count: 88 dB under a tone at full scale, about the world's ground noise."""


@dataclass(frozen=True, slots=True)
class Segments:
    """Spectrograms `[B, SEGMENT, M]` and the samples `[B, SEGMENT · HOP]` that they should become."""

    mels: torch.Tensor
    samples: torch.Tensor


class VocoderTask:
    """Trains a SpeechT5HifiGan on segments of the world's sounds; with `vae`, every other one was through it."""

    def __init__(self, vae: Any = None, net: Any = None, batch: int = BATCH) -> None:
        self.vocoder = net or vocoder()
        self._vae = vae and vae.eval().requires_grad_(False)
        self._batch = batch

    @property
    def modules(self) -> Mapping[str, torch.nn.Module]:
        return {"vocoder": self.vocoder}

    def batch(self, seed: int) -> Segments:
        """A batch, a pure function of the seed."""
        import torch

        random = Random(seed)  # noqa: S311  # chance, not secrets
        samples = rendered(drawn(random, self._batch))
        mels = self._met(log_mel(samples))
        starts = [random.randrange(N_FRAMES - SEGMENT + 1) for _ in range(self._batch)]
        return Segments(
            torch.stack([mel[at : at + SEGMENT] for mel, at in zip(mels, starts)]),
            torch.stack([wave[at * HOP : (at + SEGMENT) * HOP] for wave, at in zip(samples, starts)]),
        )

    def _met(self, mels: torch.Tensor) -> torch.Tensor:
        """The spectrograms, every other one as the autoencoder leaves it."""
        import torch

        if self._vae is not None:
            with torch.no_grad():
                mels[::2] = reconstructed(self._vae, mels[::2])
        return mels

    def losses(self, batch: Segments) -> dict[str, torch.Tensor]:
        made = self.vocoder(batch.mels)  # [B, SEGMENT · HOP]
        mel = (log_mel(made) - log_mel(batch.samples)).abs().mean()
        heard = difference(made, batch.samples)
        return {"loss": heard + mel, "mel": mel, "heard": heard}

    def sample(self, folder: Path, step: int) -> None:
        """Held-out sounds as WAV, true and made in turn, and a sheet of both."""
        import torch
        from PIL import Image as pil

        true = rendered(drawn(Random(0), 8, tested=True))  # noqa: S311  # chance, not secrets
        mels = log_mel(true)
        with torch.inference_mode():
            made = self.vocoder(mels if self._vae is None else reconstructed(self._vae, mels))
        folder.mkdir(parents=True, exist_ok=True)
        pil.fromarray(sheet(mels, log_mel(made))).save(folder / f"sample-{step:06d}.png")
        Audio(torch.stack([true, made], dim=1).flatten().numpy(), RATE).save(folder / f"sample-{step:06d}.wav")


def difference(made: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
    """How unlike sounds `[B, N]` are at several resolutions: spectral convergence and logarithms of magnitudes."""
    import torch

    terms = []
    for length in RESOLUTIONS:
        one, other = _magnitudes(made, length), _magnitudes(true, length)
        # As if nothing were softer: a batch of rests must not outweigh all others.
        whole = torch.linalg.vector_norm(other.clamp(min=_QUIET))
        terms.append(torch.linalg.vector_norm(other - one) / whole)
        terms.append((other.clamp(min=_QUIET).log() - one.clamp(min=_QUIET).log()).abs().mean())
    return torch.stack(terms).sum() / len(RESOLUTIONS)


def _magnitudes(samples: torch.Tensor, length: int) -> torch.Tensor:
    import torch

    window = torch.hann_window(length)
    return torch.stft(samples, length, length // 4, window=window, return_complex=True).abs()


def vocoder() -> Any:
    """The network, a SpeechT5HifiGan with random weights: 0.5 million parameters, 0.4 billion products a second of sound.

    Windows overlap by whole numbers of steps where it goes up, so that no step of its own is heard.
    """
    import torch
    from transformers import SpeechT5HifiGan, SpeechT5HifiGanConfig

    net = SpeechT5HifiGan(
        SpeechT5HifiGanConfig(
            model_in_dim=N_BINS, sampling_rate=RATE, upsample_initial_channel=128, upsample_rates=[5, 5, 5, 2],
            upsample_kernel_sizes=[15, 15, 15, 4], resblock_kernel_sizes=[3, 7],
            resblock_dilation_sizes=[[1, 3, 5], [1, 3, 5]], normalize_before=True, n_fft=N_FFT,
        )
    )  # fmt: skip
    for module in net.modules():
        # The class draws them so small that nothing is heard of deep layers; it means them to be overwritten.
        if isinstance(module, torch.nn.Conv1d | torch.nn.ConvTranspose1d):
            module.reset_parameters()
    net.mean.fill_(MEAN)
    net.scale.fill_(SCALE)
    return net
