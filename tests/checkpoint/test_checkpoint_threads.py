from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from mmagent.checkpoint import threads
from mmagent.checkpoint.threads import modest, usable


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = torch.get_num_threads()
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(threads, "usable", lambda: 4)
    yield
    torch.set_num_threads(before)


def inside() -> int:
    with modest():
        return torch.get_num_threads()


def test_one_processor_is_left_free_and_the_count_is_put_back() -> None:
    torch.set_num_threads(4)
    assert inside() == 3
    assert torch.get_num_threads() == 4
    with pytest.raises(KeyError), modest():
        raise KeyError
    assert torch.get_num_threads() == 4


def test_a_count_that_somebody_chose_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(2)
    assert inside() == 2
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    torch.set_num_threads(4)
    assert inside() == 4


def test_a_single_processor_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "usable", lambda: 1)
    torch.set_num_threads(4)
    assert inside() == 1


@pytest.mark.parametrize(("quota", "count"), [("50000 100000", 1), ("100000 100000", 1), ("max 100000", None)])
def test_the_quota_of_a_container_counts(tmp_path: Path, quota: str, count: int | None) -> None:
    (tmp_path / "cpu.max").write_text(quota)
    assert usable(tmp_path / "cpu.max") == (count or usable(tmp_path / "none"))
    assert usable(tmp_path / "none") >= 1
