"""A reference leads to a file below its folder or nowhere, whatever it is made of."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from mmagent.intake import inside


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a file, a link out of it, a link to nothing but itself, and a file beside it."""
    (tmp_path / "out.png").write_bytes(b"secret")
    folder = tmp_path / "folder"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "in.png").write_bytes(b"open")
    (folder / "link.png").symlink_to(tmp_path / "out.png")
    (folder / "loop").symlink_to(folder / "loop")
    return folder


def test_a_file_below_the_folder_is_found(folder: Path) -> None:
    for reference in ("deep/in.png", "deep/../deep/in.png", str(folder / "deep" / "in.png")):
        assert inside(folder, reference) == (folder / "deep" / "in.png").resolve()


@pytest.mark.parametrize(
    "reference",
    [
        "../out.png",
        "/etc/passwd",
        "link.png",
        "loop",
        "loop/in.png",
        "deep",
        "",
        "x" * 256,
        "x/" * 2000,
        "\ud800",
        "\0",
    ],
    ids=lambda text: ascii(text)[:20],
)
def test_whatever_else_is_no_file(folder: Path, reference: str) -> None:
    assert inside(folder, reference) is None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(some.text(some.characters(exclude_categories=()), max_size=300))
def test_no_text_is_too_odd_to_be_refused(folder: Path, reference: str) -> None:
    found = inside(folder, reference)
    assert found is None or found.is_relative_to(folder.resolve())
