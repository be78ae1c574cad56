"""Files of many records, read one at a time: where each record begins is kept (24 bytes of each), nothing else.

Lines of a file, rows of a CSV whose fields may hold line breaks, and elements of a JSON array.
"""

from __future__ import annotations

import csv
import io
import json
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from mmagent.errors import IntakeError

LONGEST = 64 * 2**20
"""Bytes of a record; a longer one is none."""


class Pieces:
    """Records of a file by number: each is a range of bytes that begins in some line."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._starts, self._ends, self._lines = array("q"), array("q"), array("q")

    def __len__(self) -> int:
        return len(self._starts)

    def add(self, start: int, end: int, line: int) -> None:
        """Note where one more record is."""
        self._starts.append(start)
        self._ends.append(end)
        self._lines.append(line)

    def place(self, index: int) -> str:
        """The record's file and line, counted from 1."""
        return f"{self.path}:{self._lines[index]}"

    def read(self, index: int) -> bytes:
        """The record's bytes; IntakeError if there are far too many or the file has changed."""
        size = self._ends[index] - self._starts[index]
        if size > LONGEST:
            raise IntakeError(f"{size:,} bytes are no record; the limit is {LONGEST:,}")
        with self.path.open("rb") as file:
            file.seek(self._starts[index])
            data = file.read(size)
        if len(data) != size:
            raise IntakeError("the file has become shorter since it was opened; open it again")
        return data


def _open(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except OSError as error:
        raise IntakeError(f"cannot read {path}: {error.strerror}; check the path") from None


def lines(path: str | Path) -> Pieces:
    """The lines of a file, blank ones left out."""
    found, at = Pieces(path), 0
    with _open(found.path) as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                found.add(at, at + len(line), number)
            at += len(line)
    return found


def rows(path: str | Path) -> tuple[list[str], Pieces]:
    """The header of a CSV file and its rows; IntakeError if it has no header."""
    at, number = 0, 0

    def passed(file: IO[bytes]) -> Iterator[str]:
        nonlocal at, number
        for line in file:
            at += len(line)
            number += 1
            yield line.decode("utf-8", "replace")  # what is not UTF-8 is told when the row itself is read

    header: list[str] | None = None
    found, start, first = Pieces(path), 0, 1
    try:
        with _open(found.path) as file:
            for fields in csv.reader(passed(file)):
                if header is None:
                    header = [name.removeprefix("\ufeff").strip() for name in fields]
                elif fields:
                    found.add(start, at, first)
                start, first = at, number + 1
    except csv.Error as error:
        raise IntakeError(f"{path}:{number}: no CSV ({error})") from None
    if not header:
        raise IntakeError(f"{path} has no header; its first line names the columns")
    return header, found


def row(header: list[str], data: bytes) -> dict[str, str]:
    """One row as a mapping; IntakeError if it is not UTF-8 or has more or fewer fields than the header."""
    try:
        parsed = list(csv.reader(io.StringIO(data.decode("utf-8"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise IntakeError(f"no row of a CSV file in UTF-8 ({error})") from None
    if len(parsed) != 1 or len(parsed[0]) != len(header):
        n_fields = len(parsed[0]) if parsed else 0
        raise IntakeError(f"the row has {n_fields} fields, the header {len(header)}")
    return dict(zip(header, parsed[0]))


def elements(path: str | Path) -> Pieces:
    """The elements of a JSON array; IntakeError if the file is none. The whole text is held while it is looked at."""
    found = Pieces(path)
    with _open(found.path) as file:
        data = file.read()
    decode, space = json.JSONDecoder().raw_decode, " \t\r\n"
    try:
        text = data.decode("utf-8-sig")
        byte, char, line = len(data) - len(text.encode()), 0, 1

        def skip(extra: str) -> int:
            at = char
            while at < len(text) and text[at] in space + extra:
                at += 1
            return at

        def move(to: int) -> None:
            nonlocal byte, char, line
            passed = text[char:to]
            byte, char, line = byte + len(passed.encode()), to, line + passed.count("\n")

        move(skip(""))
        if text[char : char + 1] != "[":
            raise IntakeError(f"{path} is no JSON array of records")
        move(char + 1)
        move(skip(""))
        while text[char : char + 1] not in ("]", ""):
            start, began = byte, line
            move(decode(text, char)[1])
            found.add(start, byte, began)
            move(skip(""))
            if text[char : char + 1] == ",":
                move(char + 1)
                move(skip(""))
            elif text[char : char + 1] != "]":
                raise IntakeError(f"{path}:{line}: the array has no comma or end here")
        if text[char : char + 1] != "]":
            raise IntakeError(f"{path}:{line}: the array does not end; the file was cut short")
    except (ValueError, RecursionError) as error:
        raise IntakeError(f"{path} is no JSON ({error})") from None
    return found


def whole(path: str | Path) -> dict[str, Any]:
    """The JSON object that a file is, all of it at once."""
    with _open(Path(path)) as file:
        data = file.read()
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise IntakeError(f"{path} is no JSON ({error})") from None
    if not isinstance(found, dict):
        raise IntakeError(f"{path} holds no JSON object")
    return found
