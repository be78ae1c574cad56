"""What a provider wants back with the results of calls: thoughts and signatures, in the form in which LangChain gave them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from langchain_core.messages import AIMessage, AIMessageChunk

THOUGHTS = "mmagent_thoughts"
_KINDS = ("thinking", "redacted_thinking", "reasoning")
_CALLS = ("tool_calls", "function_call")


def added(came: Sequence[AIMessage]) -> AIMessage:
    """The chunks of an answer as one message; the message itself where it came whole."""
    first, *rest = came
    return cast("AIMessage", first.__add__(rest)) if isinstance(first, AIMessageChunk) else first


def beside(message: AIMessage) -> dict[str, Any]:
    """The `additional_kwargs` that keep all of it: a message's own without its calls, its thoughts under a key of ours."""
    content = message.content if isinstance(message.content, list) else []
    blocks = [item for item in content if isinstance(item, dict) and item.get("type") in _KINDS]
    thoughts = [*message.additional_kwargs.get(THOUGHTS, ()), *blocks]
    rest = {name: value for name, value in message.additional_kwargs.items() if name not in (*_CALLS, THOUGHTS)}
    return {**rest, THOUGHTS: thoughts} if thoughts else rest
