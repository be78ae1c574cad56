"""`mmagent model`: list models, show what one is made of, what of it has been trained, and what it takes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mmagent.cli.output import printable, size, table, write_json

if TYPE_CHECKING:
    from mmagent.model.overview import Overview, Row


class Size(click.ParamType[int]):
    """Bytes as people write them: 800MB, 2 GB, 512."""

    name = "size"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kMGT]?)B?\s*", str(value))
        if found is None:
            self.fail(f"{value!r} is no size; write it like 800MB or 2GB", param, ctx)
        return int(float(found[1]) * 1000 ** " kMGT".index(found[2] or " "))


@click.group("model", short_help="List and show models.")
def command() -> None:
    """List and show models. A model is named by its name or by its folder."""


@command.command("list")
@click.argument("folders", nargs=-1, type=click.Path(exists=True, file_okay=False), metavar="[FOLDER]...")
@click.option("--modality", help="Only models that take in or make this modality.")
@click.option("--memory", type=Size(), metavar="SIZE", help="Only models known to run in this much, such as 2GB.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(folders: Sequence[str], modality: str | None, memory: int | None, as_json: bool) -> None:
    """List the shipped models, and those in FOLDERs: what goes in and out, and what they take here."""
    from mmagent.model import models

    found = [_overview(name, chat=True) for name in (*models(), *folders)]
    kept = [
        item
        for item in found
        if (modality is None or modality in _modalities(item))
        and (memory is None or (item.run is not None and item.run <= memory))
    ]
    if as_json:
        write_json([asdict(item) for item in kept])
    else:
        table(("model", "sees", "makes", "to run", "to train", ""), map(_line, kept))


@command.command()
@click.argument("name")
@click.option("--modality", help="Only the parts of this modality.")
@click.option("--memory", type=Size(), metavar="SIZE", help="Only parts that take at most this much.")
@click.option("--draw", type=click.Path(path_type=Path, dir_okay=False), help="Draw it into a .svg or .mmd file.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(name: str, modality: str | None, memory: int | None, draw: Path | None, as_json: bool) -> None:
    """Show a model's parts: spaces, sizes, frozen or trained, memory to run and to train.

    Memory to train counts every part that can be trained, by Adam in float32, without what depends on the batch.
    """
    found = _overview(name)
    if draw is not None:
        _draw(found, draw)
    rows = [
        row
        for row in found.rows
        if (modality is None or modality in _words(row))
        and (memory is None or (row.memory is not None and row.memory <= memory))
    ]
    if as_json:
        write_json({**asdict(found), "rows": [asdict(row) for row in rows]})
        return
    click.echo(printable(f"{found.name}  {found.doc.strip()}".rstrip()))
    table(("part", "what", "from", "to", "size", "parameters", "memory", ""), map(_row, rows))
    if found.run is None or found.train is None:
        unknown = ", ".join(row.name for row in found.rows if row.memory is None)
        click.echo(f"what it takes is not known: nothing tells the size of {unknown}")
    else:
        click.echo(f"about {size(found.run)} to run, {size(found.train)} to train all of it")


def _overview(name: str, chat: bool = False) -> Overview:
    """The overview of a model; with `chat`, of a chat model too, which has no parts to show."""
    from mmagent.errors import ModelError
    from mmagent.model import MMLM
    from mmagent.model.overview import of_chat, overview
    from mmagent.model.spec import ModelSpec, read_any
    from mmagent.model.zoo import place

    folder = place(name)
    spec = read_any(folder)
    if isinstance(spec, ModelSpec):
        return overview(MMLM(spec, folder=folder))
    if not chat:
        raise ModelError(f"{spec.name} is a chat model: it has no parts of ours to show")
    return of_chat(spec)


def _draw(found: Overview, path: Path) -> None:
    from mmagent.graph.draw import mermaid, svg
    from mmagent.model.picture import picture

    kinds = {".svg": svg, ".mmd": mermaid}
    if path.suffix not in kinds:
        raise click.BadParameter(f"{path.name} ends neither in .svg nor in .mmd", param_hint="--draw")
    path.write_text(kinds[path.suffix](picture(found)), "utf-8")


def _modalities(item: Overview) -> set[str]:
    return {*item.sees, *item.makes, *(name for row in item.rows for name in (row.into, row.out))}


def _words(row: Row) -> set[str]:
    return {*re.split(r"[. ]", row.name), row.into, row.out}


def _line(item: Overview) -> tuple[str, ...]:
    sizes = ("-" if count is None else size(count) for count in (item.run, item.train))
    return item.name, _several(item.sees), _several(item.makes), *sizes, item.doc.strip().split("\n")[0]


def _several(names: Iterable[str]) -> str:
    return ", ".join(names) or "-"


def _row(row: Row) -> tuple[str, ...]:
    parameters = "" if row.parameters is None else f"{row.parameters:,}"
    memory = "" if row.memory is None else size(row.memory)
    return row.name, row.what, row.into, row.out, row.size, parameters, memory, row.state
