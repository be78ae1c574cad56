"""From what trainings left to the package, and from there through the cache to the tools that run anybody's checkpoint.

The networks are those that are trained, but random, and some of them narrow.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmagent import Audio, Image, Text, Video
from mmagent.errors import ModelError
from mmagent.fetch import catalogue
from mmagent.fetch.catalogue import WeightSet
from mmagent.fetch.sources import File, Shipped
from mmagent.registry import registry

pytest.importorskip("diffusers")

import torch
import transformers

from mmagent.pocket.generators import clips, pictures, sounds, stages
from mmagent.pocket.generators.autoencoder import autoencoder
from mmagent.pocket.generators.pack import SHARED, TRAINED, listed
from mmagent.pocket.generators.ship import ship
from mmagent.pocket.generators.sound_autoencoder import autoencoder as sound_autoencoder
from mmagent.pocket.generators.text import LENGTH, WIDTH
from mmagent.pocket.generators.vocoder import vocoder

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"  # diffusers
)


class Alone:
    """What a tool asks of its call, where nobody listens."""

    seed = 0
    cancelled = False

    def check(self) -> None:
        pass

    def progress(self, done: float, total: float = 1.0, note: str = "") -> None:
        pass

    def preview(self, media: object) -> None:
        pass


@pytest.fixture(scope="module", autouse=True)
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A text encoder of one layer in place of the one that is fetched, and narrow denoisers."""
    folder = tmp_path_factory.mktemp("encoder")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "cat", "on", "blue", "background"]
    tokenizer = transformers.BertTokenizer(vocab={word: at for at, word in enumerate(words)}, model_max_length=LENGTH)
    shape = transformers.BertConfig(
        vocab_size=len(words), hidden_size=WIDTH, num_hidden_layers=1, num_attention_heads=4, intermediate_size=8,
        max_position_embeddings=LENGTH, use_attention_mask=True,
    )  # fmt: skip
    torch.manual_seed(0)
    network = transformers.BertModel(shape).eval()
    tokenizer.save_pretrained(folder)
    network.save_pretrained(folder)
    (folder / "special_tokens_map.json").write_text(json.dumps(tokenizer.special_tokens_map))
    names = catalogue.ENCODER.files
    held = {name: (folder / name).read_bytes() for name in names}
    files = tuple(File(name, hashlib.sha256(data).hexdigest(), len(data)) for name, data in held.items())
    entry = WeightSet(catalogue.ENCODER.set, "a test", "CC0-1.0", "nobody", files, (Shipped(folder),))
    with pytest.MonkeyPatch.context() as patch:
        for module in (pictures, clips):
            patch.setattr(module, "text_encoder", lambda: (network, tokenizer))
            patch.setattr(module, "CHANNELS", (16, 32, 32))
        known = {entry.name: entry}
        patch.setattr(catalogue, "SETS", known)
        patch.setattr("mmagent.fetch.SETS", known)
        yield folder


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory, encoder: Path) -> Path:
    """Where trainings left their networks."""
    torch.manual_seed(0)
    out = tmp_path_factory.mktemp("out")
    networks = {
        "autoencoder": autoencoder(), "pictures-1": pictures.denoiser(), "pictures-2": pictures.denoiser(),
        "sound-autoencoder": sound_autoencoder(), "sounds-2": sounds.denoiser(), "vocoder-2": vocoder(),
    }  # fmt: skip
    for name, network in networks.items():
        stages.keep(network, out / stages.KEPT / name, {})
    moving = clips.denoiser(stages.load_pictures(stages.STILL, out))
    with torch.no_grad():
        for parameter in moving.parameters():
            if parameter.requires_grad:  # or motion modules would do nothing
                parameter.add_(0.02 * torch.randn_like(parameter))
    stages.keep(moving, out / stages.KEPT / "clips-1", {})
    return out


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package without generators, and a cache without weights."""
    monkeypatch.setenv("MMAGENT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(stages, "WEIGHTS", tmp_path / "package")
    return tmp_path / "package"


def catalogued(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the catalogue hold what is shipped."""
    known = {**catalogue.SETS, **{entry.name: entry for entry in catalogue.own(package)}}
    monkeypatch.setattr(catalogue, "SETS", known)
    monkeypatch.setattr("mmagent.fetch.SETS", known)


def made(tool: str, name: str, **settings: Any) -> Any:
    """What a tool makes of a set of weights in two steps."""
    found: Any = registry.find(tool).make({"model": f"weights:{name}"})
    found.load()
    return found.run(Alone(), prompt=Text("a cat on a blue background"), steps=2, guidance=2.0, **settings), found


def test_pictures_are_made_as_by_the_parts(out: Path, package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = ship(out, "pictures-2")
    assert folder == package / "pictures"
    assert not list(folder.rglob("text_encoder/*.safetensors"))
    catalogued(package, monkeypatch)
    picture, _ = made("image-diffusion", "pocket-pictures")
    assert isinstance(picture, Image)
    parts = pictures.pipeline(stages.load_pictures("pictures-2", out), stages.load_autoencoder(out))
    (expected,) = pictures.generate(parts, ["a cat on a blue background"], seed=0, steps=2, guidance=2.0)
    assert np.abs(picture.array.astype(int) - expected.astype(int)).max() <= 1
    assert torch.equal(  # and what is shipped can be trained on
        stages.load_pictures("pictures-2", package.parent).conv_in.weight,
        stages.load_pictures("pictures-2", out).conv_in.weight,
    )


def test_clips_take_from_the_pictures_what_they_share(
    out: Path, package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ship(out, "pictures-2")
    folder = ship(out, "clips-1")
    shared = {f"unet/{SHARED}", "vae/diffusion_pytorch_model.safetensors"}
    assert listed(folder, "shared")["pictures"].keys() == shared
    assert [path.name for path in folder.rglob("*.safetensors")] == [TRAINED]
    catalogued(package, monkeypatch)
    clip, tool = made("video-diffusion", "pocket-clips", frames=8)
    assert isinstance(clip, Video)
    assert clip.array.shape == (8, 64, 64, 3)
    expected = stages.load_clips("clips-1", out).state_dict()
    found = tool._diffuser.pipe.unet.state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(value, expected[key].half().float()) for key, value in found.items())
    again = stages.load_clips("clips-1", package.parent).state_dict()  # from what is shipped alone
    assert all(torch.equal(value, expected[key].half().float()) for key, value in again.items())


def test_clips_of_other_pictures_than_the_shipped_are_shipped_whole(out: Path, package: Path) -> None:
    ship(out, "pictures-1")
    folder = ship(out, "clips-1")
    assert listed(folder, "shared")["pictures"].keys() == {"vae/diffusion_pytorch_model.safetensors"}
    assert {path.name for path in folder.rglob("*.safetensors")} == {SHARED, TRAINED}


def test_pictures_that_clips_share_are_not_replaced_by_others(out: Path, package: Path) -> None:
    ship(out, "pictures-2")
    ship(out, "clips-1")
    before = listed(package / "pictures", "files")
    with pytest.raises(ModelError, match=r"clips shares unet/shared\.safetensors with .*pictures as it is now; delete"):
        ship(out, "pictures-1")
    ship(out, "pictures-2")  # the same again
    assert listed(package / "pictures", "files") == before


def test_sounds_are_shipped_with_their_vocoder(out: Path, package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = ship(out, "sounds-2")
    assert listed(folder, "stages") == {"vae": "sound-autoencoder", "unet": "sounds-2", "vocoder": "vocoder-2"}
    catalogued(package, monkeypatch)
    sound, _ = made("audio-diffusion", "pocket-sounds")
    assert isinstance(sound, Audio)
    assert (sound.rate, sound.array.shape) == (16_000, (32_000, 1))
    assert np.isfinite(sound.array).all()


def test_what_ends_no_generator_is_not_shipped(out: Path, package: Path) -> None:
    with pytest.raises(ModelError, match=r"autoencoder trains a part of a generator; ship .* pictures, clips, sounds"):
        ship(out, "autoencoder")
    assert not package.exists()


SHIPPED = Path(stages.__file__).parent / "weights"


def test_what_is_shipped_stays_small_and_shares_what_is_there() -> None:
    judges = SHIPPED.parents[1] / "judges" / "weights"
    held = [path for folder in (SHIPPED, judges) for path in folder.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in held) <= 45_000_000
    for listing in SHIPPED.glob("*/files.json"):
        for other, names in listed(listing.parent, "shared").items():
            there = listed(SHIPPED / other, "files")
            assert all(there[name][0] == sha256 for name, sha256 in names.items()), listing
