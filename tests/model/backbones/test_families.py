"""What families of LLMs do each their own way: scales of embeddings and logits, positions, layers, states."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    CohereConfig,
    Gemma2Config,
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    Gemma3TextConfig,
    GraniteConfig,
    LlamaConfig,
    MambaConfig,
    SiglipVisionConfig,
)

from mmagent import Policy, message
from mmagent.conversation import Conversation
from mmagent.errors import ModelError
from mmagent.model.backbones.bend import bend
from mmagent.model.backbones.causal import CausalBackbone
from mmagent.model.parts import Parts
from mmagent.model.signals import SignalRows, SignalTable
from mmagent.model.speaker import Speaker

Make = Callable[..., Any]
SHAPE: dict[str, Any] = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 8, "pad_token_id": None, "bos_token_id": None, "eos_token_id": None,
}  # fmt: skip
CONFIGS: dict[str, Callable[[int], Any]] = {
    "llama": lambda size: LlamaConfig(**SHAPE, vocab_size=size),
    "granite": lambda size: GraniteConfig(**SHAPE, vocab_size=size, logits_scaling=8.0),
    "cohere": lambda size: CohereConfig(**SHAPE, vocab_size=size, logit_scale=16.0),
    "gemma2": lambda size: Gemma2Config(**SHAPE, vocab_size=size, final_logit_softcapping=3.0),
    "gemma3": lambda size: Gemma3TextConfig(**SHAPE, vocab_size=size),
}


@pytest.fixture(scope="module")
def tokenizer(tokenizer_of: Make) -> Any:
    return tokenizer_of()


def make(family: str, tokenizer: Any) -> CausalBackbone:
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(CONFIGS[family](len(tokenizer)))
    for parameter in model.parameters():
        parameter.data.normal_(0.0, 0.3)
    return CausalBackbone(model, tokenizer)


@pytest.mark.parametrize("family", CONFIGS)
def test_a_signal_with_the_row_of_a_word_is_as_probable_as_the_word(family: str, tokenizer: Any) -> None:
    backbone = make(family, tokenizer)
    rows = SignalRows(backbone, SignalTable(backbone.n_vocab, {"image": 2}))
    rows.of_out["image"].data = backbone.out_rows[[20, 21, 22]].clone()
    inputs, mask = backbone.embed(torch.tensor([[7, 8, 9]])), torch.ones(1, 3, dtype=torch.long)
    found = backbone.at(inputs, mask, torch.arange(3))
    logits = rows.logits(found.logits, found.hidden[0])
    assert logits[:, 20:23].std() > 0.01
    torch.testing.assert_close(logits[:, backbone.n_vocab :], logits[:, 20:23], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("family", CONFIGS)
def test_a_signal_begins_as_the_model_reads_the_word_that_it_stands_for(family: str, tokenizer: Any) -> None:
    backbone = make(family, tokenizer)
    table = SignalTable(backbone.n_vocab, {"image": 2})
    rows = SignalRows(backbone, table, {table["image"].open: [20]}).spelt({})
    word, signal = backbone.embed(torch.tensor([20])), rows.embed([table["image"].open])
    assert torch.nn.functional.cosine_similarity(word, signal).item() > 0.9
    assert signal.norm().item() == pytest.approx(word.norm().item(), rel=0.1)


def test_logits_that_are_bent_otherwise_are_refused(tokenizer: Any) -> None:
    model, raw = make("llama", tokenizer).model, torch.linspace(-4, 4, 50)
    assert torch.equal(bend(model, raw, raw)(raw), raw)
    with pytest.raises(ModelError, match="LlamaForCausalLM bends its logits"):
        bend(model, raw, raw.square())


@pytest.mark.parametrize(("family", "most"), [("gpt2", 512), ("opt", 512), ("llama", None)])
def test_a_context_is_no_longer_than_the_positions_that_were_learnt(
    backbone_of: Make, spec_of: Make, family: str, most: int | None
) -> None:
    backbone = backbone_of(family)
    parts = Parts.build(spec_of(context=700), backbone, features={}, conditions={})
    assert backbone.learnt_positions == most and parts.context == (most or 700)
    talk = Conversation([message("user", "the cat sat on the mat. " * 400)])
    said = Speaker(parts).speak(talk, Policy(max_tokens=4, forbid=("image", "speech")), {})
    assert list(said) is not None  # what a longer prompt would raise is an IndexError


def test_layers_are_those_of_the_language_model_and_not_of_its_eye(tokenizer: Any) -> None:
    text = {**SHAPE, "num_hidden_layers": 2, "vocab_size": len(tokenizer)}
    eye = SiglipVisionConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2, image_size=8, patch_size=4
    )
    torch.manual_seed(0)
    model = Gemma3ForConditionalGeneration(
        Gemma3Config(text_config=text, vision_config=eye.to_dict(), mm_tokens_per_image=4)
    )
    backbone = CausalBackbone(model, tokenizer)
    own = {id(part) for part in model.get_decoder().modules()}
    assert backbone.layers == (2, 32) and all(id(layer) in own for layer in backbone._layers)


def test_models_that_keep_a_state_are_refused(tokenizer: Any) -> None:
    model = AutoModelForCausalLM.from_config(
        MambaConfig(vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=1, state_size=4)
    )
    with pytest.raises(ModelError, match="MambaForCausalLM remembers what it reads as a state"):
        CausalBackbone(model, tokenizer)
