"""What is frozen is made before the first step, all that the run needs, and is on the disk for other processes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mmagent.media import Image
from mmagent.training.run.room import Room, open_room
from mmagent.training.run.spec import RunSpec

Model = Callable[..., Path]


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def shades(tmp_path: Path) -> Callable[[str, int], dict[str, Any]]:
    """Writes so many records, each with a picture of its own; the reader of them."""

    def write(name: str, n: int) -> dict[str, Any]:
        lines = []
        for number in range(n):
            file = f"{name}{number}.png"
            Image(np.full((8, 8, 3), (number, len(name), 0), np.uint8)).save(tmp_path / file)
            asked = [{"media": "image", "path": file}, {"text": "What colour is it?"}]
            turns = [{"role": "user", "parts": asked}, {"role": "assistant", "parts": [{"text": "It is red."}]}]
            lines.append(json.dumps({"kind": "gold-pair", "turns": turns}) + "\n")
        (tmp_path / f"{name}.jsonl").write_text("".join(lines))
        return {"kind": "jsonl", "path": f"{name}.jsonl"}

    return write


def run_of(model: Path, data: list[dict[str, Any]], **changes: Any) -> RunSpec:
    return RunSpec.model_validate(
        {"model": str(model), "stage": {"kind": "align-inputs"}, "data": data, "recipe": {"steps": 9}, "batch": 8}
        | changes
    )


def refuse(*given: Any, **named: Any) -> Any:
    raise AssertionError("the encoder was touched")


def go_through(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """All batches of the run, without an encoder."""
    monkeypatch.setattr(room.features["image"], "_run", refuse)
    for number in range(room.n_batches):
        room.course.at(number, 0)


def test_other_processes_find_all_features_as_soon_as_they_are_packed(
    model_of: Model, shades: Any, tmp_path: Path, stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of(model_of(), [shades("a", 20)])
    first = open_room(run, tmp_path, tmp_path / "out", stack)
    first.pack()  # and stays open
    assert len(first.features["image"]) == 20
    other = open_room(run, tmp_path, tmp_path / "out", stack, part="1")
    assert len(other.features["image"]) == 20
    monkeypatch.setattr("mmagent.training.data.reference.InFile.open", refuse)  # nor are media decoded again
    go_through(other, monkeypatch)


def test_later_epochs_of_a_weighted_mix_bring_nothing_that_was_not_packed(
    model_of: Model, shades: Any, tmp_path: Path, stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = [{**shades("many", 40), "weight": 1}, {**shades("few", 4), "weight": 3}]
    room = open_room(run_of(model_of(), data, size=16, batch=4), tmp_path, tmp_path / "out", stack)
    told: list[tuple[int, int]] = []
    room.pack(lambda done, of: told.append((done, of)))
    assert 4 < len(room.features["image"]) < 44  # what nine steps need of the many
    assert told[-1][0] == told[-1][1] == len(told)
    go_through(room, monkeypatch)


def test_an_epoch_is_packed_in_the_batches_that_are_trained(
    model_of: Model, shades: Any, tmp_path: Path, stack: ExitStack
) -> None:
    room = open_room(run_of(model_of(), [shades("a", 32)]), tmp_path, tmp_path / "out", stack)
    order = room.course.order
    packed = [[lesson.place for lesson in batch] for batch in order.each(order.places(4))]
    trained = [[lesson.place for lesson in order.at(number)] for number in range(4)]
    assert sorted(packed) == sorted(trained)
    assert len(order.places(1)) == len(order.places(10**9)) == 32


def test_a_preference_begins_at_nothing_in_bfloat16_too(
    model_of: Model, data: Path, tmp_path: Path, stack: ExitStack
) -> None:
    source = {"kind": "jsonl", "path": str(data / "liked.jsonl")}
    run = run_of(model_of(), [source], batch=1, stage={"kind": "prefer"}, recipe={"steps": 9, "precision": "bf16"})
    room = open_room(run, tmp_path, tmp_path / "out", stack)
    room.pack()  # outside of the loop
    room.parts.eval()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        margins = [float(room.course.losses(room.course.at(number, 0))["margin"]) for number in range(4)]
    assert margins == [0.0] * 4
