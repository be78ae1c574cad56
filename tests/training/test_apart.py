"""Replies of one record learnt apart: what they have in common is read once, and nothing else changes."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import torch

from mmagent.errors import IntakeError, ModelError
from mmagent.training.reading import read
from mmagent.training.run.room import Room, open_room
from mmagent.training.run.spec import RunSpec

Model = Callable[..., Path]
ASKED = [
    ("What colour is it?", "It is red."),
    ("Is it blue?", "no"),
    ("What colour is it?", "red"),
    ("Is it red?", "yes"),
]
GATED = {"image": {"encoder": "small-eye", "projector": {"kind": "gated-cross-attention", "every": 1, "queries": 2}}}


def said(role: str, *parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": role, "parts": list(parts)}


def record(*exchanges: tuple[str, str], shown: str = "red.png") -> dict[str, Any]:
    turns = [
        turn for asked, told in exchanges for turn in (said("user", {"text": asked}), said("assistant", {"text": told}))
    ]
    turns[0]["parts"].insert(0, {"media": "image", "path": shown})
    return {"kind": "instruction", "turns": turns}


@pytest.fixture
def room_of(model_of: Model, data: Path, tmp_path: Path) -> Any:
    """Opens a room on records, their replies apart or not."""
    with ExitStack() as stack:

        def make(records: list[dict[str, Any]], *, apart: bool, stage: str = "align-inputs", **changes: Any) -> Room:
            file = data / f"{tmp_path.name}-{len(records)}-{apart}.jsonl"
            file.write_text("".join(f"{json.dumps(one)}\n" for one in records), "utf-8")
            run = {
                "model": str(model_of(**changes)), "stage": {"kind": stage}, "recipe": {"steps": 1},
                "data": [{"kind": "jsonl", "path": str(file)}], "batch": len(records), "apart": apart,
            }  # fmt: skip
            return open_room(RunSpec.model_validate(run), tmp_path, tmp_path / f"out-{apart}", stack)

        yield make


def of(room: Room) -> tuple[torch.Tensor, torch.Tensor]:
    """The ids that are learnt in the first batch and the log-probability of each, sorted by these."""
    for part in room.parts.parameters():
        part.requires_grad_(False)
    for gate in (value for name, value in room.parts.named_parameters() if "gate_" in name):
        gate.fill_(0.5)
    found = read(room.parts.eval(), room.course.at(0, 0))
    logs = found.logits.log_softmax(-1).gather(-1, found.ids[:, None])[:, 0]
    return found.ids[logs.argsort()], logs.sort().values


@pytest.mark.parametrize("changes", [{}, {"inputs": GATED}], ids=["mlp", "gated"])
def test_replies_apart_are_those_of_records_of_their_own(room_of: Callable[..., Room], changes: dict[str, Any]) -> None:
    others = [("Is it grey?", "no"), ("Which?", "blue")]
    together = [record(*ASKED), record(*others, shown="blue.png")]
    alone = [*(record(one) for one in ASKED), *(record(one, shown="blue.png") for one in others)]
    joined, each = of(room_of(together, apart=True, **changes)), of(room_of(alone, apart=False, **changes))
    assert torch.equal(joined[0], each[0])
    torch.testing.assert_close(joined[1], each[1], rtol=1e-4, atol=1e-4)


def test_what_replies_have_in_common_is_read_once(room_of: Callable[..., Room]) -> None:
    (whole,) = room_of([record(*ASKED)], apart=True).course.at(0, 0)
    (alone,) = room_of([record(ASKED[0])], apart=False).course.at(0, 0)
    assert len(whole.branches) == len(ASKED) and whole.branches[0] > len(alone.pieces) // 3
    assert sum(not isinstance(piece, int) for piece in whole.pieces) == 1
    assert len(whole.pieces) < whole.length < 4 * alone.length


def test_a_record_of_one_reply_has_no_branches(room_of: Callable[..., Room]) -> None:
    apart, alone = (room_of([record(ASKED[0])], apart=apart).course.at(0, 0)[0] for apart in (True, False))
    assert apart.branches == () and (apart.supervised, apart.length) == (alone.supervised, alone.length)


@pytest.mark.parametrize("fault", ["a later request shows media", "two requests in a row", "nothing is learnt"])
def test_replies_that_hang_together_are_refused(room_of: Callable[..., Room], fault: str) -> None:
    whole = record(*ASKED[:2])
    if fault.startswith("a later"):
        whole["turns"][2]["parts"].append({"media": "image", "path": "blue.png"})
    elif fault.startswith("two"):
        whole["turns"].insert(0, said("user", {"text": "Listen."}))
    else:
        whole["turns"][1]["parts"][0]["target"] = whole["turns"][3]["parts"][0]["target"] = False
    with pytest.raises(IntakeError, match=r"apart where|nothing in the record"):
        room_of([whole], apart=True).course.at(0, 0)


def test_a_window_of_attention_is_not_read_past(room_of: Callable[..., Room]) -> None:
    room = room_of([record(*ASKED)], apart=True)
    room.parts.backbone.model.config.layer_types = ["sliding_attention", "full_attention"]
    with pytest.raises(ModelError, match="share their beginning; set apart: false"):
        room.course.losses(room.course.at(0, 0))


def test_a_text_beside_exchanges_is_learnt_whole(room_of: Callable[..., Room]) -> None:
    text = {"kind": "text", "turns": [said("assistant", {"text": "the cat sat on the mat."})]}
    joined = of(room_of([text, record(*ASKED)], apart=True, stage="instruct"))
    each = of(room_of([text, *map(record, ASKED)], apart=False, stage="instruct"))
    assert torch.equal(joined[0], each[0])
    torch.testing.assert_close(joined[1], each[1], rtol=1e-4, atol=1e-4)
