"""Tools for a server of ours to serve: what comes in and goes out, in every way that it can."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, TypeVar

import numpy as np

from mmagent import Audio, Constraint, Context, Image, Media, Points, Speech, Text, Tool, Video, tool

print("standard output is the wire, and this must not be on it")  # noqa: T201  # what users' files do
Anything = TypeVar("Anything", bound=Media)
meeting = threading.Barrier(2, timeout=20)


@tool
def invert(image: Image, channels: Literal["all", "red"] = "all") -> Image:
    """Invert the colours of a picture."""
    print("nor must this")  # noqa: T201  # the same
    pixels = image.array.copy()
    if channels == "red":
        pixels[..., 0] = 255 - pixels[..., 0]
        return Image(pixels)
    return Image(255 - pixels)


class Scene(NamedTuple):
    """A picture, its sound, and words if there are any."""

    picture: Image
    sound: Speech
    notes: Text | None


@tool
def scene(text: Text, ctx: Context, words: bool = False) -> Scene:
    """A picture and a sound for a text, with progress."""
    shade = sum(text.text.encode()) % 256
    for step in range(3):
        ctx.progress(step + 1, 4, f"step {step + 1}")
    sound = Speech(np.sin(np.arange(800) * shade / 100, dtype="float32") / 2, 8000)
    return Scene(Image(np.full((6, 5, 3), shade, dtype=np.uint8)), sound, text if words else None)


@tool
def noise(ctx: Context, size: int = 8) -> Image:
    """A random picture."""
    return Image(np.random.default_rng(ctx.seed).integers(0, 256, (size, size, 3), dtype=np.uint8))


@tool
def spin(image: Image, frames: int = 3) -> Video:
    """A video that rolls a picture."""
    return Video(np.stack([np.roll(image.rgb(), step, axis=0) for step in range(frames)]), fps=5)


@tool
def scatter(image: Image) -> Points:
    """The pixels of a picture as points."""
    return Points(image.rgb().reshape(-1, 3).astype("float32"))


@tool
def crops(image: Image, count: int = 2) -> list[Image]:
    """The upper lines of a picture, again and again one less."""
    return [Image(image.array[: image.height - step]) for step in range(count)]


@tool
def total(images: list[Image], texts: list[Text]) -> Text:
    """How many came."""
    return Text(f"{len(images)} pictures, {' '.join(map(str, texts))}")


@tool
def listen(audio: Annotated[Audio, Constraint(rate=16_000)]) -> Text:
    """The rate of a sound, which a converter sees to."""
    return Text(f"{audio.rate} Hz, {audio.seconds:.2f} s")


@tool
def describe(media: Media) -> Text:
    """What a medium is."""
    return Text(media.modality)


@tool
def same(media: Anything) -> Anything:
    """Whatever is given, unchanged."""
    return media


@tool
def optional(image: Image | None = None, level: int | None = None, gain: float = 1.5) -> Text:
    """Whatever is given."""
    return Text(f"{image is not None} {level} {gain}")


class Shade(Tool, name="shade.v1"):
    """A square in the colour that its constructor was given."""

    def __init__(self, grey: int = 7) -> None:
        self.grey = grey

    def run(self) -> Image:
        return Image(np.full((2, 2, 1), self.grey, dtype=np.uint8))


@tool
def linger(ctx: Context, mark: str) -> Text:
    """Go on until told to stop; note in the file `mark` that it began and that it was told."""
    Path(mark).write_text("began")
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if ctx.cancelled:
            Path(mark).write_text("cancelled")
            ctx.check()
        time.sleep(0.01)
    return Text("over")


@tool
def meet(text: Text) -> Text:
    """Returns when two are here."""
    meeting.wait()
    return text


@tool
def fail(text: Text) -> Image:
    """Raises."""
    raise ValueError(f"no {text} left")
