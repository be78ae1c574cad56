"""Gated cross-attention inside a frozen LLM: shut gates change nothing, open ones show the medium that came last."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, GPTNeoXConfig

from mmagent.card import Port
from mmagent.errors import ModelError
from mmagent.model import saved
from mmagent.model.backbones.causal import CausalBackbone
from mmagent.model.decode import Prefix, Sampler, decode
from mmagent.model.parts import Parts
from mmagent.model.pieces import Piece, Seen
from mmagent.model.projectors.gated_cross_attention import GatedBlock

Make = Callable[..., Any]
FAMILIES = ["llama", "qwen2", "gpt2", "opt", "gpt-neox"]
WIDTH = 6
FEATURES = {name: Port("states", "embedding", constraints={"width": WIDTH}) for name in ("image", "audio")}
GATED = {"kind": "gated-cross-attention", "every": 2, "queries": 3, "layers": 1, "heads": 2, "head_dim": 4}


@pytest.fixture(scope="module")
def parts_of(backbone_of: Make, tokenizer_of: Make, spec_of: Make) -> Callable[..., Parts]:
    """Parts with gated layers for pictures and sounds, the gates opened unless `shut`."""

    def make(family: str = "llama", shut: bool = False, **kinds: Any) -> Parts:
        if family == "gpt-neox":
            torch.manual_seed(0)
            shape = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
            tokenizer = tokenizer_of()
            config = GPTNeoXConfig(**shape, vocab_size=len(tokenizer) + 5)
            backbone = CausalBackbone(AutoModelForCausalLM.from_config(config), tokenizer)
        else:
            backbone = backbone_of(family)
        kinds = kinds or {"image": GATED, "audio": {**GATED, "every": 1}}
        inputs = {name: {"encoder": "eye", "projector": kind} for name, kind in kinds.items()}
        own = Parts.build(spec_of(inputs=inputs), backbone, features=FEATURES, conditions={}, seed=3)
        for name, value in own.inputs.named_parameters():
            if ".gate_" in name and not shut:
                value.data.fill_(0.7)
        return own

    return make


def medium(seed: int, length: int = 4, modality: str = "image") -> Seen:
    states = np.random.default_rng(seed).normal(size=(length, WIDTH)).astype(np.float32)
    return Seen(modality, states)


def go_on(parts: Parts, prompts: Sequence[Sequence[Piece]], n: int = 6, begun: int = 0) -> tuple[Any, torch.Tensor]:
    """The next n ids of each prompt, its first `begun` pieces read beforehand, and the states before them."""
    first, rest = [prompt[:begun] for prompt in prompts], [prompt[begun:] for prompt in prompts]
    with torch.no_grad():
        prefix = Prefix(parts.rows, parts.embed(first), parts.beside(first)) if begun else None
        loop = decode(parts.rows, parts.embed(rest), [], Sampler(), (), prefix, parts.beside(rest))
        steps = list(itertools.islice(loop, n))
    return [[step.ids[at] for step in steps] for at in range(len(prompts))], torch.stack([s.hidden for s in steps])


def whole(parts: Parts, prompt: Sequence[Piece], beside: bool = True) -> torch.Tensor:
    """The states `[T, D]` of one pass without a cache."""
    with torch.no_grad():
        inputs = parts.embed([prompt])[0][None]
        mask = torch.ones(inputs.shape[:2], dtype=torch.long)
        shown = parts.beside([prompt]) if beside else None
        return parts.backbone.at(inputs, mask, torch.tensor([0]), shown).hidden[0]


def close(one: torch.Tensor, other: torch.Tensor) -> None:
    torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)


PROMPT: list[Piece] = [7, medium(1), 8, 9, medium(2, 2), medium(3, modality="audio"), 10, 11]


@pytest.mark.parametrize("family", FAMILIES)
def test_shut_gates_give_the_frozen_model_bit_for_bit(parts_of: Make, family: str) -> None:
    parts = parts_of(family, shut=True)
    assert torch.equal(whole(parts, PROMPT), whole(parts, PROMPT, beside=False))
    opened = whole(parts_of(family), PROMPT)
    assert (opened - whole(parts, PROMPT)).abs().max() > 1e-2


@pytest.mark.parametrize("family", FAMILIES)
def test_steps_over_a_cache_are_one_pass_over_everything(parts_of: Make, family: str) -> None:
    parts = parts_of(family)
    said, states = go_on(parts, [PROMPT])
    found = whole(parts, [*PROMPT, *said[0]])
    close(found[4:-1], states[:, 0])  # five words, then what was said


@pytest.mark.parametrize("family", FAMILIES)
def test_a_batch_of_unlike_prompts_is_read_as_each_alone(parts_of: Make, family: str) -> None:
    parts = parts_of(family)
    prompts: list[list[Piece]] = [PROMPT, [30], [medium(4, 7), 31], [5, 6, medium(5, modality="audio")], [9] * 12]
    together, states = go_on(parts, prompts)
    for at, prompt in enumerate(prompts):
        alone, own = go_on(parts, [prompt])
        assert together[at] == alone[0]
        close(states[:, at], own[:, 0])


pieces = st.lists(
    st.one_of(
        st.integers(5, 60),
        st.builds(medium, st.integers(0, 9), st.integers(1, 5), st.sampled_from(["image", "audio"])),
    ),
    max_size=8,
)


@pytest.fixture(scope="module")
def parts(parts_of: Make) -> Parts:
    found: Parts = parts_of()
    return found


@settings(max_examples=15, deadline=None)
@given(rest=st.lists(pieces, min_size=1, max_size=3), extra=st.integers(1, 4))
def test_padding_and_company_change_nothing_in_training(parts: Parts, rest: list[list[Piece]], extra: int) -> None:
    prompts = [[7, *prompt] for prompt in rest]
    with torch.no_grad():
        rows = parts.embed(prompts)
        length = max(map(len, rows)) + extra
        inputs = torch.full((len(rows), length, 32), 5.0)
        mask = torch.zeros(len(rows), length, dtype=torch.long)
        for at, row in enumerate(rows):
            inputs[at, : len(row)], mask[at, : len(row)] = row, 1
        found = parts.backbone.at(inputs, mask, torch.tensor([0]), parts.beside(prompts)).hidden
    for at, prompt in enumerate(prompts):
        close(found[at, : len(rows[at])], whole(parts, prompt))


@settings(max_examples=15, deadline=None)
@given(prompt=pieces, begun=st.integers(1, 5))
def test_going_on_from_a_prefix_is_reading_the_whole(parts: Parts, prompt: list[Piece], begun: int) -> None:
    prompt = [7, *prompt, 8]
    begun = min(begun, len(prompt) - 1)
    said, states = go_on(parts, [prompt], n=3, begun=begun)
    again, own = go_on(parts, [prompt], n=3)
    assert said == again
    close(states, own)


def test_a_word_reads_the_medium_that_last_preceded_it_and_no_other(parts_of: Make) -> None:
    parts = parts_of(image={**GATED, "every": 2})  # before the last layer: nothing is handed on by attention
    reads = whole(parts, [7, medium(1), 8, medium(2), 9])
    bare = whole(parts, [7, 8, 9])
    assert torch.equal(reads[0], bare[0])  # no medium yet
    assert (reads[1:] - bare[1:]).abs().amax(dim=1).min() > 1e-3
    with torch.no_grad():
        between = _between(parts, [7, medium(1), 8, medium(2), 9])
        other = _between(parts, [7, medium(3), 8, medium(2), 9])
    close(between[2], other[2])  # the last word reads medium 2 alone
    assert (between[1] - other[1]).abs().max() > 1e-3


def _between(parts: Parts, prompt: list[Piece]) -> torch.Tensor:
    """What the gated layers make `[T, D]` of the same states, whatever stands before."""
    beside = parts.beside([prompt])
    assert beside is not None
    n = sum(isinstance(piece, int) for piece in prompt)
    states = torch.randn(1, n, 32, generator=torch.Generator().manual_seed(0))
    return beside.between(torch.ones(1, n, dtype=torch.long), n)(1, states)[0]


def test_what_is_trained_is_the_part_and_comes_back(parts_of: Make, backbone_of: Make, tmp_path: Path) -> None:
    parts = parts_of(image=GATED)
    inputs = parts.embed([PROMPT[:4]])[0][None]
    found = parts.backbone.at(inputs, torch.ones(1, 3, dtype=torch.long), torch.tensor([2]), parts.beside([PROMPT[:4]]))
    torch.autograd.backward([found.logits.square().sum()])
    unused = [name for name, value in parts.inputs.named_parameters() if value.grad is None or not value.grad.any()]
    assert unused == []
    assert all(value.grad is None for value in parts.backbone.model.parameters())
    assert set(map(id, parts.part("inputs.image"))) == set(map(id, parts.inputs.parameters()))
    assert saved.backbone_digest(parts.backbone) == saved.backbone_digest(backbone_of())
    parts.trained.add("inputs.image")
    again = saved.load(saved.save(parts, tmp_path), backbone_of())
    assert torch.equal(whole(again, PROMPT[:4]), whole(parts, PROMPT[:4]))
    assert {info.name: info.shape for info in again.describe()}["inputs.image"] == "gated-cross-attention, 6 to 32"


def test_a_medium_takes_no_position_and_its_words_mark_its_place(parts_of: Make) -> None:
    parts = parts_of()
    assert parts.n_positions(medium(1)) == 0
    assert len(parts.embed([PROMPT])[0]) == 5


def test_models_on_one_backbone_do_not_read_each_others_layers(backbone_of: Make, spec_of: Make) -> None:
    backbone = backbone_of()
    inputs = {"image": {"encoder": "eye", "projector": GATED}}
    one, other = (
        Parts.build(spec_of(inputs=inputs), backbone, features=FEATURES, conditions={}, seed=seed) for seed in (1, 2)
    )
    before = whole(one, PROMPT[:4])
    for value in other.inputs.parameters():
        value.data.fill_(0.5)
    assert torch.equal(whole(one, PROMPT[:4]), before)
    assert not torch.equal(whole(other, PROMPT[:4]), before)


def test_backbones_on_one_model_do_not_hear_each_others_passes(backbone_of: Make, tokenizer_of: Make) -> None:
    backbone = backbone_of()
    inputs, mask, places = torch.randn(1, 3, 32), torch.ones(1, 3, dtype=torch.long), torch.tensor([1])
    before = backbone.at(inputs, mask, places)
    CausalBackbone(backbone.model, tokenizer_of())
    after = backbone.at(inputs, mask, places)
    assert torch.equal(before.logits, after.logits) and torch.equal(before.hidden, after.hidden)


def test_layers_that_stand_before_none_are_refused(parts_of: Make) -> None:
    with pytest.raises(ModelError, match="every: 3, but the LLM only 2 layers"):
        parts_of(image={**GATED, "every": 3})


def test_the_layers_are_as_large_as_the_published_ones() -> None:
    with torch.device("meta"):
        block = GatedBlock(2048, 16, 128)
    weights = sum(value.numel() for value in block.parameters() if value.ndim > 1)
    # Flamingo-3B, by the paper's table of parameter counts: 1.2 B before each of 24 layers of width 2048.
    assert weights * 24 / 1e9 == pytest.approx(1.2, abs=0.05)
