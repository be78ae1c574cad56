"""easy-VQA from nothing: kinds of projectors under one budget, the best of them further, then LoRA; then the scores.

    python examples/easy_vqa/prove.py FOLDER

Whatever was done before is gone on with, so a run that was killed is started by the same command. `results.json` and
`results.md` in the folder have the numbers. The run files beside this one say how long and at which rate.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml

from mmagent.evaluation.greedy import greedy
from mmagent.evaluation.perplexity import perplexity
from mmagent.evaluation.runs.changed import Exchanged, Sample
from mmagent.model import saved
from mmagent.model.backbones import load_backbone
from mmagent.training.data import Jsonl, Source
from mmagent.training.run.room import open_room
from mmagent.training.run.spec import read_run
from mmagent.training.run.train import MODEL, train

HERE = Path(__file__).parent
KINDS = ("mlp", "perceiver", "linear", "gated")
LORA = {
    "rank": 16, "alpha": 32,
    "targets": ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
}  # fmt: skip
COST, SCORES = "cost.json", "scores.json"
TEXTS = 600
"""Texts of the LLM's own that it rehearses."""
SAMPLE = 200
"""Pictures of the test split by which the kinds are compared; the final scores are those of all."""


def learn(folder: Path, run: str, name: str, changes: Sequence[str] = ()) -> Path:
    """Carry out a run, or what is left of it; the trained model's folder. What it took is added up in `cost.json`."""
    out = folder / "runs" / name
    if (out / MODEL / "model.yaml").is_file():
        return out / MODEL
    cost = out / COST
    before = json.loads(cost.read_text("utf-8")) if cost.is_file() else {"seconds": 0.0, "processor": 0.0}
    wall, own = time.monotonic(), time.process_time()

    def spent(step: int, steps: int, losses: Mapping[str, float]) -> None:
        told = {"seconds": time.monotonic() - wall, "processor": time.process_time() - own}
        cost.write_text(
            json.dumps({"steps": step} | {key: before[key] + value for key, value in told.items()}), "utf-8"
        )
        print(f"{name}: step {step} of {steps}, loss {losses['loss']:.3f}", flush=True)

    found = train(read_run(folder / run, changes), folder, out, resume=True, report=spent)
    assert found is not None, "no limit of minutes was set"
    return found


def scores(folder: Path, model: Path, source: Source) -> dict[str, Any]:
    """How many of a source's questions a model answers right, each asked alone."""
    changes = [f"model={model.resolve()}", "data=[{kind: jsonl, path: data/test.jsonl}]"]
    with ExitStack() as stack:
        room = open_room(read_run(folder / "align.yaml", changes), folder, folder / "runs" / "scores", stack)
        teacher = room.school.teacher
        lessons = (teacher.lesson(source[number]) for number in range(len(source)))
        right = [reply for replies in greedy(room.parts, lessons) for reply in replies]
    return {"right": sum(right), "of": len(right), "share": sum(right) / len(right)}


def plain(model: Path, text: str) -> dict[str, float]:
    """The perplexity of a text by the untouched LLM and by that of a model."""
    parts = saved.load(model)
    told = {
        "untouched": perplexity(load_backbone(parts.spec.backbone), text),
        "trained": perplexity(parts.backbone, text),
    }
    return told | {"ratio": told["trained"] / told["untouched"]}


def with_lora(model: Path, into: Path) -> Path:
    """A copy of a model's folder whose LLM has room for LoRA, untrained."""
    shutil.copytree(model, into, dirs_exist_ok=True)
    spec = yaml.safe_load((into / "model.yaml").read_text("utf-8"))
    (into / "model.yaml").write_text(yaml.safe_dump(spec | {"lora": LORA}, sort_keys=False), "utf-8")
    return into


def row(folder: Path, name: str, model: Path, sources: Mapping[str, Source], text: str = "") -> dict[str, Any]:
    """What is told of a run: what it took and how its model scores. Kept beside the model, which scores but once."""
    out = folder / "runs" / name
    kept, run = out / SCORES, json.loads((out / "run.json").read_text("utf-8"))
    found: dict[str, Any] = json.loads(kept.read_text("utf-8")) if kept.is_file() else {}
    for what, source in sources.items():
        if what not in found:
            found[what] = scores(folder, model, source)
            kept.write_text(json.dumps(found), "utf-8")
        print(f"{name}, {what}: {found[what]['share']:.1%}", flush=True)
    if text and "perplexity" not in found:
        found["perplexity"] = plain(model, text)
        kept.write_text(json.dumps(found), "utf-8")
    cost = json.loads((out / COST).read_text("utf-8"))
    return {"pictures": cost["steps"] * run["batch"], **cost, "scores": found}


def table(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """The results for people."""
    lines = ["| run | pictures | seconds | of one core | asked | right | pictures exchanged | perplexity |"]
    lines.append("| --- " * 8 + "|")
    for name, told in rows.items():
        found = told["scores"]
        own = found.get("own") or found["sample"]
        exchanged = f"{found['exchanged']['share']:.1%}" if "exchanged" in found else ""
        plain = f"{found['perplexity']['ratio'] - 1:+.2%}" if "perplexity" in found else ""
        took = [f"{told['pictures']:,}", f"{told['seconds']:,.0f}", f"{told['processor']:,.0f}"]
        asked, right = f"{own['of']:,}", f"{own['share']:.1%}"
        lines.append(f"| {' | '.join([name, *took, asked, right, exchanged, plain])} |")
    return "\n".join(lines) + "\n"


def text_only(data: Path) -> dict[str, Any]:
    """How many are right without looking: each question of the test split gets its most frequent answer in training."""
    answers: dict[str, Counter[str]] = {}
    for question, answer in _pairs(data / "train.jsonl"):
        answers.setdefault(question, Counter())[answer] += 1
    right = [
        question in answers and answers[question].most_common(1)[0][0] == answer
        for question, answer in _pairs(data / "test.jsonl")
    ]
    return {"right": sum(right), "of": len(right), "share": sum(right) / len(right)}


def _pairs(path: Path) -> Iterator[tuple[str, str]]:
    """Questions and answers of a split."""
    for line in path.read_text("utf-8").splitlines():
        said = [turn["parts"][-1]["text"] for turn in json.loads(line)["turns"]]
        yield from zip(said[::2], said[1::2], strict=True)


def prove(folder: Path, kinds: Sequence[str] = KINDS, pictures: int | None = None) -> dict[str, Any]:
    """All of it; with `pictures`, on the first so many of each split."""
    if not (folder / "data" / "test.jsonl").is_file():
        import_module("prepare").prepare(folder / "data", pictures)  # beside this file, in no package
    for name in ("align.yaml", "further.yaml", "instruct.yaml", "models"):
        if not (folder / name).exists():  # what lies there already is the user's
            (shutil.copytree if (HERE / name).is_dir() else shutil.copyfile)(HERE / name, folder / name)
    test = Jsonl(folder / "data" / "test.jsonl")
    some = {"sample": Sample(test, SAMPLE)}
    every: dict[str, Source] = {"own": test, "exchanged": Exchanged(test)}
    text = (HERE / "held_out.txt").read_text("utf-8")

    rows: dict[str, dict[str, Any]] = {}
    for kind in kinds:
        rows[kind] = row(folder, kind, learn(folder, "align.yaml", kind, [f"model=models/{kind}"]), some)
    best = max(kinds, key=lambda kind: float(rows[kind]["scores"]["sample"]["share"]))
    frozen = learn(folder, "further.yaml", "frozen", [f"model=runs/{best}/{MODEL}"])
    rows["frozen"] = row(folder, "frozen", frozen, every, text)
    start = folder / "runs" / "frozen-lora"
    if not (start / "model.yaml").is_file():
        with_lora(frozen, start)
    if not (folder / "data" / "text.jsonl").is_file():
        backbone = load_backbone(saved.load(frozen).spec.backbone)
        import_module("rehearse").rehearse(folder / "data" / "text.jsonl", backbone, pictures or TEXTS)
    rows["lora"] = row(folder, "lora", learn(folder, "instruct.yaml", "lora"), every, text)
    words = text_only(folder / "data")
    told = {"best": best, "runs": rows, "text only": words}
    (folder / "results.json").write_text(json.dumps(told, indent=1) + "\n", "utf-8")
    without = f"\nEach question's most frequent answer, without looking: {words['share']:.1%} of {words['of']:,}.\n"
    (folder / "results.md").write_text(table(rows) + without, "utf-8")
    return rows


if __name__ == "__main__":
    print(table(prove(Path(sys.argv[1] if len(sys.argv) > 1 else "easy-vqa"))))
