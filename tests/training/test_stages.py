"""Every stage learns what it is for, trains what it says and nothing else, and saves exactly that."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import torch

from mmagent.errors import ModelError
from mmagent.model import saved
from mmagent.training import log
from mmagent.training.run.room import Room, open_room
from mmagent.training.run.spec import RunSpec
from mmagent.training.run.train import train

Model = Callable[..., Path]

STAGES: dict[str, dict[str, Any]] = {
    "align-inputs": {"data": "seen", "parts": ["inputs.image"]},
    "align-outputs": {"data": "drawn", "parts": ["outputs.image", "signals.image"]},
    "instruct": {"data": "both", "parts": ["inputs.image", "lora", "outputs.image", "signals.image"]},
    "prefer": {"data": "liked", "parts": ["lora"]},
}


def run_of(model: Path, data: Path, kind: str, steps: int = 40, **options: Any) -> RunSpec:
    recipe = {"steps": steps, "rate": 1e-2, "warmup": 2, "average": 0.0, "decay": 0.0} | options.pop("recipe", {})
    return RunSpec.model_validate(
        {
            "model": str(model),
            "stage": {"kind": kind} | options.pop("stage", {}),
            "data": [{"kind": "jsonl", "path": str(data / f"{options.pop('file', STAGES[kind]['data'])}.jsonl")}],
            "recipe": recipe,
            "batch": 4,
        }
        | options
    )


@pytest.fixture
def stack() -> Any:
    with ExitStack() as stack:
        yield stack


def tensors(room: Room) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in room.parts.named_parameters()}


@pytest.mark.parametrize("kind", STAGES)
def test_a_stage_learns_and_saves_what_it_trained_alone(
    model_of: Model, data: Path, tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture, stack: ExitStack
) -> None:
    caplog.set_level(logging.INFO, "mmagent.training")
    model, wanted = model_of(), STAGES[kind]["parts"]
    started = tensors(open_room(run_of(model, data, kind), tmp_path, tmp_path / "before", stack))
    folder = train(run_of(model, data, kind), tmp_path, tmp_path / "out")
    assert folder == tmp_path / "out" / "model"
    lines = log.read(tmp_path / "out")
    assert lines[-1]["loss"] < (0.9 if kind == "prefer" else 0.7) * lines[0]["loss"]
    parts = saved.load(folder)
    assert sorted(parts.trained) == wanted
    assert "trained: " in caplog.text and "frozen: backbone" in caplog.text
    moved = {name.split(".")[0] for name, value in parts.named_parameters() if not torch.equal(value, started[name])}
    assert moved == {name.split(".")[0].replace("signals", "rows") for name in wanted}


def test_frozen_rows_in_stay_as_they_were_drawn(model_of: Model, data: Path, tmp_path: Path) -> None:
    for rows_in in (False, True):
        run = run_of(model_of(), data, "align-outputs", steps=2, stage={"rows_in": rows_in})
        with ExitStack() as stack:
            before = open_room(run, tmp_path, tmp_path / f"before-{rows_in}", stack).parts.rows.into.detach().clone()
        folder = train(run, tmp_path, tmp_path / str(rows_in))
        assert folder is not None
        assert torch.equal(saved.load(folder).rows.into, before) is not rows_in


def test_kept_states_give_the_losses_of_reading_every_batch(model_of: Model, data: Path, tmp_path: Path) -> None:
    stage = {"null": 0.0, "denoising": 0.5}
    kept = run_of(model_of(), data, "align-outputs", steps=1, stage=stage)
    read = run_of(model_of(), data, "align-outputs", steps=1, stage=stage | {"rows_in": True})
    losses = []
    for name, run in (("kept", kept), ("read", read)):
        with ExitStack() as stack:
            course = open_room(run, tmp_path, tmp_path / name, stack).course
            batch = course.at(0, 0)
            torch.manual_seed(0)
            losses.append({key: float(value.detach()) for key, value in course.losses(batch).items()})
            counts = {"signs": 8, "distance.image": 4, "denoising.image": 4}
            assert {key: count for key, count in course.counts(batch).items() if count} == counts
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    assert losses[0].keys() == {"signs", "distance.image", "denoising.image"}


def test_an_epoch_touches_no_encoder_no_generator_and_no_llm(
    model_of: Model, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stack: ExitStack
) -> None:
    room = open_room(run_of(model_of(), data, "align-outputs"), tmp_path, tmp_path / "out", stack)
    room.pack()

    def refuse(*given: Any, **named: Any) -> Any:
        raise AssertionError("it was touched")

    monkeypatch.setattr(room.parts.backbone, "at", refuse)
    monkeypatch.setattr(room.school.maker("image")._instance, "condition", refuse)
    for number in range(4):
        room.course.losses(room.course.at(number, 0))
    seen = open_room(run_of(model_of(), data, "align-inputs"), tmp_path, tmp_path / "out", stack)
    seen.pack()
    monkeypatch.setattr(seen.school.teacher._features["image"], "_run", refuse)
    for number in range(4):
        seen.course.losses(seen.course.at(number, 0))


def test_a_share_of_the_spans_is_trained_towards_nothing(model_of: Model, data: Path, tmp_path: Path) -> None:
    run = run_of(model_of(), data, "align-outputs", steps=60, stage={"null": 0.5})
    folder = train(run, tmp_path, tmp_path / "out")
    assert folder is not None
    parts = saved.load(folder).eval()
    with torch.no_grad():
        made, _ = parts.condition("image", torch.zeros(1, 2, 32))
    assert float((made - 0.25).abs().max()) < 0.3


def test_preferring_begins_where_the_model_is(model_of: Model, data: Path, tmp_path: Path, stack: ExitStack) -> None:
    run = run_of(model_of(), data, "prefer")
    room = open_room(run, tmp_path, tmp_path / "out", stack)
    room.parts.eval()
    first = room.course.losses(room.course.at(0, 0))
    assert float(first["preference"].detach()) == pytest.approx(0.6931, abs=1e-3)
    with torch.no_grad():
        for value in room.parts.part("lora"):
            value.add_(0.1)
    moved = room.course.losses(room.course.at(0, 0))
    assert abs(float(moved["margin"].detach())) > 1e-3
    before = [value.detach().clone() for value in room.parts.part("lora")]
    room.pack()  # reads with the starting weights, and puts the present ones back
    assert all(torch.equal(a, b) for a, b in zip(room.parts.part("lora"), before, strict=True))


def test_a_batch_of_lessons_is_what_each_lesson_is_alone(
    model_of: Model, data: Path, tmp_path: Path, stack: ExitStack
) -> None:
    from mmagent.training.reading import read

    room = open_room(run_of(model_of(), data, "instruct"), tmp_path, tmp_path / "out", stack)
    lessons = room.course.at(0, 0) + room.course.at(1, 0)
    room.parts.eval()
    whole, alone = read(room.parts, lessons), [read(room.parts, [lesson]) for lesson in lessons]
    assert len({lesson.length for lesson in lessons}) > 1
    torch.testing.assert_close(whole.logits, torch.cat([one.logits for one in alone]), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(
        whole.spans["image"], torch.cat([one.spans["image"] for one in alone]), rtol=1e-4, atol=1e-4
    )


def test_span_states_in_training_are_those_of_decoding(
    model_of: Model, data: Path, tmp_path: Path, stack: ExitStack
) -> None:
    from mmagent.training.reading import read

    room = open_room(run_of(model_of(), data, "instruct"), tmp_path, tmp_path / "out", stack)
    lesson, parts = room.course.at(0, 0)[0], room.parts.eval()
    (span,) = lesson.spans
    ids = lesson.pieces[: span.signals + span.k]
    with torch.no_grad():
        found = read(parts, [lesson])
        inputs = parts.embed([ids])[0][None]
        states = parts.backbone.forward(inputs, torch.ones(inputs.shape[:2]), parts.backbone.cache()).hidden[0]
    torch.testing.assert_close(found.spans["image"][0], states[-span.k :], rtol=1e-4, atol=1e-4)
    assert span.caption == f"a {span.caption.split()[1]} square"
    assert parts.backbone.tokens.decode(
        [piece for piece in ids if isinstance(piece, int) and piece < parts.rows.table.base]
    ).endswith(f" {span.caption}")


def test_what_a_stage_needs_and_a_model_lacks_is_told(
    model_of: Model, data: Path, tmp_path: Path, stack: ExitStack
) -> None:
    blind, dumb, stiff = model_of(inputs={}), model_of(outputs={}), model_of(lora=None)
    for model, kind, why in (
        (blind, "align-inputs", "no input projector for any modality"),
        (dumb, "align-outputs", "no output projector for any modality"),
        (stiff, "instruct", "no lora"),
        (stiff, "prefer", "no lora"),
    ):
        with pytest.raises(ModelError, match=why):
            open_room(run_of(model, data, kind), tmp_path, tmp_path / "out", stack)
    with pytest.raises(ModelError, match="no input projector for video; it has image"):
        open_room(run_of(model_of(), data, "align-inputs", stage={"modalities": ["video"]}), tmp_path, tmp_path, stack)
