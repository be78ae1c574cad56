"""`mmagent graph`: list the graphs of every shelf, show one, check files, run one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mmagent.cli import inputs as words
from mmagent.cli import outcome
from mmagent.cli.exits import FAILED, FAULTS
from mmagent.cli.output import printable, table, write_json
from mmagent.cli.watch import Watch

if TYPE_CHECKING:
    from mmagent.graph.library import GraphListing


@click.group("graph", short_help="List, show, check and run graphs.")
def command() -> None:
    """List, show, check and run graphs. A graph is named by its name on a shelf or by its YAML file."""


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(as_json: bool) -> None:
    """List every graph, those that cannot be used with the reason."""
    from mmagent.graph.library import Library

    listings = Library().graphs()
    if as_json:
        write_json([_as_data(item) for item in listings])
    else:
        table(("graph", "in", "out", ""), [_row(item) for item in listings])


@command.command()
@click.argument("name")
@click.option("--format", "form", type=click.Choice(["mermaid", "svg", "yaml"]), default="mermaid", show_default=True)
def show(name: str, form: str) -> None:
    """Print a graph as Mermaid text, an SVG picture or YAML."""
    from mmagent.engine.graph import Graph
    from mmagent.graph import yaml

    if form == "yaml":
        from mmagent.graph.library import Library

        shown = yaml.dump(Library().load(name))
    else:
        graph = Graph(name)
        shown = graph.svg() if form == "svg" else graph.mermaid()
    click.echo(shown.rstrip("\n"))


@command.command()
@click.argument("names", nargs=-1, required=True, metavar="FILE...")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(names: Sequence[str], as_json: bool) -> None:
    """Check graphs and print every fault of each. Exit code 3 if there is one."""
    from dataclasses import asdict

    from mmagent.errors import GraphError
    from mmagent.graph.library import Library

    library = Library()
    found: dict[str, list[dict[str, str]]] = {}
    for name in names:
        try:
            library.checked(name)
            found[name] = []
        except GraphError as error:
            found[name] = [asdict(fault) for fault in error.faults]
            if not as_json:
                click.echo(printable("\n".join(map(str, error.faults))))
        if not as_json and not found[name]:
            click.echo(f"{name}: no fault")
    if as_json:
        write_json(found)
    if any(found.values()):
        raise click.exceptions.Exit(FAULTS)


@command.command()
@click.argument("name")
@click.argument("given", nargs=-1, metavar="INPUT=VALUE...")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="The folder for outputs other than text.")
@click.option("--as", "forms", multiple=True, metavar="ENDING", help="How to write outputs: mp4, gif, flac, webp …")
@click.option("--set", "chosen", multiple=True, metavar="NODE.SETTING=VALUE", help="Give a node this setting.")
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed gives the same outputs.")
@click.option("--tool", "tool_files", multiple=True, type=click.Path(), help="A Python file with further tools.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def run(
    name: str,
    given: Sequence[str],
    out: Path | None,
    forms: Sequence[str],
    chosen: Sequence[str],
    seed: int,
    tool_files: Sequence[str],
    quiet: bool,
    as_json: bool,
) -> None:
    """Run a graph. An input is a file, or words for a text input (@FILE reads a text file).

    Text outputs are printed, and with --out saved like the others: without loss, or with --as, which may be given
    several times, as files of that kind where an output can be written so. Exit code 5 if a node failed; the outputs that
    could be made are kept.
    """
    from mmagent.engine.graph import Graph
    from mmagent.graph.library import Library

    library = Library(words.registry_with(tool_files))
    spec = words.with_settings(library.load(name), chosen, library)
    graph = Graph(spec, registry=library.registry)
    values = words.graph_inputs(graph, given)
    asked = outcome.endings(forms, graph.checked.output_ports)
    if out is None and (asked or any(port.modality != "text" for port in graph.checked.output_ports.values())):
        made = ", ".join(f"{output} ({port})" for output, port in graph.checked.output_ports.items())
        raise click.UsageError(f"{spec.name} gives {made}; say where to keep it: --out FOLDER")
    stream = graph.engine.stream(graph.plan(), values, seed=seed, partial=True, registry=library.registry)
    with Watch(quiet=quiet) as watch:
        for event in stream:
            watch.see(event)
    result = stream.result
    kept = {output: outcome.keep(output, value, out, asked) for output, value in result.outputs.items()}
    if as_json:
        write_json(outcome.as_data(result, kept))
    else:
        outcome.tell(result, kept)
    if result.failures:
        raise click.exceptions.Exit(FAILED)


def _row(item: GraphListing) -> tuple[str, ...]:
    if item.broken or item.spec is None:
        return item.name, "broken", "", f"{item.origin}: {item.broken}"
    ports = ", ".join(f"{name}: {port}" for name, port in item.spec.inputs.items())
    return item.name, ports, ", ".join(item.spec.outputs), item.spec.doc.strip().split("\n")[0]


def _as_data(item: GraphListing) -> dict[str, Any]:
    found: dict[str, Any] = {"name": item.name, "origin": item.origin, "broken": item.broken}
    if item.spec is not None:
        found["inputs"] = {name: str(port) for name, port in item.spec.inputs.items()}
        found |= {"outputs": list(item.spec.outputs), "doc": item.spec.doc}
    return found
