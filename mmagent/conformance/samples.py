"""Small inputs for trying a tool: one builder a modality, each obeying a port's constraints.

A modality that a user registers brings its own: a classmethod `sample(cls, variant: int) -> Self` on its media
class. Where no sample can be made, the message says how to hand one in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mmagent.card import ANY, Port, Scalar
from mmagent.errors import MediaError
from mmagent.graph.ports import resolve
from mmagent.media import Audio, Embedding, Image, Media, Points, Speech, Text, Video, modality

Wanted = Mapping[str, Any]


def sample(port: Port, settings: Mapping[str, Scalar] | None = None, variant: int = 0) -> Media:
    """A small value that fits `port`; each variant differs in content. MediaError if none can be made.

    A constraint `"$rate"` takes the value of the setting `rate`.
    """
    wanted = {key: value for key, value in resolve(port, settings or {}).constraints.items() if value is not None}
    name = "text" if port.modality == ANY else port.modality
    builder = _BUILDERS.get(name)
    if builder is not None:
        made = builder(wanted, variant)
    else:
        own = getattr(modality(name), "sample", None)
        if own is None:
            raise MediaError(
                f"no sample of modality {name!r} is known for port {port.name}; "
                f"give one with --in {port.name}=FILE, or add a classmethod sample(cls, variant) to its class"
            )
        made = own(variant)
    facts = made.describe()
    missed = [f"{key}={value}" for key, value in wanted.items() if facts.get(key) != value]
    if missed:
        raise MediaError(f"no sample for port {port.name} has {missed[0]}; give one with --in {port.name}=FILE")
    return made


def _text(wanted: Wanted, variant: int) -> Media:
    sentences = ("A red boat lies on a calm sea.", "Two birds sing.", "It rains in the hills.", "The lamp is on.")
    return Text(sentences[variant % len(sentences)], wanted.get("lang"))


def _image(wanted: Wanted, variant: int) -> Media:
    import numpy as np

    height, width, channels = wanted.get("height", 40), wanted.get("width", 48), wanted.get("channels", 3)
    y, x = np.mgrid[0:height, 0:width]
    planes = [(x * 3 + y * (channel + 2) + 40 * variant) % 256 for channel in range(channels)]
    pixels = np.stack(planes, axis=-1)  # [H, W, C]
    return Image((pixels * 257).astype("uint16") if wanted.get("bits") == 16 else pixels.astype("uint8"))


def _tone(wanted: Wanted, variant: int, harmonics: int) -> tuple[Any, int]:
    """A tone of so many harmonics that swells and fades; float32 `[T, C]` and its rate."""
    import numpy as np

    rate, channels = int(wanted.get("rate", 16000)), int(wanted.get("channels", 1))
    t = np.arange(round(rate * wanted.get("seconds", 0.5))) / rate
    wave = sum(np.sin(2 * np.pi * 140 * (variant + 1) * n * t) / n for n in range(1, harmonics + 1))
    samples = 0.3 * wave * np.sin(2 * np.pi * (2 + variant) * t) ** 2 / harmonics**0.5
    return np.repeat(samples[:, None], channels, axis=1).astype("float32"), rate


def _audio(wanted: Wanted, variant: int) -> Media:
    return Audio(*_tone(wanted, variant, harmonics=1))


def _speech(wanted: Wanted, variant: int) -> Media:
    return Speech(*_tone(wanted, variant, harmonics=8))


def _video(wanted: Wanted, variant: int) -> Media:
    import numpy as np

    height, width = wanted.get("height", 32), wanted.get("width", 32)
    fps = float(wanted.get("fps", 8.0))
    count = int(wanted.get("frames", round(fps * wanted.get("seconds", 1.0))))
    y, x = np.mgrid[0:height, 0:width]
    frames = [np.stack([(x * 4 + 8 * n) % 256, y * 4 % 256, (x + y + 40 * variant) % 256], -1) for n in range(count)]
    tone = _tone({"seconds": count / fps}, variant, harmonics=1) if wanted.get("sound", True) else None
    return Video(np.stack(frames).astype("uint8"), fps, audio=Audio(*tone) if tone else None)


def _points(wanted: Wanted, variant: int) -> Media:
    import numpy as np

    count, width = wanted.get("points", 64), wanted.get("features", 3)
    return Points(np.random.default_rng(variant).random((count, width), dtype="float32"))


def _embedding(wanted: Wanted, variant: int) -> Media:
    import numpy as np

    shape = (wanted.get("tokens", 4), wanted.get("width", 16))
    states = np.random.default_rng(variant).standard_normal(shape, dtype="float32")
    return Embedding(states, str(wanted.get("space", "sample")))


def _conversation(wanted: Wanted, variant: int) -> Media:
    from mmagent.conversation import Conversation, message

    return Conversation([message("user", f"What is {variant + 1} and one?")])


_BUILDERS: dict[str, Callable[[Wanted, int], Media]] = {
    "text": _text,
    "image": _image,
    "audio": _audio,
    "speech": _speech,
    "video": _video,
    "points": _points,
    "embedding": _embedding,
    "conversation": _conversation,
}
