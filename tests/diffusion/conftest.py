"""Small pipelines of the real classes, built from their configs and saved in diffusers' own folder format."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from mmagent.diffusion import Diffuser, save_small
from tests.diffusion.diffusion_families import KINDS
from tests.tools.conftest import Listener

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a small checkpoint by family, made once; not to be changed."""
    root = tmp_path_factory.mktemp("pipelines")
    return cache(lambda family: save_small(family, root / family))


@pytest.fixture(scope="session")
def diffuser(folder: Callable[[str], Path]) -> Callable[[str], Any]:
    """A loaded checkpoint by family, as the `Diffuser` of its medium."""

    def load(family: str) -> Diffuser:
        made = KINDS[family](str(folder(family)), owner="test.v1")
        made.load()
        return made

    return cache(load)


@pytest.fixture(scope="session")
def direct(folder: Callable[[str], Path]) -> Callable[[str], Any]:
    """The same checkpoint, loaded and to be called as diffusers' users do."""

    def load(family: str) -> Any:
        import diffusers

        lacking = {"text_encoder_3": None, "tokenizer_3": None} if family == "sd3" else {}
        pipe = diffusers.DiffusionPipeline.from_pretrained(folder(family), **lacking)
        pipe.set_progress_bar_config(disable=True)
        return pipe

    return cache(load)


@pytest.fixture(scope="session")
def encoderless(folder: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stable Diffusion saved without its text encoder and tokenizer."""
    import json

    made = Path(shutil.copytree(folder("stable-diffusion"), tmp_path_factory.mktemp("bare") / "bare"))
    for part in ("text_encoder", "tokenizer"):
        shutil.rmtree(made / part)
    index = json.loads((made / "model_index.json").read_text())
    index["text_encoder"] = [None, None]  # as save_pretrained writes it; the tokenizer's line stays, its folder is gone
    (made / "model_index.json").write_text(json.dumps(index))
    return made


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def listen() -> type[Listener]:
    """Make a context: `listen(seed=…, cancel_at=…)`."""
    return Listener
