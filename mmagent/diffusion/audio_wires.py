"""What a sound pipeline is asked for, in the arguments of its family.

AudioLDM is given one vector of CLAP's text encoder. AudioLDM 2 is given the states of a T5 encoder with their mask,
and beside them what its language model (GPT-2) makes of these and of CLAP's vector. Stable Audio is given the states of a
T5 encoder with their mask. Shapes: B prompts, L tokens, D width, G generated states.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mmagent.diffusion.conditioning import Conditioning, Encoded, defaults, encode, guided, tensor
from mmagent.errors import ModelError
from mmagent.media import Embedding

if TYPE_CHECKING:
    import torch

    from mmagent.diffusion.diffuser import Diffuser

GENERATED = "generated_prompt_embeds"
_FAMILIES = ("AudioLDM", "MusicLDM", "StableAudioPipeline")


def encode_audio(pipe: Any, texts: Sequence[str]) -> Encoded:
    """What a pipeline's text encoder makes of texts, as it takes it back: states `[B, L, D]` with mask, or `[B, 1, D]`."""
    import torch

    with torch.no_grad():
        if takes_vector(pipe):
            vectors = [pipe._encode_prompt(text, pipe._execution_device, 1, False) for text in texts]
            return Encoded(torch.stack(vectors))
        if type(pipe).__name__ == "StableAudioPipeline":  # whose encode_prompt gives what comes after a projection
            words = pipe.tokenizer(
                list(texts), padding="max_length", max_length=pipe.tokenizer.model_max_length, truncation=True,
                return_tensors="pt",
            ).to(pipe._execution_device)  # fmt: skip
            states = pipe.text_encoder(words.input_ids, attention_mask=words.attention_mask)[0]
            return Encoded(states, words.attention_mask.bool())
    return encode(pipe, texts)


def takes_vector(pipe: Any) -> bool:
    """Whether the pipeline is conditioned on one vector, not on a sequence of states."""
    return type(pipe).__name__ in ("AudioLDMPipeline", "MusicLDMPipeline")


def generated_states(pipe: Any, states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """What AudioLDM 2's language model goes on with after T5 states `[B, L, D]`, `[B, G, W]`.

    It is what the pipeline does with words, but that CLAP's vector is that of an empty text: embeddings have no
    words that it could be of. Gradients reach the states.
    """
    import torch

    empty = pipe.tokenizer(
        [""] * len(states), padding="max_length", max_length=pipe.tokenizer.model_max_length, truncation=True,
        return_tensors="pt",
    ).to(pipe._execution_device)  # fmt: skip
    with torch.no_grad():
        found = pipe.text_encoder.get_text_features(empty.input_ids, attention_mask=empty.attention_mask)
        vector = getattr(found, "pooler_output", found)[:, None]  # [B, 1, D']
    projected = pipe.projection_model(
        hidden_states=vector, hidden_states_1=states, attention_mask=mask.new_ones((len(states), 1)),
        attention_mask_1=mask,
    )  # fmt: skip
    made: torch.Tensor = pipe.generate_language_model(projected.hidden_states, attention_mask=projected.attention_mask)
    return made


def audio_arguments(
    diffuser: Diffuser,
    asked: Conditioning,
    guidance: float | None,
    generated: Embedding | None,
    negative_generated: Embedding | None,
) -> tuple[Conditioning, dict[str, Any]]:
    """What is asked for, as far as the pipeline takes it as all do, and the arguments of the rest.

    These families refuse words beside embeddings, and embeddings of unlike lengths: where one side is embeddings,
    the other is encoded, and the shorter filled up with states that the mask leaves out.
    """
    pipe = diffuser.pipe
    if (generated is not None or negative_generated is not None) and GENERATED not in defaults(pipe):
        raise ModelError(f"{type(pipe).__name__} takes no {GENERATED}; leave it out")
    if asked.negative_prompt is not None and asked.negative_prompt_embeds is not None:
        raise ModelError("both negative_prompt and negative_prompt_embeds are given; give one of them")
    for prefix, states, made in (
        ("", asked.prompt_embeds, generated),
        ("negative_", asked.negative_prompt_embeds, negative_generated),
    ):
        if made is not None and states is None:
            raise ModelError(
                f"{prefix}{GENERATED} comes beside {prefix}prompt_embeds, not beside words; give those too"
            )
    if not type(pipe).__name__.startswith(_FAMILIES):
        return asked, {}
    sides = {"": (asked.prompt, asked.prompt_embeds, generated)}
    if asked.avoids and guided(pipe, asked, guidance):
        sides["negative_"] = (asked.negative_prompt, asked.negative_prompt_embeds, negative_generated)
    if all(states is None for _, states, _ in sides.values()):
        return asked, {}
    found: dict[str, Any] = {}
    rows: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
    for prefix, (words, states, made) in sides.items():
        if states is not None:
            rows[prefix] = tensor(pipe, states)
        elif words is not None:
            encoded = diffuser.encode([words.text])
            kept = encoded.states.new_ones(encoded.states.shape[:2]) if encoded.mask is None else encoded.mask
            rows[prefix] = encoded.states, kept.bool()
        if GENERATED in defaults(pipe) and made is not None:
            found[prefix + GENERATED] = tensor(pipe, made)[0]
        elif GENERATED in defaults(pipe):
            found[prefix + GENERATED] = _generated(pipe, words.text if words else None, *rows[prefix])
    return Conditioning(), found | _rows(pipe, rows)


def _generated(pipe: Any, text: str | None, states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """What the language model makes of a text, or, without one, of states."""
    import torch

    with torch.no_grad():
        if text is None:
            return generated_states(pipe, states, mask.long())
        made: torch.Tensor = pipe.encode_prompt(text, pipe._execution_device, 1, False)[2]
        return made


def _rows(pipe: Any, rows: dict[str, tuple[torch.Tensor, torch.Tensor]]) -> dict[str, Any]:
    """The embedding arguments of a pipeline, all in one length; `rows` are states `[1, L, D]` and mask by prefix."""
    from torch.nn.functional import pad

    longest = max(states.shape[1] for states, _ in rows.values())
    found: dict[str, Any] = {}
    for prefix, (states, mask) in rows.items():
        if takes_vector(pipe):
            if states.shape[1] != 1:
                raise ModelError(f"{type(pipe).__name__} takes one vector [1, D], not {states.shape[1]} states")
            found[f"{prefix}prompt_embeds"] = states[:, 0]  # [1, D]
            continue
        missing = longest - states.shape[1]
        found[f"{prefix}prompt_embeds"] = pad(states, (0, 0, 0, missing))
        found[f"{prefix}attention_mask"] = pad(mask.long(), (0, missing))
    return found
