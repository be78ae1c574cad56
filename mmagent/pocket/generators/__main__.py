"""`python -m mmagent.pocket.generators`: train the generators of the pocket world, stage by stage."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import click

from mmagent.errors import MMAgentError
from mmagent.pocket.generators import stages


@click.group()
def main() -> None:
    """Train the generators of the pocket world, stage by stage."""


@main.command()
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Where runs lie.")
@click.option("--minutes", type=click.FloatRange(min=0), default=math.inf, help="Stop each after so long.")
@click.argument("names", nargs=-1, metavar="[NAME]...")
def train(out: Path, minutes: float, names: tuple[str, ...]) -> None:
    """Train stages, all if none is named, from where they were left."""

    def tell(step: int, steps: int, losses: Mapping[str, float]) -> None:
        click.echo(f"{step}/{steps}  " + "  ".join(f"{key} {value:.4f}" for key, value in losses.items()))

    for name in names or stages.STAGES:
        folder = stages.train(name, out, minutes, tell, lambda done, total: click.echo(f"captions {done}/{total}"))
        click.echo(f"{name}: {folder or 'not done yet; run the same command again'}")
        if folder is None:
            break


@main.command()
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Where runs lie.")
@click.argument("name", metavar="STAGE")
def ship(out: Path, name: str) -> None:
    """Put what a stage of the pictures left into the package, as float16."""
    stages.find(name)
    click.echo(stages.ship_pictures(out, name))


if __name__ == "__main__":
    try:
        main(standalone_mode=False)
    except MMAgentError as error:
        raise SystemExit(str(error)) from None
    except click.ClickException as error:
        error.show()
        raise SystemExit(error.exit_code) from None
