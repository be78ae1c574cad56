from __future__ import annotations

import pytest

from mmagent.card import Card, Port, Setting
from mmagent.errors import CardError


def card(**changes: object) -> Card:
    values: dict[str, object] = {"name": "blur.v1", "kind": "converter", "inputs": (), "outputs": ()}
    return Card(**{**values, **changes})  # type: ignore[arg-type]  # the tests pass wrong values on purpose


@pytest.mark.parametrize("name", ["blur", "Blur.v1", "blur_it.v1", "blur.v", "blur.v1.2", "-blur.v1", ""])
def test_a_name_is_kebab_case_with_a_version(name: str) -> None:
    with pytest.raises(CardError, match="kebab-case with a version"):
        card(name=name)


def test_a_name_used_twice_is_refused() -> None:
    with pytest.raises(CardError, match="image named twice"):
        card(inputs=(Port("image", "image"),), settings=(Setting("image", "int"),))


def test_an_inline_tool_is_plain() -> None:
    with pytest.raises(CardError, match="inline"):
        card(inline=True, call="async")


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("kind", "banana", "kind is one of encoder, generator, converter, reasoner, not 'banana'"),
        ("concurrency", "exclusiv", "one of exclusive, reentrant"),
        ("concurrency", "batched", "one of exclusive, reentrant"),
        ("call", "later", "one of sync, async"),
        ("cost", "x", "cost is seconds, 0 or more, not 'x'"),
        ("cost", -1, "cost is"),
        ("cost", float("nan"), "cost is"),
        ("cost", float("inf"), "cost is"),
        ("cost", True, "cost is"),
        ("memory", -3, "memory is whole bytes, not -3"),
        ("memory", 0.5, "memory is"),
        ("needs", "extra:local", "needs is a tuple of names"),
        ("needs", (3,), "needs is"),
        ("inline", "no", "inline is True or False, not 'no'"),
        ("lossy", None, "lossy is"),
        ("cacheable", 1, "cacheable is"),
        ("weights", None, "weights is text"),
    ],
)
def test_an_option_that_cannot_be_is_refused(option: str, value: object, message: str) -> None:
    with pytest.raises(CardError, match=f"blur.v1: .*{message}"):
        card(**{option: value})


def test_short_drops_the_version() -> None:
    assert card(name="image-tags.v12").short == "image-tags"


def test_ports_print_as_they_are_written() -> None:
    assert str(Port("a", "speech", constraints={"rate": 16000})) == "speech(rate=16000)"
    assert str(Port("a", "image", many=True)) == "list[image]"
    assert str(Port("a", "text", optional=True)) == "text | None"


SETTINGS = (
    Setting("top", "int", 5),
    Setting("gain", "float", 1.0),
    Setting("fit", "str", "cover", choices=("cover", "contain")),
    Setting("rate", "int", required=True),
    Setting("seed", "int", None, optional=True),
)


def test_settings_are_completed_and_widened() -> None:
    got = card(settings=SETTINGS).check_settings({"rate": 8000, "gain": 2})
    assert got == {"top": 5, "gain": 2.0, "fit": "cover", "rate": 8000, "seed": None}
    assert isinstance(got["gain"], float)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "rate .int. has no default"),
        ({"rate": 1, "tap": 2}, "no setting 'tap'; it has top, gain"),
        ({"rate": "fast"}, "takes int, not 'fast'"),
        ({"rate": True}, "takes int, not True"),
        ({"rate": 1, "fit": "stretch"}, "one of 'cover', 'contain'"),
        ({"rate": None}, "takes int, not None"),
    ],
)
def test_wrong_settings_are_named(given: dict[str, object], message: str) -> None:
    with pytest.raises(CardError, match=message):
        card(settings=SETTINGS).check_settings(given)


def test_ports_and_settings_are_found_by_name() -> None:
    found = card(inputs=(Port("a", "text"),), outputs=(Port("b", "image"),), settings=SETTINGS)
    assert found.input("a") == Port("a", "text") and found.input("b") is None
    assert found.output("b") == Port("b", "image") and found.setting("top") == SETTINGS[0]
