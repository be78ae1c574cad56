"""A model with a modality more: a folder of its own, with all that its parent has learnt, that names the parent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mmagent.card import Port
from mmagent.errors import ModelError
from mmagent.media import modality as known
from mmagent.model import ports, saved
from mmagent.model.spec import ModelSpec, ToolSpec, faults

Given = str | Mapping[str, Any]
"""A tool's name, or `{tool: ..., settings: {...}}`; a projector's kind, or `{kind: ..., size: ...}`."""


def extend(
    spec: ModelSpec, parent: Path, modality: str, folder: Path, *, k: int | None, encoder: Given | None,
    generator: Given | None, projector: Given | None, reader: Given | None, more: Mapping[str, Any],
) -> Path:  # fmt: skip
    """Write the folder of the extended model; see `MMLM.extend`."""
    known(modality)
    if encoder is None and generator is None:
        raise ModelError(f"{modality} neither comes in nor goes out; name an encoder, a generator or both")
    if (folder / "model.yaml").exists():
        raise ModelError(f"{folder} holds a model already; name another folder")
    idle: list[tuple[str, object]] = [] if encoder is not None else [("reader", reader)]
    idle += [] if generator is not None else [("k", k), *more.items()]
    idle += [("projector", projector)] if generator is None and reader is not None else []
    if said_in_vain := [name for name, value in idle if value is not None]:
        raise ModelError(
            f"{', '.join(said_in_vain)}: of no use to {modality}; a reader belongs to an encoder, k, a projector and the "
            "rest of an output to a generator"
        )
    said = spec.model_dump(mode="json", exclude_defaults=True) | {"name": f"{spec.name}-{modality}"}
    if encoder is not None:
        _free(spec.inputs.get(modality), "encoder", modality, spec)
        ports.encoder(modality, ToolSpec.model_validate(encoder))
        reads = reader or (projector if generator is None else None) or "mlp"
        ears = {"encoder": encoder, "projector": _kind(reads)}
        said["inputs"] = {**said.get("inputs", {}), modality: {**said.get("inputs", {}).get(modality, {}), **ears}}
    if generator is not None:
        _free(spec.outputs.get(modality), "generator", modality, spec)
        port = ports.generator(modality, ToolSpec.model_validate(generator))
        mapper = _kind(projector) if projector else _mapper(port)
        own: dict[str, Any] = {"k": 4 if k is None else k, "generator": generator, "projector": mapper}
        said["outputs"] = {**said.get("outputs", {}), modality: {**own, **more}}
    try:
        made = ModelSpec.model_validate(said)
    except ValidationError as error:
        raise ModelError("\n  ".join([f"{spec.name} cannot be extended by {modality} so:", *faults(error)])) from None
    told = saved.told(parent)
    # A row's part by name: `signals` would now promise those of the new modality too.
    learnt = {f"signals.{name}" for name in spec.outputs if told.has_learnt(f"signals.{name}")}
    others = {name for name in told.trained if name.partition(".")[0] != "signals"}
    child = replace(told, trained=tuple(sorted(learnt | others)), parent=saved.digest(parent))
    saved.write(folder, made, saved.tensors(parent), child)
    return folder


def _free(part: Any, what: str, modality: str, spec: ModelSpec) -> None:
    if part is not None and (getattr(part, what) is not None or what == "generator"):
        raise ModelError(f"{spec.name} has {modality} {'in' if what == 'encoder' else 'out'} already")


def _kind(given: Given) -> dict[str, Any]:
    return {"kind": given} if isinstance(given, str) else dict(given)


def _mapper(port: Port) -> dict[str, Any]:
    """A query transformer with as many queries as a generator takes states."""
    queries = port.constraints.get("tokens")
    if not isinstance(queries, int):
        raise ModelError(f"the port {port} does not tell how many states the generator takes; give a projector")
    return {"kind": "query-transformer", "queries": queries}
