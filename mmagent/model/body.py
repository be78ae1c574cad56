"""What is known of a backbone that is not loaded: read off its configuration and the headers of its weights."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmagent.model.spec import BackboneSpec, LoraSpec


@dataclass(frozen=True, slots=True)
class Body:
    """Its kind, the width of its embeddings and of what logits are made of, how many layers it has and how wide the
    states between them are, and the shapes of its parameters; what is not at hand is not known."""

    kind: str = ""
    width: int | None = None
    layers: tuple[int, int] | None = None
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, spec: BackboneSpec) -> Body:
        """The backbone that a spec names, as far as it is here."""
        folder = _folder(spec)
        if folder is None or not (folder / "config.json").is_file():
            return cls()
        told: dict[str, Any] = json.loads((folder / "config.json").read_text("utf-8"))
        fields = told | (told.get("text_config") or {})  # an LLM that sees by itself has its own fields below
        shapes = {name: shape for path in _files(folder) for name, shape in _shapes(path).items()}
        inner = _first(fields, "hidden_size", "n_embd", "d_model")
        count = _first(fields, "num_hidden_layers", "n_layer")
        # Embeddings may be narrower than what passes between layers.
        rows = {shape[1] for shape in shapes.values() if len(shape) == 2 and shape[0] == fields.get("vocab_size")}
        width = rows.pop() if len(rows) == 1 else _first(fields, "word_embed_proj_dim") or inner
        layers = (count, inner) if count and inner else None
        return cls(next(iter(told.get("architectures") or [""])), width, layers, shapes)

    @property
    def parameters(self) -> int | None:
        """How many it has; None where its weights are not at hand."""
        return sum(map(math.prod, self.shapes.values())) or None

    def lora(self, spec: LoraSpec) -> int | None:
        """How many parameters LoRA has beside it; None where a module that the spec names is not known."""
        found = [
            [sum(shape) for name, shape in self.shapes.items() if f".{name}".endswith(f".{target}.weight")]
            for target in spec.targets
        ]
        return spec.rank * sum(map(sum, found)) if all(found) else None


def _folder(spec: BackboneSpec) -> Path | None:
    if spec.weights:
        from mmagent.fetch import location, missing

        return None if missing([spec.weights]) else location(spec.weights)
    path = Path(str(spec.path)).expanduser()
    return path if path.is_dir() else None


def _files(folder: Path) -> list[Path]:
    """The files that transformers would read: others in the folder may hold the same weights once more."""
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        return [folder / name for name in sorted(set(json.loads(index.read_text("utf-8"))["weight_map"].values()))]
    return [path for path in [folder / "model.safetensors"] if path.is_file()]


def _shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor of a safetensors file, by its header."""
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return {name: tuple(told["shape"]) for name, told in header.items() if name != "__metadata__"}


def _first(fields: Mapping[str, Any], *names: str) -> int | None:
    return next((fields[name] for name in names if name in fields), None)
