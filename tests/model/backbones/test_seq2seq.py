"""Encoder–decoders: the encoder reads the prompt, the decoder speaks, a batch of unlike rows as each alone."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import processors
from transformers import AutoModelForSeq2SeqLM, BartConfig, T5Config

from mmagent.conversation import Conversation, Policy, Signal, message
from mmagent.errors import ModelError
from mmagent.model.backbones.causal import CausalBackbone
from mmagent.model.backbones.seq2seq import Seq2SeqBackbone
from mmagent.model.backbones.weights import load
from mmagent.model.decode import Prefix, Sampler, decode
from mmagent.model.parts import Parts
from mmagent.model.signals import SignalRows, SignalTable
from mmagent.model.speaker import Speaker

Make = Callable[..., Any]
FAMILIES = ["t5", "flan-t5", "bart"]


def make(family: str, tokenizer: Any) -> Seq2SeqBackbone:
    """T5 ties its matrices and scales what its head takes; Flan-T5 does neither and gates its layers; BART counts
    positions by place and adds a bias."""
    common = {"vocab_size": len(tokenizer) + 5, "eos_token_id": None, "pad_token_id": 0}
    t5: dict[str, Any] = {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4}
    t5 |= {"decoder_start_token_id": 0}
    bart: dict[str, Any] = {
        f"{half}_{name}": size
        for half in ("encoder", "decoder")
        for name, size in (("layers", 2), ("attention_heads", 4), ("ffn_dim", 48))
    }
    configs: dict[str, Callable[[], Any]] = {
        "t5": lambda: T5Config(**common, **t5),
        "flan-t5": lambda: T5Config(
            **common, **t5, feed_forward_proj="gated-gelu", tie_word_embeddings=False, scale_decoder_outputs=False
        ),
        "bart": lambda: BartConfig(
            **common, **bart, d_model=32, max_position_embeddings=128, bos_token_id=1, decoder_start_token_id=2,
            forced_bos_token_id=None, forced_eos_token_id=None,
        ),
    }  # fmt: skip
    torch.manual_seed(0)
    model = AutoModelForSeq2SeqLM.from_config(configs[family]())
    for name, value in model.named_parameters():
        value.data.normal_(0.0, 0.5 if "position" in name or "norm" in name or "relative" in name else 0.2)
    for buffer in (value for name, value in model.named_buffers() if name == "final_logits_bias"):
        buffer.normal_(0.0, 0.1)
    return Seq2SeqBackbone(model, tokenizer)


@pytest.fixture(scope="module")
def tokenizer(tokenizer_of: Make) -> Any:
    """A tokenizer that puts its end behind every text, as T5's does."""
    found = tokenizer_of("none")
    end = found.eos_token
    found.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=f"$A {end}", special_tokens=[(end, found.eos_token_id)]
    )
    return found


@pytest.fixture(scope="module", params=FAMILIES)
def backbone(request: pytest.FixtureRequest, tokenizer: Any) -> Seq2SeqBackbone:
    return make(request.param, tokenizer)


def rows_of(backbone: Any, reads: bool = False) -> SignalRows:
    table = SignalTable(backbone.n_vocab, {"image": 3, "speech": 1})
    return SignalRows(backbone, table, {table["image"].open: [20, 21, 22]} if reads else {})


def go_on(rows: SignalRows, prompts: Sequence[Any], n: int = 8, **more: Any) -> tuple[list[list[int]], torch.Tensor]:
    """The next n ids of each prompt, whatever they are, and the states they were predicted from `[n, B, D]`."""
    steps = list(itertools.islice(decode(rows, prompts, [], Sampler(), (), **more), n))
    return [[step.ids[at] or 0 for step in steps] for at in range(len(prompts))], torch.stack([s.hidden for s in steps])


def close(one: torch.Tensor, other: torch.Tensor) -> None:
    torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


def test_greedy_ids_are_those_that_transformers_generates(backbone: Seq2SeqBackbone, tokenizer: Any) -> None:
    prompt = torch.tensor([[7, 8, 9, 10, tokenizer.eos_token_id]])
    theirs = backbone.model.generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=8, do_sample=False)
    ours, _ = go_on(SignalRows(backbone, SignalTable(backbone.n_vocab, {})), [[7, 8, 9, 10]])
    assert ours[0] == theirs[0, 1:].tolist()


def test_a_reply_begins_as_its_model_was_taught_to(tokenizer: Any) -> None:
    backbone = make("bart", tokenizer)
    backbone.model.generation_config.forced_bos_token_id = 9
    again = Seq2SeqBackbone(backbone.model, tokenizer)
    prompt = torch.tensor([[7, 8, tokenizer.eos_token_id]])
    theirs = backbone.model.generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=8, do_sample=False)
    ours, _ = go_on(SignalRows(again, SignalTable(again.n_vocab, {})), [[7, 8]], n=7)
    assert ours[0] == theirs[0, 2:].tolist()


@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_rows_of_a_batch_say_what_they_say_alone(backbone: Seq2SeqBackbone, data: st.DataObject) -> None:
    rows = rows_of(backbone)
    number = st.integers(5, rows.table.end - 1)
    prompts = data.draw(st.lists(st.lists(number, min_size=1, max_size=9), min_size=2, max_size=4))
    together, states = go_on(rows, prompts, n=4)
    for at, prompt in enumerate(prompts):
        alone, own = go_on(rows, [prompt], n=4)
        assert together[at] == alone[0]
        close(states[:, at], own[:, 0])


def test_rows_that_go_on_by_unlike_lengths_do_not_move_each_other(backbone: Seq2SeqBackbone) -> None:
    rows = rows_of(backbone, reads=True)  # the open id is read as three positions
    opens = rows.table["image"].open
    scripts = [[9, opens, 10, 11, 12], [9, 13, 14, 15, 16]]

    def decoded(which: Sequence[int]) -> torch.Tensor:
        def follow(said: Any, logits: torch.Tensor) -> torch.Tensor:
            forced = torch.full_like(logits, -9.0)  # not impossible, so that each is a pass of its own
            for row, at in enumerate(which):
                forced[row, scripts[at][len(said[row])]] = 9.0
            return forced

        steps = itertools.islice(decode(rows, [[7, 8]] * len(which), [follow], Sampler(), ()), 5)
        return torch.stack([step.hidden for step in steps])

    together = decoded([0, 1])
    for at in (0, 1):
        close(together[:, at], decoded([at])[:, 0])


def test_going_on_from_a_prefix_says_what_the_whole_prompt_says(backbone: Seq2SeqBackbone) -> None:
    rows = rows_of(backbone)
    beginnings, rest = [[7, 8, 9], [30]], [[10, 11], [rows.table["image"].open, 12, 13]]
    prefix = Prefix(rows, beginnings)
    prefix.log_likelihoods([4, 5])  # replying to it leaves it as it was
    for _ in range(2):
        found, states = go_on(rows, rest, prefix=prefix)
        whole, own = go_on(rows, [a + b for a, b in zip(beginnings, rest)])
        assert found == whole
        close(states, own)


def test_a_prefix_gives_the_likelihood_of_replies(backbone: Seq2SeqBackbone, tokenizer: Any) -> None:
    prefix = Prefix(rows_of(backbone), [[7, 8, 9], [30]])
    for prompt, total in zip([[7, 8, 9], [30]], prefix.log_likelihoods([10, 11, 12])):
        with torch.no_grad():
            found = backbone.model(
                input_ids=torch.tensor([[*prompt, tokenizer.eos_token_id]]),
                decoder_input_ids=torch.tensor([[*backbone._start, 10, 11]]),
            ).logits[0].log_softmax(-1)  # fmt: skip
        assert total == pytest.approx(float(found[0, 10] + found[1, 11] + found[2, 12]), abs=1e-3)


def test_signals_have_logits_on_the_scale_of_words(backbone: Seq2SeqBackbone) -> None:
    rows = rows_of(backbone)
    cache = backbone.cache()
    inputs = rows.embed([7, 8])[None]
    backbone.read(inputs, torch.ones(1, 2, dtype=torch.long), cache)
    found = backbone.begin(cache)
    bias = getattr(backbone.model, "final_logits_bias", torch.zeros(1))
    close(found.logits[:, -1], found.hidden[:, -1] @ backbone.out_rows.T + bias)


@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_training_reads_what_decoding_says(backbone: Seq2SeqBackbone, data: st.DataObject) -> None:
    rows = rows_of(backbone)
    lists = st.lists(st.integers(5, rows.table.end - 1), min_size=1, max_size=5)
    lessons = data.draw(st.lists(st.tuples(lists, lists), min_size=1, max_size=3))
    length = max(len(prompt) + len(reply) for prompt, reply in lessons)
    inputs = torch.full((len(lessons), length, backbone.in_rows.shape[1]), 7.0)  # what is padded may be anything
    mask = torch.zeros(len(lessons), length, dtype=torch.long)
    places = []
    for row, (prompt, reply) in enumerate(lessons):
        n = len(prompt) + len(reply)
        inputs[row, :n], mask[row, :n] = rows.embed([*prompt, *reply]).detach(), 1
        places += [row * length + at for at in range(len(prompt) - 1, n)]
    found = backbone.at(inputs, mask, torch.tensor(places))
    logits, hidden = iter(found.logits), found.hidden
    for row, (prompt, reply) in enumerate(lessons):
        with torch.no_grad():
            cache = backbone.cache()
            backbone.read(rows.embed(prompt)[None], torch.ones(1, len(prompt)), cache)
            first = backbone.begin(cache)
            rest = backbone.forward(rows.embed(reply)[None], torch.ones(1, len(reply)), cache, keep=len(reply))
        wanted = torch.cat([first.logits[0], rest.logits[0]])
        close(torch.stack([next(logits) for _ in wanted]), wanted)
        close(hidden[row, len(prompt) - 1 : len(prompt) + len(reply)], torch.cat([first.hidden[0], rest.hidden[0]]))
    assert next(logits, None) is None


def test_gradients_reach_rows_of_prompts_and_replies_and_no_weight(backbone: Seq2SeqBackbone) -> None:
    rows = rows_of(backbone)
    image, speech = rows.table["image"], rows.table["speech"]
    inputs = rows.embed([7, speech.open, 8, image.open, *image.signals])[None]  # the prompt ends with 8
    found = backbone.at(inputs, torch.ones(1, 7, dtype=torch.long), torch.tensor([2, 3, 4]))
    torch.autograd.backward([rows.logits(found.logits, found.hidden[0, 2:5]).square().sum()])
    assert all(rows.of_into[name].grad is not None for name in ("image", "speech"))
    grads = [rows.of_into["image"].grad, rows.of_into["speech"].grad]
    assert all(grad is not None and grad[0].abs().sum() > 0 for grad in grads)
    assert all(value.grad is None for value in backbone.model.parameters())


def test_speakers_and_projectors_stand_around_it(tokenizer: Any, spec_of: Make) -> None:
    backbone = make("t5", tokenizer)
    spec = spec_of(lora={"rank": 2, "targets": ["q", "v"]})
    parts = Parts.build(spec, backbone, features={}, conditions={})
    said = list(
        Speaker(parts).speak(
            Conversation([message("user", "Draw a cat.")]), Policy(max_tokens=40, force=("image",)), {"image": "image"}
        )
    )
    (signal,) = [piece for piece in said if isinstance(piece, Signal)]
    assert signal.states is not None and signal.states.array.shape == (3, 32)
    assert all(math.isfinite(value) for value in signal.states.array.flatten())


def test_gated_layers_are_refused(backbone: Seq2SeqBackbone) -> None:
    with pytest.raises(ModelError, match="between the layers of an encoder–decoder"):
        _ = backbone.layers


def test_a_folder_loads_as_the_kind_that_it_is(backbone_of: Make, tokenizer: Any, tmp_path: Path) -> None:
    theirs = make("t5", tokenizer)
    for name, own in (("both", theirs), ("one", backbone_of())):
        own.model.save_pretrained(tmp_path / name)
        tokenizer.save_pretrained(tmp_path / name)
    again = load(tmp_path / "both")
    assert isinstance(again, Seq2SeqBackbone) and isinstance(load(tmp_path / "one"), CausalBackbone)
    assert go_on(rows_of(again), [[7, 8]])[0] == go_on(rows_of(theirs), [[7, 8]])[0]
    with pytest.raises(ModelError, match="both cannot be loaded as a causal language model"):
        CausalBackbone.load(tmp_path / "both")
