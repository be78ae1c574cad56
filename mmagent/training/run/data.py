"""Data sources as a run file names them: a reader and where its files are, relative to the run file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from mmagent.training import data as readers
from mmagent.training.data import Facts, Source, Worded


class Reader(BaseModel, ABC):
    """A source: its `weight` in the mix (by default its length), and a `name` where two would have the same."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    weight: Annotated[float, Field(gt=0)] | None = None
    name: str = ""

    @abstractmethod
    def open(self, beside: Path, seed: int) -> Source:
        """The source, its paths relative to the folder `beside`; IntakeError if it is not there."""


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


class _Facts(Reader):
    """Facts, put into words by a template: one of ours by name, or a YAML file."""

    template: str

    def open(self, beside: Path, seed: int) -> Source:
        own = beside / self.template
        return Worded(self.facts(beside), str(own) if own.is_file() else self.template, seed)

    @abstractmethod
    def facts(self, beside: Path) -> Facts:
        """The facts themselves."""


class Coco(_Facts):
    """COCO's captions."""

    kind: Literal["coco"]
    annotations: str
    images: str
    template: str = "caption"

    def facts(self, beside: Path) -> Facts:
        return readers.CocoCaptions(beside / self.annotations, beside / self.images, self.name)


class Vqa(_Facts):
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


class Csv(_Facts):
    """A table with a folder: `media` are (modality, path with columns as holes) by name, `text` columns by name."""

    kind: Literal["csv"]
    path: str
    folder: str
    media: dict[str, tuple[str, str]]
    text: dict[str, str]

    def facts(self, beside: Path) -> Facts:
        return readers.Table(beside / self.path, beside / self.folder, media=self.media, text=self.text, name=self.name)


class WebDataset(_Facts):
    """Tar shards of samples: `fields` name the endings of their members."""

    kind: Literal["webdataset"]
    paths: tuple[str, ...]
    fields: dict[str, str]

    def facts(self, beside: Path) -> Facts:
        return readers.WebDataset(_all(beside, self.paths), self.fields, name=self.name or "webdataset")


class Hub(_Facts):
    """A data set of Hugging Face's library, saved to a folder: `columns` by name."""

    kind: Literal["hub"]
    path: str
    columns: dict[str, str]
    media: str | None = None

    def facts(self, beside: Path) -> Facts:
        media = self.media and beside / self.media
        return readers.HubDataset(beside / self.path, self.columns, media=media, name=self.name)


ReaderSpec = Annotated[Jsonl | Tars | Llava | Coco | Vqa | Csv | WebDataset | Hub, Field(discriminator="kind")]


def _all(beside: Path, patterns: tuple[str, ...]) -> list[Path]:
    """The files of paths, in which `*` stands for anything; one that matches nothing is told when it is opened."""
    return [path for pattern in patterns for path in (sorted(beside.glob(pattern)) or [beside / pattern])]
