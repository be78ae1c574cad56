"""Content blocks and media: both ways, within limits, and nothing read that was not allowed."""

from __future__ import annotations

import base64
import http.server
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from langchain_core.messages import HumanMessage

from mmagent import Audio, Embedding, Image, Limits, Media, Points, Speech, Text, Video
from mmagent.adapters.langchain import MediaStore, Sources, from_block, media_of, to_block
from mmagent.conversation import Conversation
from mmagent.errors import IntakeError, MediaError

PICTURE = Image(np.arange(48, dtype="uint8").reshape(4, 4, 3))
MEDIA: list[Media] = [
    PICTURE,
    Audio(np.linspace(-1, 1, 80, dtype="float32"), 8000),
    Speech(np.linspace(-1, 1, 80, dtype="float32"), 8000),
    Points(np.eye(3, dtype="float32")),
]


def encoded(medium: Media) -> str:
    return base64.b64encode(medium.encode()).decode()


@pytest.mark.parametrize("medium", MEDIA, ids=lambda medium: medium.modality)
@pytest.mark.parametrize("stored", [False, True], ids=["bytes", "handle"])
def test_media_come_back_from_blocks_as_they_were(medium: Media, stored: bool) -> None:
    store = MediaStore() if stored else None
    block = to_block(medium, store)
    assert ("file_id" in block, "base64" in block) == (stored, not stored)
    again = from_block(block, Sources(store))
    assert again == medium and type(again) is type(medium)


def test_a_video_comes_back_from_its_block() -> None:
    pytest.importorskip("av")
    film = Video(np.zeros((3, 16, 16, 3), "uint8"), fps=4)
    block = to_block(film)
    assert (block["type"], block["mime_type"]) == ("video", "video/x-matroska")
    assert from_block(block) == film


def test_blocks_say_what_they_hold() -> None:
    assert to_block(PICTURE, caption="a cat") == {
        "type": "image", "mime_type": "image/png", "base64": encoded(PICTURE), "extras": {"caption": "a cat"},
    }  # fmt: skip
    speech = to_block(MEDIA[2])
    assert (speech["type"], speech["mime_type"], speech["extras"]) == ("audio", "audio/wav", {"modality": "speech"})
    assert to_block(MEDIA[3])["type"] == "file"
    assert to_block(Text("hi")) == {"type": "text", "text": "hi"}


def test_an_embedding_travels_as_a_file() -> None:
    states = Embedding(np.eye(4, dtype="float32"), "tiny.text")
    again = from_block(to_block(states))
    assert isinstance(again, Embedding) and again.space == "tiny.text" and np.array_equal(again.array, states.array)


@pytest.mark.parametrize(
    ("block", "words"),
    [
        ({"type": "text", "text": "hello"}, "hello"),
        ({"type": "text-plain", "text": "hello", "mime_type": "text/plain"}, "hello"),
        ({"type": "text-plain", "base64": base64.b64encode(b"hello").decode(), "mime_type": "text/plain"}, "hello"),
        ({"type": "file", "base64": base64.b64encode(b"hello").decode(), "mime_type": "text/plain"}, "hello"),
        ({"type": "text", "text": ""}, ""),
        ({"type": "reasoning", "reasoning": "hm"}, None),
        ({"type": "tool_call", "name": "x", "args": {}, "id": "1"}, None),
    ],
)
def test_words_come_out_as_words(block: dict[str, Any], words: str | None) -> None:
    assert from_block(block) == words


def test_blocks_of_other_providers_are_read() -> None:
    sound = MEDIA[1]
    message = HumanMessage(
        [
            {"type": "image_url", "image_url": {"url": PICTURE.data_uri()}},
            {"type": "input_audio", "input_audio": {"data": encoded(sound), "format": "wav"}},
            {"type": "image", "source_type": "base64", "data": encoded(PICTURE), "mime_type": "image/png"},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": encoded(PICTURE)}},
        ]
    )
    assert media_of(message) == [PICTURE, sound, PICTURE, PICTURE]


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        ({"type": "image", "base64": base64.b64encode(b"no picture").decode(), "mime_type": "image/png"}, "image"),
        ({"type": "image", "base64": "not base64!", "mime_type": "image/png"}, "not base64"),
        ({"type": "image", "base64": "QUJD", "mime_type": "image/png,x"}, "no MIME type"),
        ({"type": "file", "base64": base64.b64encode(b"%PDF-1.7\n\0\1").decode(), "mime_type": "application/pdf"}, "kind"),
        ({"type": "audio", "base64": encoded(MEDIA[1]), "mime_type": "audio/wav", "extras": {"modality": "image"}}, "agree"),
        ({"type": "image"}, "has no base64"),
        ({"type": "image", "url": "https://example.org/cat.png"}, "hosts allowed are none"),
        ({"type": "image", "url": "http://127.0.0.1/cat.png"}, "hosts allowed are none"),
        ({"type": "image", "file_id": "file-abc"}, "another provider"),
        ({"type": "image", "file_id": "media:abc"}, "no store"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_with_the_reason(block: dict[str, Any], reason: str) -> None:
    with pytest.raises(IntakeError, match=reason):
        from_block(block)


def test_a_block_never_reads_a_file_of_the_machine(tmp_path: Path) -> None:
    path = PICTURE.save(tmp_path / "secret.png")
    for url in (str(path), f"file://{path}", "secret.png"):
        with pytest.raises(IntakeError):
            from_block({"type": "image", "url": url}, Sources(folders=[tmp_path]))


def test_limits_hold_for_blocks() -> None:
    with pytest.raises(IntakeError, match="pixels"):
        from_block(to_block(PICTURE), Sources(limits=Limits(pixels=8)))
    with pytest.raises(IntakeError, match="bytes"):
        from_block(to_block(PICTURE), Sources(limits=Limits(file_bytes=20)))


def test_no_error_repeats_the_bytes_of_a_block() -> None:
    secret = base64.b64encode(b"x" * 3000).decode()
    for block in (
        {"type": "image", "base64": secret, "mime_type": "image/png"},
        {"type": "image", "url": secret},
        {"type": "image", "file_id": secret},
        {"type": "image", "base64": "QUJD", "mime_type": secret},
    ):
        with pytest.raises(IntakeError) as refused:
            from_block(block)
        assert secret[:200] not in str(refused.value)


def test_media_without_a_file_format_are_no_block() -> None:
    with pytest.raises(MediaError, match="no file format"):
        to_block(Conversation())


@pytest.fixture
def host() -> Iterator[str]:
    class Pictures(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(PICTURE.encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pictures)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_url_is_fetched_from_an_allowed_host_alone(host: str) -> None:
    block = {"type": "image", "url": f"http://{host}/cat.png"}
    assert from_block(block, Sources(hosts=[host])) == PICTURE
    with pytest.raises(IntakeError, match="is not fetched"):
        from_block(block, Sources(hosts=["example.org"]))


# -- references


def test_a_reference_is_a_handle_a_data_uri_or_a_file_in_a_folder(tmp_path: Path) -> None:
    store = MediaStore()
    PICTURE.save(tmp_path / "cat.png")
    sources = Sources(store, folders=[tmp_path])
    for reference in (store.put(PICTURE), PICTURE.data_uri(), "cat.png", str(tmp_path / "cat.png")):
        assert sources.open(reference, Image) == PICTURE


def test_a_file_outside_the_folders_is_not_read(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    secret = PICTURE.save(outside / "secret.png")
    (inside / "link.png").symlink_to(secret)
    for reference in (str(secret), "../outside/secret.png", "link.png", "missing.png"):
        with pytest.raises(IntakeError, match="no file"):
            Sources(folders=[inside]).open(reference, Image)
    with pytest.raises(IntakeError, match=r"\(none\)"):
        Sources().open(str(secret), Image)


def test_a_handle_of_another_modality_is_refused() -> None:
    store = MediaStore()
    with pytest.raises(MediaError, match="is image, and audio is wanted"):
        Sources(store).open(store.put(PICTURE), Audio)
    speech = MEDIA[2]
    assert Sources(store).open(store.put(speech), Audio) == speech


# -- the store


def test_a_handle_is_short_and_the_same_for_the_same_content() -> None:
    store = MediaStore()
    handle = store.put(PICTURE)
    assert handle == f"media:{PICTURE.digest[:12]}" == store.put(Image(PICTURE.array.copy()))
    assert len(store) == 1 and handle in store and "media:0" not in store
    store.drop(handle)
    assert handle not in store
    with pytest.raises(IntakeError, match="no medium is held"):
        store.get(handle)


@pytest.mark.parametrize("medium", [*MEDIA, Text("hi", lang="en"), Embedding(np.eye(2), "a.b")], ids=repr)
def test_a_folder_keeps_media_for_another_process(medium: Media, tmp_path: Path) -> None:
    handle = MediaStore(tmp_path).put(medium)
    again = MediaStore(tmp_path).get(handle)
    assert type(again) is type(medium) and again.encode() == medium.encode()
    assert MediaStore(tmp_path).put(medium) == handle and len(MediaStore(tmp_path)) == 1
    if not isinstance(medium, Text | Embedding):  # their digests cover more than their files hold
        assert again == medium


def test_a_folder_holds_nothing_in_memory(tmp_path: Path) -> None:
    store, picture = MediaStore(tmp_path), Image(np.ones((3, 3, 3), "uint8"))
    handle, before = store.put(picture), sys.getrefcount(picture)
    assert store.get(handle) == picture and store.get(handle) is not picture
    del store
    assert sys.getrefcount(picture) == before


def test_what_nobody_has_asked_for_the_longest_goes_first() -> None:
    store = MediaStore(budget=2 * PICTURE.nbytes)
    one, two, three, four = (Image(np.full((4, 4, 3), value, "uint8")) for value in range(4))
    first, second = store.put(one), store.put(two)
    store.get(first)
    third = store.put(three)
    assert [handle in store for handle in (first, second, third)] == [True, False, True]
    store.drop(first)
    fourth = store.put(four)
    assert third in store and fourth in store and len(store) == 2
    large = store.put(Image(np.zeros((9, 9, 3), "uint8")))
    assert large in store and len(store) == 1


@pytest.mark.parametrize("stored", [False, True])
def test_two_digests_that_begin_alike_get_handles_apart(
    stored: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mmagent.adapters.langchain.store._SHORTEST", 1)
    store = MediaStore(tmp_path / "s" if stored else None)
    others = (Image(np.full((1, 1, 3), value, "uint8")) for value in range(256))
    other = next(item for item in others if item.digest[0] == PICTURE.digest[0])
    handles = [store.put(PICTURE), store.put(other), store.put(other)]
    assert handles[1] == handles[2] == f"media:{other.digest}" != handles[0]
    assert store.get(handles[1]) == other


def test_a_file_that_was_changed_is_not_given_out(tmp_path: Path) -> None:
    handle = MediaStore(tmp_path).put(PICTURE)
    next(tmp_path.iterdir()).write_bytes(Image(np.zeros((2, 2, 3), "uint8")).encode())
    with pytest.raises(IntakeError, match="not what was put there"):
        MediaStore(tmp_path).get(handle)


def test_a_handle_is_no_pattern(tmp_path: Path) -> None:
    MediaStore(tmp_path).put(PICTURE)
    for handle in ("media:*", "media:../*", "media:", "media:?", "*"):
        with pytest.raises(IntakeError):
            MediaStore(tmp_path).get(handle)
