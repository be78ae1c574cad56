from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from mmagent.errors import ModelError
from mmagent.model.backbones.causal import CausalBackbone
from mmagent.model.backbones.weights import quiet
from mmagent.model.decode import Prefix, Sampler, decode
from mmagent.model.signals import SignalRows, SignalTable

Make = Callable[..., Any]
FAMILIES = ["llama", "qwen2", "gpt2", "opt"]


def rows_of(backbone: CausalBackbone, reads: bool = False) -> SignalRows:
    table = SignalTable(backbone.n_vocab, {"image": 3, "speech": 1})
    return SignalRows(backbone, table, {table["image"].open: [20, 21, 22]} if reads else {})


def go_on(rows: SignalRows, prompts: list[list[int]], n: int = 12) -> tuple[list[list[int]], torch.Tensor]:
    """The next n ids of each prompt, whatever they are, and the states they were predicted from `[n, B, D]`."""
    steps = []
    for step in decode(rows, prompts, [], Sampler(), ends=()):
        steps.append(step)
        if len(steps) == n:
            break
    said = [[step.ids[at] or 0 for step in steps] for at in range(len(prompts))]
    return said, torch.stack([step.hidden for step in steps])


@pytest.mark.parametrize("family", FAMILIES)
def test_rows_of_a_batch_say_what_they_say_alone(backbone_of: Make, family: str) -> None:
    rows = rows_of(backbone_of(family), reads=True)
    opens = rows.table["image"].open
    prompts = [[7, 8, 9, 10, 11, 12, 13], [30], [14, opens, 16, 17], [opens]]
    together, states = go_on(rows, prompts)
    for at, prompt in enumerate(prompts):
        alone, own = go_on(rows, [prompt])
        assert together[at] == alone[0]
        torch.testing.assert_close(states[:, at], own[:, 0], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_loop_says_what_one_pass_over_everything_says(backbone_of: Make, family: str) -> None:
    backbone = backbone_of(family)
    rows = rows_of(backbone)
    said, states = go_on(rows, [[7, 8, 9]], n=8)
    ids = [7, 8, 9, *said[0]]
    with torch.no_grad():
        inputs = rows.embed(ids)[None]
        found = backbone.forward(inputs, torch.ones(1, len(ids), dtype=torch.long), backbone.cache(), keep=len(ids))
        logits = rows.logits(found.logits[0], found.hidden[0])
    assert logits[2:-1].argmax(-1).tolist() == said[0]
    torch.testing.assert_close(found.hidden[0, 2:-1], states[:, 0], rtol=1e-3, atol=1e-3)


def test_greedy_ids_are_those_that_transformers_generates(backbone: CausalBackbone) -> None:
    prompt = torch.tensor([[7, 8, 9, 10]])
    theirs = backbone.model.generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=12, do_sample=False)
    table = SignalTable(backbone.n_vocab, {})
    ours, _ = go_on(SignalRows(backbone, table, {}), [prompt[0].tolist()])
    assert ours[0] == theirs[0, 4:].tolist()


@pytest.mark.parametrize("family", FAMILIES)
def test_signal_rows_stand_beside_matrices_that_are_not_touched(backbone_of: Make, family: str) -> None:
    backbone = backbone_of(family)
    before = backbone.in_rows.clone(), backbone.out_rows.clone()
    rows = rows_of(backbone)
    ids = [5, rows.table["image"].open, *rows.table["image"].signals]
    embedded = rows.embed(ids)
    whole = torch.cat([backbone.in_rows[: backbone.n_vocab], rows.into])
    torch.testing.assert_close(embedded, whole[ids])
    hidden = torch.randn(2, backbone.out_rows.shape[1])
    frozen = torch.randn(2, backbone.n_vocab)
    logits = rows.logits(frozen, hidden)
    assert logits.shape == (2, backbone.n_vocab + 6)
    torch.testing.assert_close(logits[:, backbone.n_vocab :], hidden @ rows.out.T)
    assert torch.equal(before[0], backbone.in_rows) and torch.equal(before[1], backbone.out_rows)


def test_gradients_reach_signal_rows_and_no_weight_of_the_backbone(backbone: CausalBackbone) -> None:
    rows = rows_of(backbone)
    inputs = rows.embed([5, rows.table["image"].open])[None]
    found = backbone.forward(inputs, torch.ones(1, 2, dtype=torch.long), backbone.cache())
    total = rows.logits(found.logits[:, -1], found.hidden[:, -1]).sum()
    torch.autograd.backward([total])
    first = rows.of_into["image"].grad
    assert first is not None and first[0].abs().sum() > 0
    assert all(own.grad is not None for own in rows.of_out.values())
    assert all(parameter.grad is None for parameter in backbone.model.parameters())


def test_untrained_rows_differ_from_each_other(backbone: CausalBackbone) -> None:
    rows = rows_of(backbone)
    for matrix in (rows.into, rows.out):
        distances = torch.cdist(matrix, matrix) + 9 * torch.eye(len(matrix))
        assert distances.min() > 0.01


def test_a_table_for_another_vocabulary_is_refused(backbone: CausalBackbone) -> None:
    with pytest.raises(ModelError, match="signal ids begin at 17"):
        SignalRows(backbone, SignalTable(17, {"image": 1}), {})


def test_a_tokenizer_that_does_not_fit_the_model_is_refused(backbone_of: Make, tokenizer_of: Make) -> None:
    tokenizer = tokenizer_of()
    tokenizer.add_tokens([f"extra{number}" for number in range(50)])
    with pytest.raises(ModelError, match="load the tokenizer that belongs to the model"):
        CausalBackbone(backbone_of().model, tokenizer)


def test_a_prefix_gives_the_likelihood_of_what_follows_and_keeps_nothing_of_it(backbone: CausalBackbone) -> None:
    rows = rows_of(backbone)
    prompts = [[7, 8, 9], [30], [14, 15, 16, 17]]
    prefix = Prefix(rows, prompts)
    wanted = []
    for prompt in prompts:
        with torch.no_grad():
            inputs = backbone.embed(torch.tensor([[*prompt, 10, 11]]))
            n = len(prompt)
            found = backbone.forward(inputs, torch.ones(1, n + 2, dtype=torch.long), backbone.cache(), keep=n + 2)
            logs = found.logits[0].log_softmax(-1)
        wanted.append([float(logs[n - 1, 10]), float(logs[n, 11] + logs[n + 1, 12])])
    for _ in range(2):
        assert prefix.log_likelihoods([10, 11, 12]) == pytest.approx([sum(item) for item in wanted], abs=1e-3)
        assert prefix.log_likelihoods([10]) == pytest.approx([item[0] for item in wanted], abs=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_going_on_from_a_prefix_says_what_the_whole_prompt_says(backbone_of: Make, family: str) -> None:
    rows = rows_of(backbone_of(family), reads=True)
    beginnings, rest = [[7, 8, 9], [30]], [[10, 11], [rows.table["image"].open, 12, 13]]
    prefix = Prefix(rows, beginnings)
    for _ in range(2):
        found = list(itertools.islice(decode(rows, rest, [], Sampler(), (), prefix), 8))
        whole = list(itertools.islice(decode(rows, [a + b for a, b in zip(beginnings, rest)], [], Sampler(), ()), 8))
        assert [step.ids for step in found] == [step.ids for step in whole]
        for one, other in zip(found, whole):
            torch.testing.assert_close(one.hidden, other.hidden, rtol=1e-3, atol=1e-3)


class Passes:
    """A backbone that counts the positions of each pass."""

    def __init__(self, backbone: CausalBackbone) -> None:
        self._backbone, self.lengths = backbone, list[int]()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backbone, name)

    def forward(self, inputs: torch.Tensor, *rest: Any, **options: Any) -> Any:
        self.lengths.append(inputs.shape[1])
        return self._backbone.forward(inputs, *rest, **options)


def test_ids_that_nothing_else_can_follow_are_read_in_one_pass_and_have_their_states(backbone: CausalBackbone) -> None:
    rows = rows_of(backbone, reads=True)  # the open id is read as three positions
    opens, script = rows.table["image"].open, [20, rows.table["image"].open, 21, 22, 3]

    def script_of(spread: float) -> Any:
        def follow(said: Any, logits: torch.Tensor) -> torch.Tensor:
            found = torch.full_like(logits, -spread)
            found[:, script[len(said[0])]] = 9.0
            return found

        return follow

    fast, slow = Passes(backbone), Passes(backbone)
    steps = []
    for passes, spread in ((fast, math.inf), (slow, 9.0)):
        rows.backbone = passes
        steps.append(list(decode(rows, [[7, 8], [9]], [script_of(spread)], Sampler(), ends={3})))
    rows.backbone = backbone
    assert opens in script
    assert [step.ids for step in steps[0]] == [step.ids for step in steps[1]] == [(number,) * 2 for number in script]
    for one, other in zip(*steps):
        torch.testing.assert_close(one.hidden, other.hidden, rtol=1e-3, atol=1e-3)
    assert fast.lengths == [6]  # 20, three for the open id, 21, 22
    assert slow.lengths == [1, 3, 1, 1]


def test_rows_that_have_ended_are_left_alone_until_all_have(backbone: CausalBackbone) -> None:
    rows = rows_of(backbone)
    script = {(): [3, 9], (9,): [0, 3]}  # the first row ends at once, the second after one id

    def follow(said: Any, logits: torch.Tensor) -> torch.Tensor:
        forced = torch.full_like(logits, -9.0)
        for at, row in enumerate(said):
            forced[at, script[tuple(row)][at]] = 9.0
        return forced

    steps = list(decode(rows, [[7], [8, 9]], [follow], Sampler(), ends={3}))
    assert [step.ids for step in steps] == [(3, 9), (None, 3)]


def test_a_seed_repeats_a_draw_and_top_p_leaves_out_the_tail() -> None:
    logits = torch.log(torch.tensor([[0.5, 0.3, 0.15, 0.05]]))

    def draws(seed: int) -> list[int]:
        sample = Sampler(temperature=1.0, seed=seed, top_p=0.7)
        return [sample(logits)[0] for _ in range(200)]

    assert draws(1) == draws(1) != draws(2)
    assert set(draws(1)) == {0, 1}
    assert Sampler()(logits) == [0]


def test_a_saved_model_loads_from_its_folder_and_says_the_same(
    backbone: CausalBackbone, tokenizer_of: Make, tmp_path: Path
) -> None:
    backbone.model.save_pretrained(tmp_path)
    tokenizer_of().save_pretrained(tmp_path)
    again = CausalBackbone.load(tmp_path)
    assert go_on(rows_of(again), [[7, 8]])[0] == go_on(rows_of(backbone), [[7, 8]])[0]
    assert not any(parameter.requires_grad for parameter in again.model.parameters())


@pytest.mark.parametrize("source", ["no-such-folder-or-model", "missing.gguf"])
def test_a_source_that_is_not_there_is_refused(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match=source):
        CausalBackbone.load(source)


def test_loading_shows_no_progress_bars_and_leaves_them_to_others(
    backbone: CausalBackbone, tokenizer_of: Make, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from transformers import modeling_gguf_pytorch_utils
    from transformers.utils import logging

    backbone.model.save_pretrained(tmp_path)
    tokenizer_of().save_pretrained(tmp_path)
    capfd.readouterr()
    CausalBackbone.load(tmp_path)
    with quiet():
        list(modeling_gguf_pytorch_utils.tqdm([1], desc="one"))
    assert capfd.readouterr().err == ""
    assert logging.is_progress_bar_enabled()
    list(modeling_gguf_pytorch_utils.tqdm([1], desc="one"))
    assert "one" in capfd.readouterr().err
