"""`mmagent eval`: ask systems the questions of data sets, score what they say, and have people compare them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mmagent.cli.ask import make_agent, make_policy
from mmagent.cli.eval_media import distance, retrieval
from mmagent.cli.eval_raters import pairwise, votes
from mmagent.cli.output import console, printable, say, table, write_json
from mmagent.errors import IntakeError

if TYPE_CHECKING:
    from mmagent.evaluation.report import Report
    from mmagent.evaluation.runs import AgentAnswers
    from mmagent.training.data import Source

FOLDER = click.Path(path_type=Path, file_okay=False)
FILE = click.Path(path_type=Path)
Show = Callable[[str, int, int], None]


@click.group("eval", short_help="Score models and agents on data sets.")
def command() -> None:
    """Score models and agents on data sets, and have people compare them."""


def metrics_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """The metrics, comma-separated or several times; --json."""
    help = "vqa exact-match f1 bleu rouge-l meteor cider wer cer presence routing; separated by commas."
    function = click.option("--json", "as_json", is_flag=True, help="Print JSON and nothing else.")(function)
    return click.option("--metrics", required=True, multiple=True, metavar="NAMES", help=help)(function)


@command.command("run")
@click.option("--data", "data", required=True, multiple=True, metavar="LAYOUT:PATHS",
              help="What to ask, such as jsonl:records.jsonl or vqa:QUESTIONS,ANNOTATIONS,IMAGES (may be repeated).")  # fmt: skip
@click.option("--agent", "agents", multiple=True, default=("pocket",), show_default=True, metavar="MODEL",
              help="Who is asked: a model's name or folder (may be repeated).")  # fmt: skip
@metrics_option
@click.option("--shots", multiple=True, type=click.IntRange(min=0), default=(0,), show_default=True,
              help="Examples before each question (may be repeated).")  # fmt: skip
@click.option("--examples", metavar="LAYOUT:PATHS", help="Where examples come from; the same data if not given.")
@click.option("--perturb", multiple=True, metavar="NAME[=STRENGTH]",
              help="Ask again under noise, blur, typos or paraphrase, or the controls exchanged and blind (may be repeated).")  # fmt: skip
@click.option("--template", default="", metavar="NAME", help="Words for data sets that hold facts.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="A sample of N records of each data set.")
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed asks the same.")
@click.option("--forbid", multiple=True, metavar="MODALITY", help="It must not be made.")
@click.option("--tool", "tool_files", multiple=True, type=click.Path(), metavar="FILE",
              help="Give the agents the tools of this file (may be repeated).")  # fmt: skip
@click.option(
    "--out", type=FOLDER, default=Path("eval"), show_default=True, help="The folder of predictions and report."
)
@click.option("--resume", is_flag=True, help="Go on with the predictions that are in the folder.")
@click.option("--skip-bad", is_flag=True, help="Pass over records that cannot be used; bad.jsonl tells them.")
@click.option("--no-inputs", is_flag=True, help="Keep no media of requests beside the predictions.")
@click.option("--no-plots", is_flag=True, help="Draw nothing.")
def run(
    data: Sequence[str],
    agents: Sequence[str],
    metrics: Sequence[str],
    shots: Sequence[int],
    examples: str | None,
    perturb: Sequence[str],
    template: str,
    limit: int | None,
    seed: int,
    forbid: Sequence[str],
    tool_files: Sequence[str],
    out: Path,
    resume: bool,
    skip_bad: bool,
    no_inputs: bool,
    no_plots: bool,
    as_json: bool,
) -> None:
    """Ask every agent the questions of every data set, and score the answers.

    Each prediction is written to predictions.jsonl as it comes, so that a run that was stopped goes on with --resume.
    Several agents and data sets make a transfer table: the models trained on different sets, by the sets scored on.
    """
    from mmagent.evaluation.data import open_data
    from mmagent.evaluation.prediction import FILE as PREDICTIONS
    from mmagent.evaluation.report import Report
    from mmagent.evaluation.runs import conditions
    from mmagent.evaluation.runs import run as ask_all
    from mmagent.training.data import BadRecords

    names = _names(metrics)
    with _usage("--perturb"):
        asked = conditions(list(dict.fromkeys(shots)), perturb)
    if (out / PREDICTIONS).exists() and not resume:
        raise click.UsageError(f"{out} holds predictions; go on with them with --resume, or choose another --out")
    sources = _sources(data, template, seed)
    systems = {name: partial(_answerer, name, tool_files, forbid, seed) for name in agents}
    bad = BadRecords("skip", report=out / "bad.jsonl") if skip_bad else BadRecords()
    with _progress(quiet=as_json) as show:
        found = ask_all(
            systems,
            sources,
            out,
            conditions=asked,
            limit=limit,
            seed=seed,
            examples=open_data(examples, template, seed) if examples else None,
            settings={"forbid": " ".join(sorted(forbid)), "tools": " ".join(tool_files)},
            bad=bad,
            keep_inputs=not no_inputs,
            progress=show,
        )
    if bad.count:
        say(f"{bad.count} records could not be used; {out / 'bad.jsonl'} tells why")
    _tell(Report.of(found, names), out, plots=not no_plots, as_json=as_json)


@command.command()
@click.argument("predictions", nargs=-1, required=True, type=FILE)
@metrics_option
@click.option("--out", type=FOLDER, help="Save the report and its plots in this folder.")
def score(predictions: Sequence[Path], metrics: Sequence[str], out: Path | None, as_json: bool) -> None:
    """Score predictions that were kept: files, or folders of runs. No model is needed."""
    from mmagent.evaluation.prediction import read
    from mmagent.evaluation.report import Report

    found = [(path, item) for path in predictions for item in read(path)]
    if len(predictions) > 1:
        found = [
            (path, item.model_copy(update={"settings": {**item.settings, "file": str(path)}})) for path, item in found
        ]
    _tell(Report.of([item for _, item in found], _names(metrics)), out, plots=True, as_json=as_json)


def _names(given: Sequence[str]) -> list[str]:
    """Metrics, each once, in the order given; a usage error for an unknown one."""
    from mmagent.evaluation.scoring import check

    names = list(dict.fromkeys(name.strip() for item in given for name in item.split(",") if name.strip()))
    with _usage("--metrics"):
        check(names)
    return names


@contextmanager
def _usage(option: str) -> Iterator[None]:
    """What is wrong with the words of an option is a usage error."""
    try:
        yield
    except IntakeError as error:
        raise click.BadParameter(str(error), param_hint=option) from error


def _sources(data: Sequence[str], template: str, seed: int) -> dict[str, Source]:
    """Data sets by their own names; by what was typed where two have the same."""
    from mmagent.evaluation.data import open_data

    opened = [(spec, open_data(spec, template, seed)) for spec in dict.fromkeys(data)]
    names = [source.name for _, source in opened]
    return {spec if names.count(source.name) > 1 else source.name: source for spec, source in opened}


def _answerer(model: str, tool_files: Sequence[str], forbid: Sequence[str], seed: int) -> AgentAnswers:
    from mmagent.evaluation.runs import AgentAnswers

    return AgentAnswers(make_agent(model, tool_files), make_policy((), forbid, (), None, seed))


def _tell(report: Report, out: Path | None, *, plots: bool, as_json: bool) -> None:
    """Save a report if there is a folder for it, and print it."""
    written = [] if out is None else report.save(out, plots=False)
    if as_json:
        write_json(report.model_dump())
    else:
        table(*report.rows())
    if out is not None and plots:  # last, since without matplotlib this fails
        written = report.save(out)
    for path in written if not as_json else ():
        say(str(path))


@contextmanager
def _progress(quiet: bool) -> Iterator[Show]:
    """A bar for each combination on a terminal; elsewhere a line when each begins; or nothing."""
    out = console()
    if quiet or not out.is_terminal:
        begun: set[str] = set()

        def tell(what: str, done: int, total: int) -> None:
            if what not in begun and not quiet:
                say(f"{what} ({total} records)")
            begun.add(what)

        yield tell
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    words = TextColumn("{task.description}", markup=False)
    with Bars(words, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=out) as bars:
        tasks: dict[str, TaskID] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(printable(what), total=total)
            bars.update(tasks[what], completed=done)

        yield show


for item in (pairwise, votes, distance, retrieval):
    command.add_command(item)
