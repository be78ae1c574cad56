"""Small video pipelines of diffusers' real classes with random weights, as `small` has them for pictures.

They make clips of a few frames of 16 to 32 pixels that mean nothing, in a fraction of a second.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mmagent.diffusion.small import WORDS, _betas, _clip, _vae, small_tokenizer


def t5_tokenizer(length: int = 16) -> Any:
    """A T5Tokenizer over letters that knows a few words whole; texts are at most `length` tokens long."""
    from transformers import T5Tokenizer

    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0)]
    pieces += [(f"▁{word}", -1.0) for word in WORDS]
    pieces += [(letter, -3.0) for letter in "abcdefghijklmnopqrstuvwxyz"]
    return T5Tokenizer(vocab=pieces, extra_ids=0, model_max_length=length)


def t5_encoder(tokenizer: Any, kind: str = "T5", width: int = 32) -> Any:
    """An encoder of class `T5EncoderModel` or, with kind `UMT5`, `UMT5EncoderModel`."""
    import transformers

    config = getattr(transformers, f"{kind}Config")
    return getattr(transformers, f"{kind}EncoderModel")(
        config(vocab_size=len(tokenizer), d_model=width, d_kv=8, d_ff=32, num_layers=1, num_heads=2)
    )


def wan(**options: Any) -> Any:
    """Wan: UMT5 states `[L, 32]`, a causal VAE of 4 × 8 × 8, flow matching."""
    from diffusers import AutoencoderKLWan, UniPCMultistepScheduler, WanPipeline, WanTransformer3DModel

    tokenizer = t5_tokenizer()
    return WanPipeline(
        tokenizer=tokenizer, text_encoder=t5_encoder(tokenizer, "UMT5"),
        vae=AutoencoderKLWan(
            base_dim=3, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1, temperal_downsample=[False, True, True]
        ),
        transformer=WanTransformer3DModel(
            num_attention_heads=2, attention_head_dim=12, in_channels=16, out_channels=16, text_dim=32, freq_dim=32,
            ffn_dim=32, num_layers=1, rope_max_seq_len=32,
        ),
        scheduler=UniPCMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0, num_train_timesteps=1000
        ),
        **options,
    )  # fmt: skip


def wan_from_picture() -> Any:
    """Wan 2.2's kind that makes clips of words and of pictures with one network."""
    return wan(expand_timesteps=True)


def ltx() -> Any:
    """LTX-Video: T5 states with their mask, latents packed into tokens, the frame rate told to the network."""
    from diffusers import (
        AutoencoderKLLTXVideo,
        FlowMatchEulerDiscreteScheduler,
        LTXPipeline,
        LTXVideoTransformer3DModel,
    )

    tokenizer = t5_tokenizer()
    scaling, layers = (True, True, False, False), (1, 1, 1, 1, 1)
    return LTXPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(), text_encoder=t5_encoder(tokenizer), tokenizer=tokenizer,
        vae=AutoencoderKLLTXVideo(
            latent_channels=8, block_out_channels=(8,) * 4, decoder_block_out_channels=(8,) * 4,
            layers_per_block=layers, decoder_layers_per_block=layers, spatio_temporal_scaling=scaling,
            decoder_spatio_temporal_scaling=scaling, decoder_inject_noise=(False,) * 5, patch_size=1,
        ),
        transformer=LTXVideoTransformer3DModel(
            in_channels=8, out_channels=8, num_attention_heads=4, attention_head_dim=8, cross_attention_dim=32,
            num_layers=1, caption_channels=32,
        ),
    )  # fmt: skip


def cogvideox() -> Any:
    """CogVideoX: T5 states of one length beside the clip's own tokens, velocity prediction."""
    from diffusers import (
        AutoencoderKLCogVideoX,
        CogVideoXDDIMScheduler,
        CogVideoXPipeline,
        CogVideoXTransformer3DModel,
    )

    tokenizer = t5_tokenizer(226)
    return CogVideoXPipeline(
        tokenizer=tokenizer, text_encoder=t5_encoder(tokenizer), scheduler=CogVideoXDDIMScheduler(),
        vae=AutoencoderKLCogVideoX(
            down_block_types=("CogVideoXDownBlock3D",) * 4, up_block_types=("CogVideoXUpBlock3D",) * 4,
            block_out_channels=(8, 8, 8, 8), latent_channels=4, layers_per_block=1, norm_num_groups=2,
        ),
        transformer=CogVideoXTransformer3DModel(
            num_attention_heads=4, attention_head_dim=8, in_channels=4, out_channels=4, time_embed_dim=2,
            text_embed_dim=32, num_layers=1, sample_width=2, sample_height=2, sample_frames=9,
        ),
    )  # fmt: skip


def animatediff() -> Any:
    """AnimateDiff: a motion module in Stable Diffusion, with its prompt embeddings `[16, 16]`."""
    from diffusers import AnimateDiffPipeline, DDIMScheduler, MotionAdapter, UNet2DConditionModel

    tokenizer = small_tokenizer()
    return AnimateDiffPipeline(
        vae=_vae(), text_encoder=_clip(tokenizer, 16), tokenizer=tokenizer,
        unet=UNet2DConditionModel(
            block_out_channels=(8, 8), layers_per_block=1, norm_num_groups=2, sample_size=16,
            down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"), attention_head_dim=4, cross_attention_dim=16,
        ),
        motion_adapter=MotionAdapter(
            block_out_channels=(8, 8), motion_layers_per_block=1, motion_norm_num_groups=2,
            motion_num_attention_heads=2,
        ),
        scheduler=DDIMScheduler(**_betas(clip_sample=False)), feature_extractor=None, image_encoder=None,
    )  # fmt: skip


def latte() -> Any:
    """Latte: T5 states cut to those that count, always 16 frames, a predicted variance beside the noise."""
    from diffusers import DDIMScheduler, LattePipeline, LatteTransformer3DModel

    tokenizer = t5_tokenizer(120)
    return LattePipeline(
        tokenizer=tokenizer, text_encoder=t5_encoder(tokenizer), vae=_vae(),
        transformer=LatteTransformer3DModel(
            sample_size=8, num_layers=1, patch_size=2, attention_head_dim=8, num_attention_heads=3,
            caption_channels=32, in_channels=4, cross_attention_dim=24, out_channels=8, attention_bias=True,
            activation_fn="gelu-approximate", num_embeds_ada_norm=1000, norm_type="ada_norm_single",
            norm_elementwise_affine=False,
        ),
        scheduler=DDIMScheduler(**_betas(clip_sample=False)),
    )  # fmt: skip


def text_to_video_sd() -> Any:
    """The deprecated TextToVideoSDPipeline of ModelScope and Zeroscope: prompt embeddings `[16, 16]`."""
    from diffusers import DDIMScheduler, TextToVideoSDPipeline, UNet3DConditionModel

    tokenizer = small_tokenizer()
    return TextToVideoSDPipeline(
        vae=_vae(), text_encoder=_clip(tokenizer, 16), tokenizer=tokenizer,
        unet=UNet3DConditionModel(
            block_out_channels=(8, 8), layers_per_block=1, norm_num_groups=2, sample_size=16,
            down_block_types=("CrossAttnDownBlock3D", "DownBlock3D"),
            up_block_types=("UpBlock3D", "CrossAttnUpBlock3D"), attention_head_dim=4, cross_attention_dim=16,
        ),
        scheduler=DDIMScheduler(**_betas(clip_sample=False)),
    )  # fmt: skip


FAMILIES: dict[str, Callable[[], Any]] = {
    "wan": wan,
    "wan-from-picture": wan_from_picture,
    "ltx": ltx,
    "cogvideox": cogvideox,
    "animatediff": animatediff,
    "latte": latte,
    "text-to-video-sd": text_to_video_sd,
}
