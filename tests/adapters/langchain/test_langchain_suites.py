"""LangChain's own test suites, over an agent as a chat model and over tools and a graph as LangChain tools.

What an agent cannot do is declared here, as the suites ask; docs/langchain.md has the table of what came of it.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.tools import BaseTool
from langchain_tests.integration_tests import ChatModelIntegrationTests, ToolsIntegrationTests
from langchain_tests.unit_tests import ChatModelUnitTests, ToolsUnitTests

from mmagent import Agent, Audio, Engine, GraphBuilder, Image, Signal, Text, tool
from mmagent.adapters.langchain import AgentChatModel, as_tool
from mmagent.model import ScriptedReasoner

PICTURE = Image(np.arange(192, dtype="uint8").reshape(8, 8, 3))


@tool(name="suite-draw.v1", cost=0.1)
def draw(prompt: Text, size: int = 2) -> Image:
    """Draw a picture of what the words say."""
    return Image(np.full((size, size, 3), len(prompt.text), "uint8"))


@tool(name="suite-look.v1", cost=0.001, lossy=True)
def look(image: Image) -> Text:
    """Say how large a picture is."""
    return Text(f"a picture, {image.width} wide")


@tool(name="suite-listen.v1", cost=0.001, lossy=True)
def listen(audio: Audio) -> Text:
    """Say how long a sound is."""
    return Text(f"{audio.seconds:g} seconds of sound")


def draw_and_look() -> GraphBuilder:
    graph = GraphBuilder("draw-and-look", doc="Draw a picture, and say how large it is.")
    drawn = graph.add("draw", draw, prompt=graph.input("prompt", Text), size=8)
    graph.output("picture", drawn)
    graph.output("words", graph.add("look", look, image=drawn))
    return graph


@pytest.mark.usefixtures("local_downloads")
class ChatModel:
    """The model that both suites are given, and what it can do."""

    AGENT: ClassVar[Agent] = Agent(
        ScriptedReasoner(["Hello, here is what you asked for: ", Signal("image", "a cat")], makes=("image",)),
        tools=[draw, look, listen],
        engine=Engine(),
    )

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return AgentChatModel

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"agent": self.AGENT}

    @property
    def has_tool_calling(self) -> bool:
        return False

    @property
    def has_structured_output(self) -> bool:
        return False

    @property
    def supports_image_inputs(self) -> bool:
        return True

    @property
    def supports_audio_inputs(self) -> bool:
        return True

    @property
    def supports_video_inputs(self) -> bool:
        return True


class TestChatModelUnit(ChatModel, ChatModelUnitTests):
    """The unit suite."""


class TestChatModelIntegration(ChatModel, ChatModelIntegrationTests):
    """The integration suite."""


@pytest.mark.weights
@pytest.mark.slow
@pytest.mark.timeout(600)
class TestPocketChatModelIntegration(ChatModel, ChatModelIntegrationTests):
    """The same with the model that is shipped, which speaks as it will."""

    AGENT = Agent("pocket")

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"agent": self.AGENT, "max_tokens": 6}


class PictureTool:
    """A tool that takes words and a setting, and makes a picture."""

    @property
    def tool_constructor(self) -> BaseTool:
        return as_tool(draw)

    @property
    def tool_invoke_params_example(self) -> dict[str, Any]:
        return {"prompt": "a red box", "size": 4}


class TestToolUnit(PictureTool, ToolsUnitTests):
    """The unit suite over a tool."""


class TestToolIntegration(PictureTool, ToolsIntegrationTests):
    """The integration suite over a tool."""


class GraphTool:
    """A graph with two outputs that takes words."""

    @property
    def tool_constructor(self) -> BaseTool:
        return as_tool(draw_and_look())

    @property
    def tool_invoke_params_example(self) -> dict[str, Any]:
        return {"prompt": "a red box"}


class TestGraphUnit(GraphTool, ToolsUnitTests):
    """The unit suite over a graph."""


class TestGraphIntegration(GraphTool, ToolsIntegrationTests):
    """The integration suite over a graph."""


class ReadingTool:
    """A tool that takes a picture by reference, and says words."""

    @property
    def tool_constructor(self) -> BaseTool:
        return as_tool(look)

    @property
    def tool_invoke_params_example(self) -> dict[str, Any]:
        return {"image": PICTURE.data_uri()}


class TestReadingToolUnit(ReadingTool, ToolsUnitTests):
    """The unit suite over a tool that takes media."""


class TestReadingToolIntegration(ReadingTool, ToolsIntegrationTests):
    """The integration suite over a tool that takes media."""
