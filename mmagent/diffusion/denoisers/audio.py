"""Denoisers of sounds. Shapes: B sounds, C × T × m latents of spectrograms, C × T of waveforms; L tokens, D width."""

from __future__ import annotations

from typing import Any

from mmagent.diffusion.audio_wires import generated_states
from mmagent.diffusion.denoisers.batch import Batch, Call


def audioldm2(pipe: Any, batch: Batch) -> Any:
    """AudioLDM 2, whose second embeddings are made of the first, as when it runs on embeddings."""
    kept = batch.mask.long()
    return pipe.unet(
        batch.latents, batch.times, encoder_hidden_states=generated_states(pipe, batch.states, kept),
        encoder_hidden_states_1=batch.states, encoder_attention_mask_1=kept,
    ).sample  # fmt: skip


def stable_audio(pipe: Any, batch: Batch) -> Any:
    """Stable Audio, which is told beside the prompt where in the recording its latents begin and end, in seconds.

    An item of which no state counts has no prompt: there its pipeline puts zeros, for the seconds too.
    """
    import torch
    from diffusers.models.embeddings import get_1d_rotary_pos_embed

    latents = batch.latents
    longest = latents.shape[2] * pipe.vae.hop_length / pipe.vae.config.sampling_rate
    ends = [min(audio.seconds, longest) for audio in batch.media]
    begin, end = pipe.encode_duration(0.0, ends, latents.device, False, len(ends))  # [B, 1, D'] each
    states = pipe.projection_model(text_hidden_states=batch.states).text_hidden_states * batch.mask[..., None]
    prompted = batch.mask.any(dim=1)[:, None, None]
    places = get_1d_rotary_pos_embed(
        pipe.rotary_embed_dim, latents.shape[2] + 1, use_real=True, repeat_interleave_real=False
    )
    return pipe.transformer(
        latents, batch.times, encoder_hidden_states=torch.cat([states, begin, end], dim=1) * prompted,
        global_hidden_states=torch.cat([begin, end], dim=2), rotary_embedding=places, return_dict=False,
    )[0]  # fmt: skip


KINDS: dict[str, Call] = {"AudioLDM2UNet2DConditionModel": audioldm2, "StableAudioDiTModel": stable_audio}
