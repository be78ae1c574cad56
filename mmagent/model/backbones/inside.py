"""Inside a pass of a library's model: which states its head is given, and what stands between its layers.

The model itself makes the logits of what is left for its head, so that whatever it does to them after (scales, bends,
adds) is done here too. Passes in other threads do not see each other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from mmagent.model.backbones import Between, States

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(slots=True, eq=False)
class _Pass:
    """A pass under way: `take` leaves of the states `[B, T, D]` before the head those that logits are made of."""

    owner: object
    take: Callable[[Tensor], Tensor]
    between: Between | None
    states: Tensor | None = None


_NOW: ContextVar[_Pass | None] = ContextVar("_NOW", default=None)


class Inside:
    """Looks into a model's passes; of passes that `run` does not make nothing changes."""

    def __init__(self, head: nn.Module, layers: Sequence[nn.Module] = ()) -> None:
        self._owner = object()  # another one's hooks may lie on the same modules
        head.register_forward_pre_hook(partial(_leave, self._owner))
        for number, layer in enumerate(layers):
            layer.register_forward_pre_hook(partial(_enter, self._owner, number), with_kwargs=True)

    def run(
        self, model: Any, take: Callable[[Tensor], Tensor], between: Between | None = None, **given: Any
    ) -> tuple[States, Any]:
        """Call `model` with what is given: its logits of what `take` leaves with all its states before the head, and
        the library's own output."""
        now = _Pass(self._owner, take, between)
        token = _NOW.set(now)
        try:
            found = model(**given)
        finally:
            _NOW.reset(token)
        if now.states is None:
            raise RuntimeError(f"{type(model).__name__} made logits without its output embeddings")
        return States(found.logits, now.states), found


def _leave(owner: object, _: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...] | None:
    now = _NOW.get()
    if now is None or now.owner is not owner:
        return None
    now.states = given[0]
    return (now.take(given[0]), *given[1:])


def _enter(
    owner: object, number: int, _: nn.Module, given: tuple[Any, ...], named: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
    now = _NOW.get()
    if now is None or now.owner is not owner or now.between is None:
        return None
    if given:
        return (now.between(number, given[0]), *given[1:]), named
    return given, {**named, "hidden_states": now.between(number, named["hidden_states"])}
