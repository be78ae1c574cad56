"""A tool in a process of its own: what it imports before it is loaded, and what it makes there.

This process may hold heavy libraries already, and it has one hash seed; another one shows a tool as the engine's
next run will meet it.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmagent.card import Scalar
from mmagent.conformance.call import Caller, Probe, Value
from mmagent.errors import BrokenTool, MMAgentError
from mmagent.media import Media, modality

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
    return _ask({"name": name, "settings": dict(settings), "file": str(file) if file else None})


def digests_of(
    name: str, settings: Mapping[str, Scalar], inputs: Mapping[str, Value], file: Path | None = None
) -> list[str]:
    """The digests of what the tool makes of `inputs`, which all `travel`, with seed 0; BrokenTool if it raises."""
    packed = {port: _packed(value) for port, value in inputs.items()}
    return _ask({"name": name, "settings": dict(settings), "file": str(file) if file else None, "inputs": packed})


def travels(medium: Media) -> bool:
    """Whether a value comes out of its own file as it went in, so that another process can be given it."""
    try:
        return type(medium).decode(medium.encode()) == medium
    except MMAgentError:
        return False


def _ask(task: Mapping[str, Any]) -> list[str]:
    code = "from mmagent.conformance.fresh import main; main()"
    # another hash seed than this process has, so that an order or a number that depends on it shows
    seed = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    paths = os.pathsep.join(path for path in sys.path if path)
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps(task), capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": paths, "PYTHONHASHSEED": seed},
    )  # fmt: skip
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        raise BrokenTool(f"{task['name']} fails in a fresh process: {last[0]}")
    return [str(item) for item in json.loads(done.stdout.splitlines()[-1])]


def main() -> None:
    """The fresh process: read the task from stdin, write a list of strings as the last line of stdout."""
    from mmagent.conformance.files import load_file
    from mmagent.registry import registry

    task = json.load(sys.stdin)
    before = set(sys.modules)
    if task["file"]:
        tool = {item.card.name: item for item in load_file(task["file"])}[task["name"]]
    else:
        tool = registry.find(task["name"])
    instance = tool.make(task["settings"])
    if "inputs" in task:
        from mmagent.conformance.results import digests

        instance.load()
        inputs = {port: _unpacked(value) for port, value in task["inputs"].items()}
        with Caller() as caller:
            found = digests(tool.card, caller.call(instance, inputs, task["settings"], Probe()))
    else:
        new = set(sys.modules) - before
        found = [library for library in HEAVY if library in new]
    sys.stdout.write("\n" + json.dumps(found) + "\n")


def _packed(value: Value) -> Any:
    if isinstance(value, list):
        return [_packed(item) for item in value]
    return None if value is None else [value.modality, base64.b64encode(value.encode()).decode()]


def _unpacked(value: Any) -> Value:
    if value is None:
        return None
    if value and isinstance(value[0], str):
        kind, data = value
        return modality(kind).decode(base64.b64decode(data))
    return [item for item in map(_unpacked, value) if item is not None and not isinstance(item, list)]
