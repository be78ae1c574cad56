"""A chat model's answer as it comes: words and whole tool calls, in the order in which they were begun.

It reads chunks of a stream and whole messages alike; words that follow a call wait until the call is complete. It knows
no tool and no policy.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk

from mmagent.model.chat.asks import Call, loaded, whole

_CUT = ("length", "max_tokens")


@dataclass(slots=True)
class _Begun:
    """A tool call of which more may come. `index` is the stream's own, if it gives one."""

    index: object
    id: str
    name: str
    arguments: str = ""
    whole: bool = False

    @property
    def complete(self) -> bool:
        """Whether nothing can follow. An empty object may be a placeholder, so it is not complete before the end."""
        return self.whole or (self.arguments.rstrip().endswith("}") and bool(loaded(self.arguments)))


class Hearing:
    """Takes in the messages of one answer, and gives out what is complete. `cut`: it ran into its limit of tokens."""

    def __init__(self) -> None:
        self._queue: deque[str | _Begun] = deque()
        self._begun: list[_Begun] = []
        self._half = ""
        self.cut = False

    def hear(self, message: AIMessage) -> Iterator[str | Call]:
        """What has become complete with a chunk, or with the whole message."""
        metadata = message.response_metadata
        ended = metadata.get("finish_reason") or metadata.get("stop_reason") or ""
        self.cut = self.cut or str(ended).lower() in _CUT
        if isinstance(message, AIMessageChunk):
            self._words(str(message.text))
            for chunk in message.tool_call_chunks:
                self._piece(chunk)
        else:
            blocks: list[Mapping[str, Any]] = [*message.content_blocks]
            if all(block["type"] != "invalid_tool_call" for block in blocks):
                blocks += message.invalid_tool_calls  # most translators leave them out
            for block in blocks:
                self._block(block)
        while self._queue:
            item = self._queue[0]
            if isinstance(item, _Begun) and not item.complete:
                return
            yield self._out(self._queue.popleft())

    def end(self) -> Iterator[str | Call]:
        """The rest, when the answer is over."""
        while self._queue:
            yield self._out(self._queue.popleft())

    def _out(self, item: str | _Begun) -> str | Call:
        if isinstance(item, str):
            return item
        cut = self.cut and item is self._begun[-1] and not item.complete
        return Call(item.id, item.name, item.arguments, cut)

    def _words(self, text: str) -> None:
        text, self._half = self._half + text, ""
        if text and "\ud800" <= text[-1] <= "\udbff":  # half of a character; the other half begins the next chunk
            text, self._half = text[:-1], text[-1]
        if text:
            self._queue.append(whole(text))

    def _block(self, block: Mapping[str, Any]) -> None:
        """A block of a whole message; what is neither words nor a call (reasoning, say) is no part of a reply."""
        if block["type"] == "text":
            self._words(block["text"])
        elif block["type"] == "tool_call":
            self._begin(_Begun(None, block.get("id") or "", block["name"], json.dumps(block["args"]), whole=True))
        elif block["type"] == "invalid_tool_call":
            self._begin(_Begun(None, block["id"] or "", block["name"] or "", block["args"] or "", whole=True))

    def _piece(self, chunk: Mapping[str, Any]) -> None:
        """A piece of a call: its name comes first and may be repeated, its arguments are what is added."""
        name = chunk.get("name") or ""
        call = self._continued(chunk) or self._begin(_Begun(chunk.get("index"), chunk.get("id") or "", ""))
        call.name += name if name != call.name else ""
        call.id = call.id or chunk.get("id") or ""
        call.arguments += chunk.get("args") or ""

    def _continued(self, chunk: Mapping[str, Any]) -> _Begun | None:
        """The call that a piece belongs to. Some servers give all calls one index; then another id tells them apart."""
        index, given = chunk.get("index"), chunk.get("id")
        if index is None and not given:
            return self._begun[-1] if self._begun and not chunk.get("name") else None
        found = (
            item for item in reversed(self._begun) if (item.index == index if index is not None else item.id == given)
        )
        call = next(found, None)
        return None if call is not None and given and call.id not in ("", given) else call

    def _begin(self, call: _Begun) -> _Begun:
        self._begun.append(call)
        self._queue.append(call)
        return call
