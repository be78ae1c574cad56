"""Tools that others brought, for one turn: offered to a chat model beside its own asks; its calls of them are handed back.

A conversation knows media that were asked for, and no calls of others' tools: what ties calls and results together
stands beside it, by the places of its messages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from langchain_core.messages import AIMessage, InvalidToolCall, ToolCall, ToolMessage
from langchain_core.messages.tool import ToolCallChunk, tool_call_chunk

from mmagent.model.chat.asks import Call, loaded
from mmagent.model.chat.history import tool_name

Links = Mapping[int, AIMessage | ToolMessage]
"""Messages that call tools or answer a call, by their place in the conversation, which holds what they say."""


@dataclass
class Foreign:
    """Tools in OpenAI's form, with the `choice` and the `options` that `bind_tools` takes. `calls` are the model's.

    `kept` is what its provider wants back with their results.
    """

    tools: Sequence[Mapping[str, Any]] = ()
    choice: Any = None
    options: Mapping[str, Any] = field(default_factory=dict)
    links: Links = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    kept: dict[str, Any] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        return [item["function"]["name"] for item in self.tools]

    def askable(self, modalities: Mapping[str, str]) -> dict[str, str]:
        """What may be asked for beside them: nothing where one of them must be called, since an ask would count as one."""
        if self.choice not in (None, False, "auto", "none"):
            return {}
        return {name: line for name, line in modalities.items() if tool_name(name) not in self.names}

    def called(self) -> tuple[list[ToolCall], list[InvalidToolCall]]:
        """The calls as a whole message has them: those that can be read, and the others."""
        good: list[ToolCall] = []
        bad: list[InvalidToolCall] = []
        for call in self.calls:
            values = loaded(call.arguments)
            if values is None:
                bad.append(InvalidToolCall(type="invalid_tool_call", name=call.name, args=call.arguments, id=call.id, error=None))  # fmt: skip
            else:
                good.append(ToolCall(type="tool_call", name=call.name, args=values, id=call.id))
        return good, bad

    def chunks(self) -> list[ToolCallChunk]:
        """The calls as a stream has them."""
        return [
            tool_call_chunk(name=call.name, args=call.arguments, id=call.id, index=place)
            for place, call in enumerate(self.calls)
        ]
