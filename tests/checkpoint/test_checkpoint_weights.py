"""A checkpoint that is a set of weights by name: told of before it is fetched, and fetched when it is loaded."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from mmagent import fetch
from mmagent.card import Card, Port
from mmagent.checkpoint import config, described, digest, load_pretrained, locate, needed, slug
from mmagent.errors import Offline, UnknownName
from mmagent.fetch import catalogue
from mmagent.fetch.catalogue import Part, WeightSet
from mmagent.fetch.sources import File, Shipped
from mmagent.forecast import forecast

CLIP = "weights:tiny-clip"
CARD = Card("see.v1", kind="encoder", inputs=(Port("image", "image"),), outputs=(Port("embedding", "embedding"),))


def shipped(name: str, folder: Path, *names: str, parts: tuple[Part, ...] = ()) -> WeightSet:
    data = {item: (folder / item).read_bytes() for item in names}
    files = tuple(File(item, hashlib.sha256(held).hexdigest(), len(held)) for item, held in data.items())
    return WeightSet(name, "a test", "CC0-1.0", "nobody", files, (Shipped(folder),), parts=parts)


@pytest.fixture(autouse=True)
def sets(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The set `tiny-clip`, whose config comes from another one."""
    part = Part("tiny-shape", {"config.json": "config.json"})
    known = [
        shipped("tiny-shape", saved, "config.json"),
        shipped("tiny-clip", saved, "model.safetensors", parts=(part,)),
    ]
    found = {entry.name: entry for entry in known}
    monkeypatch.setattr(catalogue, "SETS", found)
    monkeypatch.setattr("mmagent.fetch.SETS", found)


def test_what_is_not_fetched_yet_is_told_apart_and_asked_for_without_being_fetched() -> None:
    assert config(CLIP) is None
    card = described(CARD, (CLIP, ""), made={"width": None})
    assert card.needs == (CLIP,)
    assert card.weights == digest(CLIP) == fetch.weights("tiny-clip").digest
    with pytest.raises(Offline, match=r"tiny-clip are not in the cache\..* mmagent fetch tiny-clip"):
        locate(CLIP, download=False)
    assert [name for name, _ in forecast([card]).downloads] == ["tiny-clip", "tiny-shape"]
    assert not fetch.cache_folder().exists()


def test_it_is_fetched_when_it_is_loaded_and_is_then_a_folder_like_any() -> None:
    before = digest(CLIP)
    loaded = load_pretrained("CLIPVisionModel", CLIP)
    assert loaded.config.hidden_size == 16
    assert locate(CLIP, download=False) == locate(CLIP) == fetch.location("tiny-clip")
    found = config(CLIP)
    assert found is not None and found["hidden_size"] == 16
    assert digest(CLIP) == before
    assert forecast([described(CARD, (CLIP, ""), made={})]).downloads == ()


def test_a_file_that_was_changed_is_fetched_again(saved: Path) -> None:
    file = locate(CLIP) / "model.safetensors"
    file.write_bytes(bytes(file.stat().st_size))
    assert (locate(CLIP) / "model.safetensors").read_bytes() == (saved / "model.safetensors").read_bytes()


def test_only_sets_of_weights_are_needed_each_once(saved: Path) -> None:
    assert needed("somebody/clip", CLIP, str(saved), CLIP, "") == (CLIP,)


@pytest.mark.parametrize("ask", [locate, config, digest, needed])
def test_an_unknown_set_is_refused_with_the_known_ones(ask: object) -> None:
    assert callable(ask)
    with pytest.raises(UnknownName, match=r"no weights are called 'clip'; there are .*tiny-clip"):
        ask("weights:clip")


def test_its_name_is_its_slug() -> None:
    assert slug(CLIP) == "tiny-clip"
