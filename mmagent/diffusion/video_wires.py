"""Embeddings as a video pipeline's own text encoder would have left them: filled up, cut, or both of one length.

Shapes: L states, D width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mmagent.diffusion.conditioning import Conditioning, encodes, guided, mask_name
from mmagent.diffusion.tasks import Task
from mmagent.errors import ModelError
from mmagent.media import Embedding

if TYPE_CHECKING:
    from mmagent.diffusion.diffuser import Diffuser

WAN_TOKENS = 512
"""To so many states Wan fills up every prompt, with zeros, which it attends to."""


def as_told(diffuser: Diffuser, asked: Conditioning, guidance: float | None, task: Task | None) -> Conditioning:
    """What is asked for, as the pipeline takes it: embeddings as its own text encoder would have left them.

    Words beside embeddings become embeddings, and so does all that is said to Wan's sibling: it would need
    another library to read words.
    """
    pipe = diffuser.pipe
    given, avoided, words = asked.prompt_embeds, asked.negative_prompt_embeds, asked.negative_prompt
    blind = task is not None and fills(pipe)
    if (given is None and avoided is None and not blind) or (avoided is not None and words is not None):
        return asked
    if given is None and asked.prompt is not None:
        given = _embedding(diffuser, asked.prompt.text)
    if words is not None:
        n_given = int(given.mask.sum()) if given is not None and _cuts(pipe) else None
        avoided = _embedding(diffuser, words.text, n_given)
    elif avoided is None and guided(pipe, asked, guidance):
        if not encodes(pipe):
            avoided = diffuser.stored
        elif blind:
            avoided = _embedding(diffuser, "")
    for port, item in (("prompt_embeds", given), ("negative_prompt_embeds", avoided)):
        if item is not None:
            check_length(pipe, port, len(item.array))
    change = _filled if fills(pipe) else _cut if _cuts(pipe) else None
    if change is not None:
        given, avoided = (None if item is None else change(item) for item in (given, avoided))
    if given is not None and avoided is not None:
        given, avoided = _alike(pipe, given, avoided)
    return Conditioning(prompt_embeds=given, negative_prompt_embeds=avoided)


def _embedding(diffuser: Diffuser, text: str, first: int | None = None) -> Embedding:
    """The embedding of words; with `first` so many states of it, whether they count or not, as Latte does it."""
    if first is not None:
        pipe = diffuser.pipe
        states, _ = pipe.encode_prompt(text, False, device=pipe._execution_device, mask_feature=False)  # [1, L, D]
        return Embedding(states[0, :first].float().detach().cpu().numpy(), diffuser.space)
    found = diffuser.encode([text])
    mask = None if found.mask is None else found.mask[0].cpu().numpy()
    return Embedding(found.states[0].float().cpu().numpy(), diffuser.space, mask)


def _alike(pipe: Any, one: Embedding, other: Embedding) -> tuple[Embedding, Embedding]:
    """Both in one length, which pipelines ask for; ModelError where the pipeline has no mask to tell what was added."""
    n_states = max(len(one.array), len(other.array))
    if len(one.array) != len(other.array) and mask_name(pipe) is None:
        raise ModelError(
            f"{type(pipe).__name__} takes {len(one.array)} states of the prompt and {len(other.array)} of what to avoid "
            "only in one length; give both as words, or both as embeddings of one length"
        )
    return _longer(one, n_states), _longer(other, n_states)


def _longer(embedding: Embedding, n_states: int) -> Embedding:
    import numpy as np

    missing = n_states - len(embedding.array)
    states, mask = np.pad(embedding.array, ((0, missing), (0, 0))), np.pad(embedding.mask, (0, missing))
    return Embedding(states, embedding.space, mask)


def fills(pipe: Any) -> bool:
    """Whether the pipeline fills prompts up with zeros, and attends to them."""
    return type(pipe).__name__.startswith(("Wan", "SkyReelsV2"))


def check_length(pipe: Any, port: str, n_states: int) -> None:
    """ModelError if a network has not places for so many states: Wan's for more, CogVideoX's for another number."""
    if fills(pipe) and n_states > WAN_TOKENS:
        raise ModelError(
            f"{type(pipe).__name__} takes {WAN_TOKENS} states at most, and {n_states} were given as {port}"
        )
    network = getattr(pipe, "transformer", None)
    only = None if network is None else network.config.get("max_text_seq_length")
    if only not in (None, n_states):
        raise ModelError(f"{type(pipe).__name__} takes {only} states of {port}, not {n_states}; fill them up")


def _cuts(pipe: Any) -> bool:
    """Whether the pipeline leaves out states that do not count."""
    return type(pipe).__name__.startswith("Latte")


def _filled(embedding: Embedding) -> Embedding:
    """Its states, zeros where they do not count, and zeros up to the length that Wan's network was trained on.

    `[3, D]` with the mask `[1, 1, 0]` gives `[512, D]`, of which two are not zero.
    """
    import numpy as np

    states = embedding.array * embedding.mask[:, None]
    return Embedding(np.pad(states, ((0, WAN_TOKENS - len(states)), (0, 0))), embedding.space)


def _cut(embedding: Embedding) -> Embedding:
    """The states that count, alone."""
    return Embedding(embedding.array[embedding.mask], embedding.space)
