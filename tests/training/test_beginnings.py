"""What lessons begin with is read once, and a step that goes on from it is what reading the whole would be."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, GPT2Config, LlamaConfig, MistralConfig

from mmagent.model.backbones.causal import CausalBackbone
from mmagent.training.beginnings import Beginnings
from mmagent.training.reading import Reading, read
from mmagent.training.resuming import begin, read_alike, resume, resumes
from mmagent.training.run.room import Room, open_room
from mmagent.training.run.spec import RunSpec
from mmagent.training.run.train import train

Model = Callable[..., Path]
SMALL: dict[str, Any] = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "vocab_size": 320}


def run_of(model: Path, data: Path, file: str = "both", steps: int = 6, **stage: Any) -> RunSpec:
    return RunSpec.model_validate(
        {
            "model": str(model), "stage": {"kind": "align-outputs", "rows_in": True, "null": 0.0} | stage, "batch": 4,
            "data": [{"kind": "jsonl", "path": str(data / f"{file}.jsonl")}],
            "recipe": {"steps": steps, "rate": 1e-2, "warmup": 2, "average": 0.0},
        }
    )  # fmt: skip


@pytest.fixture
def room(model_of: Model, data: Path, tmp_path: Path) -> Any:
    with ExitStack() as stack:
        yield open_room(run_of(model_of(), data), tmp_path, tmp_path / "out", stack)


def same(one: Reading, other: Reading) -> None:
    for name in ("logits", "states", "ids", "owner"):
        torch.testing.assert_close(getattr(one, name), getattr(other, name), rtol=1e-4, atol=1e-4)
    assert one.spans.keys() == other.spans.keys()
    for name, states in one.spans.items():
        torch.testing.assert_close(states, other.spans[name], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "config", [LlamaConfig(**SMALL, intermediate_size=24), GPT2Config(vocab_size=320, n_embd=16, n_layer=2, n_head=2)]
)
def test_what_was_remembered_is_gone_on_from(config: Any, tokenizer: Any) -> None:
    torch.manual_seed(0)
    backbone = CausalBackbone(AutoModelForCausalLM.from_config(config), tokenizer)
    assert backbone.remembers
    inputs = torch.randn(2, 7, 16)
    mask = torch.ones(2, 7, dtype=torch.long)
    mask[1, 6:] = 0
    whole = backbone.forward(inputs, mask, backbone.cache(), keep=7)
    alone = [backbone.cache(), backbone.cache()]
    for row, (cache, n) in enumerate(zip(alone, (4, 2), strict=True)):
        backbone.read(inputs[row : row + 1, :n], mask[row : row + 1, :n], cache)
    cache = backbone.recall([backbone.remember(one)[0] for one in alone])
    rest = torch.zeros(2, 4, 16)
    rest[0, :3], rest[1] = inputs[0, 4:], inputs[1, 2:6]
    found = backbone.at(rest, torch.tensor([[1, 1, 1, 0], [1, 1, 1, 1]]), torch.tensor([2, 7]), cache=cache)
    torch.testing.assert_close(found.hidden[0, :3], whole.hidden[0, 4:], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.hidden[1], whole.hidden[1, 2:6], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.logits, whole.logits[(0, 1), (6, 5)], rtol=1e-4, atol=1e-5)


def test_an_llm_that_forgets_remembers_nothing(tokenizer: Any) -> None:
    config = MistralConfig(**SMALL, intermediate_size=24, num_key_value_heads=2, sliding_window=4)
    assert not CausalBackbone(AutoModelForCausalLM.from_config(config), tokenizer).remembers


def test_lessons_behind_their_beginnings_are_what_they_are_whole(room: Room) -> None:
    lessons = room.course.at(0, 0) + room.course.at(1, 0)
    assert len({lesson.length for lesson in lessons}) > 1
    begun = Beginnings(room.parts, ["image"], room.school.folder)
    same(begun.read(lessons), read(room.parts, lessons))
    assert len(begun) == len({lesson.key for lesson in lessons}) < len(lessons)
    begun.close()


def test_what_all_lessons_begin_with_is_read_once(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    lessons = room.course.at(0, 0)
    whole, lengths = read(room.parts, lessons), []
    at = CausalBackbone.at

    def counted(self: CausalBackbone, rows: torch.Tensor, *rest: Any, **more: Any) -> Any:
        lengths.append(rows.shape[1])
        return at(self, rows, *rest, **more)

    monkeypatch.setattr(CausalBackbone, "at", counted)
    same(read_alike(room.parts, lessons), whole)
    assert lengths[0] < max(lesson.length for lesson in lessons)
    same(read_alike(room.parts, lessons[:1]), read(room.parts, lessons[:1]))


def test_gradients_are_those_of_reading_the_whole(room: Room) -> None:
    lessons = room.course.at(0, 0)
    rows = room.parts.rows.of_into["image"]
    begun = Beginnings(room.parts, ["image"], room.school.folder)
    found = []
    for reading in (begun.read(lessons), read(room.parts, lessons)):
        rows.grad = None
        (reading.logits[:, -3:].square().sum() + reading.spans["image"].square().sum()).backward()  # type: ignore[no-untyped-call]  # torch leaves it so
        assert rows.grad is not None
        found.append(rows.grad.clone())
    begun.close()
    assert float(found[0].abs().min(dim=-1).values.max()) > 0
    torch.testing.assert_close(found[0], found[1], rtol=1e-3, atol=1e-4)


def test_a_stage_with_rows_in_reads_beginnings_once(
    model_of: Model, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, began = model_of(), list[int]()
    read_before = CausalBackbone.read

    def counted(self: CausalBackbone, inputs: Any, *rest: Any) -> None:
        began.append(len(inputs))
        read_before(self, inputs, *rest)

    monkeypatch.setattr(CausalBackbone, "read", counted)
    run = run_of(model, data, steps=20)
    train(run, tmp_path, tmp_path / "begun")
    (folder,) = (tmp_path / "begun" / "kept").glob("beginnings-*")
    with ExitStack() as stack:
        course = open_room(run, tmp_path, tmp_path / "begun", stack).course
        assert course.begun is not None and course.begun.folder == folder  # type: ignore[attr-defined]  # a ReadCourse
        before = len(began)
        course.losses(course.at(0, 0))
        assert len(began) == before
    assert sum(began) < 20 * 4  # fewer than the lessons of the steps


def test_beginnings_belong_to_what_is_frozen_and_not_to_what_trains(room: Room) -> None:
    def folder() -> Path:
        return Beginnings(room.parts, ["image"], room.school.folder).folder

    first = folder()
    with torch.no_grad():
        room.parts.rows.of_into["image"].add_(1.0)
        room.parts.rows.of_out["image"].add_(1.0)
    assert folder() == first
    with torch.no_grad():
        next(iter(room.parts.part("lora"))).add_(0.1)
    assert folder() != first


def test_models_that_cannot_resume_read_every_batch_whole(
    model_of: Model, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gated = {
        "image": {
            "encoder": "small-eye",
            "projector": {"kind": "gated-cross-attention", "every": 1, "layers": 1, "heads": 2},
        }
    }
    with ExitStack() as stack:
        room = open_room(run_of(model_of(inputs=gated), data), tmp_path, tmp_path / "out", stack)
        assert not resumes(room.parts) and room.course.begun is None  # type: ignore[attr-defined]  # a ReadCourse


def test_a_beginning_is_remembered_without_its_padding(room: Room) -> None:
    lessons = room.course.at(0, 0)
    short, long = lessons[0].pieces[:5], lessons[0].pieces[:9]
    kept = begin(room.parts, [short, long])
    assert [one.shape[-2] for one in kept] == [sum(map(room.parts.n_positions, pieces)) for pieces in (short, long)]
    same(resume(room.parts, lessons[:1], [5], kept[:1]), read(room.parts, lessons[:1]))
