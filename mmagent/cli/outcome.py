"""What a graph's run gave, kept in a folder, told in words or as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mmagent.cli.output import printable, say

if TYPE_CHECKING:
    from mmagent.card import Port
    from mmagent.engine.result import Output, Result

Kept = Mapping[str, list[dict[str, Any]]]
"""By output, its media as data: modality, digest, plain facts, the words of a text, the path of a file."""


def endings(given: Sequence[str], outputs: Mapping[str, Port]) -> list[str]:
    """The endings that are asked for, `gif` as `.gif`; UsageError names one that no output can be written with."""
    from mmagent.media import modality

    can = {name: modality(port.modality).suffixes for name, port in outputs.items()}
    asked = [f".{ending.lower().lstrip('.')}" for ending in given]
    for ending in asked:
        if not any(ending in known for known in can.values()):
            listed = "; ".join(f"{name} as {', '.join(known)}" for name, known in can.items() if known)
            raise click.UsageError(f"no output can be written as {ending}; {listed}")
    return asked


def keep(name: str, value: Output, out: Path | None, asked: Sequence[str] = ()) -> list[dict[str, Any]]:
    """An output's media as data, each saved if there is a folder to save it in.

    A medium is saved once with each of the endings asked for that it can be written with, else without loss.
    """
    from mmagent.media import Text

    media = [] if value is None else value if isinstance(value, list) else [value]
    kept = []
    for number, item in enumerate(media, 1):
        entry: dict[str, Any] = {"modality": item.modality, "digest": item.digest, **item.describe()}
        if isinstance(item, Text):
            entry["text"] = item.text
        if out is None:
            kept.append(entry)
            continue
        out.mkdir(parents=True, exist_ok=True)
        stem = f"{name}-{number}" if isinstance(value, list) else name
        fitting = [known for known in dict.fromkeys(asked) if known in item.suffixes] or [item.suffix]
        kept += [{**entry, "path": str(item.save(out / f"{stem}{ending}"))} for ending in fitting]
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
