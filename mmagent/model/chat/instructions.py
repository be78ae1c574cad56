"""What a chat model is told of the house, beside the conversation: how to ask for media, and what must be asked for."""

from __future__ import annotations

from mmagent.conversation import Policy
from mmagent.model.chat.asks import Asks

_ASKING = (
    "You can put media into your reply: call a tool, and what it makes stands at that place of the reply. Write the "
    "words of the reply as usual, and call a tool only if the user wants such media. You may call several."
)
_NUMBERED = (
    "Media of this conversation are numbered in square brackets. What follows a number in the brackets was "
    "recognised by programs, and may be wrong."
)


def instructions(asks: Asks, policy: Policy) -> str:
    """The instructions for one reply; none where there is nothing to say."""
    told = [_ASKING] if asks.offered else []
    if asks.media:
        told.append(_NUMBERED)
    if policy.force:
        wanted = ", ".join(f"{policy.force.count(name)} {name}" for name in dict.fromkeys(policy.force))
        told.append(f"This reply must ask for {wanted}.")
    return " ".join(told)
