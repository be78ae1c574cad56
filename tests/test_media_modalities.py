"""Modalities of one's own: declared once, found by their endings and types, never taken for another."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest

from mmagent.errors import CardError, IntakeError, MediaError, UnknownName
from mmagent.intake import Limits, npy
from mmagent.media import MODALITIES, Media, Points, fits, modality


def test_speech_fits_audio_and_audio_does_not_fit_speech() -> None:
    assert fits("speech", "audio") and not fits("audio", "speech")
    assert all(fits(name, "any") and fits(name, name) for name in MODALITIES)


def test_an_unknown_modality_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UnknownName, match=r"audio, .*video"):
        modality("smell")


@pytest.fixture
def restored() -> Any:
    before = dict(MODALITIES)
    yield
    MODALITIES.clear()
    MODALITIES.update(before)


def declare_depth() -> Any:
    class Depth(Media, modality="depth", refines="points", suffix=".depth"):
        def __init__(self, metres: object) -> None:
            super().__init__({"metres": np.asarray(metres, "float32")}, {"unit": "m"})

        def encode(self, suffix: str | None = None) -> bytes:
            return npy.encode(self.view("metres"))

        @classmethod
        def decode(cls, data: bytes, name: str = "", limits: Limits | None = None) -> Self:
            return cls(npy.decode(data, name, limits))

    return Depth


@pytest.mark.usefixtures("restored")
def test_a_modality_of_ones_own_is_registered_saved_and_found_by_its_ending(tmp_path: Path) -> None:
    kind = declare_depth()
    depth, other = kind(np.ones((2, 3))), kind(np.zeros((2, 3)))
    assert modality("depth") is kind and fits("depth", "points") and not fits("points", "depth")
    assert Media.open(depth.save(tmp_path / "map")) == depth == Media.open(depth.data_uri())
    assert depth != other and copy.deepcopy(depth) is depth
    with pytest.raises(MediaError, match="immutable"):
        depth.note = "even without __slots__"


@pytest.mark.usefixtures("restored")
def test_declaring_it_again_replaces_it_as_a_notebook_does() -> None:
    first, second = declare_depth(), declare_depth()
    assert first is not second and modality("depth") is second


@pytest.mark.usefixtures("restored")
def test_a_wrong_declaration_is_refused_when_it_is_made() -> None:
    with pytest.raises(CardError, match="already"):
        type("Other", (Media,), {}, modality="image")
    with pytest.raises(CardError, match="not registered"):
        type("Other", (Media,), {}, modality="other", refines="nothing")
    for name in ("Depth", "a b", "any", "", "a\0b"):
        with pytest.raises(CardError, match="rename"):
            type("Other", (Media,), {}, modality=name)


@pytest.mark.usefixtures("restored")
def test_a_file_of_a_modality_that_nobody_has_declared_is_not_taken_for_another(tmp_path: Path) -> None:
    depth = declare_depth()(np.ones((2, 3)))
    path, uri = depth.save(tmp_path / "map"), depth.data_uri()
    del MODALITIES["depth"]
    for source, label in ((path, r"\.depth"), (uri, "application/x-depth")):
        with pytest.raises(IntakeError, match=f"{label} is not registered; import the file"):
            Media.open(source)
    assert Points.open(path).array.shape == (2, 3)


@pytest.mark.usefixtures("restored")
def test_an_ending_or_type_belongs_to_one_modality() -> None:
    declare_depth()
    for ending in (".png", ".tif", ".mov", ".depth"):
        with pytest.raises(
            CardError, match=rf"suffix '\{ending}' of modality 'other' belongs to '\w+'; choose another"
        ):
            type("Other", (Media,), {}, modality="other", suffix=ending)
    for mime in ("image/png", "application/x-depth"):
        with pytest.raises(CardError, match=f"mime '{mime}' of modality 'other' belongs to"):
            type("Other", (Media,), {}, modality="other", suffix=".other", mime=mime)
    for ending in ("depth", "other.", ".Other", ".2", ".tar.gz", "."):
        with pytest.raises(CardError, match="no ending like"):
            type("Other", (Media,), {}, modality="other", suffix=ending)
        with pytest.raises(CardError, match="no ending like"):
            type("Other", (Media,), {"suffixes": {".other": True, ending: True}}, modality="other", suffix=".other")
    with pytest.raises(CardError, match="no MIME type"):
        type("Other", (Media,), {}, modality="other", suffix=".other", mime="a,b")
    assert "other" not in MODALITIES


@pytest.mark.usefixtures("restored")
def test_a_refinement_is_written_as_its_parent_and_its_file_opens_as_the_parent(tmp_path: Path) -> None:
    parent = declare_depth()
    child: Any = type("Relief", (parent,), {}, modality="relief", refines="depth")
    relief = child(np.ones((2, 3)))
    path = relief.save(tmp_path / "map")
    assert path.suffix == ".depth"
    assert type(Media.open(path)) is parent and child.open(path) == relief
    assert type(Media.open(relief.data_uri())) is parent


@pytest.mark.usefixtures("restored")
def test_a_further_ending_that_another_modality_owns_can_be_written_and_opens_as_the_others(tmp_path: Path) -> None:
    kind = declare_depth()
    mesh: Any = type("Mesh", (kind,), {"suffixes": {".mesh": True, ".depth": True}}, modality="mesh", suffix=".mesh")
    value = mesh(np.ones((2, 3)))
    assert type(Media.open(value.save(tmp_path / "a.mesh"))) is mesh
    assert type(Media.open(value.save(tmp_path / "a.depth"))) is kind


@pytest.mark.usefixtures("restored")
def test_meta_is_plain() -> None:
    class Tagged(Media, modality="tagged"):
        pass

    with pytest.raises(MediaError, match="plain"):
        Tagged({}, {"tags": ["a"]})  # type: ignore[dict-item]  # the wrong type is what is tested
    with pytest.raises(MediaError, match="implement encode"):
        Tagged().encode()
    assert Tagged().preview() is None and "tagged" in Tagged()._repr_html_()
