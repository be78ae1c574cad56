"""`mmagent doctor`: what is missing, and the command that gets it."""

from __future__ import annotations

from dataclasses import asdict

import click

from mmagent.cli.exits import FINDINGS
from mmagent.cli.output import printable, write_json


@click.command("doctor", short_help="Say what is missing and the command that gets it.")
@click.option("--model", default="pocket", show_default=True, help="The model that should be able to answer.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(model: str, as_json: bool) -> None:
    """Say what is missing, and the command that gets it. Exit code 1 if the agent cannot answer without it."""
    from mmagent.cli.health import examine

    items = list(examine(model))
    lacking = [item for item in items if item.needed and not item.ok]
    if as_json:
        write_json({"ok": not lacking, "items": [asdict(item) for item in items]})
    else:
        for item in items:
            mark, colour = ("ok  ", "green") if item.ok else ("MISS", "red") if item.needed else ("-   ", "yellow")
            click.echo(f"{click.style(mark, fg=colour)} {printable(f'{item.name}: {item.detail}')}")
            if not item.ok and item.command:
                click.echo(f"       → {printable(item.command)}")
        click.echo(f"{model} lacks {len(lacking)} of what it needs" if lacking else f"{model} has all that it needs")
    if lacking:
        raise click.exceptions.Exit(FINDINGS)
