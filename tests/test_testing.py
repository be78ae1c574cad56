"""The tools for tests do what they say, and are tools like any other."""

from __future__ import annotations

from mmagent import testing
from mmagent.media import Image, Speech, Text


def test_the_registry_holds_them_all() -> None:
    known = testing.registry()
    names = ("upper", "join", "count", "halve", "words", "blank", "caption", "tone", "thin", "hear")
    assert [known.card(name).name for name in names] == [f"{name}.v1" for name in names]


def test_they_do_what_they_say() -> None:
    assert testing.upper(Text("abc")) == Text("ABC")
    assert testing.join([Text("a"), Text("b")], "-") == Text("a-b")
    assert testing.count([Text("a"), testing.blank(Text("b"))]) == Text("2")
    assert testing.halve(Text("a b c")) == (Text("a"), Text("b c"))
    assert testing.halve(Text("a")).rest is None
    assert testing.words(Text("a b")) == [Text("a"), Text("b")]


def test_pictures_and_sounds_are_made_and_read_back() -> None:
    picture = testing.blank(Text("a"), size=3)
    assert isinstance(picture, Image)
    assert testing.caption(picture) == Text("3 by 3")
    assert testing.blank(Text("a")) == testing.blank(Text("a")) != testing.blank(Text("b"))
    spoken = testing.tone(Text("a"), rate=8000)
    assert isinstance(spoken, Speech)
    assert (spoken.rate, spoken.channels, spoken.seconds) == (8000, 1, 0.1)
    slower = testing.thin(spoken, rate=16000)
    assert isinstance(slower, Speech)
    assert (slower.rate, slower.seconds) == (16000, 0.1)
    assert testing.hear(slower) == Text("0.1 seconds of speech")
