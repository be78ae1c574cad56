"""easy-VQA's own splits as records of ours: `python prepare.py FOLDER`.

`train.jsonl` and `test.jsonl` have a line for each picture, with all its questions. The pictures lie beside them. easy-VQA
is MIT-licensed, (c) Victor Zhou: `pip install --no-deps easy-vqa==1.0`.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

Question = tuple[str, str]
"""A question and its answer."""


def asked(picture: str, questions: Sequence[Question]) -> dict[str, Any]:
    """A record: the picture and the first question, its answer, then the others with theirs."""
    turns: list[dict[str, Any]] = []
    for question, answer in questions:
        turns += [
            {"role": "user", "parts": [{"text": question}]},
            {"role": "assistant", "parts": [{"text": answer}]},
        ]
    turns[0]["parts"].insert(0, {"media": "image", "path": picture})
    return {"kind": "instruction", "turns": turns}


def write(path: Path, records: Iterable[dict[str, Any]]) -> None:
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records), "utf-8")


def prepare(folder: Path, pictures: int | None = None) -> None:
    """Write both splits, or the first so many pictures of each."""
    easy_vqa = import_module("easy_vqa")  # it comes without types
    splits = {
        "train": (easy_vqa.get_train_questions(), easy_vqa.get_train_image_paths()),
        "test": (easy_vqa.get_test_questions(), easy_vqa.get_test_image_paths()),
    }
    for split, (questions, paths) in splits.items():
        (folder / split).mkdir(parents=True, exist_ok=True)
        of: dict[str, list[Question]] = {}
        for question, answer, number in zip(*questions, strict=True):
            if pictures is None or number < pictures:
                of.setdefault(f"{split}/{number}.png", []).append((question, answer))
        for picture in of:
            shutil.copyfile(paths[int(Path(picture).stem)], folder / picture)
        write(folder / f"{split}.jsonl", (asked(picture, several) for picture, several in of.items()))


if __name__ == "__main__":
    prepare(Path(sys.argv[1] if len(sys.argv) > 1 else "data"))
