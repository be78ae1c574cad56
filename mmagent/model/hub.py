"""A model's folder to and from the Hugging Face hub, with the semantics of its `ModelHubMixin`.

What goes up is what `saved` writes: a spec and safetensors, with a card. Nothing that comes down is run.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mmagent.errors import FetchError, MissingExtra, ModelError
from mmagent.model.saved import NAME
from mmagent.model.spec import ModelSpec, placed

FILES = ["model.yaml", NAME]


def pull(name: str | Path, **options: Any) -> Path:
    """The folder of that name, or the hub's repository in the library's own cache; FetchError if neither can be had.

    `options` are those of `huggingface_hub.snapshot_download`.
    """
    if Path(name).expanduser().is_dir():
        return Path(name).expanduser()
    hub = _hub(str(name))
    try:
        return Path(hub.snapshot_download(str(name), allow_patterns=FILES, library_name="mmagent", **options))
    except (OSError, ValueError) as error:  # the library's own errors are among these
        raise FetchError(f"{name} is no folder, and the hub does not give it: {_first(error)}") from error


def push(
    save: Callable[[Path], object], spec: ModelSpec, repo_id: str, *, commit_message: str = "Push a model of mmagent.",
    private: bool | None = None, token: str | None = None, branch: str | None = None, create_pr: bool | None = None,
    allow_patterns: list[str] | str | None = None, ignore_patterns: list[str] | str | None = None,
    delete_patterns: list[str] | str | None = None,
) -> str:  # fmt: skip
    """Save a model into a folder, put it on the hub in one commit, and return the commit's URL; FetchError if the hub
    does not take it, ModelError for a model that names what lies on this machine alone."""
    if local := _local(spec):
        raise ModelError(
            f"{spec.name} names what nobody else has: {', '.join(local)}; put it on the hub, and its id into model.yaml"
        )
    hub = _hub(repo_id)
    api = hub.HfApi(token=token, library_name="mmagent")
    with tempfile.TemporaryDirectory() as scratch:
        save(Path(scratch))
        (Path(scratch) / "README.md").write_text(_card(spec), "utf-8")
        try:
            made = api.create_repo(repo_id, private=private, exist_ok=True)
            return str(
                api.upload_folder(
                    repo_id=made.repo_id, folder_path=scratch, commit_message=commit_message, revision=branch,
                    create_pr=create_pr, allow_patterns=allow_patterns, ignore_patterns=ignore_patterns,
                    delete_patterns=delete_patterns,
                )
            )  # fmt: skip
        except (OSError, ValueError) as error:
            raise FetchError(f"the hub does not take {repo_id}: {_first(error)}") from error


def _local(spec: ModelSpec) -> list[str]:
    """The files and folders that a spec names."""
    found: list[str] = []

    def note(value: str) -> str:
        if value and (Path(value).is_absolute() or Path(value).expanduser().exists()):
            found.append(value)
        return value

    placed(spec, note)
    return found


def _card(spec: ModelSpec) -> str:
    """The README of a repository: what the hub reads of it, and how the model is used."""
    return (
        "---\nlibrary_name: mmagent\ntags:\n- model_hub_mixin\n---\n\n"
        f"# {spec.name}\n\n{spec.doc}\n\n```python\nfrom mmagent.model import MMLM\n\n"
        'model = MMLM.from_pretrained("OWNER/NAME")\n```\n'
    )


def _hub(owner: str) -> Any:
    try:
        import huggingface_hub
    except ImportError as error:
        raise MissingExtra(error.name or "huggingface_hub", "local", f"model {owner}") from None
    return huggingface_hub


def _first(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
