"""Media beside prompts: what gated layers between those of the LLM show to the positions behind each medium's place.

A position reads the medium of a modality that last preceded it, and those before the first read none (Alayrac et al.
2022, arXiv:2204.14198, section 2.3); what came earlier reaches it through the LLM's own attention.
B prompts, T positions of a pass, S all positions so far, n media of a prompt, M latents of a medium, D the LLM's width.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from mmagent.model.feeding import padded
from mmagent.model.pieces import Piece, Seen

if TYPE_CHECKING:
    from mmagent.model.backbones import Between
    from mmagent.model.projectors.gated_cross_attention import GatedCrossAttention


@dataclass(slots=True, eq=False)
class _Shown:
    """The media of one modality: their latents B × `[n_b, M, D]`, and how many of them stand before each position,
    B × `[T_b]`; positions behind those stand behind all of them."""

    gates: GatedCrossAttention
    media: Sequence[Tensor]
    before: Sequence[Tensor]
    known: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)  # by layer, keys and values of the media

    def up_to(self, length: int, row: int) -> Tensor:
        """How many media stand before each of a row's first positions `[length]`."""
        told = self.before[row]
        return torch.cat([told, told.new_full((length - len(told),), len(self.media[row]))])

    def then(self, n_read: Sequence[int], more: _Shown) -> _Shown:
        """With what `more` shows behind `n_read` positions of each row."""
        media = [torch.cat(pair) for pair in zip(self.media, more.media, strict=True)]
        before = [
            torch.cat([self.up_to(n, row), told + len(self.media[row])])
            for row, (n, told) in enumerate(zip(n_read, more.before, strict=True))
        ]
        return _Shown(self.gates, media, before)

    def between(self, mask: Tensor, length: int) -> Between:
        counts = torch.stack([self.up_to(mask.shape[1], row) for row in range(len(mask))])  # [B, S]
        rank = (mask.long().cumsum(dim=1) - 1).clamp(min=0)[:, -length:]  # [B, T]: a position's number in its row
        last = counts.gather(1, rank)  # [B, T]: the number of the medium that it reads, from 1
        none = self.media[0].new_zeros(1, *self.media[0].shape[1:])  # nobody reads it; a softmax wants something
        media = pad_sequence([*self.media, none], batch_first=True)[:-1]  # [B, n, M, D], n at least 1
        numbers = torch.arange(1, media.shape[1] + 1, device=mask.device).repeat_interleave(media.shape[2])
        seen = last[..., None] == numbers  # [B, T, n · M]

        def read(number: int, states: Tensor) -> Tensor:
            block = self.gates.block(number)
            if block is None:
                return states
            if number not in self.known:
                self.known[number] = block.keys_values(media)
            made: Tensor = block(states.float(), *self.known[number], seen)
            return made.to(states.dtype)

        return read


class Beside:
    """What stands beside the prompts of a batch, modality by modality; made by `show`. It is never changed."""

    def __init__(self, shown: Mapping[str, _Shown]) -> None:
        self._shown = shown

    def then(self, n_read: Tensor, more: Beside) -> Beside:
        """With what stands beside the next positions of each row, `n_read` `[B]` having been read."""
        counts = [int(n) for n in n_read]
        return Beside({name: shown.then(counts, more._shown[name]) for name, shown in self._shown.items()})

    def between(self, mask: Tensor, length: int) -> Between:
        """What happens to the states that enter a layer at the last `length` positions of those that `mask` `[B, S]`
        counts."""
        steps = [shown.between(mask, length) for shown in self._shown.values()]

        def read(number: int, states: Tensor) -> Tensor:
            for step in steps:
                states = step(number, states)
            return states

        return read


def show(
    gates: Mapping[str, GatedCrossAttention], widths: Mapping[str, int], prompts: Sequence[Sequence[Piece]],
    length: Callable[[Piece], int], device: torch.device,
) -> Beside:  # fmt: skip
    """What prompts show to gated layers: all media of one modality pass its resampler together.

    `widths` are those of the encoders' states, `length` tells how many positions a piece takes.
    """
    return Beside({name: _of(name, own, widths[name], prompts, length, device) for name, own in gates.items()})


def _of(
    name: str, gates: GatedCrossAttention, width: int, prompts: Sequence[Sequence[Piece]],
    length: Callable[[Piece], int], device: torch.device,
) -> _Shown:  # fmt: skip
    media: list[Seen] = []
    before: list[Tensor] = []
    sizes: list[int] = []
    for prompt in prompts:
        counts: list[int] = []
        first = len(media)
        for piece in prompt:
            if isinstance(piece, Seen) and piece.modality == name:
                media.append(piece)
            counts += [len(media) - first] * length(piece)
        before.append(torch.tensor(counts, dtype=torch.long, device=device))
        sizes.append(len(media) - first)
    states, mask = padded(media, width, device) if media else (torch.zeros(0, 1, width, device=device), None)
    latents, _ = gates(states, mask)  # [N, M, D]
    return _Shown(gates, latents.split(sizes), before)
