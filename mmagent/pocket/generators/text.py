"""What the generators are conditioned on: token states of a pretrained sentence encoder, all-MiniLM-L6-v2.

Captions are padded to L tokens as a pipeline of diffusers pads them; states `[B, L, 384]`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from mmagent.fetch import fetch

if TYPE_CHECKING:
    import torch

WEIGHTS = "all-minilm-l6-v2"
LENGTH = 24
WIDTH = 384


@cache
def text_encoder() -> tuple[Any, Any]:
    """The frozen encoder and its tokenizer, set up so that pipelines pad to `LENGTH` and let pads be passed over."""
    from transformers import AutoTokenizer, BertModel

    folder = fetch(WEIGHTS)
    tokenizer = AutoTokenizer.from_pretrained(folder, model_max_length=LENGTH)
    encoder = BertModel.from_pretrained(folder, use_safetensors=True).eval()
    encoder.requires_grad_(False)
    encoder.config.use_attention_mask = True  # read by Stable Diffusion's pipelines
    return encoder, tokenizer


def states_of(captions: Sequence[str]) -> torch.Tensor:
    """The states `[B, L, 384]` that a pipeline with this encoder has for captions; '' is no caption."""
    import torch

    encoder, tokenizer = text_encoder()
    found = tokenizer(list(captions), padding="max_length", max_length=LENGTH, truncation=True, return_tensors="pt")
    with torch.inference_mode():
        states: torch.Tensor = encoder(found.input_ids, attention_mask=found.attention_mask)[0]
    return states.clone()
