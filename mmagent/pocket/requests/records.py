"""Requests as records to train on: conversations in JSONL, what they show in files beside them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

from mmagent.errors import MediaError
from mmagent.pocket.requests.cells import Drawer
from mmagent.pocket.requests.request import INPUTS, OUTPUTS, Exchange, Request, Say
from mmagent.pocket.requests.talk import changed, several
from mmagent.pocket.world.files import KINDS, medium, modality

MODALITIES: Mapping[str, str] = {"sound": "audio"}
"""Outputs that mmagent calls by another name."""
PARTS = 2, 3
"""How many things are asked for at once, where it is more than one."""
NAMES = (
    *(f"{given}-{wanted}" for given in INPUTS for wanted in OUTPUTS),
    *(f"{n}-parts" for n in PARTS),
    "second-turn",
)
"""Every kind of request."""


def draw(name: str, random: Random, *, tested: bool = False) -> Request:
    """A request of that kind."""
    if name == "second-turn":
        return changed(random, tested=tested)
    first, second = name.split("-")
    if second == "parts":
        return several(random, int(first), tested=tested)
    return Drawer(random, tested=tested).request(first, second)


def write(folder: Path, n: int, seeds: str, names: Sequence[str] = NAMES, *, tested: bool = False) -> list[Path]:
    """`n` requests of each kind: `NAME.jsonl` and the folder `NAME` of what they show. A pure function of the arguments.

    MediaError if a file is there already.
    """
    paths = [folder / f"{name}.jsonl" for name in names]
    there = [path for path in paths if path.exists()]
    if there:
        raise MediaError(f"{there[0]} is there already; write to another folder, or delete it")
    for path in paths:
        random = Random(f"requests\0{seeds}\0{tested}\0{path.stem}")  # noqa: S311  # chance, not secrets
        (folder / path.stem).mkdir(parents=True, exist_ok=True)
        lines = [
            json.dumps(record(draw(path.stem, random, tested=tested), folder, f"{path.stem}/{number:06d}", random))
            for number in range(n)
        ]
        part = path.with_suffix(".part")
        part.write_text("".join(f"{line}\n" for line in lines), "utf-8")
        part.replace(path)
    return paths


def record(request: Request, folder: Path, name: str, random: Random) -> dict[str, Any]:
    """The record of a request; what it shows is written to files whose paths in the folder begin with `name`."""
    turns = []
    for number, exchange in enumerate(request.exchanges):
        turns.append(
            {"role": "user", "parts": [*_shown(exchange, folder, f"{name}-{number}", random), {"text": exchange.words}]}
        )
        turns.append({"role": "assistant", "parts": [*map(_part, exchange.answer)]})
    return {"kind": "instruction", "turns": turns}


def _shown(exchange: Exchange, folder: Path, name: str, random: Random) -> list[dict[str, str]]:
    if exchange.shown is None:
        return []
    kind = modality(exchange.shown)
    path = f"{name}{KINDS[kind].suffix}"
    medium(exchange.shown, random).save(folder / path)
    return [{"media": kind, "path": path}]


def _part(part: Any) -> dict[str, str]:
    if isinstance(part, Say):
        return {"text": part.text}
    return {"make": MODALITIES.get(part.modality, part.modality), "caption": part.caption}
