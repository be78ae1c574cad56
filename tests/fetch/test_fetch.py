"""Fetching by name: what is handed out is whole and right, whatever happens on the way."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from mmagent import fetch
from mmagent.errors import DigestMismatch, FetchError, MissingExtra, Offline, UnknownName
from mmagent.fetch import convert
from mmagent.fetch.catalogue import WeightSet
from mmagent.fetch.packages import Wheel
from mmagent.fetch.process import ProcessFailed, Progress, last_words, watch
from mmagent.fetch.sources import File, Hub, Unavailable

Register = Callable[..., WeightSet]
MakeWheel = Callable[..., Path]


@dataclass
class Shop:
    """A source that hands over what it holds, and counts."""

    content: bytes
    command: str = "go to the shop"
    sold: int = 0
    pause: float = 0.0

    def __str__(self) -> str:
        return "the shop"

    def take(self, files: Sequence[File], folder: Path, progress: Progress) -> None:
        self.sold += 1
        for file in files:
            (folder / file.name).write_bytes(self.content)
            progress("selling", len(self.content), file.size)
            time.sleep(self.pause)


@dataclass
class Closed:
    """A source that is never there."""

    command: str = "wait till monday"

    def __str__(self) -> str:
        return "the closed shop"

    def take(self, files: Sequence[File], folder: Path, progress: Progress) -> None:
        raise Unavailable("it is sunday")


def names(folder: Path) -> list[str]:
    """What a cache holds, locks and stamps left out."""
    return sorted(path.name for path in folder.rglob("*") if path.suffix not in (".lock", ".json"))


def test_a_set_is_fetched_from_its_package_once(
    register: Register, make_wheel: MakeWheel, wheel: Wheel, content: bytes, cache: Path
) -> None:
    entry = register(wheel)
    package = make_wheel()
    assert fetch.missing(["tiny"]) == ["tiny"]
    seen: list[tuple[str, int, int | None]] = []
    folder = fetch.fetch("tiny", progress=lambda *step: seen.append(step))
    assert (folder / "model.bin").read_bytes() == content
    assert folder == fetch.location("tiny") == cache / f"tiny-{entry.digest[:12]}"
    assert fetch.missing(["tiny"]) == []
    assert all(step[0].startswith("tiny: ") for step in seen)
    package.unlink()
    assert fetch.fetch("tiny") == folder


def test_sources_are_tried_in_order_and_the_users_folder_first(
    register: Register, content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop, never = Shop(content), Shop(b"")
    register(Closed(), shop, never)
    fetch.fetch("tiny")
    assert (shop.sold, never.sold) == (1, 0)
    shutil.rmtree(fetch.location("tiny"))
    (tmp_path / "mine/tiny").mkdir(parents=True)
    (tmp_path / "mine/tiny/model.bin").write_bytes(content)
    monkeypatch.setenv("MMAGENT_WEIGHTS", str(tmp_path / "mine"))
    fetch.fetch("tiny")
    assert shop.sold == 1


def test_offline_lists_each_source_its_reason_and_the_command_for_later(register: Register, cache: Path) -> None:
    register(Closed())
    with pytest.raises(Offline) as caught:
        fetch.fetch("tiny")
    text = str(caught.value)
    assert "the folder MMAGENT_WEIGHTS: not set" in text
    assert "the closed shop: it is sunday\n    later: wait till monday" in text
    assert "mmagent fetch tiny" in text
    assert names(cache) == []


def test_a_wrong_file_is_a_digest_mismatch_and_nothing_is_kept(
    register: Register, make_wheel: MakeWheel, wheel: Wheel, cache: Path
) -> None:
    register(wheel)
    make_wheel(b"something else")
    with pytest.raises(DigestMismatch, match=r"model\.bin"):
        fetch.fetch("tiny")
    assert names(cache) == []
    assert fetch.missing(["tiny"]) == ["tiny"]


def test_a_wrong_file_in_the_users_folder_is_named(
    register: Register, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register()
    (tmp_path / "model.bin").write_bytes(b"old")
    monkeypatch.setenv("MMAGENT_WEIGHTS", str(tmp_path))
    with pytest.raises(DigestMismatch, match=str(tmp_path / "model.bin")):
        fetch.fetch("tiny")


def test_a_damaged_cache_is_noticed_and_fetched_again(register: Register, content: bytes) -> None:
    shop = Shop(content)
    register(shop)
    path = fetch.fetch("tiny") / "model.bin"
    damaged = bytearray(content)
    damaged[7] ^= 1
    path.write_bytes(damaged)
    os.utime(path, ns=(1, 1))
    fetch.fetch("tiny")
    assert path.read_bytes() == content
    path.write_bytes(content[:-1])
    assert fetch.missing(["tiny"]) == ["tiny"]
    fetch.fetch("tiny")
    assert (path.read_bytes(), shop.sold) == (content, 3)


def test_a_touched_file_is_hashed_once_and_then_trusted_again(register: Register, content: bytes) -> None:
    shop = Shop(content)
    register(shop)
    folder = fetch.fetch("tiny")
    os.utime(folder / "model.bin", ns=(5, 5))
    fetch.fetch("tiny")
    assert json.loads((folder / ".stamps.json").read_text())["model.bin"]["mtime_ns"] == 5
    assert shop.sold == 1


def test_a_right_set_in_a_cache_that_cannot_be_written_is_used(
    register: Register, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Shop(content)
    register(shop)
    folder = fetch.fetch("tiny")
    os.utime(folder / "model.bin", ns=(5, 5))

    def refuse(*args: object, **kwargs: object) -> None:
        raise PermissionError("a cache of others")

    # Not by chmod: root may write everywhere.
    monkeypatch.setattr("tempfile.mkstemp", refuse)
    assert fetch.fetch("tiny") == folder
    assert shop.sold == 1


@pytest.mark.parametrize("stamps", ["", "[]", "{}", '{"model.bin": 3}', "\x00"])
def test_a_spoiled_record_means_fetching_again(register: Register, content: bytes, stamps: str) -> None:
    shop = Shop(content)
    register(shop)
    (fetch.fetch("tiny") / ".stamps.json").write_text(stamps)
    assert fetch.missing(["tiny"]) == ["tiny"]
    fetch.fetch("tiny")
    assert shop.sold == 2


def test_threads_that_want_the_same_set_fetch_it_once(register: Register, content: bytes) -> None:
    shop = Shop(content, pause=0.3)
    register(shop)
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(fetch.fetch("tiny"))) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (shop.sold, len(found), len(set(found))) == (1, 5, 1)


_FETCHER = """
import sys, time
from pathlib import Path
from mmagent import fetch
from mmagent.fetch import catalogue
from mmagent.fetch.sources import File

class Slow:
    command = ""
    def take(self, files, folder, progress):
        (folder / "model.bin").write_bytes({content!r}[:100])
        print("half", flush=True)
        time.sleep({pause})
        (folder / "model.bin").write_bytes({content!r})
        print("whole", flush=True)

fetch.SETS = catalogue.SETS = {{"tiny": catalogue.WeightSet(
    "tiny", "", "", "", (File("model.bin", {sha256!r}, {size}),), (Slow(),))}}
print(fetch.fetch("tiny"), flush=True)
"""


def fetcher(content: bytes, file: File, pause: float) -> subprocess.Popen[str]:
    program = _FETCHER.format(content=content, pause=pause, sha256=file.sha256, size=file.size)
    return subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)


def test_a_fetcher_that_is_killed_leaves_no_half_set(
    register: Register, payload: File, content: bytes, cache: Path
) -> None:
    register(Shop(content))
    killed = fetcher(content, payload, 60)
    assert killed.stdout is not None
    assert killed.stdout.readline() == "half\n"
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert fetch.missing(["tiny"]) == ["tiny"]
    folder = fetch.fetch("tiny")
    assert (folder / "model.bin").read_bytes() == content
    assert names(cache) == ["model.bin", folder.name], "what the killed one left is cleared"


def test_processes_that_want_the_same_set_fetch_it_once(payload: File, content: bytes, cache: Path) -> None:
    both = [fetcher(content, payload, 1.0) for _ in range(2)]
    said = [process.communicate()[0].split() for process in both]
    assert sorted(len(lines) for lines in said) == [1, 3], said
    assert said[0][-1] == said[1][-1]


def test_whoever_waits_says_so_and_can_be_stopped(register: Register, payload: File, content: bytes) -> None:
    register(Shop(content))
    holder = fetcher(content, payload, 60)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "half\n"

    def stop(what: str, done: int, total: int | None) -> None:
        raise KeyboardInterrupt(what)

    with pytest.raises(KeyboardInterrupt, match="waiting for another process"):
        fetch.fetch("tiny", progress=stop)
    holder.kill()
    holder.communicate()


def test_a_progress_callback_that_raises_stops_the_client(
    register: Register, make_wheel: MakeWheel, wheel: Wheel, cache: Path
) -> None:
    register(wheel)
    make_wheel()
    calls = 0

    def stop(what: str, done: int, total: int | None) -> None:
        nonlocal calls
        calls += 1
        if calls > 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch.fetch("tiny", progress=stop)
    assert names(cache) == []


def test_a_group_stands_for_its_sets(register: Register, content: bytes) -> None:
    register(Shop(content))
    assert fetch.missing(["all", "tiny"]) == ["tiny"]
    assert fetch.fetch_all("all") == {"tiny": fetch.location("tiny")}
    with pytest.raises(UnknownName, match="group"):
        fetch.weights("all")
    with pytest.raises(UnknownName, match="there are all, tiny"):
        fetch.fetch("tinny")


def test_a_conversion_without_its_library_is_refused_before_anything_is_downloaded(
    register: Register, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Shop(content)
    register(shop, convert="odd.v1")
    monkeypatch.setattr(convert, "CONVERSIONS", {"odd.v1": (convert.as_is, ("no_such_library",))})
    with pytest.raises(MissingExtra, match="no_such_library"):
        fetch.fetch("tiny")
    assert shop.sold == 0


def test_a_conversion_that_fails_keeps_nothing(register: Register, content: bytes, cache: Path) -> None:
    register(Shop(content), convert="gguf-to-transformers.v1")
    with pytest.raises(FetchError, match="tiny: converting failed: "):
        fetch.fetch("tiny")
    assert names(cache) == []


def test_a_pickle_is_read_as_weights_only(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file

    raw, ready = tmp_path / "raw", tmp_path / "ready"
    raw.mkdir()
    ready.mkdir()
    state = {"weight": torch.arange(6.0).reshape(2, 3).t(), "steps": torch.tensor(3)}
    torch.save(state, raw / "net.pth")
    convert.pickle_to_safetensors(raw, ready)
    back = load_file(ready / "net.safetensors")
    assert all(torch.equal(back[name], state[name]) for name in state)
    torch.save({"weight": Path("x")}, raw / "net.pth")
    with pytest.raises(Exception, match=r"[Ww]eights.?only"):
        convert.pickle_to_safetensors(raw, ready)


def test_a_program_is_watched_and_its_last_error_kept(tmp_path: Path) -> None:
    seen: list[int] = []
    program = "open('out', 'wb').write(bytes(5000)); import time; time.sleep(0.5)"
    watch([sys.executable, "-c", program], tmp_path, "n", 6000, lambda note, done, total: seen.append(done), {})
    assert seen[0] == 0
    assert 5000 in seen
    assert seen[-1] == 6000
    with pytest.raises(ProcessFailed, match="ValueError: no"):
        watch([sys.executable, "-c", "raise ValueError('no')"], tmp_path, "n", 1, lambda *step: None, {})
    assert last_words("a\nERROR: b\nc") == "ERROR: b"


def test_a_hub_that_cannot_be_reached_is_a_reason(
    payload: File, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(Unavailable):
        Hub("nobody/tiny", "0" * 40, {"model.bin": "model.bin"}).take([payload], tmp_path, lambda *step: None)


def test_every_shipped_set_says_whose_it_is_and_can_be_had_from_a_package() -> None:
    for entry in fetch.all_sets():
        assert entry.licence
        assert entry.credit
        assert entry.packages
        assert all(len(file.sha256) == 64 and file.size > 0 for file in entry.files)
        for source in entry.packages:
            assert source.command
    assert [entry.name for entry in fetch.all_sets()] == sorted(entry.name for entry in fetch.all_sets())


def test_the_catalogue_is_read_without_anything_heavy() -> None:
    program = (
        "import sys; import mmagent.fetch as f; f.missing(['pocket']);"
        "print([m for m in ('torch', 'transformers', 'rich', 'pydantic', 'numpy', 'huggingface_hub') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "[]\n"
