"""`mmagent tools`: list the tools of every shelf, show one card, prove that a tool is what its card says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mmagent.cli import inputs as words
from mmagent.cli.exits import TOOL
from mmagent.cli.output import printable, size, table, write_json

if TYPE_CHECKING:
    from mmagent.card import Card
    from mmagent.conformance import Finding
    from mmagent.registry import Listing
    from mmagent.tool import ToolType

MARKS = {"ok": ("ok  ", "green"), "fail": ("FAIL", "red"), "skip": ("-   ", "bright_black")}


@click.group("tools", short_help="List, show and check tools.")
def command() -> None:
    """List, show and check tools."""


@command.command("list")
@click.option("--modality", help="Only tools that take or make this modality.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(modality: str | None, as_json: bool) -> None:
    """List every tool, and every file that should hold one but is broken, with the cause."""
    from mmagent.media import modality as known
    from mmagent.registry import registry

    listings = registry.listings()
    if modality is not None:
        known(modality)
        listings = [item for item in listings if item.card and modality in _modalities(item.card)]
    if as_json:
        write_json([_as_data(item) for item in listings])
    else:
        table(("tool", "kind", "in", "out", ""), [_row(item) for item in listings])


@command.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(name: str, as_json: bool) -> None:
    """Show a tool's card: ports, settings, cost, needs, concurrency. NAME is a tool's name or a Python file."""
    tools, _ = find(name)
    if as_json:
        write_json([asdict(item.card) for item in tools])
        return
    for item in tools:
        click.echo(printable(_describe(item.card)))


@command.command()
@click.argument("name")
@click.option("--in", "given", multiple=True, metavar="PORT=FILE", help="Try this input, not a generated one.")
@click.option("--set", "chosen", multiple=True, metavar="SETTING=VALUE", help="Try it with this setting.")
@click.option("--only", multiple=True, metavar="CHECK", help="Run this check alone (may be repeated).")
@click.option(
    "--bound", type=click.FloatRange(min=0), default=5.0, show_default=True, help="Seconds to stop in once cancelled."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(
    name: str, given: Sequence[str], chosen: Sequence[str], only: Sequence[str], bound: float, as_json: bool
) -> None:
    """Prove that a tool is what its card says. NAME is a tool's name or a Python file that defines tools.

    Checked are a cheap constructor, the types of its outputs, its declared choices, determinism under a seed, the
    claimed concurrency, unloading and cancelling. Exit code 4 if a check fails.
    """
    from mmagent.conformance import CHECKS
    from mmagent.conformance import check as examine

    unknown = [item for item in only if item not in CHECKS]
    if unknown:
        raise click.BadParameter(f"no check {unknown[0]!r}; there are {', '.join(CHECKS)}", param_hint="--only")
    tools, file = find(name)
    findings: list[Finding] = []
    for item in tools:
        ports = {port.name: port for port in item.card.inputs}
        media = words.by_port(given, ports, "--in", item.card.name)
        values = words.settings(chosen, item.card, "--set")
        for finding in examine(item, inputs=media, settings=values, file=file, bound=bound, only=only):
            findings.append(finding)
            if not as_json:
                _tell(finding)
    if as_json:
        write_json([asdict(finding) for finding in findings])
    if any(finding.status == "fail" for finding in findings):
        raise click.exceptions.Exit(TOOL)


def find(name: str) -> tuple[list[ToolType], Path | None]:
    """The tools that a name or a Python file stands for, and the file if it is one."""
    from mmagent.registry import registry

    path = Path(name)
    if path.suffix == ".py":
        from mmagent.conformance.files import load_file

        return load_file(path), path
    return [registry.find(name)], None


def _tell(finding: Finding) -> None:
    mark, colour = MARKS[finding.status]
    click.echo(f"{click.style(mark, fg=colour)} {finding.tool}  {finding.check}: {printable(finding.detail)}")


def _modalities(card: Card) -> set[str]:
    return {port.modality for port in (*card.inputs, *card.outputs)}


def _row(item: Listing) -> tuple[str, ...]:
    if item.card is None:
        return item.name, "broken", "", "", f"{item.origin}: {item.broken}"
    card = item.card
    doc = card.doc.strip().splitlines()[0] if card.doc.strip() else ""
    return card.name, card.kind, _ports(card.inputs), _ports(card.outputs), doc


def _ports(ports: Sequence[object]) -> str:
    return ", ".join(map(str, ports))


def _as_data(item: Listing) -> dict[str, object]:
    card = asdict(item.card) if item.card else None
    return {"name": item.name, "origin": item.origin, "broken": item.broken, "card": card}


def _describe(card: Card) -> str:
    lines = [f"{card.name}  {card.kind}", *(f"  {line.strip()}" for line in card.doc.strip().splitlines())]
    lines += [f"  in   {port.name}: {port}" for port in card.inputs]
    lines += [f"       exactly one of {', '.join(card.either)} is given"] if card.either else []
    lines += [f"  out  {port.name}: {port}" for port in card.outputs]
    for item in card.settings:
        kind = " | ".join(map(str, item.choices)) or item.type
        value = "required" if item.required else f"default {item.default!r}"
        lines.append(
            f"  set  {item.name}: {kind}, {value}, {'to the constructor' if item.at == 'load' else 'to each call'}"
        )
    lines.append(f"  about {card.cost:g} s a call, {size(card.memory)} of memory, {card.concurrency}")
    traits = [name for name in ("lossy", "inline", "context") if getattr(card, name)]
    traits += [] if card.cacheable else ["not cacheable"]
    lines += [f"  {', '.join(traits)}"] if traits else []
    lines += [f"  needs {', '.join(card.needs)}"] if card.needs else []
    return "\n".join(lines)
