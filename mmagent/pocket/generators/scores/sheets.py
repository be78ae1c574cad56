"""Samples to be looked at and listened to: a sheet with captions, PNG of pictures, GIF of clips, of sounds with FLAC."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image as pil
from PIL import ImageDraw, ImageFont

from mmagent.media import Audio
from mmagent.pocket.generators.scores.judging import Array
from mmagent.pocket.generators.spectrogram import log_mel
from mmagent.pocket.generators.spectrogram import sheet as light
from mmagent.pocket.world.sounds import RATE
from mmagent.pocket.world.videos import FPS

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

SCALE = 2
"""Pixels of the sheet to one of a picture's, each way."""
EDGE, LINE, SIZE = 6, 13, 11
"""Pixels between pictures, from line to line, and of a letter."""
_INK, _PAPER = (40, 40, 40), (255, 255, 255)


def write(kind: str, media: Array, captions: Sequence[str], folder: Path, columns: int = 8) -> list[Path]:
    """Write what was made of captions into a folder; the files. `kind` is pictures, clips or sounds."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{kind}.{'gif' if kind == 'clips' else 'png'}"
    if kind == "clips":
        _film([sheet(list(frames), captions, columns) for frames in media.swapaxes(0, 1)], path)
        return [path]
    if kind == "pictures":
        sheet(list(media), captions, columns).save(path)
        return [path]
    mels = log_mel(torch.from_numpy(media))
    spectra = [light(mel[None])[..., None].repeat(3, axis=2) for mel in mels]
    numbered = [f"{number}. {caption}" for number, caption in enumerate(captions, 1)]
    sheet(spectra, numbered, max(1, columns // 2)).save(path)
    return [path, *_heard(media, folder)]


def sheet(pictures: Sequence[Array], captions: Sequence[str], columns: int) -> pil.Image:
    """Pictures `[H, W, 3]`, uint8, of one size, in rows, each over its caption."""
    height, width = (SCALE * side for side in pictures[0].shape[:2])
    font = ImageFont.load_default(SIZE)
    texts = [list(_lines(caption, width, font)) for caption in captions]
    below = LINE * max(map(len, texts)) + EDGE
    columns = min(columns, len(pictures))
    n_rows = -(-len(pictures) // columns)
    made = pil.new("RGB", (columns * (width + EDGE) + EDGE, n_rows * (height + below + EDGE) + EDGE), _PAPER)
    pen = ImageDraw.Draw(made)
    for number, (picture, text) in enumerate(zip(pictures, texts, strict=True)):
        row, column = divmod(number, columns)
        x, y = EDGE + column * (width + EDGE), EDGE + row * (height + below + EDGE)
        made.paste(pil.fromarray(picture).resize((width, height), pil.Resampling.NEAREST), (x, y))
        for line, words in enumerate(text):
            pen.text((x, y + height + EDGE // 2 + line * LINE), words, _INK, font)
    return made


def _lines(caption: str, width: int, font: FreeTypeFont | ImageFont.ImageFont) -> Iterator[str]:
    """The caption in lines that are no wider than that."""
    line = ""
    for word in caption.split():
        longer = f"{line} {word}".strip()
        if line and font.getlength(longer) > width:
            yield line
            longer = word
        line = longer
    yield line


def _film(frames: Sequence[pil.Image], path: Path) -> None:
    """A GIF that goes on for ever; all frames have one palette, or colours would flicker."""
    every = pil.fromarray(np.concatenate([np.asarray(frame) for frame in frames]))
    palette = every.quantize(256, dither=pil.Dither.NONE)
    first, *rest = (frame.quantize(palette=palette, dither=pil.Dither.NONE) for frame in frames)
    first.save(path, save_all=True, append_images=rest, duration=round(1000 / FPS), loop=0)


def _heard(media: Array, folder: Path) -> Iterator[Path]:
    for number, samples in enumerate(media, 1):
        path = folder / f"sound-{number:02}.flac"
        Audio(samples, RATE).save(path)
        yield path
