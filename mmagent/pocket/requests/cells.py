"""Drawing a request of a cell of the any-to-any matrix: an input, an output, and everything else by chance."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from random import Random
from typing import Any, TypeVar

from mmagent.pocket.requests.request import Exchange, Make, Output, Request, Say
from mmagent.pocket.requests.wordings import worded
from mmagent.pocket.world import scenes, solids, sounds, splits, videos, words
from mmagent.pocket.world.catalogue import catalogue
from mmagent.pocket.world.scenes import Scene
from mmagent.pocket.world.solids import Cloud
from mmagent.pocket.world.sounds import Noise
from mmagent.pocket.world.videos import Clip, Motion
from mmagent.pocket.world.words import HEIGHTS, NUMBERS, TIMES, Spec, article, plural

MOVES: Mapping[Motion, str] = {
    "left": "move to the left", "right": "move to the right", "up": "move up", "down": "move down",
    "grows": "grow", "shrinks": "shrink", "bounces": "bounce",
}  # fmt: skip
OPPOSITE: Mapping[Motion, Motion] = {
    "left": "right", "right": "left", "up": "down", "down": "up", "grows": "shrinks", "shrinks": "grows",
}  # fmt: skip
PLAIN = "white"
"""The background of what is drawn where the request names none."""
TRIES = 40
S = TypeVar("S", bound=Spec)
SILENT = 0.2
"""How many of those who ask for a sound, where that can be, ask for that of a thing that has none."""


class Drawer:
    """Draws requests: of compositions and in wordings that are trained on, or of held-out ones, `tested`."""

    def __init__(self, random: Random, *, tested: bool = False) -> None:
        self.random, self.tested = random, tested

    def request(self, given: str, wanted: str) -> Request:
        """A request of the cell `given` × `wanted`."""
        while True:
            with suppress(Impossible):
                return Request(f"{given}-{wanted}", (self.exchange(given, wanted),))

    def exchange(self, given: str, wanted: str, about: Spec | None = None) -> Exchange:
        """One turn that shows a medium of the modality `given`, that of `about` if it is given, or has text alone, and
        wants one of `wanted`. Impossible where nothing of the kind may be asked for."""
        if wanted in ("text", "speech"):
            return self._question(given, about, aloud=wanted == "speech")
        return _WISHES[given, wanted](self, about)

    # -- questions

    def _question(self, given: str, about: Spec | None, *, aloud: bool) -> Exchange:
        if given == "text" and aloud and self.random.random() < 0.5:
            return self._say()
        about = about or self.subject(self.random.choice(("image", "video", "sound")) if given == "text" else given)
        question, said = self.ask(about, told=given == "text")
        if given == "text":
            question = self.worded("told", caption=self.said(about), question=question)
        if not aloud:
            return Exchange(question, (said,), None if given == "text" else about)
        spoken = Make("speech", said.text, facts=said.facts)
        return Exchange(self.worded("aloud", question=question), (spoken,), None if given == "text" else about)

    def _say(self) -> Exchange:
        """Words to be said as they are."""
        text = _sentence(self.said(self.subject(self.random.choice(("image", "video", "sound")))))
        return Exchange(self.worded("say", caption=text), (Make("speech", text, facts={"words": text}),))

    def ask(self, about: Spec, *, told: bool = False) -> tuple[str, Say]:
        """A question about what is shown, with its answer. What is `told` in words is not asked to be described."""
        if isinstance(about, Cloud):
            return self.worded("what points"), _thing(about.thing)
        asked: list[Callable[[], tuple[str, Say]]]
        if isinstance(about, Scene):
            rest = self._placed if about.relation else self._single
            asked = [lambda: self._background(about.background), lambda: self._there(about), lambda: rest(about)]
        elif isinstance(about, Clip):
            asked = [lambda: self._background(about.background), lambda: self._motion(about), lambda: self._what(about)]
        else:
            asked = [lambda: self._how_often(about), lambda: self._what(about)]
        return self.random.choice(asked if told else [*asked, lambda: self._described(about)])()

    def _described(self, about: Spec) -> tuple[str, Say]:
        return self.worded(f"describe {_kind(about)}"), Say(_sentence(words.plain(about)), facts_of(about))

    def _what(self, about: Clip | Noise) -> tuple[str, Say]:
        return self.worded(f"what {_kind(about)}"), _thing(about.thing)

    def _single(self, about: Scene) -> tuple[str, Say]:
        """What a picture of one thing shows, or of how many."""
        if self.random.random() < 0.5:
            return self.worded("what image"), _thing(about.things[0])
        them = plural(self.name(about.things[0]))
        return self.worded("count", them=them), Say(_sentence(NUMBERS[about.count]), {"count": str(about.count)})

    def _background(self, background: str) -> tuple[str, Say]:
        return self.worded("background"), Say(_sentence(background), {"background": background})

    def _placed(self, about: Scene) -> tuple[str, Say]:
        """What lies where, seen from the other thing."""
        first, second = about.things
        if self.random.random() < 0.5:
            return self.worded(str(about.relation), a=article(self.name(second))), _thing(first)
        back = "right of" if about.relation == "left of" else "below"
        return self.worded(back, a=article(self.name(first))), _thing(second)

    def _there(self, about: Scene) -> tuple[str, Say]:
        """Half of those who ask whether a thing is there ask of one that is not."""
        there = self.random.random() < 0.5
        others = [thing.name for thing in catalogue().things if thing.name not in about.things]
        name = self.name(self.random.choice(about.things if there else others))
        return self.worded("there", a=article(name)), Say(
            *(("Yes.", {"there": "yes"}) if there else ("No.", {"there": "no"}))
        )

    def _how_often(self, about: Noise) -> tuple[str, Say]:
        return self.worded("how often"), Say(_sentence(TIMES[about.count]), {"count": str(about.count)})

    def _motion(self, about: Clip) -> tuple[str, Say]:
        return self.worded("motion"), Say(_sentence(f"it {words.MOVES[about.motion][0]}"), {"motion": about.motion})

    # -- wishes

    def picture_of_words(self, about: Spec | None) -> Exchange:
        spec = about or self.subject("image")
        return Exchange(self.worded("make image", caption=self.said(spec)), (made(spec),))

    def sound_of_words(self, about: Spec | None) -> Exchange:
        spec = about or self.subject("sound")
        return Exchange(self.worded("make sound", caption=self.said(spec)), (made(spec),))

    def video_of_words(self, about: Spec | None) -> Exchange:
        spec = about or self.subject("video")
        return Exchange(self.worded("make video", caption=self.said(spec)), (made(spec),))

    def picture_changed(self, about: Scene | None) -> Exchange:
        """The picture on another background, or with several of the thing in it."""
        shown = about or self.alone()
        if self.random.random() < 0.5:
            spec = self.found(
                lambda: replace(shown, background=self.ground(shown.background), placed=(), shade=(0, 0, 0))
            )
            asked = self.worded("other ground", ground=spec.background, tinted=article(spec.background))
        else:
            spec = self.found(lambda: Scene(shown.background, shown.things, self.random.choice((2, 3))))
            asked = self.worded("several", number=NUMBERS[spec.count], them=plural(self.name(shown.things[0])))
        return Exchange(asked, (made(spec),), shown)

    def picture_of(self, about: Spec | None, given: str) -> Exchange:
        """What is heard, felt or seen moving as a picture, on a background that is named or not."""
        shown = about or self.source(given)
        thing = thing_of(shown)
        if self.random.random() < 0.3:
            ground = shown.background if isinstance(shown, Clip) else PLAIN
            free = Scene(ground, (thing,), size="big")
            if not self.tested and not splits.trained(free.combinations):
                raise Impossible
            return Exchange(self.worded("draw"), (made(free, "thing"),), shown)
        spec = self.found(lambda: Scene(self.ground(), (thing,), size="big"))
        asked = self.worded("draw source", tinted=article(spec.background))
        return Exchange(asked, (made(spec, "thing", "background"),), shown)

    def sound_of(self, about: Spec | None, given: str) -> Exchange:
        """The sound of what is seen or felt; of what has none, words that say so."""
        shown = about or self.source(given, sounding=self.random.random() >= SILENT)
        thing = thing_of(shown)
        if not catalogue().thing(thing).takes:
            said = Say(f"I know no sound of {article(thing)}.", {"thing": thing, "sound": "none"})
            return Exchange(self.worded("its sound", times="", pitch=""), (said,), shown)
        spec = self.found(lambda: self._noise(thing))
        times = "" if spec.count == 1 and self.random.random() < 0.5 else f" {TIMES[spec.count]}"
        asked = self.worded("its sound", times=times, pitch=self.random.choice(HEIGHTS[spec.pitch]))
        return Exchange(asked, (made(spec),), shown)

    def sound_again(self, about: Noise | None) -> Exchange:
        """What is heard, another number of times or at another pitch."""
        shown: Noise = about or replace(self.source("sound"), pitch="as it is")
        if shown.pitch != "as it is":  # higher than what is higher has no name
            raise Impossible
        spec = self.found(lambda: self._noise(shown.thing))
        asked = self.worded("again", times=f" {TIMES[spec.count]}", pitch=self.random.choice(HEIGHTS[spec.pitch]))
        return Exchange(asked, (made(spec),), shown)

    def video_moved(self, about: Scene | None) -> Exchange:
        """The thing of a picture, on its background, in motion."""
        shown = about or self.alone()
        spec = self.found(lambda: Clip(shown.background, shown.things[0], self.random.choice(videos.MOTIONS)))
        return Exchange(self.worded("make move", move=MOVES[spec.motion]), (made(spec),), shown)

    def video_of(self, about: Spec | None, given: str) -> Exchange:
        """What is heard or felt, in motion on a background."""
        shown = about or self.source(given)
        spec = self.found(lambda: Clip(self.ground(), thing_of(shown), self.random.choice(videos.MOTIONS)))
        asked = self.worded("make move on", move=MOVES[spec.motion], tinted=article(spec.background))
        return Exchange(asked, (made(spec),), shown)

    def video_turned(self, about: Clip | None) -> Exchange:
        """The video with the opposite motion."""
        shown: Clip = about or self.source("video", fits=lambda clip: clip.motion in OPPOSITE)
        if shown.motion not in OPPOSITE:
            raise Impossible
        spec = self.found(lambda: Clip(shown.background, shown.thing, OPPOSITE[shown.motion]))
        return Exchange(self.worded("other way"), (made(spec),), shown)

    # -- what is shown

    def subject(self, modality: str) -> Spec:
        """What a request is about, whatever it is: of compositions to be tested, or of those trained on."""
        if modality == "image":
            return self.found(lambda: scenes.draw(self.random))
        if modality == "video":
            return self.found(lambda: videos.draw(self.random))
        return self.found(lambda: sounds.draw(self.random)) if modality == "sound" else solids.draw(self.random)

    def alone(self) -> Scene:
        """A picture of one thing, once."""
        return scenes.draw(self.random, "single", None if self.tested else splits.trained)

    def source(
        self, modality: str, *, sounding: bool | None = None, fits: Callable[[Any], bool] = lambda spec: True
    ) -> Any:
        """What is shown in order to have its thing made: one that has a sound, or has none, if that is asked."""
        allowed = None if self.tested else splits.trained
        while True:
            if modality == "image":
                shown: Spec = self.alone()
            elif modality == "video":
                shown = videos.draw(self.random, allowed)
            else:
                shown = sounds.draw(self.random, allowed) if modality == "sound" else solids.draw(self.random)
            heard = bool(catalogue().thing(thing_of(shown)).takes)
            if sounding in (None, heard) and fits(shown):
                return shown

    def found(self, draw: Callable[[], S]) -> S:
        """What may be asked for: in training, of compositions that are trained on, in tests, of others. Impossible where
        there is nothing of the kind."""
        allowed = splits.tested if self.tested else splits.trained
        for _ in range(TRIES):
            spec = draw()
            if isinstance(spec, Cloud) or allowed(spec.combinations):
                return spec
        raise Impossible

    def _noise(self, thing: str) -> Noise:
        return Noise(
            thing, self.random.choice((1, 2, 3)), self.random.choice(sounds.PITCHES), self.random.getrandbits(32)
        )

    def ground(self, other: str = "") -> str:
        """A background, another one than that."""
        return self.random.choice([name for name in catalogue().backgrounds if name != other])

    def name(self, thing: str) -> str:
        """One of the names that people give a thing."""
        return self.random.choice(catalogue().thing(thing).names)

    def worded(self, way: str, **holes: str) -> str:
        return worded(way, self.random, tested=self.tested, **holes)

    def said(self, spec: Spec) -> str:
        """What is wished for, in words that stand within a sentence."""
        if not isinstance(spec, Clip):
            return words.said(spec, self.random, tested=self.tested)
        moves = self.random.choice(words.MOVES[spec.motion])
        holes = {"a": article(self.name(spec.thing)), "ground": spec.background, "tinted": article(spec.background)}
        return self.worded("moving", moves=moves, **holes)


class Impossible(Exception):
    """What was drawn cannot be asked for: every composition of it is on the other side."""


_WISHES: Mapping[tuple[str, str], Callable[..., Exchange]] = {
    ("text", "image"): Drawer.picture_of_words,
    ("text", "sound"): Drawer.sound_of_words,
    ("text", "video"): Drawer.video_of_words,
    ("image", "image"): Drawer.picture_changed,
    ("image", "sound"): partial(Drawer.sound_of, given="image"),
    ("image", "video"): Drawer.video_moved,
    ("sound", "image"): partial(Drawer.picture_of, given="sound"),
    ("sound", "sound"): Drawer.sound_again,
    ("sound", "video"): partial(Drawer.video_of, given="sound"),
    ("video", "image"): partial(Drawer.picture_of, given="video"),
    ("video", "sound"): partial(Drawer.sound_of, given="video"),
    ("video", "video"): Drawer.video_turned,
    ("points", "image"): partial(Drawer.picture_of, given="points"),
    ("points", "sound"): partial(Drawer.sound_of, given="points"),
    ("points", "video"): partial(Drawer.video_of, given="points"),
}


def made(spec: Scene | Clip | Noise | Spec, *judged: str) -> Make:
    """What is asked of a generator: the plain caption, and what of it the request names, by default all."""
    every: tuple[str, ...] = {
        Scene: ("thing", "background", "relation" if isinstance(spec, Scene) and spec.relation else "count"),
        Clip: ("thing", "background", "motion"), Noise: ("thing", "count", "pitch"),
    }[type(spec)]  # fmt: skip
    if isinstance(spec, Scene) and spec.size:
        every = (*every, "size")
    return Make(_kind(spec), words.plain(spec), spec, judged or every)


def _thing(name: str) -> Say:
    return Say(_sentence(article(name)), {"thing": name})


def thing_of(spec: Spec) -> str:
    """The one thing that is shown."""
    return spec.things[0] if isinstance(spec, Scene) else spec.thing


def facts_of(spec: Spec) -> dict[str, str]:
    """Everything that a description tells."""
    if isinstance(spec, Scene):
        found = {"background": spec.background}
        if spec.relation:
            return found | {"first": spec.things[0], "relation": spec.relation, "second": spec.things[1]}
        return found | {"thing": spec.things[0], "count": str(spec.count)}
    if isinstance(spec, Clip):
        return {"thing": spec.thing, "motion": spec.motion, "background": spec.background}
    return {"thing": spec.thing} | ({"count": str(spec.count)} if isinstance(spec, Noise) else {})


def _kind(spec: Spec) -> Output:
    kinds: Mapping[type, Output] = {Scene: "image", Clip: "video", Noise: "sound"}
    return kinds[type(spec)]


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
