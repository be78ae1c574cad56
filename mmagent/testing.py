"""Small real tools for tests: cheap, deterministic, without weights. `registry()` holds them all.

They do what they say on real media, so a test that runs them tests the graph and the engine, not a mock.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple, TypeVar

from mmagent.media import Audio, Image, Media, Speech, Text
from mmagent.registry import Registry
from mmagent.tool import Constraint, tool

Sound = TypeVar("Sound", bound=Audio)


@tool(inline=True)
def upper(text: Text) -> Text:
    """The text in capitals."""
    return Text(text.text.upper())


@tool(inline=True)
def join(texts: list[Text], between: str = " ") -> Text:
    """Several texts as one."""
    return Text(between.join(text.text for text in texts))


@tool(inline=True, lossy=True)
def count(items: list[Media]) -> Text:
    """How many items there are, in digits."""
    return Text(str(len(items)))


class Halves(NamedTuple):
    """A text cut in two; the second half is absent when there is one word or none."""

    first: Text
    rest: Text | None


@tool(inline=True)
def halve(text: Text) -> Halves:
    """The first word, and the others if there are any."""
    first, _, rest = text.text.partition(" ")
    return Halves(Text(first), Text(rest) if rest else None)


@tool
def words(text: Text) -> list[Text]:
    """The words of a text, one by one."""
    return [Text(word) for word in text.text.split()]


@tool
def blank(text: Text, size: int = 8) -> Image:
    """A square of one colour, which the text decides."""
    import numpy as np

    colour = np.frombuffer(bytes.fromhex(text.digest[:6]), dtype=np.uint8)
    return Image(np.broadcast_to(colour, (size, size, 3)))


@tool(lossy=True)
def caption(image: Image) -> Text:
    """The size of a picture, in words."""
    return Text(f"{image.width} by {image.height}")


@tool
def tone(text: Text, rate: int = 8000) -> Annotated[Speech, Constraint(rate="$rate", channels=1)]:
    """A tenth of a second of a sine, whose pitch the text decides."""
    import numpy as np

    pitch = 200 + int(text.digest[:4], 16) % 800
    return Speech(0.5 * np.sin(2 * np.pi * pitch * np.arange(rate // 10) / rate), rate)


@tool(cost=0.002)
def thin(audio: Sound, rate: int = 8000) -> Annotated[Sound, Constraint(rate="$rate")]:
    """The sound at another rate, by taking the nearest samples."""
    import numpy as np

    length = max(1, round(len(audio.array) * rate / audio.rate))
    chosen = np.minimum(np.arange(length) * audio.rate // rate, len(audio.array) - 1)
    return type(audio)(audio.array[chosen], rate)


@tool(lossy=True)
def hear(speech: Annotated[Speech, Constraint(rate=16000)]) -> Text:
    """How long the speech is, in words."""
    return Text(f"{speech.seconds:g} seconds of speech")


def registry() -> Registry:
    """A registry with all of these tools."""
    known = Registry()
    known.add(upper, join, count, halve, words, blank, caption, tone, thin, hear)
    return known
