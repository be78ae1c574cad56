"""Predictions: what a system was asked and what it answered, one line of JSON each, with the media beside them.

    predictions.jsonl    media/5f0c….png

A folder of them can be scored, shown to raters and gone on with, without the system that made it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from mmagent.errors import IntakeError, MissingExtra
from mmagent.media import Media, Text, modality
from mmagent.training.data import Folder

FILE, MEDIA = "predictions.jsonl", "media"

Setting = str | int | float | bool | None


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Part(_Strict):
    """A part of a request or reply: words, or a medium as a file beside the predictions, or why there is none."""

    modality: str
    text: str = ""
    file: str = ""
    error: str = ""

    def open(self, folder: str | Path) -> Media:
        """The medium itself, out of the folder of its predictions; IntakeError if there is none, or not there."""
        if self.modality == "text":
            return Text(self.text)
        if not self.file:
            raise IntakeError(f"this {self.modality} was not kept: {self.error or 'the run kept no media'}")
        return modality(self.modality).open(Folder(folder).file(self.file, self.modality).path)


class Prediction(_Strict):
    """What was asked under which settings, what would be right, and what came.

    `key` tells question and settings from all others. `wanted` are the modalities that the request should bring, in
    order, text left out. `error` is why the system could not answer at all.
    """

    key: str
    id: str
    settings: dict[str, Setting]
    prompt: tuple[Part, ...]
    references: tuple[str, ...] = ()
    wanted: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()
    error: str = ""
    seconds: float = 0.0

    @property
    def answer(self) -> str:
        """The words of the reply."""
        return "\n".join(part.text for part in self.parts if part.modality == "text").strip()

    @property
    def made(self) -> tuple[str, ...]:
        """The modalities that the reply asked for, in order, text left out; one that failed was asked for too."""
        return tuple(part.modality for part in self.parts if part.modality != "text")


def read(path: str | Path) -> list[Prediction]:
    """The predictions of a file or of a run's folder, of each key the last; IntakeError names a line that is none.

    A last line that a kill cut short is passed over.
    """
    file = Path(path)
    file = file / FILE if file.is_dir() else file
    try:
        lines = file.read_bytes().split(b"\n")
    except OSError as error:
        raise IntakeError(f"cannot read predictions {file}: {error.strerror}; name a file or a run's folder") from None
    found = {}
    for number, line in enumerate(lines[:-1], 1):
        try:
            prediction = Prediction.model_validate_json(line)
        except ValidationError as error:
            fault = error.errors()[0]
            where = ".".join(map(str, fault["loc"])) or "the line"
            raise IntakeError(f"{file}: line {number} is no prediction ({where}: {fault['msg']})") from None
        found[prediction.key] = prediction
    return list(found.values())


class Journal:
    """A run's folder, to which predictions are added. Each is one write of a whole line, so a kill loses at most one.

    What an earlier run left is gone on with; those that ended in an error are asked again.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._done: dict[str, Prediction] = {}
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Self:
        path = self.folder / FILE
        try:
            (self.folder / MEDIA).mkdir(parents=True, exist_ok=True)
            if path.exists():
                self._done = {item.key: item for item in read(path)}
            self._file = path.open("ab", buffering=0)
        except OSError as error:
            raise IntakeError(f"cannot keep predictions in {self.folder}: {error.strerror}") from None
        self._file.truncate(_whole(path))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def __iter__(self) -> Iterator[Prediction]:
        return iter(self._done.values())

    def get(self, key: str) -> Prediction | None:
        """The prediction of that key, if it was answered."""
        found = self._done.get(key)
        return found if found is not None and not found.error else None

    def add(self, prediction: Prediction) -> None:
        """Keep one more."""
        if self._file is None:
            raise RuntimeError("a journal is opened with `with`")
        self._file.write(prediction.model_dump_json(exclude_defaults=True).encode() + b"\n")
        self._done[prediction.key] = prediction

    def keep(self, medium: Media) -> Part:
        """A medium as a part: its file is written once, under its digest; one without a file format is told instead."""
        if isinstance(medium, Text):
            return Part(modality="text", text=medium.text)
        name = f"{MEDIA}/{medium.digest}{medium.suffix}"
        try:
            if not medium.suffix:
                return Part(modality=medium.modality, error="it has no file format")
            if not (self.folder / name).exists():
                medium.save(self.folder / name)
        except MissingExtra as error:
            return Part(modality=medium.modality, error=str(error))
        return Part(modality=medium.modality, file=name)


def _whole(path: Path) -> int:
    """How many bytes of a file end in a newline."""
    return path.read_bytes().rfind(b"\n") + 1
