"""Encoders that the pocket model hears and feels with: small networks of our own, trained on its world alone.

Shapes: S samples, P points, L states of width D.
"""

from __future__ import annotations

from typing import Annotated, Any

from mmagent import Audio, Constraint, Embedding, MissingExtra, Points, Tool
from mmagent.pocket.encoders import digest, load

SECONDS, RATE = 2, 16_000
N_POINTS = 1024

States = Annotated[Embedding, Constraint(tokens=16, width=128, space="pocket.sounds")]
Shape = Annotated[Embedding, Constraint(tokens=3, width=128, space="pocket.solids")]


class _Encoder(Tool):
    """What both have in common: a network out of the package."""

    shipped = ""

    def load(self) -> None:
        try:
            import torch
        except ImportError as error:
            raise MissingExtra("torch", "local", self.card.name) from error
        self._torch, self._network = torch, load(self.shipped)

    def unload(self) -> None:
        del self._torch, self._network

    def _states(self, given: Any) -> Any:
        with self._torch.inference_mode():
            return self._network(self._torch.from_numpy(given)[None])[0].numpy()  # [L, D]


class PocketSounds(
    _Encoder, name="pocket-sounds.v1", kind="encoder", cost=0.02, memory=3_000_000, needs=("extra:local",),
    weights=digest("sounds"),
):  # fmt: skip
    """Encode the first two seconds of a sound as 16 states of width 128, in order.

    Trained to tell twenty things apart (a bell, a door, a crow …), how often each is heard, and how high. Loudness plays
    no part. Of speech and music it has heard nothing.
    """

    shipped = "sounds"

    def run(self, audio: Annotated[Audio, Constraint(channels=1, rate=RATE)]) -> States:
        import numpy as np

        samples = audio.array[: SECONDS * RATE, 0]
        return Embedding(self._states(np.pad(samples, (0, SECONDS * RATE - len(samples)))), "pocket.sounds")


class PocketSolids(
    _Encoder, name="pocket-solids.v1", kind="encoder", cost=0.02, memory=2_000_000, needs=("extra:local",),
    weights=digest("solids"),
):  # fmt: skip
    """Encode the shape of a cloud of points as 3 states of width 128, however it is turned, moved and scaled.

    Trained to tell nine solids apart (a bell, a glass, a doughnut …). Features beyond x y z are not read; of a cloud of
    more than 1,024 points so many are taken, evenly.
    """

    shipped = "solids"

    def run(self, points: Points) -> Shape:
        import numpy as np

        taken = np.linspace(0, len(points.array) - 1, N_POINTS).round().astype(int)
        return Embedding(self._states(np.ascontiguousarray(points.array[taken, :3])), "pocket.solids")
