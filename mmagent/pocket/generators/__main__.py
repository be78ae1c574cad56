"""`python -m mmagent.pocket.generators`: train the generators of the pocket world, ship them, and say how good they are."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

import click

from mmagent.errors import MissingExtra, MMAgentError
from mmagent.pocket.generators import ship as shipping
from mmagent.pocket.generators import stages

What = click.option(
    "--what", default="pictures", show_default=True, help="Or clips, sounds, autoencoder, sound-autoencoder.",
    type=click.Choice((*stages.PIPES, "autoencoder", "sound-autoencoder")),
)  # fmt: skip
Weights = click.option(
    "--from", "folder", type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder with a pipeline, or OUT/kept/STAGE of a training; what is shipped unless given.",
)  # fmt: skip
Seeds = click.option("--seeds", default="dev", show_default=True, help="Any word: another draws other prompts.")


@click.group()
def main() -> None:
    """Train the generators of the pocket world, ship them, and say how good they are."""


@main.command()
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Where runs lie.")
@click.option("--minutes", type=click.FloatRange(min=0), default=math.inf, help="Stop each after so long.")
@click.option(
    "--compile",
    "compiled",
    is_flag=True,
    help="Compile denoisers: minutes before the first step, and two thirds of the time for each. Needs a C++ compiler.",
)
@click.argument("names", nargs=-1, metavar="[NAME]...")
def train(out: Path, minutes: float, compiled: bool, names: tuple[str, ...]) -> None:
    """Train stages, all if none is named, from where they were left."""

    def tell(step: int, steps: int, losses: Mapping[str, float]) -> None:
        click.echo(f"{step}/{steps}  " + "  ".join(f"{key} {value:.4f}" for key, value in losses.items()))

    def prepared(done: int, total: int) -> None:
        click.echo(f"captions {done}/{total}")

    for name in names or stages.STAGES:
        folder = stages.train(name, out, minutes, tell, prepared, compiled)
        click.echo(f"{name}: {folder or 'not done yet; run the same command again'}")
        if folder is None:
            break


@main.command()
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Where runs lie.")
@click.argument("name", metavar="STAGE")
def ship(out: Path, name: str) -> None:
    """Put the generator that a stage of pictures, clips or sounds ends into the package, as float16."""
    click.echo(shipping.ship(out, name))


@main.command()
@What
@Weights
@click.option("--n", default=200, show_default=True, type=click.IntRange(min=2), help="Prompts of each set.")
@Seeds
@click.option("--json", "path", type=click.Path(dir_okay=False, path_type=Path), help="Write everything there, too.")
def score(what: str, folder: Path | None, n: int, seeds: str, path: Path | None) -> None:
    """Print what the judges find right on prompts of held-out compositions, as shares of their ceilings."""
    from mmagent.pocket.generators.scores.makers import MAKERS, maker
    from mmagent.pocket.generators.scores.media import KINDS
    from mmagent.pocket.generators.scores.score import score

    found = score(KINDS[MAKERS[what].kind], maker(what, folder), n, seeds, MAKERS[what].bar)
    click.echo(
        f"{what} of {folder or 'the package'}, held-out compositions, every other one in a new wording, seeds {seeds!r}"
    )
    click.echo("\n".join(found.lines()))
    if path is not None:
        told = {"what": what, "from": str(folder or "shipped"), "seeds": seeds, **found.data()}
        path.write_text(json.dumps(told, indent=1) + "\n", "utf-8")


@main.command()
@What
@Weights
@click.option("--n", default=8, show_default=True, type=click.IntRange(min=1), help="Prompts of each set.")
@Seeds
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Where they are written.")
def samples(what: str, folder: Path | None, n: int, seeds: str, out: Path) -> None:
    """Write what is made of prompts of held-out compositions, on a sheet with captions: PNG, GIF, or PNG and FLAC."""
    from mmagent.pocket.generators.scores.makers import MAKERS, maker
    from mmagent.pocket.generators.scores.media import KINDS
    from mmagent.pocket.generators.scores.score import prompted, rendered
    from mmagent.pocket.generators.scores.sheets import write

    name = MAKERS[what].kind
    prompts = prompted(KINDS[name], n, seeds)
    made = maker(what, folder)(prompts, rendered(KINDS[name], prompts))
    for path in write(name, made, [item.caption for item in prompts], out):
        click.echo(path)


@main.command()
@click.option("--what", default="pictures", show_default=True, type=click.Choice(stages.PIPES))
@Weights
@click.option("--n", default=20, show_default=True, type=click.IntRange(min=2), help="Prompts of each set.")
@Seeds
@click.option("--steps", multiple=True, type=click.IntRange(min=1), default=(8, 12, 20), show_default=True)
@click.option("--guidance", multiple=True, type=float, default=(3.0,), show_default=True)
@click.argument("names", nargs=-1, metavar="[SCHEDULER]...")
def schedulers(
    what: str, folder: Path | None, n: int, seeds: str, steps: tuple[int, ...], guidance: tuple[float, ...],
    names: tuple[str, ...],
) -> None:  # fmt: skip
    """Print what is right, and how long it takes, by schedulers of diffusers, steps and guidance, on the same prompts."""
    from mmagent.pocket.generators.scores.schedulers import SCHEDULERS, line, trials

    for sampling, scores in trials(what, folder, names or SCHEDULERS, steps, guidance, n, seeds):
        click.echo(line(sampling, scores))


if __name__ == "__main__":
    try:
        main(standalone_mode=False)
    except MMAgentError as error:
        raise SystemExit(str(error)) from None
    except ModuleNotFoundError as error:
        raise SystemExit(str(MissingExtra(error.name or "torch", "train", "the pocket world's generators"))) from None
    except click.ClickException as error:
        error.show()
        raise SystemExit(error.exit_code) from None
