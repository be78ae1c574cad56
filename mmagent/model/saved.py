"""A model as a folder: `model.yaml`, and `trained.safetensors` with exactly the parts that were trained.

The file's metadata say what they were trained against: digests of the backbone's, the encoders' and the generators'
weights, the ports that projectors were made for, and the token map. Nothing is unpickled.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from blake3 import blake3

from mmagent.card import Port
from mmagent.errors import MissingExtra, ModelError
from mmagent.graph.ports import parse_port, show_port
from mmagent.model import ports
from mmagent.model.spec import ModelSpec, read_spec, write_spec

if TYPE_CHECKING:
    import torch
    from torch import nn

    from mmagent.model.backbones import Backbone
    from mmagent.model.parts import Parts

NAME = "trained.safetensors"
FORMAT = "mmagent-parts-1"


@dataclass(frozen=True, slots=True)
class Told:
    """What a folder's file says of itself, read without its tensors. `ports` and `digests` are by part
    (`inputs.image`), `tokens` by modality: its open id and k. `backbone` and `parent` are digests."""

    trained: tuple[str, ...] = ()
    ports: Mapping[str, Port] = field(default_factory=dict)
    tokens: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    backbone: str = ""
    digests: Mapping[str, str] = field(default_factory=dict)
    parent: str = ""

    def has_learnt(self, name: str) -> bool:
        """Whether a part has been trained, see `Parts.has_learnt`."""
        return has_learnt(self.trained, name)


def has_learnt(trained: Collection[str], name: str) -> bool:
    """Whether `trained` names a part. A modality's rows have learnt when what they say has: the rows out decide."""
    more = {"signals", "signals.out"} if name.startswith("signals.") else set()
    return not {name, *more}.isdisjoint(trained)


def tell(parts: Parts) -> Told:
    """What a folder of these parts would tell; of digests, those that they were loaded with."""
    found = {f"inputs.{name}": port for name, port in parts.features.items()}
    found |= {f"outputs.{name}": port for name, port in parts.conditions.items()}
    tokens = {row.modality: (row.open, row.k) for row in parts.rows.table}
    return Told(tuple(sorted(parts.trained)), found, tokens, digests=parts.digests, parent=parts.parent)


def save(parts: Parts, folder: Path | str, *, dtype: Literal["float32", "float16"] = "float32") -> Path:
    """Write a model's folder: its spec, and the parts in `parts.trained`. What was there before is replaced, each
    file whole; the rest of the folder is left alone."""
    import torch

    folder = Path(folder)
    as_saved = torch.float16 if dtype == "float16" else torch.float32
    kept = {name: value.detach().to("cpu", as_saved).contiguous() for name, value in _trained(parts).items()}
    # Of a tool that is not here, what is known of its weights is what the folder said.
    digests = {**parts.digests, **ports.digests(parts.spec)}
    told = replace(tell(parts), backbone=backbone_digest(parts.backbone), digests=digests)
    return write(folder, parts.spec, kept, told)


def write(folder: Path, spec: ModelSpec, tensors: Mapping[str, torch.Tensor], told: Told) -> Path:
    """Write a folder's two files."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    metadata = {
        "format": FORMAT,
        "trained": json.dumps(told.trained),
        "ports": json.dumps({name: show_port(port) for name, port in told.ports.items()}),
        "tokens": json.dumps(dict(told.tokens)),
        "backbone": told.backbone,
        "digests": json.dumps(dict(told.digests)),
        "parent": told.parent,
    }
    _replace(folder / NAME, lambda path: save_file(dict(tensors), path, metadata=metadata))
    _replace(folder / "model.yaml", lambda path: write_spec(spec, path))
    return folder


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    """The tensors of a folder's trained parts, by name; none where nothing was trained."""
    from safetensors.torch import load_file

    return load_file(folder / NAME) if (folder / NAME).is_file() else {}


def _trained(parts: Parts) -> dict[str, nn.Parameter]:
    """The parameters of trained parts by their names in the file. Both sides of trained rows are kept: what span
    states are depends on the rows in, though they may have stayed as they were drawn."""
    for name in parts.trained:
        parts.part(name)  # an unknown name is told
    names = [name for name in parts.names() if parts.has_learnt(name)]
    wanted = {id(value) for name in names for value in parts.part(name)}
    wanted |= {id(value) for name in parts.trained for value in parts.part(name)}
    return {name: value for name, value in parts.named_parameters() if id(value) in wanted}


def _replace(path: Path, fill: Callable[[Path], None]) -> None:
    """Fill a file beside `path` and put it there whole; a kill leaves the old one."""
    half = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        fill(half)
        with half.open("rb") as file:
            os.fsync(file.fileno())
        half.replace(path)
    finally:
        half.unlink(missing_ok=True)


def told(folder: Path | str) -> Told:
    """What a model's folder tells of its trained parts; nothing is trained where there is no such file."""
    path = Path(folder) / NAME
    if not path.is_file():
        return Told()
    found = _metadata(path)
    return Told(
        tuple(json.loads(found["trained"])),
        {name: parse_port(name, text) for name, text in json.loads(found["ports"]).items()},
        {name: (int(start), int(k)) for name, (start, k) in json.loads(found["tokens"]).items()},
        found["backbone"],
        json.loads(found["digests"]),
        found["parent"],
    )


def _metadata(path: Path) -> dict[str, str]:
    """The metadata of a file of ours; ModelError if it is none."""
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError as error:
        raise MissingExtra(error.name or "safetensors", "local", str(path.parent)) from None
    try:
        with safe_open(path, "np") as file:
            found: dict[str, str] = file.metadata() or {}
    except SafetensorError as error:
        raise ModelError(f"{path} is no safetensors file ({error}); save the model again") from None
    if found.get("format") != FORMAT:
        raise ModelError(f"{path} is of format {found.get('format')!r}, this version reads {FORMAT!r}; save it again")
    return found


def digest(folder: Path | str) -> str:
    """What tells a model from any other: BLAKE3 of its spec and of its trained parts, whoever wrote them down."""
    hasher = blake3()
    spec, path = Path(folder) / "model.yaml", Path(folder) / NAME
    content = [spec.read_bytes()]
    if path.is_file():
        whole = path.read_bytes()
        size = int.from_bytes(whole[:8], "little")
        # The library writes the header's entries in any order, the tensors always in the same.
        content += [json.dumps(json.loads(whole[8 : 8 + size]), sort_keys=True).encode(), whole[8 + size :]]
    for part in content:
        hasher.update(f"{len(part)}\0".encode()).update(part)
    return hasher.hexdigest()


def load(
    folder: Path | str, backbone: Backbone | None = None, *, features: Mapping[str, Port] | None = None,
    conditions: Mapping[str, Port] | None = None,
) -> Parts:  # fmt: skip
    """The parts of a model's folder, on its own backbone or the one given.

    Projectors that have not been trained are made where `features`, `conditions` (see `Parts.build`) or the folder give
    their ports. ModelError when the parts were trained on other weights, with both digests, or at other ids, and when
    the file does not fit the spec.
    """
    from mmagent.model.backbones import load_backbone
    from mmagent.model.parts import Parts

    folder = Path(folder)
    spec, found = read_spec(folder), told(folder)
    on = backbone or load_backbone(spec.backbone)
    if found.trained:
        ports.same("backbone", {"backbone": found.backbone}, {"backbone": backbone_digest(on)})
        now = ports.digests(spec)
        for name in found.ports:
            if name in found.trained:
                ports.same(name, found.digests, now)
    learnt = {name: port for name, port in found.ports.items() if found.has_learnt(name)}
    parts = Parts.build(
        spec, on,
        features={**_of("inputs", found.ports), **(features or {}), **_of("inputs", learnt)},
        conditions={**_of("outputs", found.ports), **(conditions or {}), **_of("outputs", learnt)},
    )  # fmt: skip
    parts.trained, parts.digests, parts.parent = set(found.trained), found.digests, found.parent
    if found.trained:
        _same_ids(found, tell(parts))
        _fill(parts, folder / NAME)
    return parts


def _of(kind: str, found: Mapping[str, Port]) -> dict[str, Port]:
    return {name.partition(".")[2]: port for name, port in found.items() if name.startswith(f"{kind}.")}


def _same_ids(saved: Told, now: Told) -> None:
    """ModelError if rows that have been trained would stand at other ids."""
    for name, ids in now.tokens.items():
        if saved.has_learnt(f"signals.{name}") and saved.tokens.get(name) != ids:
            start, k = saved.tokens.get(name, ("none", "no"))
            raise ModelError(
                f"signals.{name} was trained as {k} signals behind the id {start}, and model.yaml makes it {ids[1]} "
                f"behind {ids[0]}; keep the outputs in their order, new ones last, or train it again"
            )


def _fill(parts: Parts, path: Path) -> None:
    """Put the tensors of a file into the parts; ModelError names every one that is missing, too much or of another shape."""
    import torch

    given, wanted = tensors(path.parent), _trained(parts)
    wrong = [f"{name} is missing" for name in wanted.keys() - given.keys()]
    wrong += [f"{name} belongs to no part" for name in given.keys() - wanted.keys()]
    wrong += [
        f"{name} is {list(given[name].shape)}, the spec makes it {list(wanted[name].shape)}"
        for name in given.keys() & wanted.keys()
        if given[name].shape != wanted[name].shape
    ]
    if wrong:
        listed = "\n  ".join(sorted(wrong))
        raise ModelError(f"{path} does not fit the model.yaml beside it:\n  {listed}")
    with torch.no_grad():
        for name, value in wanted.items():
            value.copy_(given[name])


def backbone_digest(backbone: Backbone) -> str:
    """BLAKE3 of a backbone's own parameters, by name, shape and value as float32: the same for the same weights,
    from whatever file, in whatever wider type, with or without LoRA. What is no parameter (configuration, tokenizer)
    it does not tell apart. About a second for each 2 GB."""
    import torch

    from mmagent.model import lora

    hasher = blake3(max_threads=blake3.AUTO)
    for name, value in sorted(lora.own(backbone.model).items()):
        hasher.update(f"{name}\0{list(value.shape)}\0".encode())
        hasher.update(value.detach().to("cpu", torch.float32).contiguous().numpy().data.cast("B"))
    return hasher.hexdigest()
