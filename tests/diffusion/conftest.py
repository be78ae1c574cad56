"""Small pipelines of the real classes, built from their configs and saved in diffusers' own folder format."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from mmagent.diffusion import Diffuser, save_small

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a small checkpoint by family, made once; not to be changed."""
    root = tmp_path_factory.mktemp("pipelines")
    return cache(lambda family: save_small(family, root / family))


@pytest.fixture(scope="session")
def diffuser(folder: Callable[[str], Path]) -> Callable[[str], Diffuser]:
    """A loaded checkpoint by family."""

    def load(family: str) -> Diffuser:
        made = Diffuser(str(folder(family)), owner="test.v1")
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


class Listener:
    """A Context that keeps what it is told, and cancels at the `cancel_at`-th look."""

    def __init__(self, seed: int = 0, cancel_at: int = 0) -> None:
        self.seed, self.cancel_at = seed, cancel_at
        self.cancelled = False
        self.looks = 0
        self.previews: list[Any] = []
        self.notes: list[tuple[float, float, str]] = []

    def check(self) -> None:
        from mmagent.errors import Cancelled

        self.looks += 1
        self.cancelled = self.cancelled or self.looks == self.cancel_at
        if self.cancelled:
            raise Cancelled("as the test asked")

    def progress(self, done: float, total: float = 1.0, note: str = "") -> None:
        self.check()
        self.notes.append((done, total, note))

    def token(self, text: str) -> None:
        raise NotImplementedError

    def preview(self, media: Any) -> None:
        self.previews.append(media)

    def splice(self, graph: Any, inputs: Any, place: str) -> Any:
        raise NotImplementedError


@pytest.fixture
def listen() -> type[Listener]:
    """Make a context: `listen(seed=…, cancel_at=…)`."""
    return Listener
