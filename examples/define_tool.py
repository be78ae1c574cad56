"""Define a tool: a typed function is one. Here a picture becomes a melody, in a graph and then in an agent."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from mmagent import Agent, Audio, Graph, GraphBuilder, Image, Policy, tool

HERE = Path(__file__).parent


@tool(cost=0.1)
def sonify(image: Image, tempo: int = 240, rate: int = 16_000) -> Audio:
    """Turn a picture into a melody: columns from left to right, the brighter the higher."""
    columns = np.asarray(image.pil("L").resize((16, 1)), dtype=float)[0] / 255  # [16], brightness of each column
    beat = np.arange(int(rate * 60 / tempo)) / rate  # [N], seconds within a note
    scale = 220 * 2 ** (np.array([0, 2, 4, 7, 9, 12, 14, 16, 19, 21, 24]) / 12)  # [11], a pentatonic scale in Hz
    notes = scale[(columns * 10).round().astype(int)]  # [16]
    tune = np.sin(2 * np.pi * notes[:, None] * beat) * np.hanning(len(beat))  # [16, N]
    return Audio(0.5 * tune.reshape(-1), rate)


def main(out: Path) -> None:
    photo = Image(HERE / "photo.png")

    builder = GraphBuilder("picture-melody")
    builder.output("melody", builder.add("sonify", sonify, image=builder.input("picture", "image"), tempo=300))
    melody = Graph(builder).run(picture=photo)["melody"]
    print("graph:", melody)
    melody.save(out / "melody.wav")

    agent = Agent("pocket", tools=[sonify])
    reply = agent("Play this picture.", photo, policy=Policy(force=("audio",)))
    print("agent:", reply.parts[-1], "by", " → ".join(reply.trace.routes[0].path))
    reply.save(out)


if __name__ == "__main__":
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "out")
    target.mkdir(parents=True, exist_ok=True)
    main(target)
