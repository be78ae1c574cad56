"""How people put what is in the world into words: captions of pictures, videos, sounds and solids.

Every caption says all the facts that a judge is asked about. `plain` is the one way that is always the same; `said`
draws a wording by chance, with synonyms. Wordings in TESTED are never drawn for training.
"""

from __future__ import annotations

from random import Random

from mmagent.pocket.world.catalogue import catalogue
from mmagent.pocket.world.scenes import Scene
from mmagent.pocket.world.solids import Cloud
from mmagent.pocket.world.sounds import Noise
from mmagent.pocket.world.videos import Clip

Spec = Scene | Clip | Noise | Cloud

NUMBERS = {1: "one", 2: "two", 3: "three"}
TIMES = {1: "once", 2: "twice", 3: "three times"}
PLURALS = {
    "butterfly": "butterflies", "box": "boxes", "bus": "buses", "die": "dice", "game die": "game dice", "fish": "fish",
    "glass": "glasses", "wine glass": "wine glasses", "ladybird": "ladybirds", "strawberry": "strawberries",
    "octopus": "octopuses", "cactus": "cactuses", "puppy": "puppies", "bunny": "bunnies", "berry": "berries",
}  # fmt: skip

# {a} the thing with its article, {them} so many of it, {first} and {second} of a pair, {ground} the background,
# {tinted} that with its article.
TRAINED: dict[str, tuple[str, ...]] = {
    "single": (
        "{a} on {tinted} background", "{a}, {ground} background", "{a} on {ground}", "{tinted} picture of {a}",
        "{a} in front of {tinted} background",
    ),
    "pair": (
        "{first} {relation} {second} on {tinted} background", "{first} {relation} {second}, {ground} background",
        "{first} {relation} {second} on {ground}", "on {tinted} background, {first} {relation} {second}",
    ),
    "count": (
        "{them} on {tinted} background", "{them}, {ground} background", "{them} on {ground}",
        "{tinted} picture of {them}",
    ),
    "motion": (
        "{a} {moves} on {tinted} background", "{a} {moves}, {ground} background", "{a} that {moves} on {ground}",
        "a video of {a} that {moves} on {tinted} background",
    ),
    "sound": ("the sound of {a}{times}{pitch}", "{a}{times}{pitch}", "{a} heard{times}{pitch}"),
    "solid": ("the shape of {a}", "{a} as points", "a point cloud of {a}"),
}  # fmt: skip
TESTED: dict[str, tuple[str, ...]] = {
    "single": ("{a} against {tinted} background", "{a} with {tinted} background", "on {ground}: {a}"),
    "pair": ("{first} {relation} {second} against {tinted} background", "{ground} background with {first} {relation} {second}"),
    "count": ("{them} against {tinted} background", "{them} with {tinted} background"),
    "motion": ("{a} {moves} against {tinted} background", "on {ground}, {a} {moves}"),
    "sound": ("what {a} sounds like{times}{pitch}", "{a} sounding{times}{pitch}"),
    "solid": ("{a} in three dimensions",),
}  # fmt: skip

MOVES = {
    "left": ("moves to the left", "moves left", "goes left"),
    "right": ("moves to the right", "moves right", "goes right"),
    "up": ("moves up", "rises", "goes up"),
    "down": ("moves down", "sinks", "goes down"),
    "grows": ("grows", "gets bigger"),
    "shrinks": ("shrinks", "gets smaller"),
    "bounces": ("bounces", "bounces up and down"),
}
RELATIONS = {"left of": ("left of", "to the left of"), "above": ("above", "over")}
REVERSED = {"left of": ("right of", "to the right of"), "above": ("below", "under")}
SIZES = {"small": ("small", "little", "tiny"), "big": ("big", "large", "huge")}
HEIGHTS = {"lower": (", lower", " at a lower pitch", ", deeper"), "as it is": ("",), "higher": (", higher", " at a higher pitch")}  # fmt: skip


def plain(spec: Spec) -> str:
    """The caption, in the one way that is always the same.

    >>> plain(Scene("blue", ("cat",), size="big"))
    'a big cat on a blue background'
    """
    return _fill(TRAINED[_kind(spec)][0], spec, None)


def said(spec: Spec, random: Random, *, tested: bool = False) -> str:
    """The caption in words drawn by chance; with `tested` in wordings that no training has seen."""
    return _fill(random.choice((TESTED if tested else TRAINED)[_kind(spec)]), spec, random)


def article(name: str) -> str:
    """The name with its indefinite article.

    >>> article("apple"), article("big apple")
    ('an apple', 'a big apple')
    """
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def plural(name: str) -> str:
    """The name of several.

    >>> plural("box"), plural("drop of water"), plural("cat")
    ('boxes', 'drops of water', 'cats')
    """
    head, of, rest = name.partition(" of ")
    return f"{PLURALS.get(head, f'{head}s')}{of}{rest}"


def _kind(spec: Spec) -> str:
    if isinstance(spec, Scene):
        return spec.kind
    return {Clip: "motion", Noise: "sound", Cloud: "solid"}[type(spec)]


def _ground(background: str) -> dict[str, str]:
    return {"ground": background, "tinted": article(background)}


def _one_of(options: tuple[str, ...], random: Random | None) -> str:
    return options[0] if random is None else random.choice(options)


def _fill(template: str, spec: Spec, random: Random | None) -> str:
    if isinstance(spec, Scene) and spec.kind == "pair":
        names = [article(_one_of(catalogue().thing(name).names, random)) for name in spec.things]
        relation = spec.relation or "left of"
        words = RELATIONS
        if random is not None and random.random() < 0.3:  # the same said the other way round
            names, words = names[::-1], REVERSED
        relation_words = _one_of(words[relation], random)
        return template.format(first=names[0], second=names[1], relation=relation_words, **_ground(spec.background))
    thing = spec.things[0] if isinstance(spec, Scene) else spec.thing
    name = _one_of(catalogue().thing(thing).names, random)
    if isinstance(spec, Scene):
        if spec.size:
            name = f"{_one_of(SIZES[spec.size], random)} {name}"
        them = f"{NUMBERS[spec.count]} {plural(name)}"
        return template.format(a=article(name), them=them, **_ground(spec.background))
    if isinstance(spec, Clip):
        return template.format(a=article(name), moves=_one_of(MOVES[spec.motion], random), **_ground(spec.background))
    if isinstance(spec, Noise):
        times = "" if spec.count == 1 and (random is None or random.random() < 0.5) else f" {TIMES[spec.count]}"
        return template.format(a=article(name), times=times, pitch=_one_of(HEIGHTS[spec.pitch], random))
    return template.format(a=article(name))
