"""`python -m mmagent.pocket.encoders`: train the encoders of sounds and of solids."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import click

from mmagent.errors import MMAgentError
from mmagent.pocket.encoders import shipped
from mmagent.pocket.encoders.tasks import TASKS
from mmagent.training.loop import fit


@click.group()
def main() -> None:
    """Train the encoders of the pocket model's own: sounds, solids."""


@main.command()
@click.option(
    "--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Where runs and weights lie."
)
@click.option("--minutes", type=click.FloatRange(min=0), default=math.inf, help="Stop each after so long.")
@click.argument("names", nargs=-1, metavar="[NAME]...", type=click.Choice(tuple(TASKS)))
def train(out: Path, minutes: float, names: tuple[str, ...]) -> None:
    """Train encoders, both if none is named, from where they were left."""

    def tell(step: int, steps: int, losses: Mapping[str, float]) -> None:
        if step % 100 == 0:
            click.echo(f"{step}/{steps}  " + "  ".join(f"{key} {value:.3f}" for key, value in losses.items()))

    for name in names or TASKS:
        task = TASKS[name]()
        step = fit(task, task.recipe, out / name, minutes=minutes, report=tell)
        if step < task.recipe.steps:
            click.echo(f"{name}: not done yet; run the same command again")
            continue
        click.echo(f"{name}: {shipped.save(task.encoder, name, out)}")
        told = "  ".join(f"{question} {share:.3f}" for question, share in task.held_out().items())
        click.echo(f"right of media that it was not trained on: {told}")


if __name__ == "__main__":
    try:
        main(standalone_mode=False)
    except MMAgentError as error:
        raise SystemExit(str(error)) from None
    except click.ClickException as error:
        error.show()
        raise SystemExit(error.exit_code) from None
