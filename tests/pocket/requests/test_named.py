"""Facts in words: a right answer in any wording is right, and every wrong one is wrong."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest

from mmagent.pocket.requests.cells import Drawer, facts_of
from mmagent.pocket.requests.named import named, things
from mmagent.pocket.requests.request import INPUTS, Make, Say
from mmagent.pocket.world import files, words
from mmagent.pocket.world.catalogue import catalogue


@pytest.mark.parametrize("given", INPUTS)
@pytest.mark.parametrize("wanted", ["text", "speech"])
@pytest.mark.parametrize("tested", [False, True])
def test_right_answers_are_right_and_those_of_others_mostly_wrong(given: str, wanted: str, tested: bool) -> None:
    drawer = Drawer(Random(1), tested=tested)
    answers = [drawer.request(given, wanted).exchanges[0].answer[0] for _ in range(80)]
    told = [(part.text if isinstance(part, Say) else part.caption, part.facts) for part in answers]
    assert all(facts for _, facts in told)
    for text, facts in told:
        assert all(named(facts, text).values()), (text, facts)
    right = [all(named(facts, other).values()) for (_, facts), (other, _) in pairwise(told)]
    assert sum(right) < 0.4 * len(right)


@pytest.mark.parametrize("kind", files.KINDS)
@pytest.mark.parametrize("tested", [False, True])
def test_every_caption_of_the_world_says_its_facts(kind: str, tested: bool) -> None:
    random = Random(2)
    for _ in range(200):
        spec = files.KINDS[kind].draw(random, None)
        facts = facts_of(spec)
        if kind == "audio" and facts["count"] == "1":
            del facts["count"]  # a caption leaves out that something is heard once
        text = words.said(spec, random, tested=tested)
        assert all(named(facts, text).values()), (text, facts)


@pytest.mark.parametrize("thing", catalogue().things, ids=lambda thing: thing.name)
def test_things_are_found_by_all_their_names(thing: object) -> None:
    for name in thing.names:  # type: ignore[attr-defined]  # pytest gives them as objects
        for form in (words.article(name), words.plural(name), name.upper()):
            assert things(f"I see {form}, I think.") == [thing.name]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("facts", "text", "right"),
    [
        ({"thing": "cat"}, "It is a kitten.", True),
        ({"thing": "cat"}, "A cat, or perhaps a dog.", False),
        ({"thing": "cat"}, "A category of things.", False),
        ({"background": "grey"}, "Gray, I would say.", True),
        ({"background": "grey"}, "Grey or white.", False),
        ({"thing": "cat", "count": "1"}, "A cat.", True),
        ({"count": "1"}, "A few.", False),
        ({"count": "2"}, "It is heard two times.", True),
        ({"motion": "bounces"}, "It bounces up and down.", True),
        ({"motion": "up"}, "It bounces up and down.", False),
        ({"motion": "left"}, "It goes from right to left.", False),
        ({"motion": "grows"}, "It gets bigger.", True),
        ({"there": "yes"}, "Yes, no doubt.", True),
        ({"there": "yes"}, "There is one.", False),
        ({"first": "cat", "relation": "left of", "second": "dog"}, "A dog to the right of a cat.", True),
        ({"first": "cat", "relation": "left of", "second": "dog"}, "A dog to the left of a cat.", False),
        ({"first": "cat", "relation": "above", "second": "dog"}, "A cat and a dog.", False),
        ({"thing": "egg", "sound": "none"}, "An egg is silent.", True),
        ({"thing": "egg", "sound": "none"}, "Here is an egg.", False),
        ({"words": "Two cats on blue."}, "two cats on blue", True),
        ({"words": "Two cats on blue."}, "two cats on a blue", False),
    ],
)
def test_what_is_said_is_held_against_what_is_so(facts: dict[str, str], text: str, right: bool) -> None:
    assert all(named(facts, text).values()) is right


def test_speech_and_texts_of_one_request_are_judged_by_the_same_facts() -> None:
    drawer = Drawer(Random(3))
    spoken = [drawer.request("video", "speech").exchanges[0].answer[0] for _ in range(20)]
    assert all(isinstance(part, Make) and part.facts for part in spoken)
