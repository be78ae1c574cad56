"""Small pipelines for videos of a few frames of 16 to 32 pixels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mmagent.diffusion.small.parts import (
    betas,
    chat_tokenizer,
    clip_encoder,
    clip_tokenizer,
    t5_encoder,
    t5_tokenizer,
    vae,
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


def cogvideox(**network: Any) -> Any:
    """CogVideoX: T5 states of one length beside the video's own tokens, which rotary embeddings place; velocities."""
    from diffusers import (
        AutoencoderKLCogVideoX,
        CogVideoXDDIMScheduler,
        CogVideoXPipeline,
        CogVideoXTransformer3DModel,
    )

    tokenizer = t5_tokenizer(226)
    return CogVideoXPipeline(
        tokenizer=tokenizer, text_encoder=t5_encoder(tokenizer), scheduler=CogVideoXDDIMScheduler(
            prediction_type="v_prediction", clip_sample=False, rescale_betas_zero_snr=True, timestep_spacing="trailing"
        ),
        vae=AutoencoderKLCogVideoX(
            down_block_types=("CogVideoXDownBlock3D",) * 4, up_block_types=("CogVideoXUpBlock3D",) * 4,
            block_out_channels=(8, 8, 8, 8), latent_channels=4, layers_per_block=1, norm_num_groups=2,
        ),
        transformer=CogVideoXTransformer3DModel(
            **{
                "num_attention_heads": 2, "attention_head_dim": 16, "in_channels": 4, "out_channels": 4,
                "time_embed_dim": 2, "text_embed_dim": 32, "num_layers": 1, "sample_width": 2, "sample_height": 2,
                "sample_frames": 9, "use_rotary_positional_embeddings": True, **network,
            }
        ),
    )  # fmt: skip


def cogvideox_1_5() -> Any:
    """CogVideoX 1.5, which takes the latents of frames by twos."""
    return cogvideox(patch_size_t=2, patch_bias=False)


def animatediff(places: int = 32) -> Any:
    """AnimateDiff: a motion module in Stable Diffusion, for so many frames, with its prompt embeddings `[16, 16]`."""
    from diffusers import AnimateDiffPipeline, DDIMScheduler, MotionAdapter, UNet2DConditionModel

    tokenizer = clip_tokenizer()
    return AnimateDiffPipeline(
        vae=vae(), text_encoder=clip_encoder(tokenizer, 16), tokenizer=tokenizer,
        unet=UNet2DConditionModel(
            block_out_channels=(8, 8), layers_per_block=1, norm_num_groups=2, sample_size=16,
            down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"), attention_head_dim=4, cross_attention_dim=16,
        ),
        motion_adapter=MotionAdapter(
            block_out_channels=(8, 8), motion_layers_per_block=1, motion_norm_num_groups=2,
            motion_num_attention_heads=2, motion_max_seq_length=places,
        ),
        scheduler=DDIMScheduler(**betas(clip_sample=False)), feature_extractor=None, image_encoder=None,
    )  # fmt: skip


def latte() -> Any:
    """Latte: T5 states cut to those that count, always 16 frames, a predicted variance beside the noise."""
    from diffusers import DDIMScheduler, LattePipeline, LatteTransformer3DModel

    tokenizer = t5_tokenizer(120)
    return LattePipeline(
        tokenizer=tokenizer, text_encoder=t5_encoder(tokenizer), vae=vae(),
        transformer=LatteTransformer3DModel(
            sample_size=8, num_layers=1, patch_size=2, attention_head_dim=8, num_attention_heads=3,
            caption_channels=32, in_channels=4, cross_attention_dim=24, out_channels=8, attention_bias=True,
            activation_fn="gelu-approximate", num_embeds_ada_norm=1000, norm_type="ada_norm_single",
            norm_elementwise_affine=False,
        ),
        scheduler=DDIMScheduler(**betas(clip_sample=False)),
    )  # fmt: skip


def text_to_video_sd() -> Any:
    """The deprecated TextToVideoSDPipeline of ModelScope and Zeroscope: prompt embeddings `[16, 16]`."""
    from diffusers import DDIMScheduler, TextToVideoSDPipeline, UNet3DConditionModel

    tokenizer = clip_tokenizer()
    return TextToVideoSDPipeline(
        vae=vae(), text_encoder=clip_encoder(tokenizer, 16), tokenizer=tokenizer,
        unet=UNet3DConditionModel(
            block_out_channels=(8, 8), layers_per_block=1, norm_num_groups=2, sample_size=16,
            down_block_types=("CrossAttnDownBlock3D", "DownBlock3D"),
            up_block_types=("UpBlock3D", "CrossAttnUpBlock3D"), attention_head_dim=4, cross_attention_dim=16,
        ),
        scheduler=DDIMScheduler(**betas(clip_sample=False)),
    )  # fmt: skip


def hunyuan_video() -> Any:
    """HunyuanVideo 1.5: a chat model's states with their mask, ByT5's of what is to be written, no callback."""
    import diffusers
    import transformers

    tokenizer, letters = chat_tokenizer(), transformers.ByT5Tokenizer()
    reader = transformers.Qwen2_5_VLTextConfig(
        vocab_size=len(tokenizer), hidden_size=16, intermediate_size=16, num_hidden_layers=3, num_attention_heads=2,
        num_key_value_heads=2, rope_scaling={"rope_type": "default", "mrope_section": [1, 1, 2]},
    )  # fmt: skip
    return diffusers.HunyuanVideo15Pipeline(
        tokenizer=tokenizer, text_encoder=transformers.Qwen2_5_VLTextModel(reader), tokenizer_2=letters,
        text_encoder_2=t5_encoder(letters), guider=diffusers.ClassifierFreeGuidance(guidance_scale=6.0),
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=7.0),
        vae=diffusers.AutoencoderKLHunyuanVideo15(
            latent_channels=4, block_out_channels=(16, 16), layers_per_block=1, spatial_compression_ratio=2,
            temporal_compression_ratio=2,
        ),
        transformer=diffusers.HunyuanVideo15Transformer3DModel(
            in_channels=9, out_channels=4, num_attention_heads=2, attention_head_dim=8, num_layers=1,
            num_refiner_layers=1, mlp_ratio=1.0, text_embed_dim=16, text_embed_2_dim=32, image_embed_dim=8,
            rope_axes_dim=(4, 2, 2), target_size=32, task_type="t2v",
        ),
    )  # fmt: skip


FAMILIES: dict[str, Callable[[], Any]] = {
    "wan": wan,
    "wan-from-picture": wan_from_picture,
    "ltx": ltx,
    "cogvideox": cogvideox,
    "cogvideox-1.5": cogvideox_1_5,
    "animatediff": animatediff,
    "latte": latte,
    "text-to-video-sd": text_to_video_sd,
    "hunyuan-video": hunyuan_video,
}
