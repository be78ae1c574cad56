"""Packed arrays: what was put comes back as views, a kill leaves what came before, nothing of another recipe is read."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mmagent.errors import ModelError
from mmagent.training.shards import Reader, Writer
from mmagent.training.shards.form import ALIGN, DTYPES

MADE = {"tool": "mean.v1", "weights": "", "settings": {"width": 3}}

array = st.sampled_from(DTYPES).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, min_side=0, max_side=5))
)


def states(number: int, length: int = 4) -> Any:
    return np.full((length, 3), number, "float32")


@given(
    records=st.dictionaries(st.text(max_size=8), st.dictionaries(st.sampled_from("abc"), array, min_size=1), max_size=8)
)
@settings(max_examples=30, deadline=None)
def test_what_was_put_comes_back(tmp_path_factory: pytest.TempPathFactory, records: dict[str, dict[str, Any]]) -> None:
    folder = tmp_path_factory.mktemp("shards")
    with Writer(folder, MADE, shard_bytes=256, every=3) as writer:
        for key, arrays in records.items():
            writer.put(key, arrays, {"of": key})
    found = Reader(folder, MADE)
    assert set(found) == set(records)
    for key, arrays in records.items():
        assert found.facts(key) == {"of": key} and found[key].keys() == arrays.keys()
        for kind, wanted in arrays.items():
            got = found[key][kind]
            assert got.dtype == wanted.dtype and got.shape == wanted.shape and got.tobytes() == wanted.tobytes()


def test_arrays_are_read_only_aligned_views_of_mapped_memory(tmp_path: Path) -> None:
    with Writer(tmp_path, MADE) as writer:
        writer.put("a", {"states": states(1), "mask": np.ones(3, bool)})
        writer.put("b", {"states": states(2, length=9).astype("float16")})
    found = Reader(tmp_path, MADE)
    for got in (found["a"]["states"], found["a"]["mask"], found["b"]["states"]):
        assert not got.flags.writeable and not got.flags.owndata and got.ctypes.data % ALIGN == 0
        with pytest.raises(ValueError, match="read-only"):
            got[...] = 0
    assert found["a"]["states"].ctypes.data == Reader.__getitem__(found, "a")["states"].ctypes.data
    assert found["b"]["states"].shape == (9, 3)


def test_writing_goes_on_where_it_was_and_repeats_nothing(tmp_path: Path) -> None:
    with Writer(tmp_path, MADE, shard_bytes=200) as writer:
        for number in range(5):
            writer.put(f"{number}", {"states": states(number)})
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with Writer(tmp_path, MADE, shard_bytes=200) as writer:
        assert len(writer) == 5 and "3" in writer and writer.put("3", {"states": states(9)}) is None
        writer.put("new", {"states": states(7)})
    for name, data in before.items():
        assert (tmp_path / name).read_bytes().startswith(data)
    found = Reader(tmp_path, MADE)
    assert found["3"]["states"].max() == 3 and found["new"]["states"].max() == 7 and len(found) == 6


def pack(folder: Path) -> dict[str, bytes]:
    with Writer(folder, MADE) as writer:
        for number in range(12):
            writer.put(f"{number}", {"states": states(number, length=number + 1)})
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@given(cut=st.integers(1, 3000), files=st.sampled_from([["0.ndjson"], ["0-00000.bin"], ["0.ndjson", "0-00000.bin"]]))
@settings(max_examples=60, deadline=None)
def test_whatever_is_cut_off_leaves_a_readable_beginning_that_is_completed_to_the_same_bytes(
    tmp_path_factory: pytest.TempPathFactory, cut: int, files: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    whole = pack(folder)
    for name in files:
        os.truncate(folder / name, max(0, len(whole[name]) - cut))
    found = Reader(folder, MADE)
    assert list(found) == [f"{number}" for number in range(len(found))] and len(found) < 12
    for number in range(len(found)):
        assert found[f"{number}"]["states"].tobytes() == states(number, length=number + 1).tobytes()
    del found
    assert pack(folder) == whole


def test_a_kill_loses_no_more_than_one_interval(tmp_path: Path) -> None:
    code = """
        import sys, time, numpy as np
        from mmagent.training.shards import Writer
        writer = Writer(sys.argv[1], {"tool": "mean.v1", "weights": "", "settings": {"width": 3}}, every=8)
        for number in range(100_000):
            writer.put(f"{number}", {"states": np.full((4, 3), number, "float32")})
            print(number, flush=True)
            time.sleep(0.001)
    """
    child = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code), tmp_path], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    with child.stdout as lines:
        for line in lines:
            if int(line) == 60:
                child.send_signal(signal.SIGKILL)
                break
        last = max([60, *(int(line) for line in lines if line.strip().isdigit())])
    child.wait()
    found = Reader(tmp_path, MADE)
    assert last - 8 <= len(found) <= last + 2 and len(found) % 8 == 0
    assert all(found[f"{number}"]["states"].max() == number for number in range(len(found)))
    with Writer(tmp_path, MADE) as writer:  # the system has let go of the part
        assert len(writer) == len(found)


def test_a_part_has_one_writer_and_a_folder_has_many(tmp_path: Path) -> None:
    with Writer(tmp_path, MADE, part="0") as first, Writer(tmp_path, MADE, part="1") as second:
        with pytest.raises(ModelError, match="is being written by another process"):
            Writer(tmp_path, MADE, part="0")
        first.put("a", {"states": states(1)})
        second.put("b", {"states": states(2)})
    found = Reader(tmp_path, MADE)
    assert found["a"]["states"].max() == 1 and found["b"]["states"].max() == 2
    with pytest.raises(ModelError, match="letters and digits"):
        Writer(tmp_path, MADE, part="../x")


def test_what_was_made_in_another_way_is_refused(tmp_path: Path) -> None:
    with Writer(tmp_path, MADE) as writer:
        writer.put("a", {"states": states(1)})
    other = {**MADE, "weights": "b3"}
    for kind in (Reader, Writer):
        with pytest.raises(ModelError, match="made in another way"):
            kind(tmp_path, other)
    assert len(Reader(tmp_path, MADE)) == 1


@pytest.mark.parametrize(
    "line", ["nonsense", '{"magic": "other"}', "[]", '{"magic": "mmagent.shards", "made": {}, "digest": "0"}']
)
def test_a_file_that_is_no_index_is_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / "0.ndjson").write_text(line + "\n")
    for kind in (Reader, Writer):
        with pytest.raises(ModelError, match="is no index of packed features"):
            kind(tmp_path, MADE)
    assert (tmp_path / "0.ndjson").read_text() == line + "\n"


def test_damage_in_the_middle_is_told(tmp_path: Path) -> None:
    with Writer(tmp_path, MADE) as writer:
        for number in range(3):
            writer.put(f"{number}", {"states": states(number)})
    index, shard = tmp_path / "0.ndjson", tmp_path / "0-00000.bin"
    lines = index.read_text().splitlines()
    index.write_text("\n".join([lines[0], "{" + lines[1], *lines[2:]]) + "\n")
    with pytest.raises(ModelError, match=r"0\.ndjson is damaged at byte"):
        Reader(tmp_path, MADE)
    index.write_text("\n".join(lines) + "\n")
    shard.write_bytes(b"x" * 500)
    with pytest.raises(ModelError, match=r"0-00000\.bin is no shard of these features"):
        Reader(tmp_path, MADE)
    told = json.loads(lines[0])
    index.write_text(json.dumps({**told, "version": 2}) + "\n")
    with pytest.raises(ModelError, match="has version 2 of the format, not 1"):
        Reader(tmp_path, MADE)


def test_only_plain_numbers_are_kept(tmp_path: Path) -> None:
    with Writer(tmp_path, MADE) as writer:
        for wrong in (np.array(["a"]), np.array([None]), np.array([1.0])):
            with pytest.raises(ModelError, match="features are kept as float16"):
                writer.put("a", {"states": wrong})
        with pytest.raises(ModelError, match="no arrays"):
            writer.put("a", {})
        writer.put("a", {"states": np.arange(6, dtype=">f4").reshape(2, 3).T})
    assert Reader(tmp_path, MADE)["a"]["states"].tolist() == [[0, 3], [1, 4], [2, 5]]


def test_a_shard_is_mapped_once_however_many_records_it_holds(tmp_path: Path) -> None:
    with Writer(tmp_path, MADE, every=10_000) as writer:
        for number in range(3000):
            writer.put(f"{number}", {"states": states(number, length=1)})
    found = Reader(tmp_path, MADE)
    opened = {key: found[key]["states"][0, 0] for key in ("0", "1500", "2999")}
    assert opened == {"0": 0, "1500": 1500, "2999": 2999} and len(found._maps) == 1
