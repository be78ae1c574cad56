"""Frozen features: what an encoder makes of media, run once for each and read from then on."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from blake3 import blake3

from mmagent.card import Card, Port
from mmagent.engine import keys
from mmagent.engine.code import code_of
from mmagent.errors import CardError, MediaError, ModelError
from mmagent.intake import Limits
from mmagent.media import Embedding, Media, fits
from mmagent.training.data.reference import Reference
from mmagent.training.shards.form import digest_of
from mmagent.training.shards.packed import Kept, Packed, arrays_of

if TYPE_CHECKING:
    import numpy as np

    from mmagent.tool import Instance, ToolType

    Array = np.ndarray[Any, np.dtype[Any]]


class Features:
    """What an encoder tool makes of media, in a folder of its own below `folder`.

    A medium's key is the engine's recipe key: tool, weights, settings, code, seed and the digest of the medium. So
    other weights or settings never meet what these have made. The key of a Reference is remembered by where it is,
    with size and time of its file, so that it is neither read nor decoded again. States are kept as `dtype`.
    Processes that pack at the same time take a `part` each.
    """

    def __init__(
        self,
        encoder: ToolType,
        folder: str | Path,
        settings: Mapping[str, object] | None = None,
        *,
        dtype: str = "float16",
        seed: int = 0,
        part: str = "0",
        every: int = 64,
        limits: Limits | None = None,
    ) -> None:
        if dtype not in ("float16", "float32"):
            raise ModelError(f"features are kept as float16 or float32, not {dtype!r}")
        self._encoder, self._dtype, self._limits, self._seed = encoder, dtype, limits, seed
        self._settings = encoder.card.check_settings(settings or {})
        self.card = _checked(encoder.card_for(self._settings))
        code = code_of(encoder)
        if not code.whole:
            raise ModelError(
                f"{self.card.name}: its code has no digest, so that its features could not be told from another's; if "
                "it holds a lock, a client or a loaded model, make those in load(); if its file was changed, begin anew"
            )
        self._prefix = keys.prefix(self.card, self._settings, code.digest)
        self._drawn = seed if self.card.context else None
        made = {
            "tool": self.card.name,
            "weights": self.card.weights,
            "settings": dict(sorted(self._settings.items())),
            "code": code.digest,
            "seed": self._drawn,
            "dtype": dtype,
        }
        self.folder = Path(folder) / f"{self.card.short}-{digest_of(made)[:16]}"
        self._packed = Packed(self.folder, made, part=part, every=every)
        self._marks = _Marks(self.folder, part, every)
        self._instance: Instance | None = None
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """How many media are there."""
        return len(self._packed)

    def __contains__(self, media: object) -> bool:
        return isinstance(media, Media | Reference) and self._packed.get(self._key(media)[0]) is not None

    def of(self, media: Media | Reference) -> Array:
        """The states `[L, D]` of a medium, read-only; the encoder runs only if they are not there."""
        return self._kept(media).arrays[self.card.outputs[0].name]

    def mask(self, media: Media | Reference) -> Array:
        """Which of its states count, bool `[L]`."""
        import numpy as np

        arrays, name = self._kept(media).arrays, self.card.outputs[0].name
        return arrays[f"{name}.mask"] if f"{name}.mask" in arrays else np.ones(len(arrays[name]), bool)

    def arrays(self, media: Media | Reference) -> Mapping[str, Array]:
        """Everything that is kept of a medium: the states of each output by its name, `<name>.mask` where not all count."""
        return self._kept(media).arrays

    def embedding(self, media: Media | Reference) -> Embedding:
        """The same as the encoder's own output: its states as float32, with mask and space, and its recipe key."""
        name = self.card.outputs[0].name
        key, _ = self._key(media)
        kept = self._kept(media)
        return Embedding(kept.arrays[name], kept.facts[name], kept.arrays.get(f"{name}.mask"), digest=key)

    def flush(self) -> None:
        """Bring what was made to the disk; it happens by itself every `every` media."""
        self._packed.flush()
        self._marks.flush()

    def close(self) -> None:
        """Flush, and unload the encoder if it was loaded."""
        self._packed.close()
        self._marks.flush()
        instance, self._instance = self._instance, None
        if instance is not None:
            instance.unload()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _key(self, media: Media | Reference) -> tuple[str, Media | None]:
        """The recipe key of a medium, and the medium if it had to be opened for that."""
        if isinstance(media, Media):
            return keys.recipe(self._prefix, self._drawn, [(self._port(media).name, media)]), media
        mark = media.mark()
        known = self._marks.get(mark)
        if known is not None:
            return known, None
        opened = media.open(self._limits)
        key, _ = self._key(opened)
        self._marks.put(mark, key)
        return key, opened

    def _kept(self, media: Media | Reference) -> Kept:
        key, opened = self._key(media)

        def make() -> Kept:
            if opened is not None:
                return self._run(opened)
            return self._run(media.open(self._limits) if isinstance(media, Reference) else media)

        return self._packed.of(key, make)

    def _port(self, media: Media) -> Port:
        for port in self.card.inputs:
            if fits(media.modality, port.modality) and not port.many:
                return port
        raise MediaError(f"{self.card.name} takes {', '.join(map(str, self.card.inputs))}, not {media.modality}")

    def _run(self, media: Media) -> Kept:
        at_load = {item.name for item in self.card.settings if item.at == "load"}
        with self._lock:
            if self._instance is None:
                instance = self._encoder.make({k: v for k, v in self._settings.items() if k in at_load})
                instance.load()
                self._instance = instance
        given: dict[str, Any] = {k: v for k, v in self._settings.items() if k not in at_load}
        if self.card.context:
            given["ctx"] = _Alone(self._seed)
        made = self._instance.run(**{self._port(media).name: media}, **given)
        outputs = (made,) if len(self.card.outputs) == 1 else tuple(made)
        kept = Kept({}, {})
        for port, value in zip(self.card.outputs, outputs, strict=True):
            if value is not None:
                one = arrays_of(port.name, value, self._dtype)
                kept = Kept({**kept.arrays, **one.arrays}, {**kept.facts, **one.facts})
        return kept


class _Alone:
    """The context of a call that nobody watches or stops."""

    cancelled = False

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def check(self) -> None:
        """Nobody stops it."""

    def progress(self, done: float, total: float = 1.0, note: str = "") -> None:
        """Nobody watches it."""

    def token(self, text: str) -> None:
        """Nobody reads it."""

    def preview(self, media: Media) -> None:
        """Nobody looks at it."""

    def splice(self, graph: Any, inputs: Mapping[str, Media], place: str) -> Any:
        raise ModelError("an encoder whose features are packed cannot splice graphs; it runs outside of any")


class _Marks:
    """The keys of media by where they are, in a file that only grows; a line cut short is left out."""

    def __init__(self, folder: Path, part: str, every: int) -> None:
        self._path, self._every = folder / f"{part}.marks", every
        self._known: dict[str, str] = {}
        self._new: list[str] = []
        for path in sorted(folder.glob("*.marks")):
            for line in path.read_text("utf-8").splitlines():
                try:
                    mark, key = json.loads(line)
                except ValueError:
                    continue
                self._known[mark] = key

    def get(self, mark: str) -> str | None:
        return self._known.get(_short(mark)) if mark else None

    def put(self, mark: str, key: str) -> None:
        if not mark:
            return
        self._known[_short(mark)] = key
        self._new.append(json.dumps([_short(mark), key]))
        if len(self._new) >= self._every:
            self.flush()

    def flush(self) -> None:
        new, self._new = self._new, []
        if new:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                file.write("\n" + "\n".join(new) + "\n")  # a line cut short before is ended by the first


def _short(mark: str) -> str:
    return blake3(mark.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _checked(card: Card) -> Card:
    required = [port.name for port in card.inputs if not port.optional]
    if len(required) > 1 or not card.inputs or any(port.modality != "embedding" for port in card.outputs):
        raise CardError(f"{card.name} is no encoder of one medium; features are of media → embedding tools")
    if any(port.many for port in card.outputs) or card.call != "sync":
        raise CardError(f"{card.name} makes lists or is {card.call}; features are of plain sync encoders")
    return card
