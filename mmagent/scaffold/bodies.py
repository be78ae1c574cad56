"""What a new tool does until its author knows better: it reads levels in 0 … 1 off its input and shows them.

A reader and a maker for each modality, so that any of them can be turned into any other.
"""

from __future__ import annotations

from collections.abc import Mapping

READS: Mapping[str, str] = {
    "text": """
levels = np.frombuffer(text.text.encode() or b" ", dtype="uint8") / 255  # one a byte
""",
    "image": """
levels = image.rgb().mean(axis=(0, 2)) / 255  # one a column
""",
    "audio": """
parts = np.array_split(np.abs(audio.mono()), 32)
levels = np.array([part.max(initial=0.0) for part in parts])  # loudness
""",
    "speech": """
parts = np.array_split(np.abs(speech.mono()), 32)
levels = np.array([part.max(initial=0.0) for part in parts])  # loudness
""",
    "video": """
levels = video.array.mean(axis=(1, 2, 3)) / 255  # one a frame
""",
    "points": """
levels = np.clip(np.abs(points.array[:, 2]), 0.0, 1.0)  # one a point: its height
""",
}

MAKES: Mapping[str, str] = {
    "text": """
return Text(" ".join(f"{level:.{digits}f}" for level in levels))
""",
    "image": """
rows = np.arange(height)[:, None] / height  # [H, 1]
return Image(np.where(rows >= 1 - levels[None, :], 255, 0).astype("uint8"))
""",
    "audio": """
rate = 16000
t = np.arange(rate * 60 // tempo) / rate
pitches = 220 + 440 * levels[:: len(levels) // 16 + 1]  # Hz
notes = [0.2 * np.sin(2 * np.pi * pitch * t) for pitch in pitches]
return Audio(np.concatenate(notes), rate)
""",
    "speech": """
rate = 16000
t = np.arange(rate * 60 // tempo) / rate
pitches = 90 + 90 * levels[:: len(levels) // 16 + 1]  # Hz
hums = [0.2 * np.sin(2 * np.pi * pitch * t) for pitch in pitches]
return Speech(np.concatenate(hums), rate)
""",
    "video": """
greys = (255 * levels[:, None, None, None]).astype("uint8")  # [N, 1, 1, 1]
return Video(np.broadcast_to(greys, (len(levels), 32, 32, 3)), fps)
""",
    "points": """
x = np.arange(len(levels)) * step
return Points(np.stack([x, np.zeros_like(levels), levels], axis=1))  # [N, 3]
""",
}

SETTINGS: Mapping[str, str] = {
    "text": "digits: int = 2",
    "image": "height: int = 64",
    "audio": "tempo: int = 240",
    "speech": "tempo: int = 240",
    "video": "fps: float = 8.0",
    "points": "step: float = 0.1",
}


def read_file(parameter: str) -> str:
    """How a value is read of which nothing is known but that it can be written to a file."""
    return f"""
data = np.frombuffer({parameter}.encode(), dtype="uint8")  # its file
levels = np.resize(data, 1024).reshape(32, 32).mean(axis=1) / 255
"""


def make_sample(kind: str) -> str:
    """How a value is made of which nothing is known but that its class has a `sample`."""
    return f"""
return {kind}.sample(variant + round(1000 * float(np.sum(levels))))
"""
