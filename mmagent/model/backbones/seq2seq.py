"""Any encoder–decoder that transformers can load (T5, Flan-T5, BART …), frozen, in float32, reading embeddings.

The encoder reads the whole prompt, text and media, and behind it what its tokenizer puts behind any text, as it did in
the model's training; the decoder speaks, from the model's own start on.
B: batch, T: positions of a pass, S: positions of the longest prompt, s: ids that a reply starts from, E and D as in
`backbones`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.utils.rnn import pad_sequence

from mmagent.errors import ModelError
from mmagent.model.backbones import States, weights
from mmagent.model.backbones.causal import check_ids, learnt_positions
from mmagent.model.backbones.inside import Inside
from mmagent.model.tokens import Tokens

if TYPE_CHECKING:
    from torch import Tensor

    from mmagent.model.beside import Beside


@dataclass(slots=True, eq=False)
class _Read:
    """Prompts B × `[S_b, E]`; once replies have begun, what the encoder made of them `[B, S, E]` with its mask
    `[B, S]`, and the decoder's keys and values: of the batch, or of each row where they are of unlike lengths."""

    prompts: list[Tensor] = field(default_factory=list)
    states: Tensor | None = None
    mask: Tensor | None = None
    keys: Any = None
    rows: list[_Read] = field(default_factory=list)

    def fork(self) -> _Read:
        return replace(self, keys=copy.deepcopy(self.keys), rows=[row.fork() for row in self.rows])

    def row(self, at: int) -> _Read:
        """One row of it, to go on by itself."""
        keys = copy.deepcopy(self.keys)
        keys.batch_select_indices(torch.tensor([at]))
        states, mask = (None if part is None else part[at : at + 1] for part in (self.states, self.mask))
        return _Read([self.prompts[at]], states, mask, keys)


class Seq2SeqBackbone:
    """An `AutoModelForSeq2SeqLM` with its tokenizer; its parameters take no gradient, its inputs may."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self.model = model.eval().requires_grad_(False)
        self.tokens = Tokens(tokenizer, ends=weights.ends(model))
        self._in, self._out = model.get_input_embeddings(), model.get_output_embeddings()
        self._after, self._start = _after(tokenizer), _start(model)
        check_ids(self.tokens, model)
        self.learnt_positions = learnt_positions(model)
        self._inside = Inside(self._out)

    @classmethod
    def load(cls, source: str | Path) -> Seq2SeqBackbone:
        """Load from a folder or a hub id; ModelError says what cannot be loaded and why."""
        return cls(*weights.read(source, "AutoModelForSeq2SeqLM", "sequence-to-sequence language model"))

    @property
    def n_vocab(self) -> int:
        return int(self._out.weight.shape[0])

    @property
    def in_rows(self) -> Tensor:
        weight: Tensor = self._in.weight
        return weight

    @property
    def out_rows(self) -> Tensor:
        weight: Tensor = self._out.weight
        return weight

    @property
    def layers(self) -> tuple[int, int]:
        raise ModelError(
            f"nothing stands between the layers of an encoder–decoder ({type(self.model).__name__}); name a projector "
            "that is not gated-cross-attention"
        )

    def embed(self, ids: Tensor) -> Tensor:
        embedded: Tensor = self._in(ids)
        return embedded  # [..., E]

    def bend(self, products: Tensor) -> Tensor:
        return products  # these families scale what the head takes, which the states are

    def cache(self) -> Any:
        return _Read()

    def read(self, inputs: Tensor, mask: Tensor, cache: Any, beside: Beside | None = None) -> None:
        # An encoder looks ahead: nothing can be read before the last piece is there.
        more = [row[counts] for row, counts in zip(inputs, mask.bool())]
        cache.prompts = [torch.cat(pair) for pair in zip(cache.prompts, more, strict=True)] if cache.prompts else more

    def begin(self, cache: Any) -> States:
        states, mask = self._encoded(cache.prompts)
        start = self._embedded(self._start).expand(len(cache.prompts), -1, -1)  # [B, s, E]
        found, keys = self._decoded(start, states, mask, lambda made: made[:, -1:], use_cache=True)
        cache.states, cache.mask, cache.keys, cache.rows = states, mask, keys, []
        return States(found.logits, found.hidden[:, -1:])

    def forward(self, inputs: Tensor, mask: Tensor, cache: Any, keep: int = 1) -> States:
        if not cache.rows and bool(mask.all()):
            found, cache.keys = self._decoded(
                inputs,
                cache.states,
                cache.mask,
                lambda made: made[:, -keep:],
                past_key_values=cache.keys,
                use_cache=True,
            )
            return found
        # Decoders count positions by place, so a gap would move what stands behind it: unlike rows go on alone.
        cache.rows = cache.rows or [cache.row(at) for at in range(len(inputs))]
        rows = zip(inputs, mask.bool(), cache.rows)
        alone = [self.forward(row[counts][None], counts[counts][None], own, keep) for row, counts, own in rows]
        return States(*(_at_the_end([getattr(states, name)[0] for states in alone]) for name in ("logits", "hidden")))

    def at(
        self, inputs: Tensor, mask: Tensor, places: Tensor, beside: Beside | None = None, branches: Tensor | None = None
    ) -> States:
        if branches is not None:
            raise ModelError(f"{type(self.model).__name__} reads a prompt as a whole, so that none can branch off")
        length = inputs.shape[1]
        owner, place = places // length, places % length  # [N]
        begins = torch.full((len(inputs),), length, device=inputs.device)
        begins = begins.scatter_reduce(0, owner, place, "amin")[:, None]  # [B, 1]: where the last of the prompt stands
        order = torch.arange(length, device=inputs.device)
        prompt, reply = mask.bool() & (order <= begins), mask.bool() & (order > begins)
        start = self._embedded(self._start)
        states, known = self._encoded([row[counts] for row, counts in zip(inputs, prompt)])
        said = pad_sequence([torch.cat([start, row[counts]]) for row, counts in zip(inputs, reply)], batch_first=True)
        rank = (
            reply.cumsum(dim=1) + len(start) - 1
        )  # [B, T]: a place's position in the decoder; the prompt's last is its start
        found, _ = self._decoded(said, states, known, lambda made: made[owner, rank[owner, place]], use_cache=False)
        spoken = (reply | (order == begins))[..., None]
        hidden = found.hidden.gather(1, rank[..., None].expand(-1, -1, found.hidden.shape[-1]))  # [B, T, D]
        return States(found.logits, hidden.masked_fill(~spoken, 0.0))

    def _embedded(self, ids: Sequence[int]) -> Tensor:
        return self.embed(torch.tensor(ids, dtype=torch.long, device=self.in_rows.device))  # [n, E]

    def _encoded(self, prompts: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """What the encoder makes of prompts, `[B, S, E]`, padded at their ends, and the mask `[B, S]`."""
        after = self._embedded(self._after)
        rows = [torch.cat([prompt, after]) for prompt in prompts]
        inputs = pad_sequence(rows, batch_first=True)
        lengths = torch.tensor([len(row) for row in rows], device=inputs.device)
        mask = (torch.arange(inputs.shape[1], device=inputs.device) < lengths[:, None]).long()
        states: Tensor = self.model.get_encoder()(inputs_embeds=inputs, attention_mask=mask).last_hidden_state
        return states, mask

    def _decoded(
        self, inputs: Tensor, states: Tensor | None, mask: Tensor | None, take: Callable[[Tensor], Tensor], **more: Any
    ) -> tuple[States, Any]:
        """What the decoder makes of `inputs` `[B, T, E]` beside what the encoder made, and its keys and values."""
        found, output = self._inside.run(
            self.model, take, encoder_outputs=(states,), attention_mask=mask, decoder_inputs_embeds=inputs, **more
        )
        return found, output.past_key_values


def _after(tokenizer: Any) -> list[int]:
    """The ids that a tokenizer puts behind a text."""
    whole, bare = (list(tokenizer("a", add_special_tokens=special).input_ids) for special in (True, False))
    at = next((at for at in range(len(whole)) if whole[at : at + len(bare)] == bare), 0)
    return whole[at + len(bare) :]


def _start(model: Any) -> list[int]:
    """The ids that the decoder starts from, as the library's own generation has them."""
    settings = model.generation_config
    given = (
        settings.decoder_start_token_id,
        getattr(model.config, "decoder_start_token_id", None),
        settings.bos_token_id,
    )
    start = next((number for number in given if number is not None), None)
    if start is None:
        raise ModelError(f"{type(model).__name__} names no decoder_start_token_id; set it in its generation settings")
    return [start, *([] if settings.forced_bos_token_id is None else [settings.forced_bos_token_id])]


def _at_the_end(rows: Sequence[Tensor]) -> Tensor:
    """Rows `[T_b, X]` as `[B, T, X]`, zeros before the shorter ones."""
    return pad_sequence(list(rows), batch_first=True, padding_side="left")
