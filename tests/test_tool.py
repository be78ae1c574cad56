from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

import pytest

from mmagent import Audio, Constraint, Context, Embedding, Image, Media, Speech, Text, Tool, tool
from mmagent.card import Port
from mmagent.errors import CardError

Sound = TypeVar("Sound", bound=Audio)


class Heard(NamedTuple):
    speech: Speech | None
    sound: Audio | None


@tool
def sonify(image: Image, tempo: int = 120, mode: Literal["major", "minor"] = "major") -> Audio:
    """Turn a picture into a melody.

    More words.
    """
    return Audio([[0.0]] * tempo, 8000)


@tool(name="hear.v2", cost=0.5, needs=("extra:pocket",))
def hear(audio: Annotated[Audio, Constraint(rate=16000)], hints: list[Text], more: Image | None = None) -> Heard:
    return Heard(None, audio)


@tool
def louder(audio: Sound, gain: float, ctx: Context) -> Annotated[Sound, Constraint(rate="$gain")]:
    return audio


class Blur(Tool, name="blur.v3", cost=0.02, concurrency="exclusive"):
    """Soften a picture."""

    def __init__(self, radius: float = 2.0) -> None:
        self.radius = radius

    def run(self, image: Image, times: int = 1) -> Image:
        return image


def test_a_function_is_a_tool_and_still_a_function() -> None:
    card = sonify.card
    assert (card.name, card.kind, card.doc) == ("sonify.v1", "converter", "Turn a picture into a melody.")
    assert card.inputs == (Port("image", "image"),) and card.outputs == (Port("audio", "audio"),)
    assert [(item.name, item.default, item.choices, item.at) for item in card.settings] == [
        ("tempo", 120, (), "run"),
        ("mode", "major", ("major", "minor"), "run"),
    ]
    assert sonify.function.__name__ == "sonify"


def test_lists_options_constraints_and_several_outputs_are_read() -> None:
    assert hear.card.inputs == (
        Port("audio", "audio", constraints={"rate": 16000}),
        Port("hints", "text", many=True),
        Port("more", "image", optional=True),
    )
    assert hear.card.outputs == (Port("speech", "speech", optional=True), Port("sound", "audio", optional=True))
    assert (hear.card.name, hear.card.cost, hear.card.needs) == ("hear.v2", 0.5, ("extra:pocket",))


def test_a_type_variable_keeps_the_modality() -> None:
    assert louder.card.inputs[0].variable == louder.card.outputs[0].variable == "Sound"
    assert louder.card.outputs[0].constraints == {"rate": "$gain"}
    assert louder.card.context


def test_a_class_is_a_tool_whose_constructor_takes_settings() -> None:
    assert Blur.card.name == "blur.v3" and Blur.card.doc == "Soften a picture."
    assert [(item.name, item.at) for item in Blur.card.settings] == [("radius", "load"), ("times", "run")]
    assert Blur.make({"radius": 5.0, "times": 2}).radius == 5.0  # type: ignore[attr-defined]  # make() gives a Blur


def test_kinds_are_guessed_from_what_goes_in_and_out() -> None:
    @tool
    def encode(image: Image) -> Embedding: ...  # type: ignore[empty-body]
    @tool
    def draw(prompt: Text) -> Image: ...  # type: ignore[empty-body]
    @tool
    def rewrite(text: Text) -> Text: ...  # type: ignore[empty-body]

    assert [item.card.kind for item in (encode, draw, rewrite, sonify)] == [
        "encoder",
        "generator",
        "converter",
        "converter",
    ]


def test_a_converter_to_another_modality_is_lossy_unless_it_says_otherwise() -> None:
    @tool(lossy=False)
    def spell(image: Image) -> Text: ...  # type: ignore[empty-body]

    assert sonify.card.lossy and not spell.card.lossy
    assert not any(item.card.lossy for item in (louder, Blur, hear))


def test_how_a_tool_is_called_is_on_its_card() -> None:
    @tool
    async def later(text: Text) -> Text:
        return text

    @tool
    def steps(text: Text) -> Iterator[Image]:
        yield from ()

    @tool
    async def later_steps(text: Text) -> AsyncIterator[Image]:
        for item in list[Image]():
            yield item

    @tool
    def anything(media: Media) -> Text:
        return Text(media.modality)

    assert [item.card.call for item in (later, steps, later_steps, anything)] == [
        "async",
        "generator",
        "async-generator",
        "sync",
    ]
    assert anything.card.inputs[0].modality == "any"


def test_media_in_a_constructor_are_refused() -> None:
    with pytest.raises(CardError, match="constructor parameter image is media"):

        class Holder(Tool):
            def __init__(self, image: Image) -> None: ...

            def run(self, text: Text) -> Text:
                return text


def several(self: Tool, *radii: float) -> None: ...
def by_keyword(self: Tool, **options: float) -> None: ...
def by_place(self: Tool, radius: float, /) -> None: ...
def no_annotation(self: Tool, radius=2.0) -> None: ...  # type: ignore[no-untyped-def]


@pytest.mark.parametrize("init", [several, by_keyword, by_place, no_annotation])
def test_constructor_parameters_are_given_by_name_and_annotated(init: Any) -> None:
    with pytest.raises(CardError, match=r"wide\.v1: constructor parameter (radii|options|radius) "):
        type("Wide", (Tool,), {"__init__": init, "run": Blur.run})


def test_run_is_a_method() -> None:
    with pytest.raises(CardError, match="run of class Fixed is staticmethod"):

        class Fixed(Tool):
            @staticmethod
            def run(image: Image, other: Image) -> Image:
                return image

    with pytest.raises(CardError, match="run of class Whole is classmethod"):

        class Whole(Tool):
            @classmethod
            def run(cls, image: Image) -> Image:
                return image

    with pytest.raises(CardError, match=r"first parameter of run\(\) is self"):

        class Selfless(Tool):
            def run(image: Image) -> Image:  # type: ignore[misc]  # what is tested
                return image


def test_a_subclass_is_a_tool_of_its_own_with_its_parents_options() -> None:
    class Softer(Blur, name="softer.v2", cost=9.0):
        def __init__(self, radius: float = 8.0, passes: int = 2) -> None:
            super().__init__(radius)

    class SofterStill(Softer):
        """Softer than that."""

    assert (Softer.card.name, Softer.card.cost, Softer.card.concurrency) == ("softer.v2", 9.0, "exclusive")
    assert [(item.name, item.default) for item in Softer.card.settings] == [
        ("radius", 8.0),
        ("passes", 2),
        ("times", 1),
    ]
    assert (SofterStill.card.name, SofterStill.card.doc) == ("softer-still.v1", "Softer than that.")
    assert SofterStill.card.cost == 9.0
    assert Blur.card.name == "blur.v3" and Blur.card.cost == 0.02


def test_a_class_without_run_has_options_but_no_name() -> None:
    class Careful(Tool, concurrency="exclusive"):
        """Base of tools that one call at a time may use."""

    class Look(Careful):
        def run(self, image: Image) -> Text:
            return Text("")

    assert Look.card.concurrency == "exclusive" and not hasattr(Careful, "card")
    with pytest.raises(CardError, match=r"class Idle has no run"):

        class Idle(Tool, name="idle.v1"):
            pass


@pytest.mark.parametrize(
    ("thing", "message"), [(3, "not of 3"), (sonify, "not of <tool sonify"), (Heard, "not of class Heard")]
)
def test_only_a_function_is_decorated(thing: Any, message: str) -> None:
    with pytest.raises(CardError, match=message):
        tool(thing)
