"""A small agent for LangChain's tests: real tools on real media, and a reasoner whose words are known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest

from mmagent import Agent, Audio, Engine, Image, Signal, Speech, Text, tool
from mmagent.model import ScriptedReasoner

Piece = str | Signal


@tool(name="draw.v1", cost=0.1)
def draw(prompt: Text, size: int = 2) -> Image:
    """Draw a picture of what the words say."""
    return Image(np.full((size, size, 3), len(prompt.text), "uint8"))


@tool(name="hum.v1", cost=0.1)
def hum(prompt: Text) -> Speech:
    """Hum what the words say."""
    return Speech(np.full(16, len(prompt.text) / 255, "float32"), 8000)


@tool(name="look.v1", cost=0.001, lossy=True)
def look(image: Image) -> Text:
    """Say how large and how bright a picture is."""
    return Text(f"a picture {image.width} wide, {int(image.array.mean())} bright")


@tool(name="listen.v1", cost=0.001, lossy=True)
def listen(audio: Audio) -> Text:
    """Say how long a sound is."""
    return Text(f"{len(audio.array)} samples")


@pytest.fixture
def make_agent() -> Callable[..., Agent]:
    """An agent that says these pieces, with tools that draw, hum, look and listen."""

    def make(*pieces: Piece, tools: tuple[Any, ...] = (), **options: Any) -> Agent:
        said = {key: options.pop(key) for key in ("turns", "sees", "makes") if key in options}
        reasoner = ScriptedReasoner(pieces, **{"makes": ("image", "speech"), **said})
        return Agent(reasoner, tools=[draw, hum, look, listen, *tools], engine=Engine(), **options)

    return make


@pytest.fixture
def local_downloads(monkeypatch: pytest.MonkeyPatch) -> None:
    """LangChain's suites download a picture and a sound, and mean nothing by which; they are made here."""
    picture = Image(np.arange(192, dtype="uint8").reshape(8, 8, 3)).encode()
    sound = Audio(np.linspace(-0.5, 0.5, 800, dtype="float32"), 8000).encode()

    def get(url: str, **options: Any) -> httpx.Response:
        return httpx.Response(200, content=sound if url.endswith(".wav") else picture)

    monkeypatch.setattr(httpx, "get", get)
    monkeypatch.setenv("LANGCHAIN_TESTS_USER_AGENT", "mmagent")
