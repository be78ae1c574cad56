"""Media as they show themselves: small, escaped, and playable."""

from __future__ import annotations

import base64
import html.parser
import re
from typing import Any

import numpy as np
import pytest

from mmagent.intake import html as view
from mmagent.intake.html import show
from mmagent.media import MODALITIES, Audio, Embedding, Image, Media, Points, Speech, Text, Video

NASTY = "</pre><script>alert('x')</script>&amp;\"'"


class Tags(html.parser.HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def embedded(page: str) -> tuple[str, bytes]:
    found = re.search(r'src="data:([^;]+);base64,([^"]+)"', page)
    assert found is not None
    return found[1], base64.b64decode(found[2])


def test_text_is_shown_as_it_is_and_never_run() -> None:
    page = Tags(show(Text(NASTY)))
    assert page.tags == ["figure", "pre", "figcaption"]
    assert NASTY in "".join(page.text)


def test_long_text_is_cut() -> None:
    page = show(Text("x" * 25_000))
    assert "5,000 more characters" in page and len(page) < 21_000


def test_facts_are_escaped() -> None:
    page = Tags(show(Embedding(np.zeros((2, 3)), "<b>bold")))
    assert page.tags == ["figure", "figcaption"]
    assert "space <b>bold" in "".join(page.text)


def test_pictures_are_made_small_enough_to_look_at() -> None:
    mime, data = embedded(show(Image(np.zeros((1000, 2000, 4), "uint16"))))
    shown = Image(data)
    assert (mime, shown.width, shown.height, shown.channels) == ("image/png", 512, 256, 4)
    assert Image(embedded(show(Image(np.zeros((3, 2), "uint8"))))[1]).width == 2


@pytest.mark.parametrize("kind", [Audio, Speech])
def test_sound_gets_a_player(kind: type[Audio]) -> None:
    audio = kind(np.full(800, 0.5, "float32"), 8000)
    page = show(audio)
    assert Tags(page).tags == ["figure", "audio", "figcaption"] and f'data-modality="{kind.modality}"' in page
    mime, data = embedded(page)
    assert mime == "audio/flac" and np.allclose(Audio(data).array, audio.array, atol=1e-6)
    assert embedded(show(kind(np.zeros((8, 12), "float32"), 8000)))[0] == "audio/wav"
    assert "audio controls" not in show(kind(np.zeros(0, "float32"), 8000))


def test_a_video_gets_a_player() -> None:
    page = show(Video(np.zeros((2, 40, 2000, 3), "uint8"), fps=5))
    mime, data = embedded(page)
    assert mime == "video/mp4" and Video(data).array.shape == (2, 10, 512, 3)
    assert Tags(page).tags == ["figure", "video", "figcaption"]


def test_what_is_too_long_to_play_shows_its_facts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view, "SECONDS", 0.05)
    assert Tags(show(Audio(np.zeros(800, "float32"), 8000))).tags == ["figure", "figcaption"]
    assert Tags(show(Video(np.zeros((2, 4, 4, 3), "uint8"), fps=5))).tags == ["figure", "img", "figcaption"]


def test_points_are_drawn() -> None:
    cube = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)])
    for cloud in (cube, np.zeros((1, 3)), np.full((5, 4), 1e30), cube * 1e-30):
        drawn = Image(embedded(show(Points(cloud)))[1]).array
        assert drawn.shape == (320, 320, 3) and (drawn != 16).any()


def test_a_modality_of_ones_own_shows_its_preview() -> None:
    class Smell(Media, modality="smell"):
        def preview(self) -> Image:
            return Image(np.zeros((2, 2), "uint8"))

    try:
        value: Any = Smell({}, {"of": "<roses>"})
        assert Tags(value._repr_html_()).tags == ["figure", "img", "figcaption"]
        assert "&lt;roses&gt;" in value._repr_html_()
    finally:
        del MODALITIES["smell"]
