"""Tools and agents in a langgraph graph: a tool node, an agent as a node, and checkpoints that hold handles alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

from mmagent import Agent, Engine, Image, Signal, Speech, Text, tool
from mmagent.adapters.langchain import AgentChatModel, MediaStore, Sources, as_tool, from_block, media_of
from mmagent.model import ScriptedReasoner

pytest.importorskip("langgraph")

from langgraph.checkpoint.memory import InMemorySaver  # after the skip
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode

NOISE = Image(np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype("uint8"))


@tool(name="turn.v1")
def turn(image: Image) -> Image:
    """Turn a picture upside down."""
    return Image(image.array[::-1])


@tool(name="hum.v1", cost=0.1)
def hum(prompt: Text) -> Speech:
    """Hum what the words say."""
    return Speech(np.full(16, len(prompt.text) / 255, "float32"), 8000)


def app(store: MediaStore) -> Any:
    """A graph that asks a tool to turn a picture, and lets an agent answer."""
    handle = store.put(NOISE)
    reasoner = ScriptedReasoner(["Here: ", Signal("speech", "hm")], makes=("speech",))
    model = AgentChatModel(agent=Agent(reasoner, tools=[hum], engine=Engine()), store=store)

    def ask(state: MessagesState) -> dict[str, Any]:
        call = {"name": "turn", "args": {"image": handle}, "id": "1", "type": "tool_call"}
        return {"messages": [AIMessage("", tool_calls=[call])]}

    def answer(state: MessagesState) -> dict[str, Any]:
        return {"messages": [model.invoke(state["messages"])]}

    graph = StateGraph(MessagesState)
    graph.add_node("ask", ask)
    graph.add_node("tools", ToolNode([as_tool(turn, store=store, artifact="blocks")]))
    graph.add_node("answer", answer)
    for before, after in ((START, "ask"), ("ask", "tools"), ("tools", "answer"), ("answer", END)):
        graph.add_edge(before, after)
    return graph.compile(checkpointer=InMemorySaver())


def test_a_tool_node_and_an_agent_pass_media_on_by_handle() -> None:
    store = MediaStore()
    made = app(store).invoke({"messages": [HumanMessage("Turn it.")]}, {"configurable": {"thread_id": "1"}})
    _, _, turned, answer = made["messages"]
    assert isinstance(turned, ToolMessage) and from_block(turned.artifact, Sources(store)) == turn(NOISE)
    assert answer.text == "Here:" and media_of(answer, Sources(store)) == [hum(Text("hm"))]


def test_checkpoints_hold_handles_and_no_bytes() -> None:
    store, config = MediaStore(), {"configurable": {"thread_id": "1"}}
    made = app(store)
    made.invoke({"messages": [HumanMessage("Turn it.")]}, config)
    saver = made.checkpointer
    size = sum(len(blob[1]) for blob in saver.blobs.values()) + sum(
        len(write[2][1]) for writes in saver.writes.values() for write in writes.values()
    )
    assert 0 < size < NOISE.nbytes
    again = made.get_state(config).values["messages"]
    assert media_of(again[-1], Sources(store)) == [hum(Text("hm"))]


def test_the_agents_words_and_media_stream_out_of_the_graph() -> None:
    chunks = [
        message
        for message, facts in app(MediaStore()).stream(
            {"messages": [HumanMessage("Turn it.")]}, {"configurable": {"thread_id": "1"}}, stream_mode="messages"
        )
        if facts["langgraph_node"] == "answer"
    ]
    assert [block["type"] for chunk in chunks for block in chunk.content_blocks] == ["text", "audio"]
