"""Routes over modalities: against brute force, and the rules that brute force does not show."""

from __future__ import annotations

from itertools import permutations
from math import fsum

from hypothesis import given, settings
from hypothesis import strategies as st

from mmagent import testing
from mmagent.card import Card, Port, Setting
from mmagent.graph.ports import misfit
from mmagent.graph.routes import Route, routes

MODALITIES = ("text", "image", "audio", "speech", "video")


def converter(
    name: str, given: str, made: str, cost: float = 1.0, lossy: bool = False, kind: str = "converter"
) -> Card:
    return Card(name, kind, (Port("x", given),), (Port("y", made),), cost=cost, lossy=lossy)  # type: ignore[arg-type]  # a kind


CARDS = st.lists(
    st.builds(
        converter,
        st.integers(0, 99).map(lambda number: f"t{number}.v1"),
        st.sampled_from(MODALITIES),
        st.sampled_from(MODALITIES),
        st.sampled_from([0.0, 0.1, 0.2, 0.3, 1.0]),
        st.booleans(),
        st.sampled_from(["converter", "generator", "encoder", "reasoner"]),
    ),
    max_size=6,
    unique_by=lambda card: card.name,
)


def brute_force(cards: list[Card], have: str, want: str) -> list[tuple[object, ...]]:
    """The ranks of all chains that work, found by trying every order of every subset of the cards."""
    usable = [
        card
        for card in cards
        if card.kind == "converter" or (card.kind == "generator" and card.inputs[0].modality == "text")
    ]
    start, goal = Port("x", have), Port("x", want)
    if not misfit(start, goal):
        return [(0, 0.0, 0, ())]
    found: list[tuple[object, ...]] = []
    for size in range(1, len(usable) + 1):
        for chain in permutations(usable, size):
            given = [start, *(card.outputs[0] for card in chain)]
            asked = [*(card.inputs[0] for card in chain), goal]
            fits = all(not misfit(one, other) for one, other in zip(given, asked))
            # a route asks for nothing twice, and for nothing after the start that the start already is
            again = len({port.modality for port in asked}) < len(asked)
            late = any(not misfit(start, port) for port in asked[1:])
            if fits and not again and not late:
                found.append(rank_of(chain))
    return sorted(found)


def rank_of(chain: tuple[Card, ...]) -> tuple[object, ...]:
    lossy = sum(card.lossy or card.kind == "generator" for card in chain)
    return lossy, fsum(card.cost for card in chain), len(chain), tuple(card.name for card in chain)


@settings(max_examples=300, deadline=None)
@given(CARDS, st.sampled_from(MODALITIES), st.sampled_from(MODALITIES))
def test_routes_are_all_chains_that_work_in_order_of_rank(cards: list[Card], have: str, want: str) -> None:
    assert [route.rank for route in routes(cards, have, want, limit=10_000)] == brute_force(cards, have, want)


@given(CARDS, st.sampled_from(MODALITIES), st.sampled_from(MODALITIES), st.randoms(use_true_random=False))
def test_the_order_of_the_cards_does_not_matter(cards: list[Card], have: str, want: str, random: object) -> None:
    other = list(cards)
    random.shuffle(other)  # type: ignore[attr-defined]  # hypothesis types it as object
    assert routes(cards, have, want) == routes(other, have, want)


def test_a_dear_lossless_route_comes_before_a_cheap_lossy_one() -> None:
    cards = [
        converter("cheap.v1", "image", "text", 0.1, lossy=True),
        converter("first.v1", "image", "video", 5.0),
        converter("second.v1", "video", "text", 5.0),
    ]
    assert [str(route) for route in routes(cards, "image", "text")] == ["first → second", "cheap"]
    assert len(routes(cards, "image", "text", limit=1)) == 1


def test_nothing_has_to_be_done_for_what_fits() -> None:
    assert routes([], "speech", "audio") == [Route()]
    assert routes([], "audio", "speech") == []


def test_a_setting_is_chosen_by_the_port_that_comes_after() -> None:
    cards = [testing.thin.card, testing.hear.card]
    (route,) = routes(cards, "speech", "text")
    assert [(hop.card.short, dict(hop.settings)) for hop in route.hops] == [("thin", {"rate": 16000}), ("hear", {})]
    assert routes(cards, Port("x", "speech", constraints={"rate": 16000}), "text")[0].steps == (testing.hear.card,)
    assert routes(cards, "audio", "text") == []  # audio stays audio on its way through


def test_a_setting_that_may_not_hold_the_value_gives_no_route() -> None:
    rate = Setting("rate", "int", 8000, choices=(8000, 24000))
    made = (Port("y", "audio", constraints={"rate": "$rate"}),)
    card = Card("resample.v1", "converter", (Port("x", "audio"),), made, (rate,))
    assert routes([card], "audio", Port("x", "audio", constraints={"rate": 24000}))[0].hops[0].settings == {
        "rate": 24000
    }
    assert routes([card], "audio", Port("x", "audio", constraints={"rate": 16000})) == []


def test_a_setting_without_default_that_nothing_chooses_gives_no_route() -> None:
    card = Card(
        "style.v1", "converter", (Port("x", "image"),), (Port("y", "video"),), (Setting("s", "str", required=True),)
    )
    assert routes([card], "image", "video") == []


def test_tools_with_several_required_inputs_or_any_are_no_converters() -> None:
    two = Card("two.v1", "converter", (Port("a", "image"), Port("b", "image")), (Port("y", "text"),))
    optional = Card(
        "one.v1", "converter", (Port("a", "image"), Port("b", "image", optional=True)), (Port("y", "text"),)
    )
    anything = converter("anything.v1", "any", "text")
    assert [route.steps for route in routes([two, optional, anything], "image", "text")] == [(optional,)]


def test_a_list_port_takes_one_value_and_each_walks_over_items() -> None:
    merge = Card(
        "merge.v1",
        "converter",
        (Port("texts", "text", many=True),),
        (Port("text", "text", constraints={"lang": "en"}),),
    )
    assert routes([merge], "text", Port("x", "text", constraints={"lang": "en"}))[0].steps == (merge,)
    frames = Card("frames.v1", "converter", (Port("v", "video"),), (Port("i", "image", many=True),))
    tags = converter("tags.v1", "image", "text")
    cards = [merge, frames, tags]
    assert routes(cards, "video", "text") == []
    (route,) = routes(cards, "video", "text", each=True)
    assert [(hop.card.short, hop.each) for hop in route.hops] == [("frames", False), ("tags", True), ("merge", False)]
