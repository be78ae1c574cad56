"""The checkpoints of all families, each saved once; a cache of their own and one thread for the tests of encoders."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import pytest

from tests.tools.encoders.checkpoints import Folders, save
from tests.tools.encoders.families import HEARING, ODD, READING, SEEING, torch


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """The folder of a family's checkpoint, saved when it is first asked for; tests that change one copy it."""
    families, root = {**SEEING, **HEARING, **READING, **ODD}, tmp_path_factory.mktemp("families")
    return functools.cache(lambda name: save(families[name], root / name))


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder, n_threads = tmp_path_factory.mktemp("cache"), torch.get_num_threads()
    torch.set_num_threads(1)  # as many for the library as for the tools, since sums of several are rounded otherwise
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mmagent.checkpoint.digests.cache_folder", lambda: folder / "weights")
        yield
    torch.set_num_threads(n_threads)
