"""Data sets that are a CSV file and a folder of media: any, and the layouts of AudioCaps and WebVid."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mmagent.errors import IntakeError
from mmagent.training.data.bad import told
from mmagent.training.data.pieces import row, rows
from mmagent.training.data.reference import Folder
from mmagent.training.data.source import Fact


class Table:
    """Facts out of the rows of a CSV file.

    `media` maps names to (modality, path in the folder with columns as holes: `{page_dir}/{videoid}.mp4`); `text`
    maps names to columns.
    """

    def __init__(
        self,
        path: str | Path,
        folder: str | Path,
        *,
        media: Mapping[str, tuple[str, str]],
        text: Mapping[str, str],
        name: str = "",
    ) -> None:
        self._header, self._rows = rows(path)
        self._folder, self._media, self._text = Folder(folder), dict(media), dict(text)
        self.name = name or Path(path).stem
        try:
            sample = dict.fromkeys(self._header, "")
            for _, file in self._media.values():
                file.format_map(sample)
            for column in self._text.values():
                sample[column]
        except KeyError as error:
            raise IntakeError(f"{path} has no column {error}; it has {', '.join(self._header)}") from None

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Fact:
        place = self._rows.place(index)
        with told(place):
            fields = row(self._header, self._rows.read(index))
            words = {name: fields[column].strip() for name, column in self._text.items()}
            files = {
                name: self._folder.file(file.format_map(fields), kind) for name, (kind, file) in self._media.items()
            }
            return Fact({**files, **words}, place)


def audiocaps(
    path: str | Path, folder: str | Path, *, file: str = "{youtube_id}_{start_time}.wav", name: str = ""
) -> Table:
    """AudioCaps: a CSV with `audiocap_id, youtube_id, start_time, caption`, and a folder of sounds.

    The data set has no sounds of its own, so that people call them differently: `file` says how.
    """
    return Table(path, folder, media={"media": ("audio", file)}, text={"caption": "caption"}, name=name)


def webvid(path: str | Path, folder: str | Path, *, file: str = "{page_dir}/{videoid}.mp4", name: str = "") -> Table:
    """WebVid: a CSV with `videoid, contentUrl, duration, page_dir, name`, and a folder of videos."""
    return Table(path, folder, media={"media": ("video", file)}, text={"caption": "name"}, name=name)
