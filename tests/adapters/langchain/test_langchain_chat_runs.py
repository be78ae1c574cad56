"""An agent as a chat model among others: its memory, batches, cancelling, callbacks, caches and chains."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from langchain_core import globals
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import (
    AIMessageChunk,
    HumanMessage,
)
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate

from mmagent import Agent, Context, Engine, Image, Signal, Text, tool
from mmagent.adapters.langchain import AgentChatModel, media_of, to_block
from mmagent.errors import ConversationError
from mmagent.model import ScriptedReasoner

Make = Callable[..., Agent]

CAT = Image(np.full((4, 4, 3), 200, "uint8"))
STORY = ("Here is one. ", Signal("image", "a cat"), "And a sound:", Signal("speech", "purr"), " That is all.")


def added(chunks: Iterator[AIMessageChunk]) -> AIMessageChunk:
    first, *rest = chunks
    return first + rest if rest else first


def reasoner_of(agent: Agent) -> ScriptedReasoner:
    assert isinstance(agent.reasoner, ScriptedReasoner)
    return agent.reasoner


def test_the_agents_own_memory_is_left_alone(make_agent: Make) -> None:
    agent = make_agent("Yes.")
    agent("Remember this.")
    before = agent.conversation
    model = AgentChatModel(agent=agent)
    model.invoke("Hi")
    list(model.stream("Hi"))
    assert agent.conversation == before and [len(heard) for heard in reasoner_of(agent).heard] == [1, 1, 1]


def test_a_batch_runs_side_by_side(make_agent: Make) -> None:
    together = threading.Barrier(3)

    @tool(name="meet.v1", cost=0.05, cacheable=False)
    def meet(prompt: Text) -> Image:
        """Draw when three are here."""
        together.wait(20)
        return CAT

    model = AgentChatModel(agent=make_agent(Signal("image", "a cat"), tools=(meet,)))
    assert [media_of(item) for item in model.batch(["a", "b", "c"], {"max_concurrency": 3})] == [[CAT]] * 3


async def test_an_async_batch_gives_a_reply_each(make_agent: Make) -> None:
    model = AgentChatModel(agent=make_agent("Yes."))
    assert [item.text for item in await model.abatch(["a", "b"])] == ["Yes.", "Yes."]


def test_leaving_a_stream_cancels_the_turn(make_agent: Make) -> None:
    started, stopped = threading.Event(), threading.Event()

    @tool(name="endless.v1", cost=0.05)
    def endless(prompt: Text, ctx: Context) -> Image:
        """Draw until told to stop."""
        started.set()
        while not ctx.cancelled:
            time.sleep(0.005)
        stopped.set()
        return CAT

    chunks = AgentChatModel(agent=make_agent("Well,", Signal("image", "a cat"), tools=(endless,))).stream("Hi")
    assert next(chunks).text == "Well,"
    assert started.wait(10)
    chunks.close()  # type: ignore[attr-defined]  # it is a generator
    assert stopped.wait(10)


class Told(BaseCallbackHandler):
    """Keeps what it was called with."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Any]] = []

    def on_chat_model_start(self, serialized: Any, messages: Any, **given: Any) -> None:
        self.told.append(("start", given["metadata"]))

    def on_llm_new_token(self, token: Any, **given: Any) -> None:
        self.told.append(("token", token))

    def on_llm_end(self, response: Any, *, run_id: UUID, **given: Any) -> None:
        self.told.append(("end", response.generations[0][0].message.usage_metadata["output_tokens"]))

    def on_llm_error(self, error: BaseException, **given: Any) -> None:
        self.told.append(("error", type(error)))


def test_callbacks_hear_start_tokens_and_end(make_agent: Make) -> None:
    handler = Told()
    list(AgentChatModel(agent=make_agent("Hello you.")).stream("Hi", {"callbacks": [handler]}))
    assert [name for name, _ in handler.told] == ["start", "token", "token", "token", "end"]
    assert [item for name, item in handler.told if name == "token"][:2] == ["Hello", " you."]
    started = handler.told[0][1]
    assert (started["ls_provider"], started["ls_model_name"]) == ("mmagent", "scripted")


def test_an_error_is_our_own_and_is_told() -> None:
    @tool(name="deaf.v1", cost=0.001, lossy=True)
    def deaf(image: Image) -> Text:
        """Fail."""
        raise ValueError("too dark")

    handler = Told()
    model = AgentChatModel(agent=Agent(ScriptedReasoner(["Yes."]), tools=[deaf], engine=Engine()))
    from mmagent.errors import NodeFailed

    with pytest.raises(NodeFailed, match="too dark"):
        model.invoke([HumanMessage([to_block(CAT)])], {"callbacks": [handler]})
    assert handler.told[-1] == ("error", NodeFailed)


def test_a_prompt_an_agent_and_a_parser_are_a_chain(make_agent: Make) -> None:
    prompt = ChatPromptTemplate.from_messages([("system", "Be brief."), ("human", "Draw {what}.")])
    agent = make_agent(*STORY)
    chain = prompt | AgentChatModel(agent=agent) | StrOutputParser()
    assert chain.invoke({"what": "a cat"}) == "Here is one.\nAnd a sound:\nThat is all."
    assert "".join(chain.stream({"what": "a cat"})) == chain.invoke({"what": "a cat"})
    assert [item.text for item in reasoner_of(agent).heard[0]] == ["Be brief.", "Draw a cat."]


def test_no_cache_gives_the_reply_of_another_agent(make_agent: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(globals, "_llm_cache", InMemoryCache())
    for words in ("One.", "Two."):
        assert AgentChatModel(agent=make_agent(words)).invoke("Hi").text == words
    with pytest.raises(ConversationError, match="leave cache out"):
        AgentChatModel(agent=make_agent("Yes."), cache=InMemoryCache())
