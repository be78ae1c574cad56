"""Small pipelines for pictures of 32 × 32 pixels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mmagent.diffusion.small.parts import betas, chat_tokenizer, clip_encoder, clip_tokenizer, t5_encoder, vae


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


def stable_diffusion(**unet: Any) -> Any:
    """Stable Diffusion: prompt embeddings `[16, 16]`."""
    from diffusers import DDIMScheduler, StableDiffusionPipeline

    tokenizer = clip_tokenizer()
    return StableDiffusionPipeline(
        vae=vae(), text_encoder=clip_encoder(tokenizer, 16), tokenizer=tokenizer, unet=_unet(16, **unet),
        scheduler=DDIMScheduler(**betas(clip_sample=False, set_alpha_to_one=False)), safety_checker=None,
        feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip


def stable_diffusion_xl() -> Any:
    """Stable Diffusion XL: prompt embeddings `[16, 32]` of two encoders, pooled ones `[1, 16]`."""
    from diffusers import EulerDiscreteScheduler, StableDiffusionXLPipeline

    tokenizer = clip_tokenizer()
    return StableDiffusionXLPipeline(
        vae=vae(), text_encoder=clip_encoder(tokenizer, 16), text_encoder_2=clip_encoder(tokenizer, 16, pooled=True),
        tokenizer=tokenizer, tokenizer_2=clip_tokenizer(), scheduler=EulerDiscreteScheduler(**betas()),
        unet=_unet(32, addition_embed_type="text_time", addition_time_embed_dim=8,
                   projection_class_embeddings_input_dim=16 + 6 * 8),
        add_watermarker=False,
    )  # fmt: skip


def stable_diffusion_3() -> Any:
    """Stable Diffusion 3 without its T5 encoder: flow matching, pooled embeddings `[1, 32]`."""
    from diffusers import FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel, StableDiffusion3Pipeline

    tokenizer = clip_tokenizer()
    return StableDiffusion3Pipeline(
        transformer=SD3Transformer2DModel(
            sample_size=16, patch_size=2, in_channels=16, num_layers=1, attention_head_dim=8, num_attention_heads=4,
            joint_attention_dim=32, caption_projection_dim=32, pooled_projection_dim=32, out_channels=16,
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(), vae=vae(16, shift_factor=0.06, scaling_factor=1.5),
        text_encoder=clip_encoder(tokenizer, 16, pooled=True), tokenizer=tokenizer,
        text_encoder_2=clip_encoder(tokenizer, 16, pooled=True), tokenizer_2=clip_tokenizer(),
        text_encoder_3=None, tokenizer_3=None,
    )  # fmt: skip


def flux() -> Any:
    """Flux: latents packed into tokens, guidance as a number that the network is told, pooled embeddings `[1, 32]`."""
    from diffusers import FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel

    tokenizer = clip_tokenizer()
    return FluxPipeline(
        transformer=FluxTransformer2DModel(
            patch_size=1, in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=16,
            num_attention_heads=2, joint_attention_dim=32, pooled_projection_dim=32, axes_dims_rope=(4, 4, 8),
            guidance_embeds=True,
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(), vae=vae(shift_factor=0.06, scaling_factor=1.5),
        text_encoder=clip_encoder(tokenizer, 32), tokenizer=tokenizer, text_encoder_2=t5_encoder(tokenizer),
        tokenizer_2=clip_tokenizer(),
    )  # fmt: skip


def pixart(side: int = 16) -> Any:
    """PixArt-α, `side` latents wide (with 128 it is told the picture's size): a transformer that reads a T5 encoder's states `[L, 32]` with their mask."""
    from diffusers import DDIMScheduler, PixArtAlphaPipeline, PixArtTransformer2DModel

    tokenizer = clip_tokenizer()
    return PixArtAlphaPipeline(
        transformer=PixArtTransformer2DModel(
            sample_size=side, patch_size=side // 8, in_channels=4, out_channels=8, num_layers=1, attention_head_dim=8,
            num_attention_heads=3, caption_channels=32, cross_attention_dim=24, norm_num_groups=8,
        ),
        scheduler=DDIMScheduler(**betas(clip_sample=False)), vae=vae(), text_encoder=t5_encoder(tokenizer),
        tokenizer=tokenizer,
    )  # fmt: skip


def z_image() -> Any:
    """Z-Image: prompts in the template of a chat, whose special tokens its tokenizer has to know."""
    from diffusers import FlowMatchEulerDiscreteScheduler, ZImagePipeline, ZImageTransformer2DModel
    from transformers import Qwen3Config, Qwen3Model

    tokenizer = chat_tokenizer()
    reader = Qwen3Config(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, head_dim=16,
    )  # fmt: skip
    return ZImagePipeline(
        transformer=ZImageTransformer2DModel(
            in_channels=4, dim=32, n_layers=1, n_refiner_layers=1, n_heads=2, n_kv_heads=2, cap_feat_dim=32,
            axes_dims=[4, 4, 8], axes_lens=[256, 32, 32],
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(), vae=vae(shift_factor=0.06, scaling_factor=1.5),
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
