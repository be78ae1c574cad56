"""A backbone read for training gives what it gives in decoding, at the places that are asked for alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, Gemma2Config, GPT2Config, LlamaConfig, OPTConfig

from mmagent.model.backbones.causal import CausalBackbone

SMALL: dict[str, Any] = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "vocab_size": 320}
CONFIGS: dict[str, Callable[[], Any]] = {
    "llama": lambda: LlamaConfig(**SMALL, intermediate_size=24),
    "gpt2": lambda: GPT2Config(vocab_size=320, n_embd=16, n_layer=2, n_head=2),
    "opt": lambda: OPTConfig(**SMALL, ffn_dim=24, word_embed_proj_dim=8),
    # bends its logits after they are made
    "gemma2": lambda: Gemma2Config(
        **SMALL, intermediate_size=24, head_dim=8, num_key_value_heads=2, final_logit_softcapping=0.5
    ),
}


@pytest.mark.parametrize("family", CONFIGS)
def test_chosen_places_have_the_logits_of_decoding(family: str, tokenizer: Any) -> None:
    torch.manual_seed(0)
    backbone = CausalBackbone(AutoModelForCausalLM.from_config(CONFIGS[family]()), tokenizer)
    inputs, mask = torch.randn(2, 5, backbone.in_rows.shape[1]), torch.ones(2, 5, dtype=torch.long)
    mask[1, 3:] = 0
    whole = backbone.forward(inputs, mask, backbone.cache(), keep=5)
    places = torch.tensor([1, 4, 7])
    found = backbone.at(inputs, mask, places)
    torch.testing.assert_close(found.logits, whole.logits.flatten(0, 1)[places], rtol=1e-5, atol=1e-5)
    counted = mask.bool()
    torch.testing.assert_close(found.hidden[counted], whole.hidden[counted], rtol=1e-5, atol=1e-5)
    again = backbone.forward(inputs, mask, backbone.cache(), keep=5)
    assert torch.equal(again.logits, whole.logits)  # nothing is left behind for other passes


def test_gradients_reach_the_inputs_and_no_weight(tokenizer: Any) -> None:
    backbone = CausalBackbone(AutoModelForCausalLM.from_config(CONFIGS["llama"]()), tokenizer)
    inputs = torch.randn(1, 4, 16, requires_grad=True)
    backbone.at(inputs, torch.ones(1, 4, dtype=torch.long), torch.tensor([2])).logits.sum().backward()  # type: ignore[no-untyped-call]  # torch leaves it so
    assert inputs.grad is not None and inputs.grad[0, :3].abs().min() > 0
    assert inputs.grad[0, 3].abs().max() == 0
    assert all(value.grad is None for value in backbone.model.parameters())
