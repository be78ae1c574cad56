"""A chat model that speaks for an agent: it asks for a picture and for speech by tool calls, and tools make them.

    python examples/chat_model.py [FOLDER] [MODEL]

Runs offline with a chat model that says what it was given. With MODEL (`gpt-4o-mini`, say), `langchain-openai` and
OPENAI_API_KEY, that model decides; any other LangChain chat model takes the same place.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from langchain_core.language_models import BaseChatModel

from mmagent import Agent, Image, Speech, Text, tool
from mmagent.model import ChatReasoner
from mmagent.model.chat import PriceSpec
from mmagent.model.chat.scripted import ScriptedChat

PHOTO = Path(__file__).with_name("photo.png")


@tool(name="stripes.v1", cost=0.05)
def stripes(prompt: Text, size: int = 64) -> Image:
    """Paint stripes, whose colours the words decide."""
    colours = np.frombuffer(bytes.fromhex(prompt.digest[:24]), "uint8").reshape(4, 3)
    return Image(np.repeat(colours[np.arange(size) * 4 // size][:, None], size, axis=1))


@tool(name="beeps.v1", cost=0.05)
def beeps(words: Text, rate: int = 8000) -> Speech:
    """Speak as a robot does: a beep for each word."""
    time = np.arange(rate // 5) / rate
    return Speech(
        np.concatenate(
            [np.sin(2 * np.pi * (300 + 40 * len(word)) * time) * (time < 0.15) for word in words.text.split()]
        ),
        rate,
    )


@tool(name="mean-colour.v1", lossy=True)
def mean_colour(image: Image) -> Text:
    """Say what colour a picture has on the whole."""
    red, green, blue = image.rgb().reshape(-1, 3).mean(axis=0)
    return Text(f"red {red:.0f}, green {green:.0f}, blue {blue:.0f}")


def chosen(name: str) -> BaseChatModel:
    """The model of that name, or one that needs no network."""
    if name:
        from langchain_openai import ChatOpenAI

        model: BaseChatModel = ChatOpenAI(model=name)
        return model
    picture = ("make_image", {"caption": "stripes in the colours of the photograph", "refs": [1]})
    speech = ("make_speech", {"caption": "These are its colours."})
    return ScriptedChat(script=[["These are its colours: ", picture, speech], ["You are welcome."]])


def main(out: Path, name: str) -> None:
    model = chosen(name)
    reasoner = ChatReasoner(model, price=PriceSpec(input=0.15, output=0.60))
    agent = Agent(reasoner, tools=[stripes, beeps, mean_colour])
    reply = agent("Paint stripes in these colours, and tell me aloud.", Image(PHOTO))
    print("reply:", *reply.parts)
    print("it took:", reply.trace.usage[0])
    print("then:", agent("Thank you.").text)
    if isinstance(model, ScriptedChat):
        for said in model.heard[-1][0]:
            print(f"  {said.type}: {said.text[:70]!r}")
    reply.save(out)


if __name__ == "__main__":
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "out")
    target.mkdir(parents=True, exist_ok=True)
    main(target, sys.argv[2] if len(sys.argv) > 2 else "")
