"""`python -m mmagent.pocket.world`: write media of the pocket world with their captions, or a page of samples."""

from __future__ import annotations

from pathlib import Path

import click

from mmagent.errors import MMAgentError
from mmagent.pocket.world import files, page


@click.group()
def main() -> None:
    """Write media of the pocket world with their captions, or a page of samples."""


@main.command()
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="The folder of the files.")
@click.option("--n", default=1000, show_default=True, type=click.IntRange(min=1), help="Media of each modality.")
@click.option("--seeds", default="dev", show_default=True, help="Any word: another draws other media.")
@click.option("--split", default="trained", show_default=True, type=click.Choice(tuple(files.SPLITS)), help="Compositions to train on, or those held out.")  # fmt: skip
@click.argument("names", nargs=-1, metavar="[MODALITY]...", type=click.Choice(tuple(files.KINDS)))
def write(out: Path, n: int, seeds: str, split: str, names: tuple[str, ...]) -> None:
    """Write media, of all modalities if none is named, and a JSONL of gold pairs beside each folder of them."""
    for name in names or files.KINDS:
        click.echo(files.write(out, name, n, seeds, split))


@main.command("page")
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="The HTML file.")
@click.option("--n", default=24, show_default=True, type=click.IntRange(min=1), help="Samples of each modality.")
@click.option("--seeds", default="page", show_default=True, help="Any word: another draws other samples.")
def show(out: Path, n: int, seeds: str) -> None:
    """Write a page with samples of every modality and the table of things."""
    click.echo(page.write_page(out, n, seeds))


if __name__ == "__main__":
    try:
        main(standalone_mode=False)
    except MMAgentError as error:
        raise SystemExit(str(error)) from None
    except click.ClickException as error:
        error.show()
        raise SystemExit(error.exit_code) from None
