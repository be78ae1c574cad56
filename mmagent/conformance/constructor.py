"""Whether a tool is cheap to list and to construct: no heavy library may be imported before `load()`.

The tool is imported and constructed in a process of its own, because this one may hold those libraries already.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from mmagent.card import Scalar
from mmagent.errors import BrokenTool

HEAVY = (
    "accelerate", "av", "cv2", "diffusers", "hibari", "jax", "langchain", "librosa", "matplotlib", "moonshine_voice",
    "onnxruntime", "pandas", "peft", "scipy", "sklearn", "spacy", "tensorflow", "torch", "torchaudio", "torchvision",
    "transformers",
)  # fmt: skip
"""Libraries that take long to import or start threads and devices; they belong in `load()` or `run()`."""


def heavy_imports(name: str, settings: Mapping[str, Scalar], file: Path | None = None) -> list[str]:
    """The heavy libraries that are imported by importing the tool `name` and constructing it with `settings`.

    Without `file` the tool is looked up by its name. BrokenTool if either step raises.
    """
    task = json.dumps({"name": name, "settings": dict(settings), "file": str(file) if file else None})
    code = "from mmagent.conformance.constructor import main; main()"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(
        [sys.executable, "-c", code], input=task, capture_output=True, text=True, env=environment, check=False
    )
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        raise BrokenTool(f"{name} cannot be imported and constructed in a fresh process: {last[0]}")
    return [str(item) for item in json.loads(done.stdout.splitlines()[-1])]


def main() -> None:
    """The fresh process: read the task from stdin, write the list of heavy libraries to stdout."""
    from mmagent.conformance.files import load_file
    from mmagent.registry import registry

    task = json.load(sys.stdin)
    before = set(sys.modules)
    if task["file"]:
        tools = {item.card.name: item for item in load_file(task["file"])}
        tool = tools[task["name"]]
    else:
        tool = registry.find(task["name"])
    tool.make(task["settings"])
    new = set(sys.modules) - before
    sys.stdout.write("\n" + json.dumps([library for library in HEAVY if library in new]) + "\n")
