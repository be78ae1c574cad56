"""Tools and graphs as LangChain tools: arguments off the card, references for media, words and handles, errors."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import pytest
from langchain_core.callbacks import AsyncCallbackHandler, BaseCallbackHandler
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import ToolException
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import ValidationError

from mmagent import (
    Agent,
    Audio,
    Constraint,
    Context,
    Engine,
    Graph,
    GraphBuilder,
    Image,
    Media,
    Speech,
    Text,
    Tool,
    tool,
)
from mmagent.adapters.langchain import AgentChatModel, MediaStore, as_tool, from_block
from mmagent.errors import CardError, GraphError, IntakeError, NodeFailed, UnknownName
from mmagent.model import ScriptedReasoner
from mmagent.registry import Registry
from mmagent.testing import join, registry
from mmagent.testing import words as split_words

PICTURE = Image(np.arange(48, dtype="uint8").reshape(4, 4, 3))


@tool(name="paint.v1")
def paint(prompt: Text, size: int = 2, style: Literal["oil", "ink"] = "oil", seed: int | None = None) -> Image:
    """Paint what the words say."""
    return Image(np.full((size, size, 3), len(prompt.text) + (style == "ink"), "uint8"))


@tool(name="look.v1", lossy=True)
def look(image: Image) -> Text:
    """Say how large a picture is."""
    return Text(f"{image.width} by {image.height}")


@tool(name="tint.v1")
def tint(image: Image, by: Image | None = None, amount: float = 0.5) -> Image:
    """Tint a picture by another."""
    other = by.array if by is not None else np.zeros_like(image.array)
    return Image((image.array * (1 - amount) + other * amount).astype("uint8"))


@tool(name="heard.v1", lossy=True)
def heard(speech: Speech) -> Text:
    """Say how long somebody speaks."""
    return Text(f"{len(speech.array)} samples")


@tool(name="what.v1", lossy=True)
def what(media: Media) -> Text:
    """Say what something is."""
    return Text(f"{media.modality}: {media.describe()}")


class Sides(NamedTuple):
    """Two halves of a picture, the second of which may be missing."""

    left: Image
    right: Image | None


@tool(name="cut.v1")
def cut(image: Image) -> Sides:
    """Cut a picture in two."""
    half = image.width // 2
    return Sides(Image(image.array[:, : half or 1]), Image(image.array[:, half:]) if half else None)


def described(of: Any) -> dict[str, Any]:
    properties: dict[str, Any] = convert_to_openai_tool(of)["function"]["parameters"]["properties"]
    return properties


# -- the arguments


def test_the_arguments_are_the_cards() -> None:
    made = as_tool(paint)
    assert (made.name, made.description) == ("paint", "Paint what the words say. Gives image.")
    found = described(made)
    assert {name: item.get("type") for name, item in found.items()} == {
        "prompt": "string", "size": "integer", "style": "string", "seed": None,
    }  # fmt: skip
    assert (found["size"]["default"], found["style"]["enum"]) == (2, ["oil", "ink"])
    assert convert_to_openai_tool(made)["function"]["parameters"]["required"] == ["prompt"]


def test_media_are_references() -> None:
    found = described(as_tool(tint))
    assert found["image"] == {
        "type": "string", "description": "Reference to image: a handle (media:…) or a data: URI.",
    }  # fmt: skip
    assert found["by"]["anyOf"] == [{"type": "string"}, {"type": "null"}]
    many = described(as_tool(join))["texts"]
    assert (many["type"], many["items"]) == ("array", {"type": "string"})


class Model(Tool, name="model.v1"):
    """Say which model answers."""

    def __init__(self, model: str = "small", rounds: int = 1) -> None:
        self.model, self.rounds = model, rounds

    def run(self, text: Text, polite: bool = False) -> Text:
        return Text(f"{self.model} {self.rounds} {polite} {text.text}")


def test_what_a_tool_is_loaded_with_is_not_the_llms_to_choose() -> None:
    assert list(described(as_tool(Model))) == ["text", "polite"]
    assert list(described(as_tool(Model, choose=["rounds"]))) == ["text", "rounds"]
    assert as_tool(Model, settings={"model": "large", "rounds": 3}).invoke({"text": "hi"}) == "large 3 False hi"
    assert as_tool(Model, choose=["rounds"]).invoke({"text": "hi", "rounds": 2}) == "small 2 False hi"
    with pytest.raises(ValidationError, match="model"):
        as_tool(Model).invoke({"text": "hi", "model": "/etc/passwd"})


def test_a_fixed_setting_is_checked_when_the_tool_is_made() -> None:
    assert list(described(as_tool(paint, settings={"size": 4, "seed": None}))) == ["prompt", "style"]
    with pytest.raises(CardError, match="no setting 'colour'"):
        as_tool(paint, settings={"colour": "red"})
    with pytest.raises(CardError, match="size takes int"):
        as_tool(paint, settings={"size": "big"})


@pytest.mark.filterwarnings("error")
def test_names_that_pydantic_and_langchain_use_themselves_are_changed() -> None:
    @tool(name="odd.v1", lossy=True)
    def odd(schema: Text, copy: Text, config: str = "c", callbacks: int = 1, model_dump: bool = False) -> Text:
        """Join them."""
        return Text(f"{schema.text} {copy.text} {config} {callbacks} {model_dump}")

    made = as_tool(odd)
    assert list(described(made)) == ["arg_schema", "arg_copy", "arg_config", "arg_callbacks", "arg_model_dump"]
    given = {"arg_schema": "a", "arg_copy": "b", "arg_config": "d", "arg_callbacks": 2, "arg_model_dump": True}
    assert made.invoke(given) == "a b d 2 True"
    assert made.invoke({"arg_schema": "a", "arg_copy": "b"}) == "a b c 1 False"


def test_arguments_that_do_not_fit_are_refused() -> None:
    for given in ({}, {"prompt": "a", "size": "big"}, {"prompt": "a", "style": "crayon"}, {"prompt": "a", "hue": 1}):
        with pytest.raises(ValidationError):
            as_tool(paint).invoke(given)


def test_one_of_two_inputs_is_asked_for() -> None:
    class Choose(Tool, name="choose.v1", either=("prompt", "image")):
        """Take one."""

        def run(self, prompt: Text | None = None, image: Image | None = None) -> Text:
            return prompt or Text("a picture")

    made = as_tool(Choose)
    assert "Give this or image." in described(made)["prompt"]["description"]
    assert made.invoke({"prompt": "words"}) == "words"
    assert made.invoke({"image": PICTURE.data_uri()}) == "a picture"
    with pytest.raises(GraphError, match="one of prompt or image"):
        made.invoke({})


# -- calls


def call(name: str, **args: Any) -> dict[str, Any]:
    return {"type": "tool_call", "id": "1", "name": name, "args": args}


def test_a_call_gives_words_a_handle_and_the_medium() -> None:
    store = MediaStore()
    message = as_tool(paint, store=store).invoke(call("paint", prompt="abc", size=3))
    assert isinstance(message, ToolMessage)
    made = paint(Text("abc"), size=3)
    assert message.artifact == made and message.tool_call_id == "1" and message.status == "success"
    handle = f"media:{made.digest[:12]}"
    assert message.content == f"image {handle} (width 3, height 3, channels 3, bits 8)"
    assert store.get(handle) == made


def test_words_are_the_content_themselves() -> None:
    message = as_tool(look).invoke(call("look", image=PICTURE.data_uri()))
    assert (message.content, message.artifact) == ("4 by 4", Text("4 by 4"))


async def test_calls_may_be_awaited() -> None:
    message = await as_tool(paint).ainvoke(call("paint", prompt="abc"))
    assert message.artifact == paint(Text("abc"))
    assert await as_tool(look).ainvoke(PICTURE.data_uri()) == "4 by 4"


def test_tools_with_one_store_pass_media_on_by_handle() -> None:
    store = MediaStore()
    told = as_tool(paint, store=store).invoke({"prompt": "abc", "size": 5})
    handle = told.split()[1]
    assert as_tool(look, store=store).invoke({"image": handle}) == "5 by 5"
    with pytest.raises(IntakeError, match="same store"):
        as_tool(look).invoke({"image": handle})


def test_a_port_of_anything_takes_references_and_words() -> None:
    store = MediaStore()
    made = as_tool(what, store=store)
    assert made.invoke("just words") == "text: {'characters': 10}"
    assert made.invoke(store.put(PICTURE)).startswith("image:")
    assert made.invoke(PICTURE.data_uri()).startswith("image:")


def test_files_and_addresses_are_read_only_where_that_was_allowed(tmp_path: Path) -> None:
    path = PICTURE.save(tmp_path / "cat.png")
    with pytest.raises(IntakeError, match="folders that may be read"):
        as_tool(look).invoke({"image": str(path)})
    with pytest.raises(IntakeError, match="hosts allowed are none"):
        as_tool(look).invoke({"image": "https://example.org/cat.png"})
    assert as_tool(look, folders=[tmp_path]).invoke({"image": "cat.png"}) == "4 by 4"
    with pytest.raises(IntakeError, match="write folders="):
        as_tool(look, folders=str(tmp_path))


def test_a_port_for_speech_reads_a_reference_as_speech_and_refuses_other_sound() -> None:
    sound = Audio(np.zeros(8, "float32"), 8000)
    store = MediaStore()
    assert as_tool(heard).invoke({"speech": sound.data_uri()}) == "8 samples"
    with pytest.raises(Exception, match="is audio, and speech is wanted"):
        as_tool(heard, store=store).invoke({"speech": store.put(sound)})


def test_converters_that_lose_nothing_are_put_in() -> None:
    @tool(name="fine.v1", lossy=True)
    def fine(audio: Annotated[Audio, Constraint(rate=4000)]) -> Text:
        """Say at what rate it came."""
        return Text(str(audio.rate))

    sound = Audio(np.zeros(80, "float32"), 8000)
    assert as_tool(fine, registry=registry()).invoke({"audio": sound.data_uri()}) == "4000"


def test_several_outputs_are_told_and_given_by_name() -> None:
    made = as_tool(cut)
    message = made.invoke(call("cut", image=PICTURE.data_uri()))
    assert [line.split(":")[0] for line in message.content.splitlines()] == ["left", "right"]
    assert message.artifact == dict(zip(("left", "right"), cut(PICTURE)))
    narrow = Image(np.zeros((2, 1, 3), "uint8"))
    message = made.invoke(call("cut", image=narrow.data_uri()))
    assert message.content.endswith("right: nothing") and message.artifact["right"] is None


def test_lists_are_taken_and_given() -> None:
    message = as_tool(split_words).invoke(call("words", text="a red cat"))
    assert message.artifact == [Text("a"), Text("red"), Text("cat")] and message.content == "a\nred\ncat"
    assert as_tool(join).invoke({"texts": ["a", "b"], "between": "-"}) == "a-b"


def test_media_are_content_blocks_where_that_is_asked_for() -> None:
    message = as_tool(paint, blocks=True).invoke(call("paint", prompt="abc"))
    text, picture = message.content
    assert text["text"].startswith("image media:") and from_block(picture) == message.artifact
    spoken = as_tool(hum, blocks=True).invoke(call("hum", prompt="abc"))
    assert isinstance(spoken.content, list) and spoken.content[1]["type"] == "file"
    assert from_block(spoken.content[1]) == spoken.artifact and isinstance(spoken.artifact, Speech)


@tool(name="hum.v1")
def hum(prompt: Text) -> Speech:
    """Hum."""
    return Speech(np.full(8, len(prompt.text) / 255, "float32"), 8000)


def test_no_bytes_are_in_the_content_of_a_message() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype("uint8")

    @tool(name="noise.v1")
    def make_noise(prompt: Text) -> Image:
        """Make noise."""
        return Image(noise)

    message = as_tool(make_noise).invoke(call("noise", prompt="x"))
    assert isinstance(message.content, str) and len(message.content) < 100


def test_the_seed_is_the_tools() -> None:
    @tool(name="dice.v1", lossy=True)
    def dice(text: Text, ctx: Context) -> Text:
        """Tell the seed."""
        return Text(str(ctx.seed))

    assert as_tool(dice, seed=1).invoke("x") == as_tool(dice, seed=1).invoke("x") != as_tool(dice, seed=2).invoke("x")


# -- graphs and names


def a_graph() -> GraphBuilder:
    graph = GraphBuilder("paint-and-look", doc="Paint, and say how large it is.")
    painted = graph.add("paint", paint, prompt=graph.input("my-prompt", Text), size=6)
    graph.output("picture", painted)
    graph.output("size", graph.add("look", look, image=painted))
    return graph


@pytest.mark.parametrize("make", [a_graph, lambda: Graph(a_graph())], ids=["builder", "graph"])
def test_a_graph_is_a_tool(make: Any) -> None:
    made = as_tool(make())
    assert (made.name, list(described(made))) == ("paint-and-look", ["my_prompt"])
    message = made.invoke(call(made.name, my_prompt="abc"))
    assert message.artifact == {"picture": paint(Text("abc"), size=6), "size": Text("6 by 6")}
    with pytest.raises(CardError, match="has no settings"):
        as_tool(make(), settings={"size": 1})


def test_tools_and_graphs_are_found_by_name(tmp_path: Path) -> None:
    assert as_tool("resize").card.name == "resize.v1"
    assert as_tool("speak").card.name == "speak.v1"
    assert as_tool("resize", settings={"width": 2, "height": 2}).invoke(call("resize", image=PICTURE.data_uri())).artifact.width == 2  # fmt: skip
    file = Graph(a_graph()).save(tmp_path / "graph.yaml")
    known = Registry()
    known.add(paint, look)
    assert as_tool(file, registry=known).name == as_tool(str(file), registry=known).name == "paint-and-look"
    with pytest.raises(UnknownName, match="resize"):
        as_tool("resizer")


def test_a_tool_may_have_another_name_and_description() -> None:
    made = as_tool(paint, name="artist", description="Ask the artist.", tags=["art"], return_direct=True)
    assert (made.name, made.description, made.tags, made.return_direct) == ("artist", "Ask the artist.", ["art"], True)


# -- errors


@tool(name="fails.v1", lossy=True)
def fails(text: Text) -> Text:
    """Fail."""
    raise ValueError("no luck")


def test_errors_are_raised_as_they_are() -> None:
    with pytest.raises(NodeFailed, match="no luck") as raised:
        as_tool(fails).invoke("x")
    assert isinstance(raised.value.__cause__, ValueError)


async def test_errors_are_told_to_the_model_where_that_is_asked_for() -> None:
    made = as_tool(fails, handle_tool_error=True)
    for message in (made.invoke(call("fails", text="x")), await made.ainvoke(call("fails", text="x"))):
        assert message.status == "error" and "ValueError: no luck" in message.content
    seen: list[ToolException] = []

    def note(error: ToolException) -> str:
        seen.append(error)
        return "sorry"

    assert as_tool(look, handle_tool_error=note).invoke({"image": "nothing"}) == "sorry"
    assert isinstance(seen[0].__cause__, IntakeError)


# -- callbacks


class Told(BaseCallbackHandler):
    """Keeps what it was called with."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Any]] = []

    def on_tool_start(self, serialized: Any, input_str: str, **given: Any) -> None:
        self.told.append(("start", (given["name"], serialized["name"], given["tags"])))

    def on_tool_end(self, output: Any, **given: Any) -> None:
        self.told.append(("end", output))

    def on_tool_error(self, error: BaseException, **given: Any) -> None:
        self.told.append(("error", type(error)))

    def on_custom_event(self, name: str, data: Any, **given: Any) -> None:
        self.told.append((name, data))


@tool(name="steps.v1", lossy=True, cacheable=False)
def steps(text: Text, ctx: Context) -> Text:
    """Work in two steps."""
    for done in (1, 2):
        ctx.progress(done, 2, note=text.text)
    return Text("done")


def test_callbacks_hear_start_progress_and_end() -> None:
    handler = Told()
    as_tool(steps).invoke("x", {"callbacks": [handler], "tags": ["a"], "run_name": "work"})
    progress = [
        ("mmagent.progress", {"node": "steps", "tool": "steps.v1", "done": done, "total": 2, "note": "x"})
        for done in (1, 2)
    ]
    assert handler.told == [("start", ("work", "steps", ["a"])), *progress, ("end", "done")]
    with pytest.raises(NodeFailed):
        as_tool(fails).invoke("x", {"callbacks": [handler]})
    assert handler.told[-1] == ("error", NodeFailed)


async def test_async_callbacks_hear_the_same() -> None:
    told: list[str] = []

    class Async(AsyncCallbackHandler):
        async def on_tool_start(self, *given: Any, **options: Any) -> None:
            told.append("start")

        async def on_custom_event(self, name: str, data: Any, **given: Any) -> None:
            told.append(f"{data['done']}")

        async def on_tool_end(self, *given: Any, **options: Any) -> None:
            told.append("end")

    await as_tool(steps).ainvoke("x", {"callbacks": [Async()]})
    assert told == ["start", "1", "2", "end"]


def test_a_batch_of_calls_keeps_to_its_concurrency() -> None:
    running, most, lock = 0, 0, threading.Lock()

    @tool(name="busy.v1", lossy=True, cacheable=False)
    def busy(text: Text) -> Text:
        """Be busy a moment."""
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        threading.Event().wait(0.02)
        with lock:
            running -= 1
        return text

    assert as_tool(busy).batch(list("abcdef"), {"max_concurrency": 2}) == list("abcdef")
    assert most <= 2


# -- with an agent


def test_a_tools_message_reaches_an_agent() -> None:
    store = MediaStore()
    message = as_tool(paint, store=store, blocks=True).invoke(call("paint", prompt="abc"))
    reasoner = ScriptedReasoner(["I see."], sees=("image",))
    model = AgentChatModel(agent=Agent(reasoner, engine=Engine()))
    asked = AIMessage("", tool_calls=[call("paint", prompt="abc")])
    assert model.invoke([HumanMessage("Paint."), asked, message]).text == "I see."
    assert reasoner.heard[0].media == (message.artifact,)
