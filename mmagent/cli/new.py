"""`mmagent new`: write a tool or a modality with its test, both passing, to start from."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mmagent.cli.output import say

if TYPE_CHECKING:
    from mmagent.scaffold import Files

FOLDER = click.option(
    "--dir", "folder", type=click.Path(path_type=Path, file_okay=False), default=Path(), show_default="here",
    help="The shelf: the folder that gets tools/ and tests/.",
)  # fmt: skip


def _modality(context: click.Context, parameter: click.Parameter, value: str) -> str:
    """The name of a modality that a tool can be written for; the shelves are read for one that is not ours."""
    from mmagent.registry import registry
    from mmagent.scaffold import modalities

    if value not in modalities():
        registry.listings()
    if value not in modalities():
        raise click.BadParameter(
            f"there is no {value!r} among {', '.join(modalities())}; name the folder that declares it in MMAGENT_PATH, "
            "and give its class a classmethod sample(cls, variant)"
        )
    return value


@click.group("new", short_help="Write a new tool or modality with its test.")
def command() -> None:
    """Write a new tool or modality with its test, to start from. Nothing is ever overwritten."""


@command.command()
@click.argument("name")
@click.option("--from", "source", metavar="MODALITY", default="image", show_default=True, callback=_modality)
@click.option("--to", "target", metavar="MODALITY", default="text", show_default=True, callback=_modality)
@FOLDER
def tool(name: str, source: str, target: str, folder: Path) -> None:
    """Write tools/NAME.py, a tool from one modality to another, and tests/test_NAME.py.

    A MODALITY is text, image, audio, speech, video, points, or one that a file on a shelf declares.
    """
    from mmagent.scaffold import new_tool

    _write(new_tool(name, source, target), folder)


@command.command()
@click.argument("name")
@FOLDER
def modality(name: str, folder: Path) -> None:
    """Write tools/NAME.py, a modality of your own with a tool that shows it, and tests/test_NAME.py."""
    from mmagent.scaffold import new_modality

    _write(new_modality(name), folder)


def _write(files: Files, folder: Path) -> None:
    from mmagent.scaffold import write

    written = write(files, folder)
    for path in written:
        click.echo(str(path))
    shelf = shlex.quote(str(folder.resolve()))
    say(f"try it:    mmagent tools check {shlex.quote(str(written[0]))}")
    say(f"test it:   python -m pytest {shlex.quote(str(written[1]))}")
    say(f"use it:    export MMAGENT_PATH={shelf}")
