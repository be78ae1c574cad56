"""OpenAI's and transformers' names for the same weights, and a checkpoint read as one or the other.

Two tables of names, from the two libraries' modules.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmagent.checkpoint import config, guard, load_tensors
from mmagent.errors import ModelError

from .checkpoints import DIMS, ENGLISH, LANGUAGES, Checkpoint, dims_of, languages

_NAMES = (
    ("encoder.ln_post.", "encoder.layer_norm."),
    ("decoder.ln.", "decoder.layer_norm."),
    (".blocks.", ".layers."),
    (".attn_ln.", ".self_attn_layer_norm."),
    (".cross_attn_ln.", ".encoder_attn_layer_norm."),
    (".mlp_ln.", ".final_layer_norm."),
    (".attn.", ".self_attn."),
    (".cross_attn.", ".encoder_attn."),
    (".query.", ".q_proj."),
    (".key.", ".k_proj."),
    (".value.", ".v_proj."),
    (".out.", ".out_proj."),
    (".mlp.0.", ".fc1."),
    (".mlp.2.", ".fc2."),
    (".token_embedding.", ".embed_tokens."),
    (".positional_embedding", ".embed_positions.weight"),
)


def to_transformers(state: Mapping[str, Any]) -> dict[str, Any]:
    """Weights under transformers' names.

    >>> to_transformers({"decoder.blocks.0.cross_attn.key.weight": 1})
    {'model.decoder.layers.0.encoder_attn.k_proj.weight': 1}
    """
    return {f"model.{_renamed(name, 0)}": value for name, value in state.items() if name != "decoder.mask"}


def to_openai(state: Mapping[str, Any]) -> dict[str, Any]:
    """Weights under OpenAI's names; the head is the token embedding once more, and left out.

    >>> to_openai({"model.encoder.embed_positions.weight": 1})
    {'encoder.positional_embedding': 1}
    """
    return {
        _renamed(name.removeprefix("model."), 1): value for name, value in state.items() if name != "proj_out.weight"
    }


def _renamed(name: str, source: int) -> str:
    for pair in _NAMES:
        name = name.replace(pair[source], pair[1 - source])
    return name


def read(checkpoint: Checkpoint, pickle: bool) -> tuple[dict[str, int], dict[str, Any]]:
    """The sizes of a model and its weights, both as in the checkpoint's own format; ModelError if it is refused."""
    guard(checkpoint.path, pickle=pickle)
    if checkpoint.format == "transformers":
        fields = config(str(checkpoint.path)) or {}
        files = sorted(checkpoint.path.glob("*.safetensors")) or sorted(checkpoint.path.glob("pytorch_model*.bin"))
        return dims_of(fields), {
            name: value for file in files for name, value in load_tensors(file, pickle=pickle).items()
        }
    import torch

    try:
        held = torch.load(checkpoint.path, map_location="cpu", weights_only=True)
        dims, state = held["dims"], held["model_state_dict"]
    except Exception as error:
        # A pickle that calls functions raises pickle's error, a torn file anything.
        raise ModelError(f"{checkpoint.path} cannot be read as tensors: {str(error).splitlines()[0]}") from error
    return {name: int(dims[name]) for name in DIMS}, state


def torn(checkpoint: Checkpoint, error: Exception) -> ModelError:
    """What to raise when weights do not fill the model whose sizes they came with."""
    reason = " ".join(str(error).split())
    return ModelError(f"{checkpoint.path} is no whole Whisper: {reason:.200}; download or save it again")


def config_fields(dims: Mapping[str, int]) -> dict[str, Any]:
    """The fields of transformers' config for a model of these sizes."""
    end = 50257 if dims["n_vocab"] > ENGLISH else 50256
    return {
        "vocab_size": dims["n_vocab"],
        "num_mel_bins": dims["n_mels"],
        "d_model": dims["n_audio_state"],
        "encoder_layers": dims["n_audio_layer"],
        "encoder_attention_heads": dims["n_audio_head"],
        "encoder_ffn_dim": 4 * dims["n_audio_state"],
        "decoder_layers": dims["n_text_layer"],
        "decoder_attention_heads": dims["n_text_head"],
        "decoder_ffn_dim": 4 * dims["n_text_state"],
        "max_source_positions": dims["n_audio_ctx"],
        "max_target_positions": dims["n_text_ctx"],
        "pad_token_id": end,
        "bos_token_id": end,
        "eos_token_id": end,
        "decoder_start_token_id": end + 1,
    }


def generation_fields(dims: Mapping[str, int]) -> dict[str, Any]:
    """What transformers has to know of a vocabulary to decode: the ids of Whisper's own tokens, which lie in a row.

    After the last token of text: end, start, the languages, translate, transcribe, two for prompts, no speech, no
    timestamps, timestamps. All heads of the upper half of the layers align words, as where OpenAI's library is
    told of none.
    """
    from transformers.models.whisper.configuration_whisper import NON_SPEECH_TOKENS, NON_SPEECH_TOKENS_MULTI

    multilingual = dims["n_vocab"] > ENGLISH
    end = 50257 if multilingual else 50256
    start = end + 1
    tongues = languages(dims["n_vocab"]) if multilingual else LANGUAGES[:99]
    translate = start + 1 + len(tongues)
    transcribe, lm, previous, silence, untimed = range(translate + 1, translate + 6)
    text = [token for token in (NON_SPEECH_TOKENS_MULTI if multilingual else NON_SPEECH_TOKENS) if token < end]
    spoken = {
        "lang_to_id": {f"<|{code}|>": start + 1 + place for place, code in enumerate(tongues)},
        "task_to_id": {"translate": translate, "transcribe": transcribe},
    }
    return {
        **(spoken if multilingual else {}),
        "is_multilingual": multilingual,
        "decoder_start_token_id": start,
        "bos_token_id": end,
        "eos_token_id": end,
        "pad_token_id": end,
        "prev_sot_token_id": previous,
        "no_timestamps_token_id": untimed,
        "max_initial_timestamp_index": 50,
        "max_length": dims["n_text_ctx"],
        "suppress_tokens": sorted([*text, start, translate, transcribe, lm, previous, silence]),
        "begin_suppress_tokens": [220, end],
        "alignment_heads": [
            [layer, head]
            for layer in range(dims["n_text_layer"] // 2, dims["n_text_layer"])
            for head in range(dims["n_text_head"])
        ],
    }
