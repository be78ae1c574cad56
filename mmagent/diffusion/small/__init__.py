"""Small pipelines of diffusers' real classes with random weights: for tests, and for trying a graph without a download.

What they make means nothing; it takes a fraction of a second, and they save and load as any other checkpoint.
"""

from __future__ import annotations

from pathlib import Path

from mmagent.diffusion.small import audio, image, video

__all__ = ["FAMILIES", "save_small"]

FAMILIES = {**image.FAMILIES, **video.FAMILIES, **audio.FAMILIES}


def save_small(family: str, folder: str | Path, seed: int = 0) -> Path:
    """Save a small checkpoint of a family of pictures, videos or sounds, and return its folder.

    ValueError names the families there are, `FAMILIES`.
    """
    import torch

    from mmagent.diffusion.loading import quiet

    if family not in FAMILIES:
        raise ValueError(f"there is no small {family}, but {', '.join(sorted(FAMILIES))}")
    with torch.random.fork_rng(devices=[]), quiet():
        torch.manual_seed(seed)
        FAMILIES[family]().save_pretrained(folder)
        if family == "spectrogram":
            audio.vocoder().save_pretrained(Path(folder) / "vocoder")
    return Path(folder)
