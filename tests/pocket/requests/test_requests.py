"""Requests of the pocket model: what they ask for is right, and what tests ask for was never trained on."""

from __future__ import annotations

import re
from random import Random
from string import Formatter

import pytest

from mmagent.pocket.requests.cells import OPPOSITE, Drawer, thing_of
from mmagent.pocket.requests.request import INPUTS, OUTPUTS, Exchange, Make, Say
from mmagent.pocket.requests.talk import changed, several
from mmagent.pocket.requests.wordings import TESTED, TRAINED
from mmagent.pocket.world import splits, words
from mmagent.pocket.world.catalogue import catalogue
from mmagent.pocket.world.scenes import Scene
from mmagent.pocket.world.solids import Cloud
from mmagent.pocket.world.sounds import Noise
from mmagent.pocket.world.videos import Clip

CELLS = [(given, wanted) for given in INPUTS for wanted in OUTPUTS]
MANY = 40


def drawn(given: str, wanted: str, *, tested: bool = False) -> list[Exchange]:
    drawer = Drawer(Random(f"{given} {wanted}"), tested=tested)
    return [drawer.request(given, wanted).exchanges[0] for _ in range(MANY)]


def makes(exchange: Exchange) -> list[Make]:
    return [part for part in exchange.answer if isinstance(part, Make)]


def test_every_way_of_asking_has_wordings_of_both_kinds_that_share_nothing() -> None:
    assert TRAINED.keys() == TESTED.keys()
    for way, trained in TRAINED.items():
        assert len(trained) >= 3 and len(TESTED[way]) >= 2
        assert not {words.lower() for words in trained} & {words.lower() for words in TESTED[way]}
        named = {hole for one in trained for _, hole, _, _ in Formatter().parse(one) if hole}
        assert {hole for one in TESTED[way] for _, hole, _, _ in Formatter().parse(one) if hole} <= named


@pytest.mark.parametrize(("given", "wanted"), CELLS)
@pytest.mark.parametrize("tested", [False, True])
def test_a_cell_shows_what_it_is_given_and_wants_what_it_is_called(given: str, wanted: str, tested: bool) -> None:
    for exchange in drawn(given, wanted, tested=tested):
        assert (exchange.shown is None) is (given == "text")
        (part,) = exchange.answer
        if isinstance(part, Say):
            assert wanted == "text" or part.facts["sound"] == "none"
        else:
            assert part.modality == wanted and part.caption
        assert re.fullmatch(r"[A-Z].*[.?:!a-z]", exchange.words) and "  " not in exchange.words
        assert "{" not in exchange.words


@pytest.mark.parametrize(("given", "wanted"), CELLS)
def test_nothing_that_is_held_out_is_trained_on(given: str, wanted: str) -> None:
    for exchange in drawn(given, wanted):
        for spec in (exchange.shown, *(part.spec for part in makes(exchange))):
            assert spec is None or isinstance(spec, Cloud) or splits.trained(spec.combinations)


@pytest.mark.parametrize(("given", "wanted"), [cell for cell in CELLS if cell[1] in ("image", "sound", "video")])
def test_tests_ask_for_what_is_held_out(given: str, wanted: str) -> None:
    named = [part.spec for one in drawn(given, wanted, tested=True) for part in makes(one) if len(part.judged) > 1]
    assert len(named) > MANY / 3
    assert all(isinstance(spec, Scene | Clip | Noise) and splits.tested(spec.combinations) for spec in named)


def test_captions_say_what_is_judged() -> None:
    for given, wanted in CELLS:
        for exchange in drawn(given, wanted):
            for part in makes(exchange):
                assert part.spec is None or (part.caption == words.plain(part.spec) and part.judged)
                assert (part.spec is None) is (part.modality == "speech")


@pytest.mark.parametrize("given", ["image", "sound", "video", "points"])
def test_what_is_made_of_a_medium_is_its_own_thing(given: str) -> None:
    for wanted in ("image", "sound", "video"):
        for exchange in drawn(given, wanted):
            assert exchange.shown is not None
            for part in makes(exchange):
                assert part.spec is not None and thing_of(part.spec) == thing_of(exchange.shown)


@pytest.mark.parametrize("given", ["image", "video", "points"])
def test_of_a_silent_thing_no_sound_is_made(given: str) -> None:
    kinds = set()
    for exchange in drawn(given, "sound"):
        assert exchange.shown is not None
        heard = bool(catalogue().thing(thing_of(exchange.shown)).takes)
        assert heard is bool(makes(exchange))
        kinds.add(heard)
    assert kinds == {True, False}


def test_a_video_turned_round_moves_the_opposite_way() -> None:
    for exchange in drawn("video", "video"):
        (part,) = makes(exchange)
        assert isinstance(exchange.shown, Clip) and isinstance(part.spec, Clip)
        assert part.spec.motion == OPPOSITE[exchange.shown.motion] and part.spec.background == exchange.shown.background


@pytest.mark.parametrize("n", [2, 3])
def test_several_things_are_answered_in_the_order_of_the_request(n: int) -> None:
    random = Random(n)
    for _ in range(10 * MANY):
        (exchange,) = several(random, n).exchanges
        kinds = ["text" if isinstance(part, Say) else part.modality for part in exchange.answer]
        assert len(kinds) == n and len({*kinds}) == n
        assert exchange.shown is not None


@pytest.mark.parametrize("tested", [False, True])
def test_a_second_turn_changes_the_background_alone(tested: bool) -> None:
    random = Random(7)
    for _ in range(MANY):
        first, second = changed(random, tested=tested).exchanges
        (before,), (after,) = makes(first), makes(second)
        assert isinstance(before.spec, Scene) and isinstance(after.spec, Scene)
        assert before.spec.background != after.spec.background
        assert (before.spec.things, before.spec.size) == (after.spec.things, after.spec.size)
        assert after.spec.background in second.words and before.spec.background not in second.words


def test_the_same_seed_asks_the_same() -> None:
    assert [drawn(*cell) for cell in CELLS] == [drawn(*cell) for cell in CELLS]
