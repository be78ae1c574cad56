"""What a pipeline is asked for, in words or as embeddings, in the arguments that its own `__call__` takes.

Pipelines differ in what they want beside prompt embeddings: a mask, a pooled embedding, both, and the same for what
is to be avoided. Which it is, is read off their signatures. Shapes: B prompts, L tokens, D width, P pooled width.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mmagent.diffusion.words import plain
from mmagent.errors import ModelError
from mmagent.media import Embedding, Text

if TYPE_CHECKING:
    import torch

MASKS = ("prompt_attention_mask", "prompt_embeds_mask", "attention_mask")
POOLED = "pooled_prompt_embeds"
_ADDING = ("ZImage", "Krea2")
"""Pipelines that add their guidance to the prompt, so that 0 is none; for the others that is 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditioning:
    """What to make and what to avoid, each as words or as an embedding `[L, D]`; pooled embeddings are `[1, P]`."""

    prompt: Text | None = None
    prompt_embeds: Embedding | None = None
    negative_prompt: Text | None = None
    negative_prompt_embeds: Embedding | None = None
    pooled_prompt_embeds: Embedding | None = None
    negative_pooled_prompt_embeds: Embedding | None = None

    @property
    def avoids(self) -> bool:
        """Whether it says what to avoid."""
        return self.negative_prompt is not None or self.negative_prompt_embeds is not None


@dataclass(frozen=True, slots=True)
class Encoded:
    """What a pipeline's text encoders make of prompts: states `[B, L, D]`, mask `[B, L]` and pooled `[B, P]` if it has them."""

    states: torch.Tensor
    mask: torch.Tensor | None = None
    pooled: torch.Tensor | None = None


def defaults(pipe: Any) -> Mapping[str, Any]:
    """The parameters of a pipeline's call by name, with their defaults."""
    return _defaults(type(pipe).__call__)


@functools.cache
def _defaults(call: Callable[..., Any]) -> Mapping[str, Any]:
    return {name: item.default for name, item in inspect.signature(call).parameters.items()}


def mask_name(pipe: Any) -> str | None:
    """Under which name a pipeline takes the mask of prompt embeddings, or None if it attends to all of them."""
    return next((name for name in MASKS if name in defaults(pipe)), None)


def lists(pipe: Any) -> bool:
    """Whether a pipeline takes prompt embeddings as a list, of each prompt the states that count (Z-Image)."""
    found = inspect.signature(type(pipe).__call__).parameters.get("prompt_embeds")
    return found is not None and "list[" in str(found.annotation).lower()


def encode(pipe: Any, texts: Sequence[str]) -> Encoded:
    """What the pipeline's own `encode_prompt` makes of texts, one by one: some pad to the longest of a batch."""
    import torch

    if not encodes(pipe):
        raise ModelError(f"{type(pipe).__name__} was loaded without a text encoder; give it embeddings, not words")
    known = inspect.signature(pipe.encode_prompt).parameters
    amounts = {name: 1 for name in known if name.startswith("num_") and name.endswith("_per_prompt")}
    others = {name: None for name in known if name in ("prompt_2", "prompt_3")}  # the first encoder's words go to all
    options = {"device": pipe._execution_device, "do_classifier_free_guidance": False, **amounts, **others}
    options = {name: value for name, value in options.items() if name in known}
    with torch.no_grad():
        found = [_encoded(pipe, pipe.encode_prompt(prompt=plain(pipe, text), **options)) for text in texts]
    if len({item.states.shape for item in found}) > 1:
        raise ModelError(f"{type(pipe).__name__} pads each prompt by itself, so that they make no batch; encode one")
    parts = [[getattr(item, name) for item in found] for name in ("states", "mask", "pooled")]
    return Encoded(*(None if part[0] is None else torch.cat(part) for part in parts))  # type: ignore[arg-type]  # states are there


def _encoded(pipe: Any, result: Any) -> Encoded:
    """The parts of what `encode_prompt` gave, which each family orders in its own way."""
    import torch

    items = result if isinstance(result, tuple) else (result,)
    states = torch.stack(items[0]) if isinstance(items[0], list) else items[0]  # of one prompt
    if not isinstance(states, torch.Tensor) or states.ndim != 3:
        raise ModelError(f"{type(pipe).__name__} does not take prompt embeddings as one [L, D] tensor; give it words")
    rest = [item for item in items[1:] if isinstance(item, torch.Tensor) and item.ndim == 2]
    mask = next((item for item in rest if item.shape == states.shape[:2]), None) if mask_name(pipe) else None
    pooled = next((item for item in rest if item is not mask), None) if POOLED in defaults(pipe) else None
    return Encoded(states, mask, pooled)


def encodes(pipe: Any) -> bool:
    """Whether the pipeline has a text encoder."""
    return any(getattr(pipe, name, None) is not None for name in ("text_encoder", "text_encoder_2", "text_encoder_3"))


def null(pipe: Any, stored: Embedding | None = None) -> Encoded:
    """What the pipeline puts in the place of a prompt that is not there: the empty text, or zeros where it says so.

    A pipeline without a text encoder has it `stored` with it.
    """
    import torch

    if encodes(pipe):
        empty = encode(pipe, [""])
        if not getattr(pipe.config, "force_zeros_for_empty_prompt", False):
            return empty
        pooled = None if empty.pooled is None else torch.zeros_like(empty.pooled)
        return Encoded(torch.zeros_like(empty.states), empty.mask, pooled)
    if stored is None:
        raise ModelError(
            f"{type(pipe).__name__} was loaded without a text encoder, so it cannot tell the embedding of no prompt. "
            "Give negative_prompt_embeds, or guidance 1, or save that embedding as null.npz in the checkpoint's folder"
        )
    if POOLED in defaults(pipe):
        raise ModelError(
            f"{type(pipe).__name__} was loaded without a text encoder, so it cannot tell the pooled embedding of no "
            f"prompt; give negative_prompt_embeds and negative_{POOLED}"
        )
    states, mask = tensor(pipe, stored)
    return Encoded(states, mask if mask_name(pipe) else None)


def tensor(pipe: Any, embedding: Embedding) -> tuple[torch.Tensor, torch.Tensor]:
    """States `[1, L, D]` and mask `[1, L]` of an embedding, where and as the pipeline computes."""
    import torch

    states = torch.from_numpy(embedding.array.copy())[None].to(pipe._execution_device, pipe.dtype)
    return states, torch.from_numpy(embedding.mask.copy())[None].to(pipe._execution_device)


def guided(pipe: Any, conditioning: Conditioning, guidance: float | None) -> bool:
    """Whether a call will look at what is to be avoided."""
    known = defaults(pipe)
    if "true_cfg_scale" in known:  # guidance proper; `guidance_scale` is a number that the network is told
        return conditioning.avoids
    own = pipe.guider.config.get("guidance_scale") if guides_apart(pipe) else known.get("guidance_scale")
    scale = own if guidance is None else guidance
    return isinstance(scale, int | float) and scale > (0 if type(pipe).__name__.startswith(_ADDING) else 1)


def guides_apart(pipe: Any) -> bool:
    """Whether guidance is a part of the pipeline, not an argument of its call (HunyuanVideo 1.5, Motif)."""
    return getattr(pipe, "guider", None) is not None and "guidance_scale" not in defaults(pipe)


def arguments(
    pipe: Any, asked: Conditioning, guidance: float | None, stored: Embedding | None = None
) -> dict[str, Any]:
    """The keyword arguments that say this to the pipeline. ModelError if it cannot be told so."""
    known = defaults(pipe)
    found: dict[str, Any] = {}
    wanted = guided(pipe, asked, guidance)
    _check_pairs(asked)
    if asked.avoids and guidance is None and (known.get("true_cfg_scale") or 2) <= 1:
        raise ModelError(f"{type(pipe).__name__} looks at what to avoid with guidance above 1 alone; set guidance")
    if guidance is not None and not guides_apart(pipe):
        found["true_cfg_scale" if "true_cfg_scale" in known and asked.avoids else "guidance_scale"] = guidance
    # Some families refuse words beside embeddings, so words are encoded where the other side is embeddings.
    mixed = asked.prompt_embeds is not None or asked.negative_prompt_embeds is not None
    if asked.prompt is not None:
        found |= _worded(pipe, "", asked.prompt, mixed)
    elif asked.prompt_embeds is not None:
        found |= _embedded(pipe, "", asked.prompt_embeds, asked.pooled_prompt_embeds)
    if asked.negative_prompt is not None:
        found |= _worded(pipe, "negative_", asked.negative_prompt, mixed)
    elif asked.negative_prompt_embeds is not None:
        found |= _embedded(pipe, "negative_", asked.negative_prompt_embeds, asked.negative_pooled_prompt_embeds)
    elif wanted and "negative_prompt_embeds" in known and (not encodes(pipe) or (mixed and lists(pipe))):
        found |= _named(pipe, "negative_", null(pipe, stored))
    unknown = [name for name in found if name not in known]
    if unknown:
        raise ModelError(f"{type(pipe).__name__} takes no {unknown[0]}; leave it out")
    return found


def _check_pairs(asked: Conditioning) -> None:
    """ModelError if something is given that has nothing to go with, and would be looked at by nobody."""
    if asked.negative_prompt is not None and asked.negative_prompt_embeds is not None:
        raise ModelError("both negative_prompt and negative_prompt_embeds are given; give one of them")
    for prefix in ("", "negative_"):
        if getattr(asked, prefix + POOLED) is not None and getattr(asked, f"{prefix}prompt_embeds") is None:
            raise ModelError(f"{prefix}{POOLED} comes beside {prefix}prompt_embeds; give those too, or leave it out")


def _worded(pipe: Any, prefix: str, words: Text, as_embeddings: bool) -> dict[str, Any]:
    if not encodes(pipe):
        raise ModelError(
            f"{type(pipe).__name__} was loaded without a text encoder; give {prefix}prompt_embeds, not {prefix}prompt"
        )
    if as_embeddings:
        return _named(pipe, prefix, encode(pipe, [words.text]))
    return {f"{prefix}prompt": plain(pipe, words.text)}


def _embedded(pipe: Any, prefix: str, states: Embedding, pooled: Embedding | None) -> dict[str, Any]:
    values, mask = tensor(pipe, states)
    if POOLED not in defaults(pipe):
        if pooled is not None:
            raise ModelError(f"{type(pipe).__name__} takes no {prefix}{POOLED}; leave it out")
        return _named(pipe, prefix, Encoded(values, mask))
    short = tensor(pipe, pooled)[0][0] if pooled is not None else _empty_pooled(pipe, prefix)  # [1, P]
    return _named(pipe, prefix, Encoded(values, mask, short))


def _empty_pooled(pipe: Any, prefix: str) -> torch.Tensor:
    if not encodes(pipe):
        raise ModelError(f"{type(pipe).__name__} without its text encoders needs {prefix}{POOLED} as well; give it")
    found = null(pipe).pooled
    if found is None:
        raise ModelError(f"{type(pipe).__name__} made no pooled embedding; give it {prefix}{POOLED}")
    return found


def _named(pipe: Any, prefix: str, encoded: Encoded) -> dict[str, Any]:
    mask = mask_name(pipe)
    found: dict[str, Any] = {f"{prefix}prompt_embeds": encoded.states}
    if lists(pipe):
        kept = [encoded.states[0] if encoded.mask is None else encoded.states[0][encoded.mask[0].bool()]]
        found[f"{prefix}prompt_embeds"] = kept
    if f"{prefix}prompt" in defaults(pipe):
        found[f"{prefix}prompt"] = None  # where it is not that by itself
    if mask is not None and encoded.mask is not None:
        found[prefix + mask] = encoded.mask.long()
    if encoded.pooled is not None:
        found[prefix + POOLED] = encoded.pooled
    return found
