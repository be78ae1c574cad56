"""A modality of your own, whole: depth maps with their files, an encoder, a generator, a graph, and an agent that uses them.

All of it lies on a shelf, the folder `depth` beside this script: one file of tools and one graph. Run it with
`python examples/define_modality.py OUT`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np

from mmagent import Agent, Graph, Media, Points, Signal
from mmagent.model.scripted import ScriptedReasoner

HERE = Path(__file__).parent


def scan() -> Points:
    """A ball on a floor, as a scanner would see it: the side that is turned away is left out."""
    random = np.random.default_rng(0)
    ball = random.normal(size=(6000, 3))
    ball *= 0.5 / np.linalg.norm(ball, axis=1, keepdims=True)
    floor = random.uniform(-1, 1, size=(6000, 3)) * [1, 0, 1] - [0, 0.5, 0]
    return Points(np.concatenate([ball[ball[:, 2] > 0], floor]))


def main(out: Path) -> None:
    result = Graph("simple-relief").run(scan=scan())
    depth, relief = result["depth"], result["relief"]
    path = depth.save(out / "ball")
    print(f"graph: {depth} and {relief}")
    print(f"file: {path.name} opens as the same value: {Media.open(path) == depth}")

    reasoner = ScriptedReasoner(
        ["This is how far away everything is: ", Signal("depth", "a ball on a floor")], makes=["depth"]
    )
    agent = Agent(reasoner)
    reply = agent("How far away is all that?", scan())
    print("agent:", reply.parts[-1], "by", " → ".join(reply.trace.routes[0].path))
    reply.save(out)

    # Other tools make pictures too, from words: this one is named.
    signal = Signal("image", "the depth of a ball", tool="depth-picture")
    agent = Agent(ScriptedReasoner(["And as a picture: ", signal], makes=["image"]))
    reply = agent("Show me this.", depth)
    print("agent:", reply.parts[-1], "by", " → ".join(reply.trace.routes[0].path))


if __name__ == "__main__":
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "out")
    target.mkdir(parents=True, exist_ok=True)
    os.environ["MMAGENT_PATH"] = str(HERE / "depth")
    main(target)
