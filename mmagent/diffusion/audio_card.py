"""The card of a sound generator as its checkpoint makes it, see `card`: rate, channels, and both embeddings' sizes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mmagent import checkpoint
from mmagent.card import Card, Port, Scalar
from mmagent.diffusion.audio_wires import GENERATED
from mmagent.diffusion.card import EMBEDS, card_of
from mmagent.diffusion.layout import Layout, layout
from mmagent.errors import ModelError

_PICTURES = ("StableDiffusion", "PixArt", "Flux")
"""How pipelines for pictures are called; with a vocoder they make sounds, and without they do not."""


def audio_card(card: Card, settings: Mapping[str, Scalar]) -> Card:
    """`card` with what the configs of a sound checkpoint say; ModelError if they are those of a generator of pictures."""
    model, revision = str(settings["model"]), str(settings.get("revision") or "")
    found = layout(model, revision=revision)
    if found is None:
        return card_of(card, settings)
    voice = checkpoint.config(model, "vocoder/config.json", revision=revision, optional=True)
    if voice is None and found.pipeline.startswith(_PICTURES):
        raise ModelError(
            f"{model} is a {found.pipeline} without a vocoder, which makes no sound; name a sound pipeline, or put a "
            "SpeechT5HifiGan into its subfolder vocoder if its VAE has one channel, the spectrogram"
        )
    size = _size(found, voice, settings.get("seconds")) if voice else {}
    told = card_of(card, {**settings, **size})
    space = str(settings.get("space") or "") or found.space
    return replace(
        told,
        inputs=tuple(_input(port, space, found) for port in told.inputs),
        outputs=tuple(replace(port, constraints={**port.constraints, **_heard(found, voice)}) for port in told.outputs),
    )


def _heard(found: Layout, voice: Mapping[str, Any] | None) -> dict[str, Scalar]:
    """Rate and channels of its sounds, as far as configs say."""
    if voice is not None:
        return {"rate": int(voice.get("sampling_rate", 16_000)), "channels": 1}
    vae = found.configs.get("vae", {})
    known = {"rate": vae.get("sampling_rate"), "channels": vae.get("audio_channels")}
    return {name: value for name, value in known.items() if isinstance(value, int)}


def embedding_sizes(found: Layout, port: str) -> dict[str, Any]:
    """Tokens and width of the embeddings that a sound pipeline takes at a port, where it does so in its own way."""
    first, second = (found.configs.get(name, {}) for name in ("text_encoder", "text_encoder_2"))
    if port in EMBEDS and found.pipeline.startswith("AudioLDM2"):
        return {"width": second.get("d_model")}
    if port in EMBEDS and found.pipeline.startswith(("AudioLDM", "MusicLDM")):
        return {"tokens": 1, "width": first.get("projection_dim", 512)}
    if port in EMBEDS and found.pipeline.startswith("StableAudio"):
        return {"width": first.get("d_model")}
    if port.endswith(GENERATED):
        speaker = found.configs.get("language_model", {})
        return {"tokens": speaker.get("max_new_tokens"), "width": speaker.get("n_embd")}
    return {}


def _input(port: Port, space: str, found: Layout) -> Port:
    sizes = embedding_sizes(found, port.name)
    if port.name.endswith(GENERATED):
        sizes["space"] = f"{space}.generated"
    if not sizes:
        return port
    kept = {key: value for key, value in port.constraints.items() if key not in ("tokens", "width")}
    return replace(port, constraints={**kept, **{key: value for key, value in sizes.items() if value is not None}})


def _size(found: Layout, voice: Mapping[str, Any], seconds: Scalar) -> dict[str, Scalar]:
    """Height and width of the spectrogram of a sound."""
    n_bins = int(voice.get("model_in_dim", 80))
    if isinstance(seconds, int | float):
        hop = math.prod(voice.get("upsample_rates", (4, 4, 4, 4)))
        return {"height": math.ceil(seconds * voice.get("sampling_rate", 16_000) / hop), "width": n_bins}
    return {"height": found.size[0] if found.size else 1024, "width": n_bins}
