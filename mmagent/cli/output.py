"""What every command prints with: tables and JSON on stdout, everything that is not the result on stderr."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console

# What could move the cursor, recolour or retitle a terminal; tab and newline stay.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    r"""Words from outside without the characters that would steer the terminal.

    >>> printable("a\x1b[31mb")
    'a[31mb'
    """
    return _CONTROL.sub("", text)


def say(text: str) -> None:
    """A remark on stderr."""
    click.echo(printable(text), err=True)


def write_json(value: object) -> None:
    """The command's whole result, as JSON on stdout."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=1, default=str))


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Rows on stdout: aligned and fitted on a terminal, tab-separated without a head where a program reads them."""
    lines = [[printable(str(cell)) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for line in lines:
            click.echo("\t".join(line))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=None, pad_edge=False, header_style="bold")
    for name in head:
        shown.add_column(name, overflow="fold")
    for line in lines:
        shown.add_row(*map(Text, line))  # Text, so that brackets are not read as markup
    Console().print(shown)


def console() -> Console:
    """The console for progress: stderr, so that stdout stays a result."""
    from rich.console import Console

    return Console(stderr=True)


def size(count: int) -> str:
    """Bytes for people.

    >>> size(93_000_000), size(512)
    ('93 MB', '512 B')
    """
    amount, unit = float(count), "B"
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000 or unit == "GB":
            break
        amount /= 1000
    return f"{amount:.1f} {unit}" if amount < 10 and unit != "B" else f"{amount:.0f} {unit}"
