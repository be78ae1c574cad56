"""`mmagent eval distance` and `retrieval`: media by the vectors of an encoder."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mmagent.cli.output import say, table, write_json

if TYPE_CHECKING:
    from mmagent.training.shards import Features

FOLDER = click.Path(path_type=Path, file_okay=False)
KEEP = click.option(
    "--features", type=FOLDER, metavar="FOLDER", help="Keep what the encoder made here, for the next time."
)


@click.command()
@click.argument("one", type=FOLDER)
@click.argument("other", type=FOLDER)
@click.option("--encoder", required=True, metavar="TOOL", help="The encoder tool that extracts features.")
@click.option("--modality", default="image", show_default=True, help="Which media of the folders are compared.")
@KEEP
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def distance(one: Path, other: Path, encoder: str, modality: str, features: Path | None, as_json: bool) -> None:
    """The Fréchet distance between two folders of media, or the media that two runs made."""
    from mmagent.evaluation.features import media_in, vectors
    from mmagent.evaluation.metrics import frechet

    with _features(encoder, features) as made:
        found = frechet(*(vectors(made, media_in(folder, modality)) for folder in (one, other)))
    if as_json:
        write_json({"encoder": encoder, **asdict(found)})
    else:
        table(
            ("distance", "media", "width", "encoder"),
            [(f"{found.value:.4g}", "{} and {}".format(*found.n), found.width, encoder)],
        )
        for warning in found.warnings:
            say(f"warning: {warning}")


@click.command()
@click.option("--data", required=True, metavar="LAYOUT:PATHS", help="Media and what is said of them.")
@click.option("--encoder", required=True, metavar="TOOL", help="The encoder of the media.")
@click.option("--words", required=True, metavar="TOOL", help="The encoder of the words, into the same space.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="A sample of N records.")
@click.option("--seed", type=int, default=0, show_default=True, help="Which sample.")
@KEEP
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def retrieval(
    data: str, encoder: str, words: str, limit: int | None, seed: int, features: Path | None, as_json: bool
) -> None:
    """How well media find their captions and captions their media: recall@k and MAP."""
    from mmagent.evaluation.data import open_data
    from mmagent.evaluation.features import matching
    from mmagent.evaluation.runs import Sample

    source = open_data(data, seed=seed)
    source = Sample(source, limit, seed) if limit else source
    with _features(encoder, features) as of_media, _features(words, features) as of_words:
        found = matching(source, of_media, of_words)
    if as_json:
        write_json({name: asdict(score) for name, score in found.items()})
    else:
        table(("score", "", "n"), [(name, score, score.n) for name, score in found.items()])


@contextmanager
def _features(encoder: str, folder: Path | None) -> Iterator[Features]:
    """The encoder of that name with what it has made, or is to make; without a folder that is forgotten afterwards."""
    from mmagent.registry import registry
    from mmagent.training.shards import Features

    with (
        tempfile.TemporaryDirectory() as empty,
        Features(registry.find(encoder), folder or empty, dtype="float32") as features,
    ):
        yield features
