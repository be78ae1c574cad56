"""What a graph's run gave, kept in a folder, told in words or as data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mmagent.cli.output import printable, say

if TYPE_CHECKING:
    from mmagent.engine.result import Output, Result

Kept = Mapping[str, list[dict[str, Any]]]
"""By output, its media as data: modality, digest, plain facts, the words of a text, the path of a file."""


def keep(name: str, value: Output, out: Path | None) -> list[dict[str, Any]]:
    """An output's media as data, each saved if there is a folder to save it in."""
    from mmagent.media import Text

    media = [] if value is None else value if isinstance(value, list) else [value]
    kept = []
    for number, item in enumerate(media, 1):
        entry: dict[str, Any] = {"modality": item.modality, "digest": item.digest, **item.describe()}
        if isinstance(item, Text):
            entry["text"] = item.text
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            stem = f"{name}-{number}" if isinstance(value, list) else name
            entry["path"] = str(item.save(out / f"{stem}{item.suffix}"))
        kept.append(entry)
    return kept


def tell(result: Result, kept: Kept) -> None:
    """Texts and files on stdout; outputs that are nothing, and failures, on stderr."""
    for name, entries in kept.items():
        if not entries:
            say(f"{name}: nothing, since something optional was not there")
        for entry in entries:
            if "text" in entry:
                click.echo(printable(f"{name}: {entry['text']}"))
            if "path" in entry:
                click.echo(f"{name}: {entry['path']}")
    for failure in result.failures.values():
        say(f"error: {failure}")


def as_data(result: Result, kept: Kept) -> dict[str, Any]:
    """The outputs, failures by node, seconds, and every call."""
    calls = [
        {"node": call.node, "tool": call.tool, "status": call.status, "seconds": call.seconds, "seed": call.seed}
        for call in result.calls
    ]
    failures = {node: str(error) for node, error in result.failures.items()}
    return {"outputs": kept, "failures": failures, "seconds": result.seconds, "calls": calls}
