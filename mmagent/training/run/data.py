"""Data sources as a run file names them: a reader and where its files are, relative to the run file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from glob import glob
from pathlib import Path
from typing import Annotated, Literal

from blake3 import blake3
from pydantic import BaseModel, ConfigDict, Field

from mmagent.training import data as readers
from mmagent.training.data import Facts, Source, Worded

LARGE = 2**28
"""Bytes from which on a file is told by its size and time: reading shards would take as long as an epoch."""
STATE = "state.json"


class Reader(BaseModel, ABC):
    """A source: its `weight` in the mix (by default its length), and a `name` where two would have the same."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    weight: Annotated[float, Field(gt=0)] | None = None
    name: str = ""

    @abstractmethod
    def open(self, beside: Path, seed: int) -> Source:
        """The source, its paths relative to the folder `beside`; IntakeError if it is not there."""

    def digest(self, beside: Path) -> str:
        """What changes when files that it names do (hex): of large ones size and time, of others what is in them. Of
        folders only the state of a Hugging Face data set counts: media may be many, and go by files of their own."""
        hasher = blake3()
        for name, value in self:
            for pattern in (value if isinstance(value, tuple) else (value,)) if name not in ("kind", "name") else ():
                for path in _all(beside, (pattern,)) if isinstance(pattern, str) and pattern else ():
                    hasher.update(f"{_stamp(path / STATE if path.is_dir() else path)}\0".encode())
        return hasher.hexdigest()


class Jsonl(Reader):
    """Records of our own, one a line."""

    kind: Literal["jsonl"]
    path: str
    media: str | None = None

    def open(self, beside: Path, seed: int) -> Source:
        return readers.Jsonl(beside / self.path, self.media and beside / self.media, self.name)


class Tars(Reader):
    """Records of our own in tar shards."""

    kind: Literal["tars"]
    paths: tuple[str, ...]

    def open(self, beside: Path, seed: int) -> Source:
        return readers.TarRecords(_all(beside, self.paths), name=self.name or "shards")


class Llava(Reader):
    """Conversations in the layout of LLaVA's JSON."""

    kind: Literal["llava"]
    path: str
    media: str
    inline: bool = False

    def open(self, beside: Path, seed: int) -> Source:
        return readers.Llava(beside / self.path, beside / self.media, inline=self.inline, name=self.name)


class FactsReader(Reader):
    """Facts, put into words by a template: one of ours by name, or a YAML file."""

    template: str

    def open(self, beside: Path, seed: int) -> Source:
        return Worded(self.facts(beside), self.words(beside), seed)

    def words(self, beside: Path) -> str:
        """The template: a file beside the run file, or else a name of ours."""
        own = beside / self.template
        return str(own) if own.is_file() else self.template

    @abstractmethod
    def facts(self, beside: Path) -> Facts:
        """The facts themselves."""


class Coco(FactsReader):
    """COCO's captions."""

    kind: Literal["coco"]
    annotations: str
    images: str
    template: str = "caption"

    def facts(self, beside: Path) -> Facts:
        return readers.CocoCaptions(beside / self.annotations, beside / self.images, self.name)


class Vqa(FactsReader):
    """Questions and answers in the layout of VQAv2."""

    kind: Literal["vqa"]
    questions: str
    annotations: str
    images: str
    image: str = ""
    template: str = "vqa"

    def facts(self, beside: Path) -> Facts:
        paths = (beside / self.questions, beside / self.annotations, beside / self.images)
        return readers.VqaV2(*paths, image=self.image, name=self.name)


class Cc3m(FactsReader):
    """CC3M, or any set that img2dataset packed, in tar shards."""

    kind: Literal["cc3m"]
    paths: tuple[str, ...]
    template: str = "caption"

    def facts(self, beside: Path) -> Facts:
        return readers.cc3m(_all(beside, self.paths), name=self.name or "cc3m")


class AudioCaps(FactsReader):
    """AudioCaps' table of captions, with a folder of sounds."""

    kind: Literal["audiocaps"]
    path: str
    folder: str
    template: str = "caption"

    def facts(self, beside: Path) -> Facts:
        return readers.audiocaps(beside / self.path, beside / self.folder, name=self.name)


class WebVid(FactsReader):
    """WebVid's table of captions, with a folder of videos."""

    kind: Literal["webvid"]
    path: str
    folder: str
    template: str = "caption"

    def facts(self, beside: Path) -> Facts:
        return readers.webvid(beside / self.path, beside / self.folder, name=self.name)


class Csv(FactsReader):
    """A table with a folder: `media` are (modality, path with columns as holes) by name, `text` columns by name."""

    kind: Literal["csv"]
    path: str
    folder: str
    media: dict[str, tuple[str, str]]
    text: dict[str, str]

    def facts(self, beside: Path) -> Facts:
        return readers.Table(beside / self.path, beside / self.folder, media=self.media, text=self.text, name=self.name)


class WebDataset(FactsReader):
    """Tar shards of samples: `fields` name the endings of their members."""

    kind: Literal["webdataset"]
    paths: tuple[str, ...]
    fields: dict[str, str]

    def facts(self, beside: Path) -> Facts:
        return readers.WebDataset(_all(beside, self.paths), self.fields, name=self.name or "webdataset")


class Hub(FactsReader):
    """A data set of Hugging Face's library, saved to a folder: `columns` by name."""

    kind: Literal["hub"]
    path: str
    columns: dict[str, str]
    media: str | None = None

    def facts(self, beside: Path) -> Facts:
        media = self.media and beside / self.media
        return readers.HubDataset(beside / self.path, self.columns, media=media, name=self.name)


ReaderSpec = Annotated[
    Jsonl | Tars | Llava | Coco | Vqa | Cc3m | AudioCaps | WebVid | Csv | WebDataset | Hub, Field(discriminator="kind")
]


def _all(beside: Path, patterns: tuple[str, ...]) -> list[Path]:
    """The files of paths, in which `*` stands for anything; one that matches nothing is told when it is opened."""
    found = ((pattern, sorted(glob(pattern, root_dir=beside))) for pattern in patterns)  # noqa: PTH207  # Path.glob takes no absolute pattern
    return [beside / name for pattern, names in found for name in (names or [pattern])]


def _stamp(path: Path) -> str:
    """What tells the content of a file; "" where there is none."""
    if not path.is_file():
        return ""
    found = path.stat()
    return f"{found.st_size} {found.st_mtime_ns}" if found.st_size > LARGE else blake3().update_mmap(path).hexdigest()
