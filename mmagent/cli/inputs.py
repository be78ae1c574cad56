"""Media and settings out of command-line words: files by the guarded door, `port=value`, `setting=value`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mmagent.card import ANY, Card, Port, Scalar, Setting
from mmagent.media import Media, Text, modality

if TYPE_CHECKING:
    from mmagent.engine.graph import Graph
    from mmagent.graph.library import Library
    from mmagent.graph.spec import GraphSpec
    from mmagent.registry import Registry


def pairs(given: Iterable[str], option: str) -> list[tuple[str, str]]:
    """Each `name=value` split at its first equals sign; a usage error for one without."""
    found = []
    for item in given:
        name, equals, value = item.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"{item!r} is not NAME=VALUE", param_hint=option)
        found.append((name, value))
    return found


def by_port(given: Iterable[str], ports: Mapping[str, Port], option: str, owner: str) -> dict[str, list[Media]]:
    """Media for named ports, several for a port that is named several times; a usage error for an unknown port."""
    found: dict[str, list[Media]] = {}
    for name, value in pairs(given, option):
        if name not in ports:
            known = ", ".join(f"{port.name} ({port})" for port in ports.values()) or "none"
            raise click.BadParameter(f"{owner} has no input {name!r}; it has {known}", param_hint=option)
        found.setdefault(name, []).append(medium(value, ports[name]))
    return found


def medium(value: str, port: Port) -> Media:
    """The value of a port: words for a text port (`@FILE` reads a text file), a path, data URI for any other.

    A port of any modality takes a path where there is such a file, words otherwise. IntakeError if a file is refused.
    """
    if port.modality in ("text", ANY) and value.startswith("@"):
        return Text.open(value[1:])
    if port.modality == "text" or (port.modality == ANY and not _is_file(value)):
        return Text(value)
    kind = Media if port.modality == ANY else modality(port.modality)
    return kind.open(value)


def plain(value: str, setting: Setting, option: str) -> Scalar:
    """A setting's value out of a word; `none` for one that may be left empty. A usage error if it is of another type."""
    if value == "none" and setting.optional:
        return None
    try:
        if setting.type == "bool":
            return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}[value.lower()]
        kinds: dict[str, type[str] | type[int] | type[float]] = {"str": str, "int": int, "float": float}
        return kinds[setting.type](value)
    except (ValueError, KeyError):
        raise click.BadParameter(f"{setting.name} takes {setting.type}, not {value!r}", param_hint=option) from None


def settings(given: Iterable[str], card: Card, option: str) -> dict[str, Scalar]:
    """Settings of one tool out of `name=value` words; a usage error for an unknown one, CardError for a wrong choice."""
    found: dict[str, Scalar] = {}
    for name, value in pairs(given, option):
        setting = card.setting(name)
        if setting is None:
            known = ", ".join(item.name for item in card.settings) or "none"
            raise click.BadParameter(f"{card.name} has no setting {name!r}; it has {known}", param_hint=option)
        found[name] = setting.check(plain(value, setting, option), card.name)
    return found


def files(paths: Sequence[str], hosts: Sequence[str] = ()) -> list[Media]:
    """Each path, data URI or (from one of `hosts`) URL as media of the modality that its bytes show."""
    return [Media.open(path, hosts=hosts) for path in paths]


def registry_with(tool_files: Sequence[str]) -> Registry:
    """The registry with the tools of further Python files; BrokenTool if one of them cannot be used."""
    from mmagent.conformance.files import load_file
    from mmagent.registry import registry

    known = registry.copy()
    for file in tool_files:
        known.add(*load_file(file))
    return known


def graph_inputs(graph: Graph, given: Sequence[str]) -> dict[str, Media | list[Media] | None]:
    """The inputs of a graph out of `name=value` words; a usage error for one that it has not."""
    ports = graph.checked.inputs
    found = by_port(given, ports, "INPUT=VALUE", f"graph {graph.name}")
    twice = [name for name, values in found.items() if len(values) > 1 and not ports[name].many]
    if twice:
        raise click.UsageError(f"input {twice[0]} of graph {graph.name} takes one value, not {len(found[twice[0]])}")
    return {name: values if ports[name].many else values[0] for name, values in found.items()}


def with_settings(spec: GraphSpec, chosen: Sequence[str], library: Library) -> GraphSpec:
    """The graph with `NODE.SETTING=VALUE` put in; a usage error for a node that it has not."""
    nodes = dict(spec.nodes)
    for place, value in pairs(chosen, "--set"):
        name, _, setting = place.rpartition(".")
        if name not in nodes:
            raise click.BadParameter(f"{spec.name} has no node {name!r}; it has {', '.join(nodes)}", param_hint="--set")
        card = library.find(nodes[name].tool)
        if not isinstance(card, Card):
            raise click.BadParameter(f"node {name} is the graph {card.name}, which has no settings", param_hint="--set")
        values = settings([f"{setting}={value}"], card, "--set")
        nodes[name] = replace(nodes[name], settings={**nodes[name].settings, **values})
    return replace(spec, nodes=nodes)


def _is_file(value: str) -> bool:
    try:
        return Path(value).is_file()
    except (OSError, ValueError):  # too long for a path, or with a null byte
        return False
