"""What came of one request, and what the model is told where it was wrong: messages that any provider takes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.messages.tool import ToolCall

from mmagent.conversation import Signal
from mmagent.model.chat.asks import Call, Nonsense, Refused, loaded
from mmagent.model.chat.history import tool_name

EMPTY = "the answer held neither words nor a tool call"
_GO_ON = "Go on with your answer from there, and do not repeat what you have said."
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass
class Heard:
    """One answer: its words, and its calls with what was made of each. `cut`: it ran into its limit of tokens."""

    words: list[str] = field(default_factory=list)
    calls: list[tuple[Call, Signal | Refused | Nonsense]] = field(default_factory=list)
    cut: bool = False

    @property
    def empty(self) -> bool:
        return not self.calls and not "".join(self.words).strip()

    @property
    def faults(self) -> list[str]:
        """What cannot be read."""
        return [found.why for _, found in self.calls if isinstance(found, Nonsense)] + [EMPTY] * self.empty

    @property
    def wrong(self) -> list[str]:
        """What cannot be read, and what may not be."""
        return [found.why for _, found in self.calls if not isinstance(found, Signal)] + [EMPTY] * self.empty


def told(heard: Heard, missing: Sequence[str]) -> tuple[list[BaseMessage], list[str]]:
    """The messages that let the model go on: its answer as it was, a result for each call, and what is wanted; with notes.

    A call that cannot be read is replayed with its name and no arguments, so that its error has a place everywhere.
    """
    words = "".join(heard.words)
    calls = [_replayed(call, found) for call, found in heard.calls]
    messages: list[BaseMessage] = [AIMessage(words, tool_calls=calls)] if words.strip() or calls else []
    messages += [_result(call, found) for call, (_, found) in zip(calls, heard.calls)]
    notes = heard.wrong
    if missing:
        wanted = f"The answer must also ask for {', '.join(dict.fromkeys(missing))}"
        messages.append(HumanMessage(f"{wanted}. Call {tool_name(missing[0])} now."))
        notes = [*notes, wanted]
    else:
        messages.append(HumanMessage("Your answer was empty. Answer the user." if heard.empty else _GO_ON))
    return messages, notes


def _replayed(call: Call, found: Signal | Refused | Nonsense) -> ToolCall:
    name = call.name if _NAME.fullmatch(call.name) else "unknown"
    arguments = None if isinstance(found, Nonsense) else loaded(call.arguments)
    return ToolCall(name=name, args=arguments or {}, id=call.id)


def _result(call: ToolCall, found: Signal | Refused | Nonsense) -> ToolMessage:
    if isinstance(found, Signal):
        return ToolMessage("It is being made.", tool_call_id=call["id"], name=call["name"])
    return ToolMessage(f"Error: {found.why}.", tool_call_id=call["id"], name=call["name"], status="error")
