"""Solids of the world: 1,024 points of a surface, turned and scaled by chance.

A surface is a set of patches that are sampled by area: profiles turned about the upright axis, and plane faces.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any

from mmagent.pocket.world.catalogue import catalogue

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

N_POINTS = 1024
FINE = 400


@dataclass(frozen=True, slots=True)
class Cloud:
    """A solid as facts: whose shape it is. `seed` says how it was turned, scaled and sampled."""

    thing: str
    seed: int = 0


def draw(random: Random) -> Cloud:
    """A solid by chance."""
    return Cloud(random.choice(catalogue().solid).name, random.getrandbits(32))


def render(cloud: Cloud) -> Array:
    """The points, float32 `[1024, 3]`, about the origin, at most 1 from it before they are scaled by 0.7 to 1.3."""
    import numpy as np

    chance = np.random.default_rng(cloud.seed)
    points = _SHAPES[catalogue().thing(cloud.thing).solid](chance)  # [N, 3]
    points = points - (points.max(axis=0) + points.min(axis=0)) / 2
    points /= np.linalg.norm(points, axis=1).max()
    points *= chance.uniform(0.9, 1.1, 3)  # nothing is quite like another
    turned = points @ _rotation(chance).T * chance.uniform(0.7, 1.3)
    made: Array = (turned + chance.normal(0, 0.005, turned.shape)).astype(np.float32)
    return made


def _rotation(chance: np.random.Generator) -> Array:
    """A rotation, all equally likely (Shoemake 1992: a random unit quaternion)."""
    import numpy as np

    w, x, y, z = (lambda q: q / np.linalg.norm(q))(chance.normal(size=4))
    return np.array([
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ])  # fmt: skip


def _turned(chance: np.random.Generator, profile: list[tuple[float, float]], n: int = N_POINTS) -> Array:
    """Points of the surface that a profile of (radius, height) makes when it is turned about the upright axis."""
    import numpy as np

    fine = _fine(profile)
    length = np.linalg.norm(np.diff(fine, axis=0), axis=1)
    area = length * (fine[1:, 0] + fine[:-1, 0]) / 2
    piece = chance.choice(len(area), n, p=area / area.sum())
    along = chance.uniform(size=n)[:, None]
    at = fine[piece] * (1 - along) + fine[piece + 1] * along
    angle = chance.uniform(0, 2 * math.pi, n)
    return np.stack([at[:, 0] * np.cos(angle), at[:, 0] * np.sin(angle), at[:, 1]], axis=1)


def _fine(profile: list[tuple[float, float]]) -> Array:
    """The profile in short pieces, so that a cone is sampled by area too."""
    import numpy as np

    corners = np.asarray(profile)
    place = np.linspace(0, len(corners) - 1, FINE)
    return np.stack([np.interp(place, np.arange(len(corners)), corners[:, side]) for side in (0, 1)], axis=1)


def _boxed(chance: np.random.Generator, sides: tuple[float, float, float], n: int = N_POINTS) -> Array:
    """Points of the faces of a box."""
    import numpy as np

    size = np.asarray(sides)
    area = np.array([size[1] * size[2], size[0] * size[2], size[0] * size[1]])
    axis = chance.choice(3, n, p=area / area.sum())
    points = chance.uniform(-0.5, 0.5, (n, 3)) * size
    points[np.arange(n), axis] = chance.choice([-0.5, 0.5], n) * size[axis]
    made: Array = points
    return made


def _arc(radius: float, height: float, start: float, end: float, n: int = 24) -> list[tuple[float, float]]:
    """Part of a circle as a profile, angles from the top in degrees."""
    angles = [math.radians(start + (end - start) * step / n) for step in range(n + 1)]
    return [(radius * math.sin(angle), height + radius * math.cos(angle)) for angle in angles]


def _bell(chance: np.random.Generator) -> Array:
    import numpy as np

    body = [*_arc(0.35, 0.75, 0, 70), (0.38, 0.6), (0.42, 0.35), (0.52, 0.12), (0.72, 0.0), (0.74, -0.06)]
    clapper = _turned(chance, _arc(0.1, -0.12, 0, 180), 64)
    return np.concatenate([_turned(chance, body, N_POINTS - 64), clapper])


def _cylinder(chance: np.random.Generator) -> Array:
    """A long drum: its waist is narrow, its top is closed."""
    return _turned(chance, [(0.0, 1.0), (0.42, 1.0), (0.44, 0.75), (0.2, 0.1), (0.2, -0.2), (0.38, -1.0)])


def _glass(chance: np.random.Generator) -> Array:
    bowl = [(0.36, 1.0), (0.42, 0.75), (0.36, 0.45), (0.2, 0.28), (0.04, 0.2)]
    return _turned(chance, [*bowl, (0.04, -0.85), (0.1, -0.95), (0.4, -1.0)])


def _balloon(chance: np.random.Generator) -> Array:
    import numpy as np

    body = [*_arc(0.6, 0.4, 0, 120), (0.1, -0.33), (0.03, -0.38), (0.1, -0.46)]
    string = np.stack([np.zeros(48), np.zeros(48), np.linspace(-0.46, -1.4, 48)], axis=1)
    return np.concatenate([_turned(chance, body, N_POINTS - 48), string])


def _rocket(chance: np.random.Generator) -> Array:
    import numpy as np

    body = [(0.0, 1.1), (0.12, 0.9), (0.2, 0.65), (0.24, 0.4), (0.24, -0.5), (0.16, -0.7), (0.0, -0.7)]
    fins = []
    for turn in range(4):
        one, two = np.sort(chance.uniform(size=(2, 64)), axis=0)  # uniform in a triangle
        corners = np.array([[0.24, 0.0, 0.0], [0.24, 0.0, -0.6], [0.62, 0.0, -0.95]])
        flat = one[:, None] * corners[0] + (two - one)[:, None] * corners[1] + (1 - two)[:, None] * corners[2]
        angle = turn * math.pi / 2
        across = np.array([[math.cos(angle), -math.sin(angle), 0], [math.sin(angle), math.cos(angle), 0], [0, 0, 1]])
        fins.append(flat @ across.T)
    return np.concatenate([_turned(chance, body, N_POINTS - 256), *fins])


def _torus(chance: np.random.Generator) -> Array:
    circle = [(0.65 + 0.3 * math.cos(t * math.pi / 24), 0.3 * math.sin(t * math.pi / 24)) for t in range(49)]
    return _turned(chance, circle)


def _egg(chance: np.random.Generator) -> Array:
    angles = [math.pi * step / 48 for step in range(49)]
    return _turned(chance, [(0.62 * math.sin(a) * (1 - 0.18 * math.cos(a)), 0.85 * math.cos(a)) for a in angles])


def _die(chance: np.random.Generator) -> Array:
    """A cube with corners cut round and dents for its pips."""
    import numpy as np

    points = _boxed(chance, (1.0, 1.0, 1.0))
    points *= np.minimum(1, 0.72 / np.linalg.norm(points, axis=1))[:, None]
    spots = {1: [(0, 0)], 2: [(-1, -1), (1, 1)], 3: [(-1, -1), (0, 0), (1, 1)]}
    for axis, number in enumerate((1, 2, 3)):
        for one, two in spots[number]:
            place = np.insert(np.array([one, two]) * 0.22, axis, 0.5)
            near = np.linalg.norm(points - place, axis=1) < 0.12
            points[near, axis] -= 0.1
    return points


def _box(chance: np.random.Generator) -> Array:
    return _boxed(chance, (1.0, 0.75, 0.5))


_SHAPES: dict[str, Callable[[np.random.Generator], Array]] = {
    "bell": _bell, "cylinder": _cylinder, "glass": _glass, "balloon": _balloon, "rocket": _rocket, "torus": _torus,
    "egg": _egg, "die": _die, "box": _box,
}  # fmt: skip
