"""Training span states towards a generator: distance to what it would be given for the caption, and its own loss.

S: spans of a modality, k: signal ids of a span, D: width of states, L × C: the generator's conditioning.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from mmagent.diffusion import Trainable
from mmagent.errors import ModelError
from mmagent.registry import Registry
from mmagent.registry import registry as shared
from mmagent.training import losses
from mmagent.training.shards import Targets

if TYPE_CHECKING:
    from mmagent.model.parts import Parts
    from mmagent.model.spec import ToolSpec
    from mmagent.training.lessons import Asked

SNR_GAMMA = 5.0
"""Min-SNR weighting of a denoiser's times (Hang et al. 2023, arXiv:2303.09556)."""


class Maker:
    """The generator of a modality: its targets are kept below `folder`, it is loaded when one is missing.

    ModelError if it is none that can be trained towards.
    """

    def __init__(self, tool: ToolSpec, folder: Path, registry: Registry | None = None, part: str = "0") -> None:
        kind = (registry or shared).find(tool.tool)
        settings = kind.card.check_settings(tool.settings)
        self.card = kind.card_for(settings)
        self._instance = kind.make(settings)
        if not isinstance(self._instance, Trainable):
            raise ModelError(
                f"{self.card.name} cannot be trained towards: it has no condition(), null() and loss() "
                "(see mmagent.diffusion.Trainable)"
            )
        self._loaded = False
        self.targets = Targets(
            self.card, settings, lambda: self.loaded.condition, folder, null=lambda: self.loaded.null(), part=part
        )

    @property
    def loaded(self) -> Trainable:
        """The generator, loaded."""
        found = self._instance
        if not self._loaded:
            found.load()
            self._loaded = True
        assert isinstance(found, Trainable)  # noqa: S101  # said above
        return found

    def condition(self, captions: Sequence[str], length: int) -> tuple[Tensor, Tensor]:
        """The targets `[S, L, C]` of captions and their masks `[S, L]`, padded to `length` states."""
        return _stacked([self.targets.both(caption) for caption in captions], length)

    def null(self, length: int) -> tuple[Tensor, Tensor]:
        """The target `[1, L, C]` of no caption, and its mask."""
        return _stacked([self.targets.null()], length)

    def close(self) -> None:
        """Keep what was made, and unload the generator if it was loaded."""
        self.targets.close()
        if self._loaded:
            self._instance.unload()
            self._loaded = False


class Making:
    """The terms `distance.<modality>` and `denoising.<modality>` of spans, by the makers of their modalities.

    A share `null` of the spans has its states put to zero, and is trained towards the generator's null conditioning:
    what a projector makes of nothing then serves guidance as negative (MiniGPT-5, Zheng et al. 2023,
    arXiv:2310.02239, section 3.3).
    """

    def __init__(
        self, parts: Parts, makers: Mapping[str, Maker], *, null: float, denoising: bool, distance: bool = True
    ) -> None:
        self._parts, self._makers = parts, makers
        self._null, self._denoising, self._distance = null, denoising, distance

    def counts(self, asked: Sequence[Asked]) -> dict[str, int]:
        """How many spans each term is a mean over."""
        found: dict[str, int] = {}
        for one in asked:
            if one.modality in self._makers:
                if self._distance:
                    found[f"distance.{one.modality}"] = found.get(f"distance.{one.modality}", 0) + 1
                if self._denoising and one.media is not None:
                    found[f"denoising.{one.modality}"] = found.get(f"denoising.{one.modality}", 0) + 1
        return found

    def pack(self, asked: Sequence[Asked]) -> None:
        """Have the targets of spans made and kept, that of no caption too."""
        for modality, maker in self._makers.items():
            captions = [one.caption for one in asked if one.modality == modality]
            if captions and self._distance:
                if self._null:
                    maker.targets.null()
                maker.targets.pack(captions)

    def losses(self, states: Mapping[str, Tensor], asked: Sequence[Asked]) -> dict[str, Tensor]:
        """The terms for the states `[S, k, D]` of the spans asked, by modality in order. Draws from torch's generator."""
        found: dict[str, Tensor] = {}
        for modality, maker in self._makers.items():
            wanted = [one for one in asked if one.modality == modality]
            if wanted:
                found |= self._of(modality, maker, states[modality], wanted)
        return found

    def _of(self, modality: str, maker: Maker, states: Tensor, wanted: Sequence[Asked]) -> dict[str, Tensor]:
        device = states.device
        dropped = (torch.rand(len(wanted)) < self._null).to(device)  # drawn on the CPU: the same on any device
        made, mask = self._parts.condition(modality, states.masked_fill(dropped[:, None, None], 0.0))  # [S, L, C]
        found: dict[str, Tensor] = {}
        if self._distance:
            target, counted = (
                part.to(device) for part in maker.condition([one.caption for one in wanted], made.shape[1])
            )
            if dropped.any():
                nothing, empty = (part.to(device) for part in maker.null(made.shape[1]))
                target = torch.where(dropped[:, None, None], nothing, target)
                counted = torch.where(dropped[:, None], empty, counted)
            found[f"distance.{modality}"] = losses.distance(made, target, counted)
        shown = [at for at, one in enumerate(wanted) if one.media is not None]
        if self._denoising and shown:
            media = [one.media.open() for one in wanted if one.media is not None]
            noise = torch.Generator().manual_seed(int(torch.randint(2**62, ())))
            found[f"denoising.{modality}"] = maker.loaded.loss(
                made[shown],
                media,
                generator=noise,
                mask=mask[shown],
                snr_gamma=SNR_GAMMA,
            )
        return found


def _stacked(found: Sequence[tuple[np.ndarray, np.ndarray]], length: int) -> tuple[Tensor, Tensor]:
    """Targets `[l, C]` of several captions, padded to `[S, length, C]`, and their masks."""
    longest = max(len(target) for target, _ in found)
    if longest > length:
        raise ModelError(
            f"the projector makes {length} states, its generator's conditioning has {longest}; set queries: {longest}"
        )
    targets = torch.zeros(len(found), length, found[0][0].shape[1])
    masks = torch.zeros(len(found), length, dtype=torch.bool)
    for row, (target, mask) in enumerate(found):
        targets[row, : len(target)] = torch.from_numpy(np.array(target, dtype=np.float32))
        masks[row, : len(mask)] = torch.from_numpy(np.array(mask))
    return targets, masks
