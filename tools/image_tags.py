"""What a photograph shows, as names from ImageNet's thousand.

The names, with their licence, are in image_tags.txt.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmagent import Image, Text, Tool, load_tool
from mmagent.fetch import fetch, weights


class ImageTags(
    Tool,
    name="image-tags.v1",
    kind="converter",
    cost=0.06,
    memory=45_000_000,
    needs=("extra:local", "weights:efficientnet-lite0"),
    weights=weights("efficientnet-lite0").digest,
    lossy=True,
):
    """Name what a photograph shows, likeliest first: "tabby (62 %), tiger cat (20 %)".

    At most `top` of ImageNet's classes, those with a probability of at least `threshold`; an empty text if
    there is none. It knows photographs of things and animals; drawings, people, text and scenes it does not.
    """

    def load(self) -> None:
        self._encoder: Any = load_tool("image-features.v1")
        from safetensors.numpy import load_file

        (path,) = fetch("efficientnet-lite0").glob("*.safetensors")
        state = load_file(path)
        self._head, self._bias = state["_fc.weight"], state["_fc.bias"]  # [1000, 1280], [1000]
        lines = Path(__file__).with_suffix(".txt").read_text(encoding="utf-8").splitlines()
        self._names = [line for line in lines if not line.startswith("#")]

    def unload(self) -> None:
        self._encoder.unload()
        del self._encoder, self._head, self._bias, self._names

    def run(self, image: Image, top: int = 5, threshold: float = 0.05) -> Text:
        import numpy as np

        grid = self._encoder.run(image, view="centre").array  # [49, 1280]
        logits = self._head @ grid.mean(axis=0) + self._bias  # [1000]
        odds = np.exp(logits - logits.max())
        odds /= odds.sum()
        best = [index for index in np.argsort(-odds)[: max(top, 0)] if odds[index] >= threshold]
        return Text(", ".join(f"{self._names[index]} ({odds[index]:.0%})".replace("%", " %") for index in best), "en")
