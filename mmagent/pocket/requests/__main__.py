"""`python -m mmagent.pocket.requests`: write what people ask of the pocket model as records to train on."""

from __future__ import annotations

from pathlib import Path

import click

from mmagent.errors import MMAgentError
from mmagent.pocket.requests.records import NAMES
from mmagent.pocket.requests.records import write as write_records


@click.command()
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="The folder of the files.")
@click.option("--n", default=1000, show_default=True, type=click.IntRange(min=1), help="Requests of each kind.")
@click.option("--seeds", default="dev", show_default=True, help="Any word: another draws other requests.")
@click.option("--tested", is_flag=True, help="Held-out compositions, in wordings that are never trained on.")
@click.argument("names", nargs=-1, metavar="[KIND]...", type=click.Choice(NAMES))
def main(out: Path, n: int, seeds: str, tested: bool, names: tuple[str, ...]) -> None:
    """Write requests, of all kinds if none is named: a JSONL and the media that it shows for each.

    Kinds are the cells of the matrix, as image-sound, and 2-parts, 3-parts, second-turn.
    """
    for path in write_records(out, n, seeds, names or NAMES, tested=tested):
        click.echo(path)


if __name__ == "__main__":
    try:
        main(standalone_mode=False)
    except MMAgentError as error:
        raise SystemExit(str(error)) from None
    except click.ClickException as error:
        error.show()
        raise SystemExit(error.exit_code) from None
