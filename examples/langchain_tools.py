"""mmagent inside LangChain: tools that a model calls, a tool in a chain, and an agent as the chat model.

    python examples/langchain_tools.py [FOLDER]

Runs offline with langchain-core alone. The tool calls are written out here as a model would send them; with a model that
calls tools, `model.bind_tools(tools)` sends them, and everything else stays as it is.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.tools import BaseTool

from mmagent import Agent, Audio, Image, Signal, Text, tool
from mmagent.adapters.langchain import AgentChatModel, MediaStore, Sources, as_runnable, as_tool, media_of, to_block
from mmagent.model import ScriptedReasoner

PHOTO = Path(__file__).with_name("photo.png")


@tool(name="mean-colour.v1", lossy=True)
def mean_colour(image: Image) -> Text:
    """Say what colour a picture has on the whole."""
    red, green, blue = image.rgb().reshape(-1, 3).mean(axis=0)
    return Text(f"red {red:.0f}, green {green:.0f}, blue {blue:.0f}")


@tool(name="chord.v1", cost=0.05)
def chord(prompt: Text, seconds: float = 1.0) -> Audio:
    """Play a chord; the words decide which."""
    time = np.arange(int(8000 * seconds)) / 8000
    root = 220 * 2 ** (len(prompt.text) % 12 / 12)
    waves = [np.sin(2 * np.pi * root * ratio * time) for ratio in (1, 5 / 4, 3 / 2)]
    return Audio(0.3 * np.sum(waves, axis=0), 8000)


def tool_calls(store: MediaStore) -> None:
    """A tool node: calls come in, messages with words, handles and the media themselves go out."""
    tools: dict[str, BaseTool] = {
        item.name: item for item in (as_tool("resize", store=store), as_tool(mean_colour, store=store))
    }
    photo = store.put(Image(PHOTO))
    asked = AIMessage(
        "",
        tool_calls=[
            {"name": "resize", "args": {"image": photo, "width": 32, "height": 32}, "id": "1"},
            {"name": "mean-colour", "args": {"image": photo}, "id": "2"},
        ],
    )
    for call in asked.tool_calls:
        message = tools[call["name"]].invoke(call)
        print(f"{call['name']}: {message.content}   artifact: {message.artifact!r}")


def chain(agent: Agent) -> None:
    """A tool, a prompt, the agent and a parser in one line."""
    prompt = ChatPromptTemplate.from_messages([("human", "A picture is {colour}. What does it sound like?")])
    model = AgentChatModel(agent=agent)
    line = as_runnable(mean_colour) | (lambda colour: {"colour": colour}) | prompt | model | StrOutputParser()
    print("chain:", line.invoke(Image(PHOTO)))


def stream(agent: Agent, store: MediaStore, folder: Path) -> None:
    """Words and media as they come. With a store, messages carry handles, and histories stay small."""
    model = AgentChatModel(agent=agent, store=store)
    question = HumanMessage([{"type": "text", "text": "What does this sound like?"}, to_block(Image(PHOTO))])
    reply = None
    for chunk in model.stream([question]):
        print(chunk.text, *(f"[{block['type']}]" for block in chunk.content_blocks if block["type"] != "text"), sep="", end="")  # fmt: skip
        reply = chunk if reply is None else reply + chunk
    print()
    if reply is not None:
        for medium in media_of(reply, Sources(store)):
            print("saved:", medium.save(folder / "reply").name)


def main(folder: Path) -> None:
    # It says the same to everything, so that this runs anywhere; Agent("pocket") listens.
    reasoner = ScriptedReasoner(["It sounds like this: ", Signal("audio", "a calm chord")], makes=("audio",))
    agent, store = Agent(reasoner, tools=[mean_colour, chord]), MediaStore()
    tool_calls(store)
    chain(agent)
    stream(agent, store, folder)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
