"""Shards in the WebDataset layout: uncompressed tars, where members of one name but for its endings are a sample.

    000.jpg 000.txt 000.json 001.jpg …

They are read with the standard library: it tells where each member lies, so that samples can be read in any order
and media stay unread until they are wanted. The `webdataset` library's pipelines read shards as streams, from end to
end, and decode as they go; here a sample has a number, and an epoch can be taken up anywhere.
"""

from __future__ import annotations

import json
import re
import tarfile
from array import array
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from mmagent.errors import IntakeError
from mmagent.training.data import schema
from mmagent.training.data.bad import BadRecord, told
from mmagent.training.data.record import Record
from mmagent.training.data.reference import InTar, Reference, modality_of
from mmagent.training.data.source import Fact

_KEY = re.compile(r"((?:.*/)?[^./][^./]*)\.([^/]+)", re.DOTALL)
_LONGEST = 16 * 2**20
"""Bytes of a member that is words or JSON."""

Member = tuple[str, int, int, bool]
"""Name, offset and size of its content, and whether it is a plain file."""


class Shards:
    """Where each sample of several shards begins. A shard that is cut short or damaged ends with a bad record."""

    def __init__(self, paths: str | Path | Sequence[str | Path]) -> None:
        self.paths = [Path(path) for path in ([paths] if isinstance(paths, str | Path) else paths)]
        self._shards, self._starts, self._members = array("q"), array("q"), array("q")
        for number, path in enumerate(self.paths):
            self._index(number, path)

    def __len__(self) -> int:
        return len(self._shards)

    def __getitem__(self, index: int) -> tuple[str, dict[str, Member], Path]:
        """The key of a sample, its members by ending in small letters, and its shard; BadRecord if it is damaged."""
        path, start, count = self.paths[self._shards[index]], self._starts[index], self._members[index]
        if not count:
            raise BadRecord(f"{path}", f"it is damaged or cut short at byte {start:,}; copy the shard again")
        found: dict[str, Member] = {}
        key = ""
        with _opened(path) as file:
            file.seek(start)
            try:
                with tarfile.open(fileobj=file, mode="r:") as tar:
                    while len(found) < count and (item := tar.next()) is not None:
                        if item.isdir():
                            continue
                        key, ending = _parted(item.name)
                        if ending in found:
                            raise BadRecord(f"{path}/{key}", f"it has two members .{ending}")
                        found[ending] = (item.name, item.offset_data, item.size, item.isreg() and not item.issparse())
            except tarfile.TarError as error:
                raise BadRecord(f"{path}", f"byte {start:,} is no member ({error}); has the shard changed?") from None
        return key, found, path

    def _index(self, number: int, path: Path) -> None:
        key, damaged = None, -1
        with _opened(path) as file:
            try:
                # `r:` takes no compression: what is compressed cannot be read from the middle.
                with tarfile.open(fileobj=file, mode="r:") as tar:
                    end = 0
                    while (item := tar.next()) is not None:
                        tar.members = []  # type: ignore[attr-defined]  # it would keep every header
                        own = _parted(item.name)[0]
                        if item.isdir():
                            continue
                        if own != key:
                            self._shards.append(number)
                            self._starts.append(item.offset)
                            self._members.append(0)
                            key = own
                        self._members[-1] += 1
                        end = item.offset_data + (item.size + 511) // 512 * 512 if item.isreg() else tar.offset
            except tarfile.ReadError as error:
                if key is None:
                    raise IntakeError(
                        f"{path} is no uncompressed tar ({error}); unpack it with gzip -d first"
                    ) from None
                damaged = file.tell()
            else:
                # A header that makes no sense ends the archive for tarfile, as its end does.
                file.seek(end)
                rest = file.read(512)
                damaged = end if rest.strip(b"\0") else -1
        if damaged >= 0:
            self._shards.append(number)
            self._starts.append(damaged)
            self._members.append(0)


class WebDataset:
    """Facts out of shards. `fields` maps names to endings: `{"media": "jpg;png", "caption": "txt"}`.

    The first ending that a sample has is taken. `json:caption` is the value of that key in the member `.json`.
    Members whose ending is a medium's are media, the others words.
    """

    def __init__(
        self, paths: str | Path | Sequence[str | Path], fields: Mapping[str, str], *, name: str = "webdataset"
    ) -> None:
        self._shards, self._fields, self.name = Shards(paths), dict(fields), name

    def __len__(self) -> int:
        return len(self._shards)

    def __getitem__(self, index: int) -> Fact:
        key, members, path = self._shards[index]
        place = f"{path}/{key}"
        with told(place):
            values: dict[str, Any] = {name: _field(members, path, wanted) for name, wanted in self._fields.items()}
            return Fact(values, place)


class TarRecords:
    """Our own records in shards: the member `.json` of a sample is one (see `schema`), its paths are endings.

    `{"media": "image", "path": "1.png"}` in `000.json` is the member `000.1.png`.
    """

    def __init__(self, paths: str | Path | Sequence[str | Path], *, name: str = "shards") -> None:
        self._shards, self.name = Shards(paths), name

    def __len__(self) -> int:
        return len(self._shards)

    def __getitem__(self, index: int) -> Record:
        key, members, path = self._shards[index]
        place = f"{path}/{key}"
        with told(place):

            def resolve(ending: str, modality: str) -> Reference:
                return _medium(_member(members, ending), path, modality)

            return schema.parse(_bytes(_member(members, "json"), path), place, resolve)


def cc3m(paths: str | Path | Sequence[str | Path], *, name: str = "cc3m") -> WebDataset:
    """CC3M as img2dataset packs it: tars of pictures, each with `.txt`, its caption, and `.json`. `media, caption`."""
    return WebDataset(paths, {"media": "jpg;jpeg;png;webp", "caption": "txt"}, name=name)


def _parted(name: str) -> tuple[str, str]:
    """The key and the ending of a member.

    >>> _parted("a.b/001.seg.PNG"), _parted("LICENSE")
    (('a.b/001', 'seg.png'), ('LICENSE', ''))
    """
    match = _KEY.fullmatch(name)
    return (match[1], match[2].lower()) if match else (name, "")


def _member(members: Mapping[str, Member], endings: str) -> Member:
    for ending in endings.split(";"):
        if ending.lower() in members:
            found = members[ending.lower()]
            if not found[3]:
                raise IntakeError(f"its member {found[0]!r:.200} is a link, which is not followed")
            return found
    raise IntakeError(f"it has no member .{endings.replace(';', ' or .')}; it has {', '.join(sorted(members))}")


def _field(members: Mapping[str, Member], path: Path, wanted: str) -> str | Reference:
    if wanted.startswith("json:"):
        return _in_json(_bytes(_member(members, "json"), path), wanted[5:])
    found = _member(members, wanted)
    try:
        modality = modality_of(found[0])
    except IntakeError:
        modality = "text"
    return _words(_bytes(found, path)) if modality == "text" else _medium(found, path, modality)


def _medium(member: Member, path: Path, modality: str) -> InTar:
    name, offset, size, _ = member
    return InTar(modality, path, name, offset, size)


def _bytes(member: Member, path: Path) -> bytes:
    name, offset, size, _ = member
    if size > _LONGEST:
        raise IntakeError(f"{name!r:.200} has {size:,} bytes, too many for words; the limit is {_LONGEST:,}")
    with _opened(path) as file:
        file.seek(offset)
        return file.read(size)


def _words(data: bytes) -> str:
    try:
        return data.decode("utf-8").strip()
    except UnicodeDecodeError:
        raise IntakeError("its words are not UTF-8") from None


def _in_json(data: bytes, key: str) -> str:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise IntakeError(f"its .json is no JSON ({error})") from None
    value = found.get(key) if isinstance(found, dict) else None
    if not isinstance(value, str):
        raise IntakeError(f"its .json has no words under {key!r}")
    return value.strip()


def _opened(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except OSError as error:
        raise IntakeError(f"cannot read {path}: {error.strerror}; check the path") from None
