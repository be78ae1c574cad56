"""Tokenizers, text encoders and VAEs that small pipelines share."""

from __future__ import annotations

from typing import Any

WORDS = ("cat", "dog", "red", "blue", "house", "balloon")


def clip_tokenizer(length: int = 16) -> Any:
    """A CLIPTokenizer over bytes that knows a few words whole; texts are `length` tokens long."""
    from transformers import CLIPTokenizer
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    letters = list(bytes_to_unicode().values())
    pieces = [*letters, *(f"{letter}</w>" for letter in letters)]
    merges: list[tuple[str, str]] = []
    for word in WORDS:
        left = word[0]
        for letter, end in zip(word[1:], [""] * (len(word) - 2) + ["</w>"], strict=True):
            if (left, letter + end) not in merges:
                merges.append((left, letter + end))
                pieces.append(left + letter + end)
            left += letter
    pieces += ["<|startoftext|>", "<|endoftext|>"]
    vocabulary = {piece: index for index, piece in enumerate(dict.fromkeys(pieces))}
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=length)


def t5_tokenizer(length: int = 16) -> Any:
    """A T5Tokenizer over letters that knows a few words whole; texts are at most `length` tokens long."""
    from transformers import T5Tokenizer

    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0)]
    pieces += [(f"▁{word}", -1.0) for word in WORDS]
    pieces += [(letter, -3.0) for letter in "abcdefghijklmnopqrstuvwxyz"]
    return T5Tokenizer(vocab=pieces, extra_ids=0, model_max_length=length)


def roberta_tokenizer(length: int) -> Any:
    """A RobertaTokenizer over bytes, filled up to `length` tokens."""
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import RobertaTokenizer

    pieces = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *sorted(ByteLevel.alphabet())]
    return RobertaTokenizer(
        vocab={piece: index for index, piece in enumerate(pieces)}, merges=[], model_max_length=length
    )


def chat_tokenizer() -> Any:
    """A Qwen2Tokenizer over bytes with a template of its own special tokens."""
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import Qwen2Tokenizer

    tokenizer = Qwen2Tokenizer(
        vocab={letter: index for index, letter in enumerate(sorted(ByteLevel.alphabet()))}, merges=[],
        additional_special_tokens=["<|im_start|>", "<|im_end|>"],
    )  # fmt: skip
    tokenizer.chat_template = (
        "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
        "<|im_start|>assistant\n"
    )
    return tokenizer


def clip_encoder(tokenizer: Any, width: int, pooled: bool = False) -> Any:
    """A CLIPTextModel, or, `pooled`, a CLIPTextModelWithProjection."""
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    config = CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=width, intermediate_size=2 * width, num_hidden_layers=3,
        num_attention_heads=2, max_position_embeddings=tokenizer.model_max_length, projection_dim=width,
        bos_token_id=len(tokenizer) - 2, eos_token_id=len(tokenizer) - 1, pad_token_id=len(tokenizer) - 1,
    )  # fmt: skip
    return CLIPTextModelWithProjection(config) if pooled else CLIPTextModel(config)


def t5_encoder(tokenizer: Any, kind: str = "T5", width: int = 32) -> Any:
    """An encoder of class `T5EncoderModel` or, with kind `UMT5`, `UMT5EncoderModel`."""
    import transformers

    config = getattr(transformers, f"{kind}Config")
    return getattr(transformers, f"{kind}EncoderModel")(
        config(vocab_size=len(tokenizer), d_model=width, d_kv=8, d_ff=32, num_layers=1, num_heads=2)
    )


def vae(channels: int = 4, **options: Any) -> Any:
    """An AutoencoderKL of 2 × 2 pixels a latent."""
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=(16, 32), layers_per_block=1, norm_num_groups=8, latent_channels=channels, sample_size=32,
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2, **options,
    )  # fmt: skip


def betas(**options: Any) -> dict[str, Any]:
    """Stable Diffusion's noise, for any scheduler."""
    return {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1, **options}
