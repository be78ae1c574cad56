"""A model that is loaded is its parts: what it says, promises and saves is theirs, whatever lies in the folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import T5Config, T5ForConditionalGeneration, T5Tokenizer

from mmagent import Policy, message
from mmagent.card import Port
from mmagent.conversation import Conversation, Signal, TextDelta
from mmagent.model import MMLM, saved
from mmagent.model.backbones.seq2seq import Seq2SeqBackbone
from mmagent.model.parts import Parts
from mmagent.model.pieces import Seen
from mmagent.model.speaker import Speaker
from mmagent.model.spec import ModelSpec

Make = Callable[..., Any]
FEATURES = {"image": Port("states", "embedding", constraints={"width": 6, "space": "eye.grid"})}
LORA = {"rank": 2, "targets": ["q_proj"]}
TALK = Conversation([message("user", "Draw a cat.")])


def moved(parts: Parts, *trained: str) -> Parts:
    """The parts, of which those that count as trained are no more what they began as."""
    with torch.no_grad():
        for value in (value for name in trained for value in parts.part(name)):
            value.add_(1.0)
    parts.trained |= set(trained)
    return parts


def seeing(spec_of: Make, kind: str = "mlp", **sizes: Any) -> ModelSpec:
    found: ModelSpec = spec_of(inputs={"image": {"encoder": "eye", "projector": {"kind": kind, **sizes}}}, lora=LORA)
    return found


@pytest.fixture
def folder(backbone_of: Make, spec_of: Make, tmp_path: Path) -> Path:
    """A model's folder of which nothing was trained."""
    return saved.save(Parts.build(seeing(spec_of), backbone_of(), features=FEATURES, conditions={}), tmp_path / "model")


def test_what_its_parts_have_learnt_is_promised_saved_and_spoken(
    folder: Path, spec_of: Make, backbone_of: Make, tmp_path: Path
) -> None:
    model = MMLM(seeing(spec_of), backbone_of(), folder=folder)
    assert (model.sees, model._loaded().learnt) == ((), frozenset())
    parts = moved(model.parts(), "inputs.image", "signals.image")
    assert model.sees == ("image",) and model.told.trained == ("inputs.image", "signals.image")
    assert model._loaded().learnt == {"image"} and model.parts() is parts
    model.save_pretrained(tmp_path / "copy")
    again = saved.load(tmp_path / "copy", backbone_of())
    assert again.trained == {"inputs.image", "signals.image"}
    assert torch.equal(again.rows.of_out["image"], parts.rows.of_out["image"])


def test_a_folder_that_is_trained_meanwhile_is_saved_as_it_is_now(
    folder: Path, spec_of: Make, backbone_of: Make, tmp_path: Path
) -> None:
    model = MMLM(seeing(spec_of), backbone_of(), folder=folder)
    assert not model.sees
    saved.save(moved(saved.load(folder, backbone_of()), "inputs.image"), folder)
    assert list(model.sees) == ["image"]
    model.save_pretrained(tmp_path / "copy")
    assert saved.load(tmp_path / "copy", backbone_of()).trained == {"inputs.image"}


def test_parts_that_nobody_trains_just_now_say_the_same_again(backbone_of: Make, spec_of: Make) -> None:
    spec = seeing(spec_of, "grouping", groups=[3], layers=1, dim=8, heads=2)
    spec = spec.model_copy(update={"lora": spec.lora and spec.lora.model_copy(update={"dropout": 0.5})})
    parts = moved(Parts.build(spec, backbone_of(), features=FEATURES, conditions={}), "lora", "inputs.image")
    prompt: list[list[int | Seen]] = [
        [7, Seen("image", np.random.default_rng(0).normal(size=(9, 6)).astype("float32"))]
    ]

    def states() -> torch.Tensor:
        inputs = parts.embed(prompt)[0][None]
        mask = torch.ones(inputs.shape[:2], dtype=torch.long)
        return parts.backbone.at(inputs, mask, torch.tensor([0])).hidden

    assert torch.equal(states(), states())
    assert not torch.equal((parts.train(), states())[1], states())
    Speaker(parts)
    assert torch.equal(states(), states())


def test_a_backbone_that_was_given_is_loaded_again_with_its_lora(
    folder: Path, spec_of: Make, backbone_of: Make
) -> None:
    model = MMLM(seeing(spec_of), backbone_of(), folder=folder)
    model.load()
    model.unload()
    model.load()
    assert model.parts().names() == ["inputs.image", "signals.image", "signals.speech", "lora"]


def test_a_model_without_lora_reads_its_folder_again(spec_of: Make, backbone_of: Make, tmp_path: Path) -> None:
    backbone = backbone_of()
    parts = Parts.build(spec_of(), backbone, features={}, conditions={})
    model = MMLM(parts.spec, backbone, folder=saved.save(parts, tmp_path))
    model.load()
    saved.save(moved(parts, "signals"), tmp_path)
    assert model.parts().asks == ()
    model.unload()
    assert model.parts().asks == ("image", "speech")


def test_reading_a_prompt_keeps_no_graph(backbone_of: Make, spec_of: Make) -> None:
    speaker = Speaker(Parts.build(seeing(spec_of), backbone_of(), features=FEATURES, conditions={}))
    signal = speaker.table["image"].open
    fed, _ = speaker._embedded([[7, Seen("image", np.ones((2, 6), "float32")), signal]])
    assert not fed[0].requires_grad


def test_a_model_speaks_by_the_tokenizer_of_t5_which_has_no_line_breaks_and_no_spaces(spec_of: Make) -> None:
    words = ["▁a", "▁the", "▁cat", "▁picture", "▁of", "▁say", "▁spoken", "▁who", "▁is"]
    letters = list("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.:,-?!'[]() ▁")
    special = ["<pad>", "</s>", "<unk>"]
    pieces = [*special, *dict.fromkeys([*words, *letters]), *(f"<extra_id_{at}>" for at in range(99, -1, -1))]
    tokenizer = T5Tokenizer([(piece, 0.0 if piece in special else -2.0) for piece in pieces])
    shape = {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4, "decoder_start_token_id": 0}
    torch.manual_seed(0)
    model = T5ForConditionalGeneration(T5Config(vocab_size=len(tokenizer) + 5, **shape))
    backbone = Seq2SeqBackbone(model, tokenizer)
    assert (backbone.tokens.content(" "), backbone.tokens.lines) == ([], frozenset())
    speaker = Speaker(Parts.build(spec_of(), backbone, features={}, conditions={}))
    for name in ("image", "speech"):
        said = list(speaker.speak(TALK, Policy(force=(name,), max_tokens=40, max_caption=5), {name: "makes it"}))
        assert [piece.modality for piece in said if isinstance(piece, Signal)] == [name]
        assert (name == "image") or isinstance(said[0], TextDelta)
