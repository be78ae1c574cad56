from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from mmagent.engine.events import Handle
from mmagent.media import MODALITIES, Audio, Embedding, Image, Media, Text, Video
from mmagent.trace.gallery import CAP, Gallery
from mmagent.trace.preview import EDGE, EXACT, preview

if TYPE_CHECKING:
    from tests.trace.conftest import Reading

    Read = Callable[[str], Reading]


def pictures(number: int) -> list[Image]:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype="uint8")
    return [Image(noise + np.uint8(step)) for step in range(number)]


def gallery_of(*media: Media, left: int = CAP) -> tuple[Gallery, list[Handle]]:
    return Gallery({item.digest: item for item in media}, left=left), [
        Handle(item.modality, item.digest) for item in media
    ]


def test_a_medium_is_shown_once_and_linked_to_afterwards(read: Read) -> None:
    gallery, (handle,) = gallery_of(*pictures(1))
    before, shown, after = gallery.chip(handle), gallery.show(handle), gallery.show(handle)
    assert "<img" in shown
    assert before == after
    assert read(shown).values("id") == [read(after).values("href")[0].removeprefix("#")]


def test_the_rest_is_what_was_referred_to_and_never_shown() -> None:
    gallery, (first, second, _) = gallery_of(*pictures(3))
    gallery.chip(first)
    gallery.chip(second)
    gallery.show(first)
    assert ["<img" in html for html in gallery.rest()] == [True]
    assert gallery.rest() == []


def test_media_beyond_the_cap_are_named_but_not_embedded(read: Read) -> None:
    one, (only,) = gallery_of(*pictures(1))
    gallery, handles = gallery_of(*pictures(3), left=2 * len(one.show(only)))
    shown = [gallery.show(handle) for handle in handles]
    assert ["<img" in html for html in shown] == [True, True, False]
    assert f"a page holds at most {CAP // 10**6}" in read(shown[2]).text


def test_a_very_large_picture_is_shown_smaller_and_says_so(read: Read) -> None:
    shown, note = preview(Image(np.zeros((10, 2 * EDGE, 3), dtype="uint8")), "wide")
    assert shown is not None
    assert [attributes["width"] for attributes in read(shown).all("img")] == [str(EDGE)]
    assert note == f"shown at {EDGE} × 5"


def test_a_picture_of_many_bytes_is_shown_as_webp_and_says_so() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (900, 900, 3), dtype="uint8")
    shown, note = preview(Image(noise), "noise")
    assert shown is not None
    assert noise.nbytes > EXACT > len(shown) / 2
    assert note == "shown as WebP"


def test_sound_has_a_player_and_more_than_ten_minutes_of_it_a_note() -> None:
    shown, note = preview(Audio(np.zeros(800, dtype="float32"), 8000), "")
    assert shown is not None
    assert "<audio" in shown
    assert note == ""
    shown, note = preview(Audio(np.zeros(1000 * 601, dtype="float32"), 1000), "")
    assert shown is None
    assert note == "longer than 10 min 00 s, so there is no player"


def test_a_large_video_says_that_it_is_shown_smaller() -> None:
    _, note = preview(Video(np.zeros((2, 16, 640, 3), dtype="uint8"), 2.0), "")
    assert note == "shown at 512 pixels"


def test_an_embedding_is_told_by_its_facts(read: Read) -> None:
    gallery, (handle,) = gallery_of(Embedding(np.zeros((4, 8)), "clip.text"))
    seen = read(gallery.show(handle))
    assert "4 × 8" in seen.text
    assert "clip.text" in seen.text


def test_a_modality_that_cannot_show_itself_breaks_nothing(read: Read) -> None:
    try:

        class Odd(Media, modality="odd", suffix=".odd"):
            def preview(self) -> Image | None:
                raise ZeroDivisionError("no picture of it")

        gallery, (handle,) = gallery_of(Odd({"values": np.zeros(3)}))
        seen = read(gallery.show(handle))
        assert seen.faults == []
        assert "cannot be shown: ZeroDivisionError: no picture of it" in seen.text
        assert "odd" in seen.text
    finally:
        MODALITIES.pop("odd", None)


def test_references_to_text_quote_its_beginning(read: Read) -> None:
    gallery, (handle,) = gallery_of(Text("one two three " * 20))
    assert read(gallery.chip(handle)).text.startswith("text “one two three")
    assert len(read(gallery.chip(handle)).text) < 60
