"""What a change to a traced turn means: another request, policy, seed, model, tool or setting. It runs nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mmagent.conversation import Conversation, MediaSegment, Policy, TextSegment
from mmagent.errors import CardError, ConversationError
from mmagent.graph.library import Library
from mmagent.media import Media, Text
from mmagent.step import Swaps
from mmagent.trace import Trace
from mmagent.trace.transcript import restore


@dataclass(frozen=True, slots=True)
class Changed:
    """A traced turn with a change made to it, ready to be asked. `model` is None where it stays."""

    history: Conversation
    parts: tuple[Media, ...]
    policy: Policy
    model: Any
    swaps: Swaps


def changed(trace: Trace, media: Mapping[str, Media], change: Mapping[str, Any], library: Library) -> Changed:
    """The turn of `trace` under `change`, whose keys `Reply.replay` tells.

    ConversationError for a value that cannot be; UnknownName and CardError for tools and settings that are not there.
    """
    rest = dict(change)
    *history, last = restore(trace.request, media).messages
    parts = tuple(
        Text(item.text) if isinstance(item, TextSegment) else item.media
        for item in last.segments
        if isinstance(item, TextSegment | MediaSegment)
    )
    if "text" in rest:
        parts = _with_text(parts, rest.pop("text"))
    for key in [key for key in rest if key.startswith("input-")]:
        parts = _with_input(parts, key, rest.pop(key))
    policy = rest.pop("policy", None)
    if policy is not None and not isinstance(policy, Policy):
        raise ConversationError(f"replay takes a Policy for policy, not {type(policy).__name__}")
    policy = policy or policy_of(trace.policy)
    seed = rest.pop("seed", policy.seed)
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise ConversationError(f"replay takes a whole number for seed, not {seed!r}")
    model = rest.pop("model", None)
    called = {call.tool for call in trace.calls}
    for name, new in rest.items():
        _check_swap(name, new, called, library)
    return Changed(Conversation(history), parts, replace(policy, seed=seed), model, rest)


def policy_of(saved: Mapping[str, object]) -> Policy:
    """The policy that a trace holds as plain data."""
    fields: dict[str, Any] = dict(saved)
    fields |= {name: tuple(fields.get(name, ())) for name in ("force", "forbid")}
    fields["most"] = tuple((str(name), int(count)) for name, count in fields.get("most", ()))
    return Policy(**fields)


def _check_swap(name: str, new: object, called: set[str], library: Library) -> None:
    card = library.card(name)
    if card.name not in called:
        raise ConversationError(f"replay cannot change {name}: the turn called {', '.join(sorted(called))}")
    if isinstance(new, str):
        library.card(new)
    elif isinstance(new, Mapping):
        for key, value in new.items():
            setting = card.setting(key)
            if setting is None:
                raise CardError(
                    f"{card.name}: no setting {key!r}; it has {', '.join(item.name for item in card.settings)}"
                )
            setting.check(value, card.name)
    else:
        raise ConversationError(f"replay changes {name} to a tool's name or to settings, not {type(new).__name__}")


def _with_text(parts: Sequence[Media], new: object) -> tuple[Media, ...]:
    """The parts with `new` where the first words stood (at the end if there were none), and no other words."""
    if not isinstance(new, str):
        raise ConversationError(f"replay takes a string for text, not {type(new).__name__}")
    place = next((place for place, part in enumerate(parts) if isinstance(part, Text)), len(parts))
    before, after = parts[:place], (part for part in parts[place:] if not isinstance(part, Text))
    return (*before, Text(new), *after)


def _with_input(parts: Sequence[Media], key: str, new: object) -> tuple[Media, ...]:
    """The parts with the medium that `key` numbers (`input-1` is the first) replaced by `new`."""
    places = [place for place, part in enumerate(parts) if not isinstance(part, Text)]
    number = key.removeprefix("input-")
    if not number.isdigit() or not 1 <= int(number) <= len(places):
        raise ConversationError(f"replay cannot change {key}: the request has {len(places)} media (input-1 …)")
    if not isinstance(new, Media):
        raise ConversationError(f"replay takes media for {key}, not {type(new).__name__}; wrap it in a media class")
    place = places[int(number) - 1]
    return (*parts[:place], new, *parts[place + 1 :])
