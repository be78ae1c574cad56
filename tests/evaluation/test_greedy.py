"""Replies scored and texts read without decoding: the same as with it."""

from __future__ import annotations

import math
from itertools import islice
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from mmagent.errors import IntakeError
from mmagent.evaluation.greedy import greedy
from mmagent.evaluation.perplexity import perplexity
from mmagent.model.backbones.causal import CausalBackbone
from mmagent.model.decode import Sampler, decode
from mmagent.model.parts import Parts
from mmagent.model.spec import ModelSpec
from mmagent.training.lessons import Lesson, joined


@pytest.fixture(scope="module")
def parts() -> Parts:
    """A model of two layers, drawn by chance, that reads bytes."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    bare = Tokenizer(models.BPE(vocab={"<end>": 0} | {sign: at + 1 for at, sign in enumerate(alphabet)}, merges=[]))
    bare.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bare, eos_token="<end>")
    shape: dict[str, Any] = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2}
    config = LlamaConfig(vocab_size=257, num_attention_heads=2, initializer_range=0.5, **shape)
    backbone = CausalBackbone(LlamaForCausalLM(config), tokenizer)
    spec = ModelSpec.model_validate({"name": "small", "backbone": {"path": "small"}, "lora": {"rank": 2}})
    return Parts.build(spec, backbone, features={}, conditions={})


def said(parts: Parts, prompt: list[int], n: int = 3) -> list[int]:
    """The first ids that the model replies with, by the loop that decodes."""
    steps = islice(decode(parts.rows, [prompt], [], Sampler(), ()), n)
    return [number for step in steps for number in step.ids if number is not None]


def lesson(prompt: list[int], reply: list[int]) -> Lesson:
    places = range(len(prompt), len(prompt) + len(reply))
    return Lesson((*prompt, *reply), tuple(places), (), len(prompt) + len(reply))


IDS = st.lists(st.integers(1, 250), min_size=2, max_size=6)


@settings(deadline=None, max_examples=15)
@given(st.lists(IDS, min_size=1, max_size=4), st.integers(0, 3), IDS)
def test_a_reply_counts_exactly_if_decoding_gives_it(
    parts: Parts, prompts: list[list[int]], wrong: int, start: list[int]
) -> None:
    prompts = [[*start, *prompt] for prompt in prompts]
    replies = [said(parts, prompt) for prompt in prompts]
    if wrong < len(replies):
        replies[wrong][1] += 1
    wanted = [number != wrong for number in range(len(prompts))]
    lessons = [lesson(prompt, reply) for prompt, reply in zip(prompts, replies)]
    assert [reply for one in greedy(parts, lessons, batch=2) for reply in one] == wanted
    assert list(greedy(parts, [joined(lessons)])) == [wanted]


def test_a_lesson_that_was_met_is_not_read_again(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[int] = []
    read = CausalBackbone.at

    def counted(self: CausalBackbone, inputs: torch.Tensor, *rest: Any) -> Any:
        rows.append(len(inputs))
        return read(self, inputs, *rest)

    monkeypatch.setattr(CausalBackbone, "at", counted)
    one, other = lesson([1, 2], [3]), lesson([1, 3], [3])
    found = list(greedy(parts, [one, one, other, one], batch=2))
    assert rows == [1, 1] and found[0] == found[1] == found[3]


def test_perplexity_is_that_of_the_library_window_by_window(parts: Parts) -> None:
    text = "The quick brown fox."
    ids = torch.tensor(parts.backbone.tokens.content(text))
    losses = [parts.backbone.model(input_ids=run[None], labels=run[None]).loss.item() for run in (ids[:10], ids[10:])]
    assert perplexity(parts.backbone, text, window=10) == pytest.approx(math.exp(sum(losses) / 2), rel=1e-4)
    whole = parts.backbone.model(input_ids=ids[None], labels=ids[None]).loss.item()
    assert perplexity(parts.backbone, text) == pytest.approx(math.exp(whole), rel=1e-4)


def test_lora_counts_in_a_perplexity(parts: Parts) -> None:
    before = perplexity(parts.backbone, "Some words.")
    with torch.no_grad():
        kept = [value.clone() for value in parts.part("lora")]
        for value in parts.part("lora"):
            value.normal_()
        after = perplexity(parts.backbone, "Some words.")
        for value, old in zip(parts.part("lora"), kept):
            value.copy_(old)
    assert after != before == perplexity(parts.backbone, "Some words.")


def test_one_token_has_no_perplexity(parts: Parts) -> None:
    with pytest.raises(IntakeError, match="two tokens"):
        perplexity(parts.backbone, "a")
