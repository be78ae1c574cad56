"""One request to an agent, and its reply as LangChain takes it: whole, or in chunks while it is being made.

Chunks keep the order of the reply: words that follow a medium wait until it is there. Previews are left out, since
chunks are added up.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

from mmagent.adapters.langchain.blocks import Block, to_block
from mmagent.adapters.langchain.messages import FAILED, Asked
from mmagent.adapters.langchain.store import MediaStore
from mmagent.adapters.langchain.tap import Tap
from mmagent.agent import Agent
from mmagent.conversation import Policy, Signal
from mmagent.engine.events import Event
from mmagent.media import Media, Text
from mmagent.model.chat.foreign import Foreign
from mmagent.reply import PartError, Reply
from mmagent.step import CompiledStep
from mmagent.trace.record import Served
from mmagent.turn import Turn


class Call:
    """A turn over a conversation that LangChain keeps; the agent's own memory is neither read nor written.

    Run the steps of `turn`. For chunks, give `hear` every event and `end` every step when it is done, then take
    `last`; for the whole, take `result`.
    """

    def __init__(
        self,
        agent: Agent,
        request: Asked,
        policy: Policy,
        tap: Tap,
        store: MediaStore | None = None,
        foreign: Foreign | None = None,
    ) -> None:
        self._agent, self._tap, self._store, self._foreign = agent, tap, store, foreign or Foreign()
        self.turn = Turn(tap, agent.library, request.history, request.parts, policy, agent.look_again)
        # What came after the last user message, a tool's answer for instance, is read before answering, too.
        self.turn.request = self.turn.conversation = self.turn.conversation.then(*request.after)
        self._made: dict[str, Mapping[str, Any]] = {}
        self._before = 0  # parts of the steps that are done
        self._signals = 0  # signals of this step that have been told
        self._index = -1  # of the block that was told last
        self._open = False  # whether that block is words that may go on
        self._space = ""  # at the end of those words: no part of them unless they go on
        self._told = False  # whether any words were told

    # -- whole

    def result(self) -> ChatResult:
        """The reply as one message: a string if it is only words, else a list of content blocks."""
        reply = self._reply()
        content: str | list[str | dict[str, Any]] = reply.text
        if any(not isinstance(part, Text) for part in reply.parts):
            content = list(self._blocks(reply))
        message = AIMessage(content=content, usage_metadata=self._tap.usage(), response_metadata=self._metadata())
        message.tool_calls, message.invalid_tool_calls = self._foreign.called()
        message.additional_kwargs = self._kept()
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _blocks(self, reply: Reply) -> Iterator[Block]:
        captions = iter(route.caption for route, _ in reply.trace.signals)
        words = False
        for part in reply.parts:
            if isinstance(part, Text):
                yield {"type": "text", "text": f"\n{part.text}" if words else part.text}
                words = True
            else:
                yield self._block(part, next(captions, ""))

    # -- in chunks

    def hear(self, event: Event, step: CompiledStep) -> Iterator[ChatGenerationChunk]:
        """The chunks that can be told once this event has happened."""
        if event.kind in ("finished", "cached") and "/" in event.node:
            self._made[event.node] = event.data or {}
        yield from self._tell(step)

    def end(self, step: CompiledStep) -> Iterator[ChatGenerationChunk]:
        """The chunks that are left of a step whose result the turn has taken."""
        yield from self._tell(step, self._reply())
        self._before += len(step.answer.said)
        self._signals, self._open, self._space = 0, False, ""
        self._made.clear()

    def last(self) -> ChatGenerationChunk:
        """The chunk that ends the reply: no content, but calls of LangChain's tools, what it took and who made it."""
        facts = {
            "additional_kwargs": self._kept(),
            "usage_metadata": self._tap.usage(),
            "response_metadata": self._metadata(),
        }
        return _chunk("", tool_call_chunks=self._foreign.chunks(), chunk_position="last", **facts)

    def _tell(self, step: CompiledStep, reply: Reply | None = None) -> Iterator[ChatGenerationChunk]:
        """What has been heard and can be told: up to the first medium that is still being made."""
        heard = self._tap.heard
        while heard:
            piece = heard[0]
            if isinstance(piece, Signal):
                part = self._part(step, reply)
                if part is None:
                    return
                self._index, self._open, self._space = self._index + 1, False, ""
                self._signals += 1
                yield _chunk([{**self._block(part, piece.caption), "index": self._index}])
            else:
                text = self._words(piece)
                if text:
                    # As plain strings as long as there is nothing else: that is how most models stream.
                    plain = self._index == 0
                    yield _chunk(text if plain else [{"type": "text", "text": text, "index": self._index}])
            heard.popleft()

    def _words(self, piece: str) -> str:
        """What is new in a piece of words; a run begins and ends without white space, as a reply's part does."""
        text = self._space + piece if self._open else piece.lstrip()
        new = text.rstrip()
        if not new:
            self._space = text if self._open else ""
            return ""
        self._space = text[len(new) :]
        if not self._open:
            self._open = True
            self._index += 1
            new = f"\n{new}" if self._told else new
            self._told = True
        return new

    def _part(self, step: CompiledStep, reply: Reply | None) -> Media | PartError | None:
        """The part that came of the next signal, or None while it is being made."""
        places = [place for place, item in enumerate(step.answer.said) if isinstance(item, Served)]
        if self._signals >= len(places):
            return None  # it was heard a moment before it is routed
        place = places[self._signals]
        if reply is not None:
            return reply.parts[self._before + place]
        served = step.answer.said[place]
        if not isinstance(served, Served) or served.graph is None:
            return None
        origin = served.graph.outputs[served.signal.modality]
        found = self._made.get(f"{place}/{origin.node}", {}).get(origin.port)
        found = found[0] if isinstance(found, list | tuple) and found else found
        return found if isinstance(found, Media) else None

    # -- both

    def _block(self, part: Media | PartError, caption: str) -> Block:
        if isinstance(part, Media):
            return to_block(part, self._store, caption)
        value = {"kind": FAILED, "modality": part.modality, "caption": part.caption, "error": part.error}
        return {"type": "non_standard", "value": value}

    def _metadata(self) -> dict[str, Any]:
        found: dict[str, Any] = {"model_name": self._tap.name, "model_provider": "mmagent"}
        if self._tap.stopped:
            found["stop_sequence"] = self._tap.stopped
        if self._tap.estimated:
            found["usage_estimated"] = True
        return found

    def _kept(self) -> dict[str, Any]:
        return self._foreign.kept if self._foreign.calls else {}

    def _reply(self) -> Reply:
        return self.turn.reply(self._agent)


def _chunk(content: str | list[dict[str, Any]], **given: Any) -> ChatGenerationChunk:
    return ChatGenerationChunk(message=AIMessageChunk(content=content, **given))  # type: ignore[arg-type]  # list is invariant
