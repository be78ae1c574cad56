"""`mmagent eval pairwise` and `votes`: a page for human raters, and what they chose."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from mmagent.cli.output import say, table, write_json

FOLDER = click.Path(path_type=Path, file_okay=False)
FILE = click.Path(path_type=Path)


@click.command()
@click.argument("one", type=FILE)
@click.argument("other", type=FILE)
@click.option("--out", type=FOLDER, default=Path("pairs"), show_default=True, help="The folder for page and key.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="At most N pairs.")
@click.option("--seed", type=int, default=0, show_default=True, help="Which pairs, in which order, on which sides.")
def pairwise(one: Path, other: Path, out: Path, limit: int | None, seed: int) -> None:
    """Write a page on which people choose between the answers of two runs, without seeing whose they are.

    ONE and OTHER are predictions.jsonl or the folders of runs. Give raters the folder `page`, and keep `key.json`.
    """
    from mmagent.evaluation.prediction import read
    from mmagent.evaluation.raters import Key, pair, write
    from mmagent.intake import write_atomic

    pairs = pair(read(one), read(other), seed, limit)
    key = Key.of(pairs, (str(one), str(other)))
    homes = (one if one.is_dir() else one.parent, other if other.is_dir() else other.parent)
    page = write(pairs, key, homes, out / "page")
    write_atomic(out / "key.json", key.model_dump_json(indent=1).encode())
    click.echo(page)
    say(f"{len(pairs)} pairs; give raters the folder {out / 'page'}, and keep {out / 'key.json'} from them")


@click.command()
@click.argument("votes", nargs=-1, required=True, type=FILE)
@click.option("--key", "key_file", required=True, type=FILE, help="The key.json that was written with the page.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def votes(votes: Sequence[Path], key_file: Path, as_json: bool) -> None:
    """Count the votes of one rater or several, and say which run was preferred."""
    from mmagent.evaluation.raters import Key, Votes, tally

    verdict = tally(Key.load(key_file), [Votes.load(path) for path in votes])
    if as_json:
        write_json(verdict.model_dump())
        return
    rows = [(name, count, share or "") for name, count, share in zip(verdict.systems, verdict.counts, verdict.wins)]
    table(("run", "preferred", "share of decided"), rows)
    say(
        f"{verdict.ties} ties, {verdict.pairs} pairs, {verdict.raters} raters; p = {verdict.p:.3g} if they are equally good"
    )
    say(
        f"raters agree: {verdict.agreement or 'told by several alone'}; the left side was chosen: {verdict.left or 'never'}"
    )
