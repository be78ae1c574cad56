"""Small pipelines for sounds of a few hundred samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mmagent.diffusion.small.image import stable_diffusion
from mmagent.diffusion.small.parts import betas, roberta_tokenizer, t5_encoder, t5_tokenizer, vae

BINS = 16
"""Frequency bins of their spectrograms."""


def vocoder(rate: int = 16_000) -> Any:
    """A SpeechT5HifiGan that makes 4 samples of each frame of a spectrogram `[T, 16]`."""
    from transformers import SpeechT5HifiGan, SpeechT5HifiGanConfig

    return SpeechT5HifiGan(
        SpeechT5HifiGanConfig(
            model_in_dim=BINS, sampling_rate=rate, upsample_initial_channel=16, upsample_rates=[2, 2],
            upsample_kernel_sizes=[4, 4], resblock_kernel_sizes=[3, 7],
            resblock_dilation_sizes=[[1, 3, 5], [1, 3, 5]], normalize_before=False, n_fft=64, initializer_range=0.3,
        )
    )  # fmt: skip


def _clap_text(tokenizer: Any, width: int, longest: int) -> dict[str, Any]:
    return {
        "vocab_size": len(tokenizer), "hidden_size": 8, "intermediate_size": 16, "num_attention_heads": 1,
        "num_hidden_layers": 1, "max_position_embeddings": longest + 3, "projection_dim": width, "bos_token_id": 0,
        "eos_token_id": 2, "pad_token_id": 1,
    }  # fmt: skip


def _blocks() -> dict[str, Any]:
    return {
        "block_out_channels": (8, 16), "layers_per_block": 1, "norm_num_groups": 8, "sample_size": 32,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
    }  # fmt: skip


def audioldm2() -> Any:
    """AudioLDM 2: T5 states `[L, 32]` with their mask, and 8 states of width 16 that GPT-2 makes of them and of CLAP's vector."""
    import diffusers
    import transformers

    tokenizer, words = roberta_tokenizer(24), t5_tokenizer()
    heard = {
        "spec_size": 8, "window_size": 4, "num_mel_bins": 8, "intermediate_size": 16, "hidden_size": 8,
        "depths": [1, 1], "num_attention_heads": [1, 1], "num_hidden_layers": 1, "projection_dim": 16,
        "patch_size": 2, "patch_stride": 2, "patch_embed_input_channels": 4, "patch_embeds_hidden_size": 8,
    }  # fmt: skip
    clap = transformers.ClapConfig(text_config=_clap_text(tokenizer, 16, 24), audio_config=heard, projection_dim=16)
    gpt = transformers.GPT2Config(
        n_embd=16, n_head=2, n_layer=1, n_positions=99, vocab_size=16, max_new_tokens=8, bos_token_id=0, eos_token_id=1
    )
    return diffusers.AudioLDM2Pipeline(
        vae=vae(in_channels=1, out_channels=1), text_encoder=transformers.ClapModel(clap), tokenizer=tokenizer,
        text_encoder_2=t5_encoder(words), tokenizer_2=words, language_model=transformers.GPT2LMHeadModel(gpt),
        projection_model=diffusers.AudioLDM2ProjectionModel(
            text_encoder_dim=16, text_encoder_1_dim=32, langauge_model_dim=16
        ),
        feature_extractor=transformers.ClapFeatureExtractor(feature_size=8),
        unet=diffusers.AudioLDM2UNet2DConditionModel(
            **_blocks(), cross_attention_dim=((None, 16, 32), (None, 16, 32))
        ),
        scheduler=diffusers.DDIMScheduler(**betas(clip_sample=False, set_alpha_to_one=False)), vocoder=vocoder(),
    )  # fmt: skip


def audioldm() -> Any:
    """The deprecated AudioLDM: one vector of width 32 from CLAP's text encoder."""
    import diffusers
    import transformers

    tokenizer = roberta_tokenizer(32)
    config = transformers.ClapTextConfig(**_clap_text(tokenizer, 32, 32))
    return diffusers.AudioLDMPipeline(
        vae=vae(in_channels=1, out_channels=1), text_encoder=transformers.ClapTextModelWithProjection(config),
        tokenizer=tokenizer,
        unet=diffusers.UNet2DConditionModel(
            **_blocks(), cross_attention_dim=(8, 16), class_embed_type="simple_projection",
            projection_class_embeddings_input_dim=32, class_embeddings_concat=True,
        ),
        scheduler=diffusers.DDIMScheduler(**betas(clip_sample=False, set_alpha_to_one=False)), vocoder=vocoder(),
    )  # fmt: skip


def stable_audio() -> Any:
    """Stable Audio: T5 states with their mask, start and end told in seconds, stereo out of a waveform's VAE."""
    import diffusers

    tokenizer = t5_tokenizer()
    return diffusers.StableAudioPipeline(
        vae=diffusers.AutoencoderOobleck(
            encoder_hidden_size=6, downsampling_ratios=[1, 2], decoder_channels=3, decoder_input_channels=3,
            audio_channels=2, channel_multiples=[2, 4], sampling_rate=1000,
        ),
        text_encoder=t5_encoder(tokenizer), tokenizer=tokenizer,
        projection_model=diffusers.StableAudioProjectionModel(
            text_encoder_dim=32, conditioning_dim=4, min_value=0, max_value=32
        ),
        transformer=diffusers.StableAudioDiTModel(
            sample_size=64, in_channels=3, num_layers=1, attention_head_dim=4, num_key_value_attention_heads=2,
            out_channels=3, cross_attention_dim=4, time_proj_dim=8, global_states_input_dim=8,
            cross_attention_input_dim=4,
        ),
        scheduler=diffusers.EDMDPMSolverMultistepScheduler(
            solver_order=2, prediction_type="v_prediction", sigma_data=1.0, sigma_schedule="exponential"
        ),
    )  # fmt: skip


def spectrogram() -> Any:
    """Stable Diffusion whose VAE has one channel, the spectrogram's; `save_small` puts a vocoder beside it."""
    pipe = stable_diffusion(sample_size=(32, BINS // 2))
    pipe.register_modules(vae=vae(in_channels=1, out_channels=1))
    return pipe


FAMILIES: dict[str, Callable[[], Any]] = {
    "audioldm2": audioldm2,
    "audioldm": audioldm,
    "stable-audio": stable_audio,
    "spectrogram": spectrogram,
}
