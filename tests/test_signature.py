"""What is read off a typed signature, and what is refused when the tool is declared."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

import pytest

from mmagent import Audio, Constraint, Context, Image, Text, tool
from mmagent.errors import CardError

Sound = TypeVar("Sound", bound=Audio)


class Nothing(NamedTuple):
    pass


def unannotated(image, size: int = 3) -> Image: ...  # type: ignore[no-untyped-def,empty-body]
def no_result(image: Image): ...  # type: ignore[no-untyped-def]
def plain_result(image: Image) -> int: ...  # type: ignore[empty-body]
def odd_setting(image: Image, size: dict[str, int]) -> Image: ...  # type: ignore[empty-body]
def collects(*images: Image) -> Image: ...  # type: ignore[empty-body]
def keywords(**settings: int) -> Image: ...  # type: ignore[empty-body]
def wrong_default(image: Image, size: int = "big") -> Image: ...  # type: ignore[empty-body,assignment]
def media_default(image: Image = 3) -> Image: ...  # type: ignore[empty-body,assignment]
def context_by_another_name(image: Image, context: Context) -> Image: ...  # type: ignore[empty-body]
def unknown_reference(image: Image) -> Annotated[Image, Constraint(width="$size")]: ...  # type: ignore[empty-body]
def yields(image: Image) -> Image:  # type: ignore[misc]
    yield image


def positional(image: Image, /) -> Image: ...  # type: ignore[empty-body]
def context_of_another_type(image: Image, ctx: int = 3) -> Image: ...  # type: ignore[empty-body]
def list_of_what(images: typing.List) -> Image: ...  # type: ignore[type-arg,empty-body]  # noqa: UP006
def iterator_of_what(image: Image) -> Iterator: ...  # type: ignore[type-arg,empty-body]
def no_fields(image: Image) -> Nothing: ...  # type: ignore[empty-body]
def mixed_choices(image: Image, size: Literal["small", 3] = 3) -> Image: ...  # type: ignore[empty-body]
def mixed_numbers(image: Image, size: Literal[True, 1] = 1) -> Image: ...  # type: ignore[empty-body]
def no_choices(image: Image, size: Literal[None] = None) -> Image: ...  # type: ignore[empty-body]
def odd_constraint(image: Annotated[Image, Constraint(width=[3])]) -> Image: ...  # type: ignore[empty-body]
def variable_from_nowhere(image: Image) -> Sound: ...  # type: ignore[type-var,empty-body]


def unknown_name(image: Picture) -> Image: ...  # type: ignore[name-defined,empty-body]  # noqa: F821


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (unannotated, "parameter image has no annotation"),
        (no_result, "no return annotation"),
        (plain_result, "the result is int"),
        (odd_setting, "parameter size is dict"),
        (collects, "collects arguments"),
        (keywords, "collects arguments"),
        (wrong_default, "size takes int, not 'big'"),
        (media_default, "media with a default"),
        (context_by_another_name, "is Context; the context is written ctx: Context"),
        (unknown_reference, r"width=\$size, but there is no setting 'size'"),
        (yields, "annotated -> Iterator"),
        (unknown_name, "annotation 'Picture' is not known"),
        (positional, "image is positional-only"),
        (context_of_another_type, "ctx is int; the context is written ctx: Context"),
        (list_of_what, "images is List; a port is a media class"),
        (iterator_of_what, "the result is Iterator"),
        (no_fields, "the result Nothing has no fields"),
        (mixed_choices, "its choices are of one type"),
        (mixed_numbers, "its choices are of one type"),
        (no_choices, "its choices are of one type"),
        (odd_constraint, r"odd-constraint.v1: Constraint: width is a plain value .*, not \[3\]"),
        (variable_from_nowhere, "Sound, a type variable that no input has"),
    ],
)
def test_a_wrong_signature_is_refused_when_it_is_made(function: Any, message: str) -> None:
    with pytest.raises(CardError, match=message):
        tool(function)


@pytest.mark.parametrize("annotation", ["Text[", "typing.Nope", "1 / 0"])
def test_an_annotation_that_cannot_be_evaluated_is_refused_by_name(annotation: str) -> None:
    def broken(text: Text) -> Text:
        return text

    broken.__annotations__["text"] = annotation
    with pytest.raises(CardError, match=r"broken\.v1: its annotations cannot be read"):
        tool(broken)


def test_none_among_choices_makes_a_setting_optional() -> None:
    @tool
    def pick(text: Text, side: Literal["left", "right", None] = None) -> Text:
        return text

    (side,) = pick.card.settings
    assert (side.type, side.choices, side.optional, side.default) == ("str", ("left", "right"), True, None)
    assert pick.card.check_settings({"side": None}) == {"side": None}


def test_a_default_is_kept_as_the_same_value_would_be_when_it_is_given() -> None:
    @tool
    def scale(image: Image, by: float = 1) -> Image:
        return image

    default = scale.card.check_settings({})["by"]
    assert isinstance(default, float) and default == scale.card.check_settings({"by": 1.0})["by"]


def test_an_unknown_option_is_refused() -> None:
    with pytest.raises(CardError, match="a tool's options are kind, cost"):
        tool(speed=3)(lambda: None)
