from __future__ import annotations

from typing import Annotated

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmagent import Audio, Constraint, Embedding, Image, Media, Policy, Signal, Speech, Text, Video, tool
from mmagent.card import Card
from mmagent.errors import RouteError
from mmagent.router import Routed, choose, route

CAT = Image(np.zeros((2, 2, 3), "uint8"))
HUM = Audio(np.zeros(8, "float32"), 8000)


Spoken = Annotated[Embedding, Constraint(space="pocket.signals")]
Wanted = Annotated[Embedding, Constraint(space="sd.text")]


@tool(cost=3.0)
def draw(prompt: Text) -> Image: ...  # type: ignore[empty-body]
@tool(cost=1.0)
def sketch(prompt: Text) -> Image: ...  # type: ignore[empty-body]
@tool(cost=1.0)
def paint(prompt: Wanted) -> Image: ...  # type: ignore[empty-body]
@tool(cost=0.1)
def project(states: Spoken) -> Wanted: ...  # type: ignore[empty-body]
@tool(cost=0.5)
def sonify(image: Image, tempo: int = 120) -> Audio: ...  # type: ignore[empty-body]
@tool(cost=0.1)
def shrink(image: Image) -> Image: ...  # type: ignore[empty-body]
@tool(cost=0.2)
def recolour(image: Image, wish: Text) -> Image: ...  # type: ignore[empty-body]
@tool(cost=0.2)
def loop(image: Image) -> Video: ...  # type: ignore[empty-body]
@tool(cost=0.1)
def sized(prompt: Text, width: int) -> Image: ...  # type: ignore[empty-body]
@tool(cost=0.1, lossy=True)
def trace_sound(image: Image) -> Audio: ...  # type: ignore[empty-body]


def cards(*tools: object) -> list[Card]:
    return [item.card for item in tools]  # type: ignore[attr-defined]  # they are tools


def makeable(names: list[str], refs: list[Media], policy: Policy, known: list[Card]) -> set[str]:
    def can(name: str) -> bool:
        try:
            return bool(choose(Signal(name, "", refs=tuple(refs)), policy, known).path)
        except RouteError:
            return False

    return {name for name in names if can(name)}


def refusal(routed: Routed, path: tuple[str, ...]) -> str:
    return next(item.reason for item in routed.candidates if item.path == path and not item.accepted)


def test_the_caption_goes_to_the_cheapest_generator() -> None:
    got = route(Signal("image", "a red cat"), Policy(), cards(draw, sketch))
    assert (got.path, got.wire) == (("sketch.v1",), "text")
    assert got.inputs == {"caption": Text("a red cat")}
    assert got.graph.nodes["sketch"].inputs == {"prompt": "caption"}
    assert got.graph.outputs == {"image": "sketch.image"}
    assert refusal(got, ("draw.v1",)) == "sketch.v1 costs 1 s, this 3 s"


def test_a_named_tool_comes_first() -> None:
    got = route(Signal("image", "a cat", tool="draw"), Policy(), cards(draw, sketch))
    assert got.path == ("draw.v1",) and "names it" in got.reason
    assert "names it" in refusal(got, ("sketch.v1",))


def test_a_projector_to_the_generators_space_comes_before_the_caption() -> None:
    states = Embedding(np.zeros((4, 8)), "pocket.signals")
    signal = Signal("image", "a cat", states=states)
    got = route(signal, Policy(), cards(sketch, paint), cards(project))
    assert (got.path, got.wire) == (("project.v1", "paint.v1"), "embedding")
    assert got.inputs == {"states": states}
    assert got.graph.nodes["paint"].inputs == {"prompt": "project.embedding"}


def test_a_generator_behind_a_projector_can_be_offered_before_the_states_are_there() -> None:
    got = choose(Signal("image", ""), Policy(), cards(paint), cards(project))
    assert (got.path, got.wire) == (("project.v1", "paint.v1"), "embedding")
    with pytest.raises(RouteError, match="nothing that the signal refers to is embedding"):
        route(Signal("image", "a cat"), Policy(), cards(paint), cards(project))


def test_a_tool_that_needs_nothing_comes_last_and_says_so() -> None:
    @tool(cost=0.001)
    def silence(seconds: float = 0.1) -> Audio: ...  # type: ignore[empty-body]

    got = route(Signal("audio", "its sound", refs=(CAT,)), Policy(), cards(silence, sonify))
    assert got.path == ("sonify.v1",)
    assert route(Signal("audio", "a sound"), Policy(), cards(silence, sonify)).reason == "it needs nothing"


def test_refusals_are_kept_as_data() -> None:
    with pytest.raises(RouteError) as caught:
        route(Signal("audio", "its sound", refs=(HUM,)), Policy(), cards(sonify))
    assert [(item.path, item.accepted) for item in caught.value.candidates] == [(("sonify.v1",), False)]  # type: ignore[attr-defined]


def test_equal_sizes_never_make_two_spaces_fit() -> None:
    signal = Signal("image", "a cat", states=Embedding(np.zeros((4, 8)), "other.signals"))
    got = route(signal, Policy(), cards(sketch, paint), cards(project))
    assert got.path == ("sketch.v1",)
    assert "the signal is in other.signals" in refusal(got, ("project.v1", "paint.v1"))


def test_media_referred_to_reach_a_users_tool() -> None:
    got = route(Signal("audio", "its sound", refs=(CAT,)), Policy(), cards(sonify, draw))
    assert (got.path, got.wire) == (("sonify.v1",), "refs")
    assert got.inputs == {"ref-1": CAT}


def test_without_a_fitting_ref_the_tool_is_refused_and_the_reason_given() -> None:
    with pytest.raises(RouteError, match=r"sonify\.v1: nothing that the signal refers to is image"):
        route(Signal("audio", "its sound", refs=(HUM,)), Policy(), cards(sonify))


def test_a_converter_within_one_modality_must_be_named() -> None:
    with pytest.raises(RouteError, match="it only changes image, and it is not named"):
        route(Signal("image", "smaller", refs=(CAT,)), Policy(), cards(shrink))
    assert route(Signal("image", "smaller", refs=(CAT,), tool="shrink"), Policy(), cards(shrink)).path == ("shrink.v1",)


def test_an_edit_takes_both_the_caption_and_the_ref() -> None:
    got = route(Signal("image", "pink", refs=(CAT,)), Policy(), cards(recolour))
    assert got.graph.nodes["recolour"].inputs == {"image": "ref-1", "wish": "caption"}


def test_ways_of_several_steps_are_found() -> None:
    got = route(Signal("video", "a cat"), Policy(), cards(sketch, loop))
    assert (got.path, got.wire) == (("sketch.v1", "loop.v1"), "text")
    assert got.graph.nodes["loop"].inputs == {"image": "sketch.image"}


def test_chains_that_go_back_or_may_make_nothing_are_not_taken() -> None:
    @tool(cost=0.01)
    def track(video: Video) -> Audio | None: ...
    @tool(cost=0.01)
    def hear(image: Image) -> Text: ...  # type: ignore[empty-body]

    signal = Signal("audio", "its sound", refs=(CAT,))
    got = route(signal, Policy(), cards(sonify, loop, track, hear, sketch))
    assert {item.path for item in got.candidates} == {("sonify.v1",), ("track.v1",), ("sketch.v1", "sonify.v1")}


def test_a_refinement_does_not_pass_for_what_was_asked() -> None:
    @tool(cost=0.01)
    def say(text: Text) -> Speech: ...  # type: ignore[empty-body]
    @tool(cost=0.01)
    def hear(image: Image) -> Text: ...  # type: ignore[empty-body]

    assert makeable(["audio", "speech"], [CAT], Policy(), cards(say, hear)) == {"speech"}


def test_a_setting_without_default_refuses_a_tool() -> None:
    with pytest.raises(RouteError, match="setting width has no default"):
        route(Signal("image", "a cat"), Policy(), cards(sized))


def test_the_policy_refuses_modalities_lossy_ways_and_dear_ones() -> None:
    with pytest.raises(RouteError, match="image is forbidden"):
        route(Signal("image", "a cat"), Policy(forbid=("image",)), cards(draw))
    with pytest.raises(RouteError, match="allows no lossy"):
        route(Signal("audio", "hum", refs=(CAT,)), Policy(lossy=False), cards(trace_sound))
    with pytest.raises(RouteError, match="over the budget of 2 s"):
        route(Signal("image", "a cat"), Policy(budget=2.0), cards(draw))


def test_nothing_at_all_says_what_to_add() -> None:
    with pytest.raises(RouteError, match="no tool makes it; add a tool whose result is depth"):
        route(Signal("depth", "a cat"), Policy(), cards(draw))


def test_what_can_be_made_depends_on_what_is_there() -> None:
    known = cards(sonify)
    assert makeable(["image", "audio", "video"], [], Policy(), known) == set()
    assert makeable(["image", "audio", "video"], [CAT], Policy(), known) == {"audio"}


def test_media_at_hand_come_before_media_made_on_the_way() -> None:
    known = cards(sonify, draw)
    assert route(Signal("audio", "its sound"), Policy(), known).path == ("draw.v1", "sonify.v1")
    got = route(Signal("audio", "its sound", refs=(CAT,)), Policy(), known)
    assert got.path == ("sonify.v1",) and "takes what the signal refers to" in refusal(got, ("draw.v1", "sonify.v1"))


TOOLS = (draw, sketch, paint, sonify, shrink, recolour, loop, sized, trace_sound)


@given(st.permutations(TOOLS), st.sampled_from(["image", "audio", "video"]), st.booleans(), st.text(max_size=20))
def test_routing_is_pure_and_never_reads_the_caption(
    order: list[object], modality: str, ref: bool, caption: str
) -> None:
    def way(words: str, tools: list[object]) -> tuple[object, ...]:
        try:
            got = route(Signal(modality, words, refs=(CAT,) if ref else ()), Policy(), cards(*tools))
        except RouteError as error:
            return (str(error),)
        return got.path, got.wire, got.graph, got.candidates

    assert way(caption, order) == way("a cat", list(TOOLS))
