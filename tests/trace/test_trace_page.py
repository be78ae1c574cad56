from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from mmagent.engine.events import Handle
from mmagent.trace import Part, Trace
from mmagent.trace.page import page
from mmagent.trace.words import visible

if TYPE_CHECKING:
    from tests.trace.conftest import Reading, Turn

    Read = Callable[[str], Reading]
    Made = Callable[[Callable[[str], str]], Turn]

HOSTILE = (
    "<script>alert(1)</script>",
    "]]><svg onload=alert(1)>",
    "\"' onerror=alert(1) x='",
    "</style></script></title><img src=x onerror=alert(1)>",
    "<!-- ",
    "&lt;b&gt; &#60;b&#62;",
    "photo\u202egpj.exe\u2066\u2069\x1b[31m\x00",
    "javascript:alert(1)",
    "https://example.org/a.png",
)


@pytest.fixture
def seen(turn: Turn, read: Read) -> Reading:
    return read(page(turn.trace, turn.media))


def test_tags_balance_and_ids_are_unique(seen: Reading) -> None:
    assert seen.faults == []
    assert [name for name, times in Counter(seen.values("id")).items() if times > 1] == []


def test_every_link_leads_to_something_on_the_page(seen: Reading) -> None:
    links = seen.values("href")
    assert links
    assert {link for link in links if not link.startswith("#")} == set()
    assert {link.removeprefix("#") for link in links} <= set(seen.values("id"))
    assert set(seen.values("data-call")) <= set(seen.values("id"))


def test_every_call_is_a_row_a_bar_and_a_node(turn: Turn, seen: Reading) -> None:
    rows = [attributes["id"] for attributes in seen.all("tr") if "id" in attributes]
    assert len(rows) == len(turn.trace.calls)
    for row in rows:
        links = [attributes.get("class") or "" for attributes in seen.all("a") if attributes.get("href") == f"#{row}"]
        assert any("bar" in link for link in links)
        assert any("node" in link for link in links)


def test_the_policy_allows_nothing_but_the_page_itself_and_its_one_script(turn: Turn) -> None:
    html = page(turn.trace, turn.media)
    script = re.search(r"<script>(.*?)</script>", html, re.DOTALL)
    assert script is not None
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    policy = html.split('Content-Security-Policy" content="')[1].split('"')[0].replace("&#39;", "'")
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == f"'sha256-{digest}'"
    assert rules["img-src"] == rules["media-src"] == "data:"


def test_nothing_is_asked_of_the_network(turn: Turn, seen: Reading) -> None:
    html = page(turn.trace, turn.media)
    assert "@import" not in html
    assert not re.search(r"url\(\s*['\"]?(?!data:)", html)
    assert all(source.startswith("data:") for source in seen.values("src"))
    assert not {"link", "iframe", "object", "embed", "form", "base"} & {tag for tag, _ in seen.elements}
    assert "http" not in re.sub(r"http-equiv|data:[^\"]*", "", html)


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_words_are_shown_as_words(hostile: str, turn_of: Made, read: Read) -> None:
    plain, turn = turn_of(str), turn_of(lambda text: text + hostile)
    honest, seen = read(page(plain.trace, plain.media)), read(page(turn.trace, turn.media))
    assert seen.faults == []
    assert [tag for tag, _ in seen.elements] == [tag for tag, _ in honest.elements]
    assert [sorted(found) for _, found in seen.elements] == [sorted(found) for _, found in honest.elements]
    assert seen.all("script") == [{}]
    assert visible(hostile) in seen.text
    assert not any(0x202A <= ord(sign) <= 0x202E for sign in page(turn.trace, turn.media))


def test_a_medium_is_embedded_once_however_often_it_is_named(turn: Turn, seen: Reading) -> None:
    sources = seen.values("src")
    assert len(sources) == len(set(sources)) == 4  # two pictures, a question and an answer
    figures = [attributes for attributes in seen.all("figure") if "medium" in (attributes.get("class") or "")]
    assert len(figures) == len(turn.media)


def test_pictures_have_their_caption_as_alt_text(seen: Reading) -> None:
    assert {"cat, mat", "a cat, drawn"} == {attributes["alt"] for attributes in seen.all("img")}


def test_parts_stand_in_their_order_with_errors_in_their_places(turn: Turn, seen: Reading) -> None:
    parts = [attributes["id"] for attributes in seen.all("li") if (attributes.get("id") or "").startswith("part-")]
    assert parts == ["part-1", "part-2", "part-3", "part-4", "part-5", "part-6"]
    for part in turn.trace.parts:
        assert part.error in seen.text


def test_a_route_shows_wire_reason_refused_candidates_and_the_part_that_came_of_it(turn: Turn, seen: Reading) -> None:
    for route, part in turn.trace.signals:
        assert route.reason in seen.text
        assert part is not None
        assert f"#part-{part.place + 1}" in seen.values("href")
    assert "paint.v1 → say-what.v1" in seen.text
    assert "it takes more steps" in seen.text


def test_seeds_settings_and_keys_are_there(turn: Turn, seen: Reading) -> None:
    for call in turn.trace.calls:
        assert call.key in seen.text
        assert f"seed {call.seed}" in seen.text
    assert "2 attempts" in seen.text


def test_media_that_are_not_at_hand_are_named_with_what_the_trace_knows(turn: Turn, read: Read) -> None:
    seen = read(page(turn.trace, {}))
    assert seen.faults == []
    assert seen.values("src") == []
    assert "not kept with this trace" in seen.text
    assert "64 × 48" in seen.text


def test_an_empty_turn_is_a_page_too(read: Read) -> None:
    seen = read(page(Trace("m", 0, {}, (), (), ()), {}))
    assert seen.faults == []
    assert "The reply has no parts." in seen.text


def test_digests_from_outside_become_no_anchors(turn: Turn, read: Read) -> None:
    odd = replace(turn.trace, parts=(Part(0, "image", Handle("image", '"><script>')),))
    seen = read(page(odd, turn.media))
    assert seen.faults == []
    assert seen.all("script") == [{}]


@pytest.mark.parametrize(
    ("change", "word"),
    [({"first_token": None, "first_audio": None}, "first audio"), ({"version": ""}, "mmagent 0")],
)
def test_what_is_not_known_is_left_out(change: dict[str, object], word: str, turn: Turn, read: Read) -> None:
    assert word in str(read(page(turn.trace, turn.media)).elements) + read(page(turn.trace, turn.media)).text
    bare = read(page(replace(turn.trace, **change), turn.media))  # type: ignore[arg-type]  # one field at a time
    assert word not in str(bare.elements) + bare.text
