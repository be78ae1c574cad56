"""What a stage trains and what it leaves frozen: every parameter of a model in one of the two, by name."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mmagent.errors import ModelError

if TYPE_CHECKING:
    from torch import nn

    from mmagent.model.parts import Parts

_log = logging.getLogger("mmagent.training")


@dataclass(frozen=True, slots=True)
class Parted:
    """The trained parts with their numbers of parameters, the frozen ones, and the names that the model promises
    afterwards."""

    trained: Mapping[str, int]
    frozen: Mapping[str, int]
    promised: tuple[str, ...]

    def __str__(self) -> str:
        def listed(found: Mapping[str, int]) -> str:
            return ", ".join(f"{name} ({count:,})" for name, count in found.items()) or "nothing"

        return f"trained: {listed(self.trained)}; frozen: {listed(self.frozen)}"


def part(parts: Parts, trained: Mapping[str, Sequence[nn.Parameter]], promised: Sequence[str]) -> Parted:
    """Have gradients for `trained`, by name, and for nothing else; said in the log. ModelError if that is nothing."""
    wanted = {id(value) for values in trained.values() for value in values}
    if not wanted:
        raise ModelError(f"{parts.spec.name} has no part that this stage trains")
    for value in parts.parameters():
        value.requires_grad_(id(value) in wanted)
    left = {name: sum(value.numel() for value in parts.part(name) if id(value) not in wanted) for name in parts.names()}
    backbone = next(info for info in parts.describe() if info.name == "backbone")
    frozen = {backbone.name: backbone.parameters} | {name: count for name, count in left.items() if count}
    counted = {name: sum(value.numel() for value in values) for name, values in trained.items()}
    found = Parted(counted, frozen, tuple(promised))
    _log.info("%s", found)
    return found


def chosen(wanted: Sequence[str], known: Sequence[str], what: str, owner: str) -> list[str]:
    """The modalities that a stage is for, all of them if it names none; ModelError for one that has no `what`."""
    missing = [name for name in wanted if name not in known]
    if missing or not known:
        raise ModelError(
            f"{owner} has no {what} for {', '.join(missing) or 'any modality'}; it has {', '.join(known) or 'none'}"
        )
    return list(wanted) or list(known)
