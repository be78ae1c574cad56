"""Where a checkpoint lies: a folder or file of the user's, a set of weights by name, or a snapshot in the hub's cache."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

from mmagent.checkpoint.extras import imported
from mmagent.checkpoint.files import WEIGHTS, read_json, wanted, whole
from mmagent.checkpoint.quiet import quiet
from mmagent.errors import ModelError, Offline
from mmagent.fetch import fetch, location, missing, weights

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
NAMED = "weights:"
"""How a model begins that is a set of weights by name, and how a card says that it needs one."""
PREPARING = "preprocessor_config.json"
_COMMIT = re.compile(r"[0-9a-f]{40}")


def locate(model: str, *, revision: str = "", download: bool = True) -> Path:
    """The folder or file that `model` names, downloaded first if it is a set of weights or a hub id not yet here.

    What is in the hub's cache is taken as it is, without asking the hub. One copy of the weights is downloaded,
    safetensors where there are any. Offline if it is not there and cannot be had; ModelError if there is no such
    file, folder or repository; UnknownName if there are no such weights.
    """
    name = named(model)
    if name and download:
        return fetch(name)
    path = here(model, revision)
    if path is not None:
        return path
    if name:
        raise Offline(f"the weights {name} are not in the cache. Get them with: mmagent fetch {name}")
    if not download:
        raise Offline(f"{model} is no folder here and not in the hub's cache. Get it with: {_command(model, revision)}")
    return _download(model, revision)


def named(model: str) -> str:
    """The name of the set of weights that `model` is, `weights:NAME`, or "". UnknownName lists those that there are."""
    return weights(model.removeprefix(NAMED)).name if model.startswith(NAMED) else ""


def needed(*models: str) -> tuple[str, ...]:
    """What a card needs whose tool loads these models: the sets of weights among them."""
    return tuple(dict.fromkeys(model for model in models if named(model)))


def config(
    model: str, name: str = "config.json", *, revision: str = "", optional: bool = False
) -> dict[str, Any] | None:
    """The fields of a config file of the checkpoint, read without network.

    None if `model` is a set of weights that is not here, or a hub id of which the cache has no such file, or, with
    `optional`, where the folder holds none; else a folder without it raises ModelError. For a file of weights, the
    config beside it.
    """
    path = given_path(model)
    if path is not None:
        place = (path if path.is_dir() else path.parent) / name
        if place.is_file():
            return read_json(place)
        if optional or path.is_file():
            return None
        raise ModelError(f"{model} holds no {name}; name the folder in which save_pretrained wrote the model")
    cached = _snapshot(model, revision)
    return read_json(cached / name) if cached is not None and (cached / name).is_file() else None


def slug(model: str) -> str:
    """A short name for what `model` names, for spaces of embeddings: its last part, lower case.

    >>> slug("google/siglip2-base-patch16-224"), slug("~/models/My CLIP/"), slug("weights:pocket-pictures")
    ('siglip2-base-patch16-224', 'my-clip', 'pocket-pictures')
    """
    path = Path(model.removeprefix(NAMED))
    if path.parent.name == "snapshots" and _COMMIT.fullmatch(path.name):
        path = Path(path.parent.parent.name.split("--")[-1])  # models--owner--name/snapshots/commit
    name = path.stem if path.suffix.lower() in WEIGHTS else path.name
    return re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-.") or "model"


def processor_config(model: str, part: str, *, revision: str = "") -> dict[str, Any]:
    """The fields of a checkpoint's `image_processor` or `feature_extractor`, in a file of its own or the processor's.

    Empty while the checkpoint is not here. ModelError if there is none, or one that prepares the other kind of input.
    """
    own = config(model, PREPARING, revision=revision, optional=True)
    if own is None:
        whole = config(model, "processor_config.json", revision=revision, optional=True) or {}
        own = whole.get(part)
    if not isinstance(own, dict):
        if here(model, revision) is None:
            return {}
        kind = "AutoImageProcessor" if part == "image_processor" else "AutoFeatureExtractor"
        raise ModelError(
            f"{model} holds no {PREPARING}; save its {part.replace('_', ' ')} beside the model: "
            f"{kind}.from_pretrained(...).save_pretrained(FOLDER)"
        )
    if ("sampling_rate" in own) is not (part == "feature_extractor"):  # old ones name no class
        raise ModelError(f"{model} prepares {'sound' if 'sampling_rate' in own else 'pictures'}, says its {PREPARING}")
    return own


def here(model: str, revision: str = "") -> Path | None:
    """The folder or file that `model` names, or its whole snapshot in the cache; None if it has to be downloaded."""
    path = given_path(model)
    if path is not None:
        return path
    cached = _snapshot(model, revision)
    return cached if cached is not None and whole(cached) else None


def given_path(model: str) -> Path | None:
    """The path that `model` is; None if it is a hub id, or a set of weights not yet here; ModelError if it is none."""
    if not model:
        raise ModelError("no model is named; set model to a folder, a file of weights or a hub id, owner/name")
    if name := named(model):
        return location(name) if not missing([name]) else None
    path = Path(model).expanduser()
    if path.exists():
        return path
    if not _HUB_ID.fullmatch(model) or path.suffix.lower() in WEIGHTS:
        raise ModelError(f"there is no folder or file {model}; name one, or a hub id, owner/name")
    return None


def _snapshot(model: str, revision: str) -> Path | None:
    """The folder in the hub's cache that holds a hub id at a revision, whole or not."""
    if named(model) or importlib.util.find_spec("huggingface_hub") is None:
        return None
    from huggingface_hub import constants

    # The cache's layout is the library's documented one; its own look-up would import an HTTP client.
    store = Path(constants.HF_HUB_CACHE) / f"models--{model.replace('/', '--')}"
    commit, reference = revision, store / "refs" / (revision or "main")
    if not _COMMIT.fullmatch(revision):
        if not reference.is_file():
            return None
        commit = reference.read_text().strip()
    found = store / "snapshots" / commit
    return found if found.is_dir() else None


def _download(model: str, revision: str) -> Path:
    hub = imported("huggingface_hub", "local", f"model {model}")
    errors = imported("huggingface_hub.errors", "local", f"model {model}")
    try:
        with quiet():
            names = wanted(hub.HfApi().list_repo_files(model, revision=revision or None))
            return Path(hub.snapshot_download(model, revision=revision or None, allow_patterns=names))
    except errors.RevisionNotFoundError:
        raise ModelError(f"{model} has no revision {revision} on the hub; name a branch, tag or commit of it") from None
    except errors.GatedRepoError:
        raise ModelError(
            f"{model} is given only to those who accepted its terms; do so on its page, then: hf auth login"
        ) from None
    except errors.RepositoryNotFoundError:
        raise ModelError(
            f"there is no folder {model} here, and no such repository on the hub that you may read; "
            "look at the name, or log in with: hf auth login"
        ) from None
    except Exception as error:
        # The library raises its own errors, its HTTP client's and OSError; all mean that the hub gives nothing now.
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise Offline(
            f"{model} is no folder here and not in the hub's cache, and the hub could not be reached: {reason:.300}\n"
            f"When it can be: {_command(model, revision)}"
        ) from error


def _command(model: str, revision: str) -> str:
    return f"hf download {model}" + (f" --revision {revision}" if revision else "")
