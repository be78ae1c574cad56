"""Data sets of the Hugging Face library `datasets`: loaded, or saved to a folder with `save_to_disk`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmagent.errors import IntakeError, MissingExtra
from mmagent.intake import Limits
from mmagent.training.data.bad import told
from mmagent.training.data.reference import Folder, Reference
from mmagent.training.data.source import Fact

_MEDIA = {"Image": "image", "Audio": "audio", "Video": "video"}
"""Features of `datasets` that are media."""


class HubDataset:
    """Facts out of a Dataset. `columns` maps names to columns: `{"media": "image", "caption": "text"}`.

    Columns of features Image, Audio and Video are media; their bytes are read from the data set and decoded here,
    within limits, whatever decoder the library would take. A data set that holds paths instead of bytes needs
    `media`, the folder that they are in. Other columns hold words, or lists of mappings of words (for `each` in
    templates). An iterable data set has no length and no order to come back to: save it to a folder first.
    """

    def __init__(
        self, dataset: Any, columns: Mapping[str, str], *, media: str | Path | None = None, name: str = ""
    ) -> None:
        library = _library()
        if isinstance(dataset, str | Path):
            path, dataset = dataset, _from_disk(library, dataset)
            name = name or Path(path).name
        if not isinstance(dataset, library.Dataset):
            raise IntakeError(
                f"a data set is one split, a datasets.Dataset, not {type(dataset).__name__}; choose a split, "
                "or save an iterable one with save_to_disk first"
            )
        missing = [column for column in columns.values() if column not in dataset.features]
        if missing:
            raise IntakeError(f"the data set has no column {missing[0]!r}; it has {', '.join(dataset.features)}")
        kinds = {column: type(dataset.features[column]).__name__ for column in columns.values()}
        self._modalities = {column: _MEDIA[kind] for column, kind in kinds.items() if kind in _MEDIA}
        for column in self._modalities:
            feature = type(dataset.features[column])(decode=False)
            dataset = dataset.cast_column(column, feature)
        words = [column for column in dict.fromkeys(columns.values()) if column not in self._modalities]
        self._dataset, self._words, self._columns = dataset, dataset.select_columns(words), dict(columns)
        self._folder = None if media is None else Folder(media)
        self.name = name or str(dataset.info.dataset_name or "dataset")

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, index: int) -> Fact:
        place = f"{self.name}: row {index}"
        with told(place):
            words = self._words[index] if self._words.column_names else {}
            values = {}
            for name, column in self._columns.items():
                if column in self._modalities:
                    values[name] = self._medium(index, column)
                elif not isinstance(words[column], str | list):
                    raise IntakeError(f"column {column} holds {type(words[column]).__name__}, not words")
                else:
                    values[name] = words[column]
            return Fact(values, place)

    def _medium(self, index: int, column: str) -> Reference:
        return InRow(self._modalities[column], self.name, self._dataset, index, column, self._folder)


@dataclass(frozen=True, slots=True)
class InRow(Reference):
    """A medium in a row of a Dataset."""

    modality: str
    name: str
    dataset: Any = field(repr=False, compare=False)
    row: int
    column: str
    folder: Folder | None = field(repr=False)

    @property
    def place(self) -> str:
        return f"{self.name}: row {self.row}, column {self.column}"

    def mark(self) -> str:
        # What the library itself caches results by; it has no public name. Without it the medium is decoded.
        fingerprint = getattr(self.dataset, "_fingerprint", "")
        return f"{fingerprint}\0{self.row}\0{self.column}" if fingerprint and self.folder is None else ""

    def read(self, limits: Limits) -> bytes:
        found = self.dataset.select_columns([self.column])[self.row][self.column]
        if found is None:
            raise IntakeError(f"{self.place}: there is no medium")
        if found.get("bytes") is not None:
            limits.check("file_bytes", len(found["bytes"]), self.place)
            return bytes(found["bytes"])
        if self.folder is None:
            raise IntakeError(f"{self.place}: it holds a path, not bytes; name the folder of its files with media=")
        path = Path(found["path"])
        inside = path.relative_to(self.folder.path) if path.is_relative_to(self.folder.path) else path
        return self.folder.file(inside.as_posix(), self.modality).read(limits)


def _library() -> Any:
    try:
        import datasets
    except ImportError:
        raise MissingExtra("datasets", "train", "reading a Hugging Face data set") from None
    return datasets


def _from_disk(library: Any, path: str | Path) -> Any:
    if not Path(path).is_dir():
        raise IntakeError(f"{path} is no folder; save the data set to one with save_to_disk")
    try:
        return library.load_from_disk(str(path))
    except (OSError, ValueError) as error:
        raise IntakeError(f"{path} is no saved data set: {str(error).splitlines()[0]}") from None
