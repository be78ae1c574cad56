"""What the configs of an audio encoder tell: states of a window, their width, and how long a window is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

Output = Literal["states", "pooled", "projected"]


def masks(shape: Any) -> bool:
    """Whether sound of unlike lengths goes through an encoder together, and what fills it up changes nothing.

    Where the first layers normalise over time, each state depends on all of the sound, and those of an adapter take
    from their neighbours past the mask. A batch norm before HuBERT's positions makes the zeros of what fills up its own
    shift, which is convolved into the last states. WavLM's attention gets a mask of a kind that torch is about to refuse.
    """
    known = shape.model_type in ("hubert", "unispeech-sat", "wav2vec2")
    leaks = getattr(shape, "add_adapter", False) or getattr(shape, "conv_pos_batch_norm", False)
    return known and shape.feat_extract_norm == "layer" and not leaks


def n_layers(shape: Mapping[str, Any]) -> int | None:
    found = shape.get("encoder_layers", shape.get("num_hidden_layers"))
    return found if isinstance(found, int) else None


def width(shape: Mapping[str, Any], output: Output, layer: int) -> int | None:
    if shape.get("model_type") == "clap":  # what its config leaves out is as the library has it
        audio = shape.get("audio_config") or {}
        return int(shape.get("projection_dim", 512) if output == "projected" else audio.get("hidden_size", 768))
    adapted = shape.get("add_adapter") and layer == -1  # an adapter follows the last layer
    own = shape.get("output_hidden_size") if adapted else None
    return own or shape.get("d_model") or shape.get("hidden_size")


def tokens(shape: Mapping[str, Any]) -> int | None:
    """States of a window, where the encoder has a window of its own."""
    kind = shape.get("model_type")
    if kind == "whisper":
        return int(shape.get("max_source_positions", 1500))
    if kind == "clap":
        audio = shape.get("audio_config") or {}
        side = audio.get("spec_size", 256) // 2 ** (len(audio.get("depths", (2, 2, 6, 2))) - 1)
        across, along = audio.get("patch_stride", (4, 4))
        return int(side // across * (side // along))
    if kind == "audio-spectrogram-transformer":
        patch = shape.get("patch_size", 16)
        times = patches(shape.get("max_length", 1024), patch, shape.get("time_stride", 10))
        return 2 + times * patches(shape.get("num_mel_bins", 128), patch, shape.get("frequency_stride", 10))
    return None


def patches(length: int, patch: int, stride: int) -> int:
    return (length - patch) // stride + 1


def window(hear: Any) -> int | None:
    """Samples to which the feature extractor fills up, or cuts, every sound; None if it takes any length."""
    if type(hear).__name__ == "ASTFeatureExtractor":
        return int(hear.max_length - 1) * 160 + 400  # frames of 25 ms each 10 ms at 16 kHz
    found = getattr(hear, "n_samples", None) or getattr(hear, "nb_max_samples", None)
    return int(found) if found else None
