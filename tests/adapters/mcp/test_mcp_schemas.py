"""What is read off the schema of a server's tool, and off a card for a schema of ours."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as bounds
from hypothesis import strategies as some

from mmagent.adapters.mcp.arguments import checker, to_arguments
from mmagent.adapters.mcp.offer import as_tool, offer
from mmagent.adapters.mcp.outputs import read_outputs
from mmagent.adapters.mcp.parameters import read_parameters, slug
from mmagent.card import Card, Port, Setting
from mmagent.errors import CardError
from mmagent.media import Text

BASE64 = {"type": "string", "contentEncoding": "base64"}


def read(properties: dict[str, Any], required: tuple[str, ...] = (), **rest: Any) -> dict[str, tuple[str, str]]:
    """Each parameter: what it is here, and how it is sent."""
    chosen = rest.pop("chosen", {})
    schema = {"type": "object", "properties": properties, "required": list(required), **rest}
    found = read_parameters(schema, "tool t", chosen)
    return {item.name: (shown(item.item), item.form) for item in found}


def shown(item: Port | Setting) -> str:
    if isinstance(item, Port):
        return str(item)
    kind = " | ".join(map(str, item.choices)) or item.type
    return f"{kind}{'?' if item.optional else ''}{'' if item.required else f' = {item.default}'}"


@pytest.mark.parametrize(
    ("schema", "required", "wanted"),
    [
        ({"type": "integer"}, True, ("int", "plain")),
        ({"type": "integer"}, False, ("int? = None", "plain")),
        ({"type": "number", "default": 2}, False, ("float = 2.0", "plain")),
        ({"type": "boolean", "default": True}, True, ("bool = True", "plain")),
        ({"type": "string", "default": 5}, False, ("str? = None", "plain")),  # no default of that type
        ({"type": ["string", "null"], "default": "a"}, False, ("str? = a", "plain")),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, True, ("int?", "plain")),
        ({"enum": ["a", "b"]}, True, ("a | b", "plain")),
        ({"enum": [1, 2, None], "default": 2}, False, ("1 | 2? = 2", "plain")),
        ({"enum": ["a", 1]}, True, ("str", "json")),
        ({"const": 3}, True, ("3", "plain")),
        ({"type": "object"}, True, ("str", "json")),
        ({"type": "array", "items": {"type": "string"}, "default": []}, False, ("str = []", "json")),
        ({"type": ["string", "integer"]}, True, ("str", "json")),
        ({"anyOf": [{"type": "string"}, {"type": "integer"}]}, True, ("str", "json")),
        ({}, False, ("str? = None", "json")),
        (True, True, ("str", "json")),
        ({"$ref": "#/$defs/Size"}, True, ("int", "plain")),
        ({"$ref": "#/$defs/Loop"}, True, ("str", "json")),
        ({"$ref": "https://example.org/schema"}, True, ("str", "json")),
        (BASE64, True, ("any", "base64")),
        ({**BASE64, "contentMediaType": "image/png"}, False, ("image | None", "base64")),
        ({**BASE64, "contentMediaType": "text/markdown"}, True, ("text", "base64")),
        ({**BASE64, "contentMediaType": "application/pdf"}, False, ("str? = None", "plain")),
        ({"type": "string", "contentMediaType": "audio/*"}, True, ("audio", "base64")),
        ({"type": "string", "format": "byte", "contentMediaType": "application/x-npy"}, True, ("points", "base64")),
        ({"type": "string", "format": "data-uri"}, True, ("any", "uri")),
        ({"type": "string", "format": "uri", "contentMediaType": "video/mp4"}, True, ("video", "uri")),
        ({"type": "array", "items": {**BASE64, "contentMediaType": "image/png"}}, True, ("list[image]", "base64")),
        ({"type": "string", "x-mmagent-port": "speech(rate=16000)"}, True, ("speech(rate=16000)", "ours")),
    ],
)
def test_a_schema_is_read(schema: Any, required: bool, wanted: tuple[str, str]) -> None:
    definitions = {"Size": {"type": "integer"}, "Loop": {"$ref": "#/$defs/Loop"}}
    assert read({"p": schema}, ("p",) if required else (), **{"$defs": definitions})["p"] == wanted


def test_one_string_that_must_be_given_is_a_text() -> None:
    text, other = {"type": "string"}, {"type": "string", "enum": ["a", "b"]}
    assert read({"q": text, "kind": other, "more": text}, ("q", "kind")) == {
        "q": ("text", "text"), "kind": ("a | b", "plain"), "more": ("str? = None", "plain")
    }  # fmt: skip
    assert read({"q": text, "r": text}, ("q", "r")) == {"q": ("str", "plain"), "r": ("str", "plain")}
    assert read({"q": text, "r": text}, ("q", "r"), chosen={"r": "text"}) == {
        "q": ("str", "plain"),
        "r": ("text", "text"),
    }
    assert read({"path": text}, ("path",), chosen={"path": "setting"}) == {"path": ("str", "plain")}


def test_the_name_of_the_context_is_kept_free() -> None:
    schema = {"properties": {"ctx": {"type": "integer"}}, "required": ["ctx"]}
    [parameter] = read_parameters(schema, "tool t", {})
    assert (parameter.name, parameter.item.name) == ("ctx", "ctx_")
    assert to_arguments([parameter], {"ctx_": 3}, seed=0) == {"ctx": 3}


def test_what_is_left_empty_is_left_out_unless_null_means_something() -> None:
    null = {"type": ["integer", "null"]}
    schema = {
        "properties": {"a": {"type": "integer"}, "b": null, "c": {**null, "default": 4}, "d": null},
        "required": ["d"],
    }
    parameters = read_parameters(schema, "tool t", {})
    empty = dict.fromkeys("abcd")
    assert to_arguments(parameters, empty, seed=0) == {"c": None, "d": None}


def test_outputs_are_what_is_declared() -> None:
    media = {
        "properties": {"p": {**BASE64, "contentMediaType": "image/png"}, "n": {"type": "integer"}},
        "required": ["p"],
    }
    plain = {"properties": {"result": {"type": "string"}}}

    def outputs(makes: Any, meta: Any, schema: Any) -> str:
        ports, structured = read_outputs(makes, meta, schema, "tool t")
        return ", ".join(f"{port.name}: {port}" for port in ports) + (" structured" if structured else "")

    assert outputs(None, None, None) == outputs(None, {}, plain) == "text: text"
    assert outputs("list[image]", {"mmagent/outputs": {"a": "audio"}}, media) == "image: list[image]"
    assert outputs({"a": "image", "b": "text | None"}, None, None) == "a: image, b: text | None"
    assert outputs(None, {"mmagent/outputs": {"a": "audio"}}, None) == "a: audio"
    assert outputs(None, None, media) == "p: image, n: text | None structured"


def test_faults_name_the_place_and_never_the_value() -> None:
    check = checker({"type": "object", "properties": {"a": {"maxLength": 3}}, "required": ["b"]})
    check({"a": "abc", "b": 1})
    with pytest.raises(CardError) as refused:
        check({"a": "iVBORw0KGgo"})
    assert str(refused.value).endswith('asks for: $.a is not maxLength 3; $ is not required ["b"]')
    checker({"type": 3})({"whatever": 1})  # a schema that is none checks nothing
    checker({"$ref": "https://example.org/schema"})({"a": 1})  # and nothing is fetched


@pytest.mark.parametrize("schema", [{"properties": ["a"]}, {"required": [{}]}, {"required": "p"}, {"properties": "p"}])
def test_what_is_no_schema_is_refused_by_its_tools_name(schema: Any) -> None:
    with pytest.raises(CardError, match=r"tool t: its schema is none, .* leave it out with only="):
        read_parameters(schema, "tool t", {})
    with pytest.raises(CardError, match="tool t: its schema is none"):
        read_outputs(None, None, schema, "tool t")


@pytest.mark.parametrize(
    "schema",
    [{"$ref": "#"}, {"$schema": []}, {"$id": "http://["}, {"properties": {"a": {"$ref": "#/properties/a"}}}],
)
def test_a_schema_that_cannot_be_followed_is_left_to_the_server(schema: Any) -> None:
    checker(schema)({"a": 1})


def test_regular_expressions_are_left_to_the_server() -> None:
    endless = {"type": "string", "pattern": "^(a+)+$", "maxLength": 50}
    check = checker({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "properties": {"a": endless, "pattern": {"$ref": "#/$defs/a"}, "m": {"patternProperties": {"^(a+)+$": False},
                       "additionalProperties": False}},
        "$defs": {"a": {"$schema": "https://json-schema.org/draft/2020-12/schema", **endless}},
        "additionalProperties": False,
    })  # fmt: skip
    words = "a" * 40 + "!"
    check({"a": words, "pattern": words, "m": {words: 1}})
    with pytest.raises(CardError, match=r"\$\.pattern is not maxLength 50; \$ is not additionalProperties false"):
        check({"pattern": "a" * 51, "b": 1})


def test_a_setting_too_deep_to_be_read_is_refused() -> None:
    [parameter] = read_parameters({"properties": {"a": {"type": "array"}}}, "tool t", {})
    with pytest.raises(CardError, match="setting a holds JSON, and this is none"):
        to_arguments([parameter], {"a": "[" * 100_000}, seed=0)


def test_a_label_of_many_spaces_is_read_at_once() -> None:
    with pytest.raises(CardError, match="is no port"):
        read_parameters({"properties": {"a": {"x-mmagent-port": f"image{' ' * 10_000}!"}}}, "tool t", {})


KEYWORDS = (
    "type properties required items enum const default anyOf $ref $id $defs format contentEncoding contentMediaType "
    "pattern patternProperties string array image/png #/properties x-mmagent-port x-mmagent-seed"
)
WORDS = some.sampled_from(KEYWORDS.split())
JSON = some.recursive(
    some.none() | some.booleans() | some.integers(-3, 3) | WORDS | some.text(max_size=5),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)


@bounds(deadline=None, max_examples=300)
@given(some.dictionaries(WORDS, JSON, max_size=5), some.dictionaries(WORDS, JSON, max_size=3))
def test_no_schema_breaks_its_reader(schema: dict[str, Any], arguments: dict[str, Any]) -> None:
    for read in (lambda: read_parameters(schema, "tool t", {}), lambda: read_outputs(None, schema, schema, "tool t"),
                 lambda: checker(schema)(arguments)):  # fmt: skip
        with contextlib.suppress(CardError):
            read()


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("drawImage", "draw-image"), ("Paint_Box.v2/do", "paint-box-v2-do"), ("  ÄB c ", "b-c"), ("", "")],
)
def test_names_become_names_as_ours(name: str, wanted: str) -> None:
    assert slug(name) == wanted


VALUES = {"str": some.text(), "int": some.integers(), "float": some.floats(allow_nan=False), "bool": some.booleans()}


@some.composite
def settings(draw: some.DrawFn, name: str) -> Setting:
    kind = draw(some.sampled_from(sorted(VALUES)))
    value = draw(VALUES[kind])
    choices = (
        tuple(dict.fromkeys([value, *draw(some.lists(VALUES[kind], max_size=3))])) if draw(some.booleans()) else ()
    )
    if draw(some.booleans()):
        return Setting(name, kind, required=True, choices=choices)  # type: ignore[arg-type]  # a key of VALUES
    optional = draw(some.booleans())
    default = None if optional and draw(some.booleans()) else value
    return Setting(name, kind, default, optional=optional, choices=choices)  # type: ignore[arg-type]  # the same


PORTS = some.sampled_from(
    ["image", "text", "audio(rate=8000)", "list[image]", "speech | None", "any", "list[text] | None"]
)


@bounds(deadline=None)
@given(some.data())
def test_a_card_that_is_offered_reads_back_as_it_was(data: some.DataObject) -> None:
    from mmagent.graph.ports import parse_port

    inputs = tuple(parse_port(f"p{place}", data.draw(PORTS)) for place in range(data.draw(some.integers(0, 3))))
    chosen = tuple(data.draw(settings(f"s{place}")) for place in range(data.draw(some.integers(0, 3))))
    if not inputs and not any(item.type == "str" for item in chosen):
        inputs = (parse_port("p", "text"),)
    card = Card("card.v1", "converter", inputs, (Port("image", "image"),), chosen)
    schema = as_tool(offer(card, load_settings=False, seeded=False), paths=False).input_schema
    found = [item.item for item in read_parameters(schema, "tool t", {item.name: "setting" for item in chosen})]
    assert [item for item in found if isinstance(item, Port)] == list(inputs)
    assert [item for item in found if isinstance(item, Setting)] == list(chosen)


def test_text_is_text_whatever_it_says() -> None:
    schema = {"properties": {"t": {"type": "string"}}, "required": ["t"]}
    words = "data:image/png;base64,AAAA"
    assert to_arguments(read_parameters(schema, "tool t", {}), {"t": Text(words)}, seed=0) == {"t": words}
