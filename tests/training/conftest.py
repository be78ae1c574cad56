"""Small real media files, and records that refer to them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmagent.media import Audio, Image, Video

Write = Callable[..., Path]


@pytest.fixture
def picture(tmp_path: Path) -> Write:
    """Writes a picture of one colour, which the name decides, below the test's folder."""

    def write(name: str, shade: int = 100) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return Image(np.full((6, 4, 3), shade, np.uint8)).save(path)

    return write


@pytest.fixture
def sound(tmp_path: Path) -> Write:
    """Writes a tenth of a second of a sine."""

    def write(name: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return Audio(0.3 * np.sin(np.arange(800) / 5).astype("float32"), 8000).save(path)

    return write


@pytest.fixture
def film(tmp_path: Path) -> Write:
    """Writes three frames."""

    def write(name: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return Video(np.full((3, 16, 16, 3), 90, np.uint8), fps=4).save(path)

    return write


CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
WORDS = "the cat sat on the mat. A dog is in the picture! What colour is it? Draw a red blue green square.\n"


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    """A byte-level tokenizer of some 320 tokens with a chat template."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bare = Tokenizer(models.BPE())
    bare.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bare.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=["<|im_start|>", "<|im_end|>"], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    bare.train_from_iterator([WORDS] * 4, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=bare, bos_token="<|im_start|>", eos_token="<|im_end|>", pad_token="<|im_end|>",
        chat_template=CHATML,
    )  # fmt: skip


@pytest.fixture(scope="session")
def llm(tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a Llama of two layers and 32 dimensions, weights by chance."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer), hidden_size=32, intermediate_size=48, num_hidden_layers=2,
            num_attention_heads=4, max_position_embeddings=512, bos_token_id=None, eos_token_id=None,
        )
    )  # fmt: skip
    for parameter in model.parameters():
        parameter.data.normal_(0.0, 0.3)
    folder = tmp_path_factory.mktemp("llm")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
