"""Small real language models and tokenizers, made on the spot."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from mmagent.model.backbones.causal import CausalBackbone
from mmagent.model.spec import ModelSpec

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
LLAMA3 = (
    "{{ bos_token }}{% for m in messages %}{{ '<|start_header_id|>' + m['role'] + '<|end_header_id|>\n\n' "
    "+ m['content'] | trim + '<|eot_id|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
MISTRAL = (
    "{{ bos_token }}{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
    "{% if m['role'] == 'user' %}{{ '[INST] ' + m['content'] + ' [/INST]' }}"
    "{% elif m['role'] == 'assistant' %}{{ m['content'] + eos_token }}"
    "{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}{% endfor %}"
)
TEMPLATES: dict[str, tuple[str | None, str, str, list[str]]] = {
    # template, begin-of-text, end-of-text, further control tokens
    "chatml": (CHATML, "<|im_start|>", "<|im_end|>", ["<|endoftext|>", "<file_sep>"]),
    "llama3": (LLAMA3, "<|begin_of_text|>", "<|end_of_text|>", ["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]),
    "mistral": (MISTRAL, "<s>", "</s>", ["[INST]", "[/INST]", "[TOOL_CALLS]"]),
    "none": (None, "<|endoftext|>", "<|endoftext|>", []),
}  # fmt: skip
CORPUS = ["the cat sat on the mat. A dog is in the picture! Who draws a red car? user assistant system tool im_start\n"]


def make_tokenizer(kind: str = "chatml", **options: Any) -> PreTrainedTokenizerFast:
    template, begin, end, more = TEMPLATES[kind]
    bare = Tokenizer(models.BPE())
    bare.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bare.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=sorted({begin, end, *more}), show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    bare.train_from_iterator(CORPUS * 4, trainer)
    # A token that is added but not marked special, as for tool calls: it controls the model all the same.
    bare.add_tokens([AddedToken("<tool_call>", special=False), AddedToken("   ", special=False)])
    return PreTrainedTokenizerFast(
        tokenizer_object=bare, bos_token=begin, eos_token=end, pad_token=end, chat_template=template, **options
    )


def make_backbone(family: str = "llama", kind: str = "chatml") -> CausalBackbone:
    from transformers import AutoModelForCausalLM, GPT2Config, LlamaConfig, OPTConfig, Qwen2Config

    tokenizer = make_tokenizer(kind)
    size = len(tokenizer) + 5  # rows beyond the tokenizer's ids, as padded vocabularies have them
    common: dict[str, Any] = {"vocab_size": size, "bos_token_id": None, "eos_token_id": None, "pad_token_id": None}
    blocks: dict[str, Any] = {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
    }
    configs: dict[str, Callable[[], Any]] = {
        "llama": lambda: LlamaConfig(**common, **blocks, num_key_value_heads=2, max_position_embeddings=512),
        "qwen2": lambda: Qwen2Config(**common, **blocks, num_key_value_heads=2, tie_word_embeddings=True),
        "gpt2": lambda: GPT2Config(**common, n_embd=32, n_layer=2, n_head=4, n_positions=512),
        "opt": lambda: OPTConfig(
            **common, hidden_size=32, ffn_dim=48, num_hidden_layers=2, num_attention_heads=4,
            word_embed_proj_dim=16, max_position_embeddings=512,
        ),
    }  # fmt: skip
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(configs[family]())
    for parameter in model.parameters():
        parameter.data.normal_(0.0, 0.3)  # far from uniform, so that greedy choices are no ties
    return CausalBackbone(model, tokenizer)


def make_spec(**changes: Any) -> ModelSpec:
    plain = {"called": "Questions", "examples": ["Who is it?", "What is a cat?"]}
    outputs = {
        "image": {"k": 3, "opening": "a picture of", "closing": ".",
                  "requests": {"called": "Pictures", "examples": ["Draw a cat."]},
                  "shots": [{"request": "Draw a dog.", "caption": "a dog"}]},
        "speech": {"k": 2, "opening": " [spoken:", "caption": "said",
                   "requests": {"called": "Speech", "examples": ["Say it aloud."]}},
    }  # fmt: skip
    return ModelSpec.model_validate(
        {"name": "small", "backbone": {"path": "nowhere"}, "plain": plain, "outputs": outputs} | changes
    )


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tokenizer_of() -> Callable[..., PreTrainedTokenizerFast]:
    return make_tokenizer


@pytest.fixture(scope="session")
def backbone_of() -> Callable[..., CausalBackbone]:
    return make_backbone


@pytest.fixture(scope="session")
def spec_of() -> Callable[..., ModelSpec]:
    return make_spec


@pytest.fixture(scope="session")
def backbone() -> CausalBackbone:
    return make_backbone()


@pytest.fixture(scope="session")
def templates() -> list[str]:
    return sorted(TEMPLATES)
