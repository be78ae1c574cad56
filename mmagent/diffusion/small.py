"""Small pipelines of diffusers' real classes with random weights: for tests, and for trying a graph without a download.

They make pictures of 32 × 32 pixels that mean nothing, in a fraction of a second, and save and load as any other.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

WORDS = ("cat", "dog", "red", "blue", "house", "balloon")


def save_small(family: str, folder: str | Path, seed: int = 0) -> Path:
    """Save a small checkpoint of a family, of pictures, videos or sounds, and return its folder.

    ValueError names the families there are: those of `FAMILIES` here, in `small_video` and in `small_audio`.
    """
    import torch

    from mmagent.diffusion import small_audio, small_video
    from mmagent.diffusion.loading import quiet

    families = {**FAMILIES, **small_video.FAMILIES, **small_audio.FAMILIES}
    if family not in families:
        raise ValueError(f"there is no small {family}, but {', '.join(sorted(families))}")
    with torch.random.fork_rng(devices=[]), quiet():
        torch.manual_seed(seed)
        families[family]().save_pretrained(folder)
        if family == "spectrogram":
            small_audio.vocoder().save_pretrained(Path(folder) / "vocoder")
    return Path(folder)


def small_tokenizer(length: int = 16) -> Any:
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


def _clip(tokenizer: Any, width: int, pooled: bool = False) -> Any:
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    config = CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=width, intermediate_size=2 * width, num_hidden_layers=3,
        num_attention_heads=2, max_position_embeddings=tokenizer.model_max_length, projection_dim=width,
        bos_token_id=len(tokenizer) - 2, eos_token_id=len(tokenizer) - 1, pad_token_id=len(tokenizer) - 1,
    )  # fmt: skip
    return CLIPTextModelWithProjection(config) if pooled else CLIPTextModel(config)


def _t5(tokenizer: Any, width: int) -> Any:
    from transformers import T5Config, T5EncoderModel

    return T5EncoderModel(
        T5Config(vocab_size=len(tokenizer), d_model=width, d_kv=8, d_ff=32, num_layers=2, num_heads=2)
    )


def _vae(channels: int = 4, **options: Any) -> Any:
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=(16, 32), layers_per_block=1, norm_num_groups=8, latent_channels=channels, sample_size=32,
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2, **options,
    )  # fmt: skip


def _unet(width: int, **options: Any) -> Any:
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        **{
            "block_out_channels": (16, 32), "layers_per_block": 1, "norm_num_groups": 8, "sample_size": 16,
            "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
            "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
            "attention_head_dim": 2, "cross_attention_dim": width, **options,
        }
    )  # fmt: skip


def _betas(**options: Any) -> dict[str, Any]:
    return {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1, **options}


def stable_diffusion(**unet: Any) -> Any:
    """Stable Diffusion: prompt embeddings `[16, 16]`."""
    from diffusers import DDIMScheduler, StableDiffusionPipeline

    tokenizer = small_tokenizer()
    return StableDiffusionPipeline(
        vae=_vae(), text_encoder=_clip(tokenizer, 16), tokenizer=tokenizer, unet=_unet(16, **unet),
        scheduler=DDIMScheduler(**_betas(clip_sample=False, set_alpha_to_one=False)), safety_checker=None,
        feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip


def stable_diffusion_xl() -> Any:
    """Stable Diffusion XL: prompt embeddings `[16, 32]` of two encoders, pooled ones `[1, 16]`."""
    from diffusers import EulerDiscreteScheduler, StableDiffusionXLPipeline

    tokenizer = small_tokenizer()
    return StableDiffusionXLPipeline(
        vae=_vae(), text_encoder=_clip(tokenizer, 16), text_encoder_2=_clip(tokenizer, 16, pooled=True),
        tokenizer=tokenizer, tokenizer_2=small_tokenizer(), scheduler=EulerDiscreteScheduler(**_betas()),
        unet=_unet(32, addition_embed_type="text_time", addition_time_embed_dim=8,
                   projection_class_embeddings_input_dim=16 + 6 * 8),
        add_watermarker=False,
    )  # fmt: skip


def stable_diffusion_3() -> Any:
    """Stable Diffusion 3 without its T5 encoder: flow matching, pooled embeddings `[1, 32]`."""
    from diffusers import FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel, StableDiffusion3Pipeline

    tokenizer = small_tokenizer()
    return StableDiffusion3Pipeline(
        transformer=SD3Transformer2DModel(
            sample_size=16, patch_size=2, in_channels=16, num_layers=1, attention_head_dim=8, num_attention_heads=4,
            joint_attention_dim=32, caption_projection_dim=32, pooled_projection_dim=32, out_channels=16,
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(), vae=_vae(16, shift_factor=0.06, scaling_factor=1.5),
        text_encoder=_clip(tokenizer, 16, pooled=True), tokenizer=tokenizer,
        text_encoder_2=_clip(tokenizer, 16, pooled=True), tokenizer_2=small_tokenizer(),
        text_encoder_3=None, tokenizer_3=None,
    )  # fmt: skip


def flux() -> Any:
    """Flux: latents packed into tokens, guidance as a number that the network is told, pooled embeddings `[1, 32]`."""
    from diffusers import FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel

    tokenizer = small_tokenizer()
    return FluxPipeline(
        transformer=FluxTransformer2DModel(
            patch_size=1, in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=16,
            num_attention_heads=2, joint_attention_dim=32, pooled_projection_dim=32, axes_dims_rope=(4, 4, 8),
            guidance_embeds=True,
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(), vae=_vae(shift_factor=0.06, scaling_factor=1.5),
        text_encoder=_clip(tokenizer, 32), tokenizer=tokenizer, text_encoder_2=_t5(tokenizer, 32),
        tokenizer_2=small_tokenizer(),
    )  # fmt: skip


def pixart(side: int = 16) -> Any:
    """PixArt-α, `side` latents wide (with 128 it is told the picture's size): a transformer that reads a T5 encoder's states `[L, 32]` with their mask."""
    from diffusers import DDIMScheduler, PixArtAlphaPipeline, PixArtTransformer2DModel

    tokenizer = small_tokenizer()
    return PixArtAlphaPipeline(
        transformer=PixArtTransformer2DModel(
            sample_size=side, patch_size=side // 8, in_channels=4, out_channels=8, num_layers=1, attention_head_dim=8,
            num_attention_heads=3, caption_channels=32, cross_attention_dim=24, norm_num_groups=8,
        ),
        scheduler=DDIMScheduler(**_betas(clip_sample=False)), vae=_vae(), text_encoder=_t5(tokenizer, 32),
        tokenizer=tokenizer,
    )  # fmt: skip


def z_image() -> Any:
    """Z-Image: prompts in the template of a chat, whose special tokens its tokenizer has to know."""
    from diffusers import FlowMatchEulerDiscreteScheduler, ZImagePipeline, ZImageTransformer2DModel
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import Qwen2Tokenizer, Qwen3Config, Qwen3Model

    tokenizer = Qwen2Tokenizer(
        vocab={letter: index for index, letter in enumerate(sorted(ByteLevel.alphabet()))}, merges=[],
        additional_special_tokens=["<|im_start|>", "<|im_end|>"],
    )  # fmt: skip
    tokenizer.chat_template = (
        "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
        "<|im_start|>assistant\n"
    )
    reader = Qwen3Config(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, head_dim=16,
    )  # fmt: skip
    return ZImagePipeline(
        transformer=ZImageTransformer2DModel(
            in_channels=4, dim=32, n_layers=1, n_refiner_layers=1, n_heads=2, n_kv_heads=2, cap_feat_dim=32,
            axes_dims=[4, 4, 8], axes_lens=[256, 32, 32],
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(), vae=_vae(shift_factor=0.06, scaling_factor=1.5),
        text_encoder=Qwen3Model(reader), tokenizer=tokenizer,
    )  # fmt: skip


FAMILIES: dict[str, Callable[[], Any]] = {
    "stable-diffusion": stable_diffusion,
    "sdxl": stable_diffusion_xl,
    "sd3": stable_diffusion_3,
    "flux": flux,
    "pixart": pixart,
    "z-image": z_image,
}
