"""`python -m mmagent.pocket.judges`: train the judges, and say how good they are."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

import click

from mmagent.errors import MMAgentError
from mmagent.pocket.judges import judges, shipped

Names = click.argument("names", nargs=-1, metavar="[NAME]...")


@click.group()
def main() -> None:
    """Train the judges of the pocket world, and say how good they are. They are pictures, sounds and solids."""


@main.command()
@click.option(
    "--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Where runs and weights lie."
)
@click.option(
    "--minutes", type=click.FloatRange(min=0), default=math.inf, help="Stop each after so long, to be gone on with."
)
@Names
def train(out: Path, minutes: float, names: tuple[str, ...]) -> None:
    """Train judges, all if none is named, from where they were left."""

    def tell(step: int, steps: int, losses: Mapping[str, float]) -> None:
        if step % 100 == 0:
            click.echo(f"{step}/{steps}  " + "  ".join(f"{key} {value:.3f}" for key, value in losses.items()))

    for name in names or judges.JUDGES:
        path = judges.train(name, out, minutes, tell)
        click.echo(f"{name}: {path or 'not done yet; run the same command again'}")


@main.command()
@click.option("--weights", type=click.Path(exists=True, file_okay=False, path_type=Path), default=shipped.WEIGHTS)
@click.option("--n", default=300, show_default=True, type=click.IntRange(min=1), help="Media of each set and kind.")
@click.option("--seeds", default="dev", show_default=True, help="Any word: another draws other media.")
@click.option(
    "--json", "path", type=click.Path(dir_okay=False, path_type=Path), help="Write everything there, as JSON."
)
@Names
def score(weights: Path, n: int, seeds: str, path: Path | None, names: tuple[str, ...]) -> None:
    """Print ceilings on true media, the share of nonsense that is refused, and what is taken for what."""
    told = []
    for name in names or judges.JUDGES:
        for report in judges.score(name, n, seeds, weights):
            click.echo("\n".join(report.lines()))
            told.append(report.data())
    if path is not None:
        path.write_text(json.dumps(told) + "\n", "utf-8")


if __name__ == "__main__":
    try:
        main(standalone_mode=False)
    except MMAgentError as error:
        raise SystemExit(str(error)) from None
    except click.ClickException as error:
        error.show()
        raise SystemExit(error.exit_code) from None
