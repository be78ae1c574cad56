"""Frozen features and targets: the encoder runs once for each medium, whatever the process, and never for another's."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import pytest

from mmagent.card import Card, Scalar
from mmagent.engine import Engine
from mmagent.errors import CardError, MediaError, ModelError
from mmagent.graph.builder import GraphBuilder
from mmagent.media import Audio, Embedding, Image, Text
from mmagent.registry import Registry
from mmagent.tool import Constraint, Context, Tool, tool
from mmagent.training.data import Epochs, Folder, Jsonl, Mix
from mmagent.training.shards import Features, Targets


class Rows(Tool, name="rows.v1", kind="encoder"):
    """The mean of each row of a picture; every call adds a line to the file `log`."""

    def __init__(self, log: str = "", weights: str = "w1") -> None:
        self.log = Path(log)
        self.loaded = False

    @classmethod
    def card_for(cls, settings: Any) -> Card:
        return replace(cls.card, weights=str(settings["weights"]))

    def load(self) -> None:
        self._told("load")
        self.loaded = True

    def run(self, image: Image, gain: float = 1.0) -> Annotated[Embedding, Constraint(space="rows")]:
        assert self.loaded
        self._told("run")
        rows = image.rgb().astype("float32").mean(axis=1) / 255 * gain  # [H, 3]
        return Embedding(rows, "rows", np.arange(len(rows)) < len(rows) - 1)

    def unload(self) -> None:
        self._told("unload")

    def _told(self, what: str) -> None:
        with self.log.open("a") as file:
            file.write(what + "\n")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "calls.log"


def calls(log: Path) -> list[str]:
    return log.read_text().split() if log.exists() else []


def features(log: Path, tmp_path: Path, **options: Any) -> Features:
    settings = {"log": str(log), **options.pop("settings", {})}
    return Features(Rows, tmp_path / "features", settings, **options)


def shade(value: int, height: int = 6) -> Image:
    return Image(np.full((height, 4, 3), value, np.uint8))


def test_the_encoder_runs_once_for_each_medium(log: Path, tmp_path: Path) -> None:
    with features(log, tmp_path) as found:
        for _ in range(3):
            assert found.of(shade(51)).tolist() == [[pytest.approx(0.2, abs=1e-3)] * 3] * 6
            assert found.of(shade(255, height=9)).shape == (9, 3)
        assert found.of(shade(51)).dtype == "float16" and len(found) == 2
    assert calls(log) == ["load", "run", "run", "unload"]


def test_what_is_there_needs_no_encoder_at_all(log: Path, tmp_path: Path) -> None:
    with features(log, tmp_path) as found:
        first = found.of(shade(51))
    log.unlink()
    with features(log, tmp_path) as again:
        assert shade(51) in again and shade(52) not in again
        assert again.of(shade(51)).tobytes() == first.tobytes()
        assert not again.of(shade(51)).flags.owndata
    assert calls(log) == []


def test_an_epoch_touches_no_encoder_and_decodes_no_media(log: Path, tmp_path: Path, picture: Any) -> None:
    lines = []
    for number in range(6):
        picture(f"data/{number}.png", number * 40)
        turns = '[{"role": "user", "parts": [{"media": "image", "path": "%d.png"}]}, {"role": "assistant", "parts": [{"text": "%d"}]}]'
        lines.append('{"kind": "gold-pair", "turns": ' + turns % (number, number) + "}\n")
    (tmp_path / "data" / "records.jsonl").write_text("".join(lines))
    mix = Mix([Jsonl(tmp_path / "data" / "records.jsonl")])

    def epoch(found: Features) -> dict[str, bytes]:
        def prepare(record: Any) -> tuple[str, bytes]:
            (media,) = record.media
            return record.turns[1].parts[0].text, found.of(media).tobytes()

        return dict(Epochs(mix, prepare=prepare))

    with features(log, tmp_path) as found:
        first = epoch(found)
        assert calls(log) == ["load", *["run"] * 6] and len(set(first.values())) == 6
        assert epoch(found) == first and len(calls(log)) == 7
    log.unlink()
    for number in range(6):  # neither are the pictures read again: what is in the files now is none
        path = tmp_path / "data" / f"{number}.png"
        status = path.stat()
        path.write_bytes(b"\0" * status.st_size)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    with features(log, tmp_path) as again:
        assert epoch(again) == first
    assert calls(log) == []


def test_a_file_that_changed_is_another_medium(log: Path, tmp_path: Path, picture: Any) -> None:
    picture("a.png", 51)
    reference = Folder(tmp_path).file("a.png")
    with features(log, tmp_path) as found:
        before = found.of(reference)
        Image(np.zeros((7, 4, 3), np.uint8)).save(tmp_path / "a.png")
        assert found.of(reference).shape == (7, 3) != before.shape
        assert found.of(shade(51)).tobytes() == before.tobytes()
    assert calls(log).count("run") == 2


@pytest.mark.parametrize("settings", [{"gain": 0.5}, {"weights": "w2"}])
def test_other_settings_or_weights_are_other_features(log: Path, tmp_path: Path, settings: dict[str, Scalar]) -> None:
    with features(log, tmp_path) as found, features(log, tmp_path, settings=settings) as other:
        found.of(shade(51))
        assert shade(51) not in other and found.folder != other.folder
        other.of(shade(51))
    assert calls(log).count("run") == 2


def test_the_key_is_the_engines_own(log: Path, tmp_path: Path) -> None:
    graph = GraphBuilder("rows", registry=Registry())
    graph.output("rows", graph.add("rows", Rows, image=graph.input("image", Image), log=str(log)))
    engine = Engine()
    made = engine.run(graph.checked(), {"image": shade(51)}, registry=graph.registry).outputs["rows"]
    engine.close()
    assert isinstance(made, Embedding)
    with features(log, tmp_path, dtype="float32") as found:
        packed = found.embedding(shade(51))
    assert packed.digest == made.digest and packed.space == made.space
    assert packed.array.tobytes() == made.array.tobytes() and packed.mask.tolist() == made.mask.tolist()


def test_masks_and_spaces_are_kept(log: Path, tmp_path: Path) -> None:
    for _ in range(2):
        with features(log, tmp_path) as found:
            assert found.mask(shade(51)).tolist() == [True] * 5 + [False]
            assert found.embedding(shade(51)).space == "rows"


def test_threads_run_the_encoder_once_for_each_medium(log: Path, tmp_path: Path) -> None:
    with features(log, tmp_path, every=2) as found:
        threads = [threading.Thread(target=lambda: [found.of(shade(value)) for value in range(8)]) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == 8
    assert calls(log).count("run") == 8 and calls(log).count("load") == 1


def test_parts_of_several_processes_are_read_together(log: Path, tmp_path: Path) -> None:
    with features(log, tmp_path, part="0") as first, features(log, tmp_path, part="1") as second:
        first.of(shade(1))
        second.of(shade(2))
    with features(log, tmp_path) as found:
        assert shade(1) in found and shade(2) in found
    assert calls(log).count("run") == 2


FORK = """
    import os, sys, numpy as np
    from mmagent.errors import ModelError
    from mmagent.training.shards.packed import Kept, Packed

    def make():
        return Kept({"states": np.ones((2, 2), "float32")}, {})

    packed = Packed(sys.argv[1], {"tool": "x"})
    packed.of("a", make)
    packed.flush()
    child = os.fork()
    if not child:
        assert packed.of("a", make).arrays["states"].sum() == 4
        try:
            packed.of("b", make)
        except ModelError as error:
            print(error, flush=True)
        os._exit(0)
    os.waitpid(child, 0)
    packed.of("c", make)
    packed.close()
    print(sorted(Packed(sys.argv[1], {"tool": "x"})._reader))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_forked_worker_reads_and_does_not_write_into_its_parents_part(tmp_path: Path) -> None:
    command = [sys.executable, "-c", textwrap.dedent(FORK), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    said, kept = done.stdout.splitlines()
    assert "is packed by the process that this one was forked from" in said and kept == "['a', 'c']"


def test_numbers_that_float16_cannot_hold_are_refused(log: Path, tmp_path: Path) -> None:
    too_large = pytest.raises(ModelError, match="too large for float16; use dtype='float32'")
    with features(log, tmp_path, settings={"gain": 1e6}) as found, too_large:
        found.of(shade(255))
    with features(log, tmp_path, settings={"gain": 1e6}, dtype="float32") as found:
        assert found.of(shade(255)).max() == 1e6


class Both(NamedTuple):
    states: Embedding
    pooled: Embedding


@tool(name="both.v1", kind="encoder")
def both(audio: Audio, ctx: Context, bins: int = 4) -> Both:
    """Several outputs, and a seed."""
    ctx.progress(1)
    states = np.abs(np.fft.rfft(audio.mono(), bins * 2))[None, :bins] + ctx.seed
    return Both(Embedding(states, "bins"), Embedding(states.mean(axis=1, keepdims=True), "bins.pooled"))


def test_several_outputs_are_kept_side_by_side(tmp_path: Path) -> None:
    tone = Audio(np.sin(np.arange(100) / 3).astype("float32"), 8000)
    with Features(both, tmp_path, dtype="float32") as found, Features(both, tmp_path, seed=5, dtype="float32") as other:
        kept = found.arrays(tone)
        assert {name: array.shape for name, array in kept.items()} == {"states": (1, 4), "pooled": (1, 1)}
        assert np.allclose(other.of(tone), found.of(tone) + 5)


def test_what_is_no_encoder_of_one_medium_is_refused(tmp_path: Path) -> None:
    @tool
    def two(image: Image, text: Text) -> Embedding:
        return Embedding(np.zeros((1, 1)), "x")

    @tool
    def upper(text: Text) -> Text:
        return text

    for wrong in (two, upper):
        with pytest.raises(CardError, match="is no encoder of one medium"):
            Features(wrong, tmp_path)
    with pytest.raises(ModelError, match="float16 or float32"):
        Features(both, tmp_path, dtype="int8")
    with pytest.raises(MediaError, match=r"both\.v1 takes audio, not image"):
        Features(both, tmp_path).of(shade(1))


def test_code_that_cannot_be_told_from_others_is_refused(tmp_path: Path) -> None:
    lock = threading.Lock()

    @tool
    def held(text: Text) -> Embedding:
        with lock:
            return Embedding(np.zeros((1, 1)), "x")

    with pytest.raises(ModelError, match="make those in load"):
        Features(held, tmp_path)


# -- targets

CARD = replace(both.card, name="generator.v1", weights="g1")


def test_targets_are_made_once_and_without_the_generator_from_then_on(tmp_path: Path) -> None:
    begun, asked = [], []

    def begin() -> Any:
        begun.append(1)

        def condition(texts: Sequence[str]) -> list[Embedding]:
            asked.append(list(texts))
            return [Embedding(np.full((len(text), 2), 7.0), "gen", np.arange(len(text)) > 0) for text in texts]

        return condition

    targets = Targets(CARD, {"steps": 4}, begin, tmp_path)
    assert targets.pack(["aa", "bbb", "aa", "c"], batch=2) == 3 and asked == [["aa", "bbb"], ["c"]]
    assert targets.of("bbb").shape == (3, 2) and len(targets) == 3
    assert targets.pack(["aa", "c"]) == 0 and begun == [1]
    targets.close()
    again = Targets(CARD, {"steps": 4}, lambda: pytest.fail("the generator was begun"), tmp_path)
    states, mask = again.both("aa")
    assert states.tolist() == [[7, 7], [7, 7]] and mask.tolist() == [False, True]
    other = Targets(replace(CARD, weights="g2"), {"steps": 4}, begin, tmp_path)
    assert len(other) == 0 and other.folder != again.folder
