"""What an LLM's argument may name: odd references are refused as any other, and a list has one budget."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from mmagent.adapters.langchain import MediaStore, Sources, as_tool
from mmagent.errors import IntakeError
from mmagent.intake import Limits
from mmagent.media import Audio, Image, Speech, Text
from mmagent.tool import tool


@tool
def widths(images: list[Image]) -> Text:
    """How wide they are."""
    return Text(" ".join(str(image.width) for image in images))


@tool
def rates(audios: list[Audio]) -> Text:
    """What was sampled how."""
    return Text(" ".join(str(audio.rate) for audio in audios))


@pytest.mark.parametrize(
    "reference", ["x" * 256, "\ud800", "\0", "loop", "x/" * 2000], ids=lambda text: ascii(text)[:20]
)
def test_an_odd_reference_is_refused_as_any_other(tmp_path: Path, reference: str) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(IntakeError, match=r"no file .* in the folders that may be read"):
        Sources(folders=[tmp_path]).open(reference, Image)
    told = as_tool(widths, folders=[tmp_path], handle_tool_error=True).invoke({"images": [reference]})
    assert "no file" in told


def test_no_refusal_repeats_what_may_be_a_file() -> None:
    data = base64.b64encode(bytes(90)).decode()
    with pytest.raises(IntakeError, match="no file") as refused:
        Sources().open(data)
    assert data[:60] not in str(refused.value)


def test_what_a_list_becomes_counts_together_for_each_call() -> None:
    file = io.BytesIO()
    PIL.Image.new("1", (1000, 1000)).save(file, "PNG")
    picture = Image(file.getvalue())
    store = MediaStore()
    look = as_tool(widths, store=store, limits=Limits(decoded_bytes=9_000_000))
    for _ in range(2):
        assert look.invoke({"images": [picture.data_uri()] * 2}) == "1000 1000"
        with pytest.raises(IntakeError, match="decoded bytes, the limit is 7,000,000"):
            look.invoke({"images": [picture.data_uri()] * 6})
    assert look.invoke({"images": [store.put(picture)] * 20}).startswith("1000")  # which are decoded already


def test_a_list_may_be_empty_or_of_related_kinds() -> None:
    store = MediaStore()
    sound = Audio(np.zeros((8, 1), dtype="float32"), 8000)
    given = [store.put(sound), store.put(Speech(sound.array, 8000))]
    assert as_tool(rates, store=store).invoke({"audios": given}) == "8000 8000"
    assert as_tool(rates, store=store).invoke({"audios": []}) == ""
