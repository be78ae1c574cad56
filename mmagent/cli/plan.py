"""`mmagent plan`: what a request or a graph would take, without running anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from mmagent.cli.ask import agent_options, make_agent, make_policy, request
from mmagent.cli.output import printable, size, write_json

if TYPE_CHECKING:
    from mmagent.forecast import Forecast
    from mmagent.graph.checked import CheckedGraph


@click.command("plan", short_help="Show what a request or a graph would take.")
@click.argument("what", required=False, metavar="[REQUEST | GRAPH]")
@click.option("--in", "files", multiple=True, metavar="FILE | INPUT=VALUE", help="A file; of a graph, an input.")
@agent_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    what: str | None,
    files: Sequence[str],
    model: str,
    tool_files: Sequence[str],
    force: Sequence[str],
    forbid: Sequence[str],
    most: Sequence[str],
    budget: float | None,
    seed: int,
    hosts: Sequence[str],
    as_json: bool,
) -> None:
    """Show the nodes that would run, the way to each modality with the candidates that were refused and why, what has
    to be downloaded, memory and expected seconds. Nothing is run and nothing is fetched.

    A name of a graph, or a YAML file, is taken as a graph; anything else is a request.
    """
    if what is not None and is_graph(what):
        found = _graph(what, files, tool_files)
    else:
        agent = make_agent(model, tool_files)
        policy = make_policy(force, forbid, most, budget, seed)
        parts = request(what, files, hosts)
        if not parts:
            raise click.UsageError("nothing is asked; give a REQUEST, a GRAPH, or --in FILE")
        plan = agent.plan(*parts, policy=policy)
        found = {**_nodes(plan.graph), **_forecast(plan.forecast)}
        found["makes"] = {
            name: {
                "path": way.path, "wire": way.wire, "reason": way.reason,
                "candidates": [asdict(item) for item in way.candidates],
            }
            for name, way in plan.makes.items()
        }  # fmt: skip
        found["refused"] = dict(plan.refused)
    if as_json:
        write_json(found)
    else:
        click.echo(printable("\n".join(_lines(found))))


def is_graph(name: str) -> bool:
    """Whether a word names a graph: a YAML file, or one on a shelf."""
    from mmagent.shelf import graph_files

    return name.endswith((".yaml", ".yml")) or name in graph_files()


def _graph(name: str, files: Sequence[str], tool_files: Sequence[str]) -> dict[str, Any]:
    from mmagent.cli.inputs import graph_inputs, registry_with
    from mmagent.engine.graph import Graph
    from mmagent.forecast import forecast

    graph = Graph(name, registry=registry_with(tool_files))
    inputs = graph_inputs(graph, files)
    if inputs:
        graph.engine.check_inputs(graph.plan(), inputs)
    return {**_nodes(graph.checked), **_forecast(forecast([node.card for node in graph.checked.nodes]))}


def _nodes(graph: CheckedGraph) -> dict[str, Any]:
    nodes = [
        {
            "name": node.name, "tool": node.card.name, "kind": node.card.kind, "inserted": node.inserted,
            "seconds": node.card.cost,
            "from": [str(origin.node or origin.port) for edge in node.edges for origin in edge.origins],
        }
        for node in graph.nodes
    ]  # fmt: skip
    return {"graph": graph.spec.name, "nodes": nodes, "outputs": {n: str(p) for n, p in graph.output_ports.items()}}


def _forecast(forecast: Forecast) -> dict[str, Any]:
    downloads = [{"name": name, "bytes": count} for name, count in forecast.downloads]
    return {"downloads": downloads, "extras": forecast.extras, "memory": forecast.memory, "seconds": forecast.seconds}


def _lines(found: Mapping[str, Any]) -> list[str]:
    lines = [f"graph {found['graph']}"]
    for node in found["nodes"]:
        inserted = ", inserted" if node["inserted"] else ""
        lines.append(
            f"  {node['name']}: {node['tool']}, a {node['kind']}{inserted}, from {', '.join(node['from']) or 'nothing'}"
        )
    for name, way in found.get("makes", {}).items():
        lines.append(f"{name}: {' → '.join(way['path'])} by {way['wire']}: {way['reason']}")
        others = [item for item in way["candidates"] if not item["accepted"]]
        lines += [f"  not {' → '.join(item['path'])} by {item['wire']}: {item['reason']}" for item in others]
    lines += [f"{name}: cannot be made: {reason}" for name, reason in found.get("refused", {}).items()]
    total = sum(item["bytes"] for item in found["downloads"])
    lines.append(f"downloads: {size(total) if total else 'none'}")
    lines += [f"  {item['name']}, {size(item['bytes'])}: mmagent fetch {item['name']}" for item in found["downloads"]]
    lines.append(f"extras needed: {', '.join(found['extras']) or 'none'}")
    lines.append(f"memory: {size(found['memory'])}")
    lines.append(f"expected: {found['seconds']:.2g} s")
    return lines
