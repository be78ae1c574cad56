"""Graphs as YAML files: reading with faults that name file, line and key, and writing that reads back the same.

Only the shape of the file is looked at here; whether its tools and edges fit is `check`'s business.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmagent.card import Port
from mmagent.errors import Fault, GraphError
from mmagent.graph.ports import parse_port, show_port
from mmagent.graph.spec import GraphSpec, NodeSpec

if TYPE_CHECKING:
    from yaml.nodes import Node as Tree

    from mmagent.graph.document import Document, Node


def read(path: str | Path) -> GraphSpec:
    """The graph in a file; GraphError lists every fault in it, or says why it cannot be read."""
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise GraphError(
            str(file), [Fault(str(file), "file", "", "a YAML file in UTF-8", reason, "name one")]
        ) from None
    return parse(text, str(file))


def parse(text: str, origin: str = "") -> GraphSpec:
    """The graph that a YAML text holds; `origin` names its file in messages. GraphError lists every fault.

    >>> parse("graph: shout\\ninputs: {words: text}\\nnodes: {loud: {tool: upper, in: {text: words}}}").nodes["loud"].tool
    'upper'
    """
    import yaml
    from pydantic import ValidationError

    from mmagent.graph import dialect
    from mmagent.graph.document import Document

    place = origin or "graph"
    try:
        tree, data = dialect.load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{place}:{mark.line + 1}" if mark else place
        problem = getattr(error, "problem", None) or str(error)
        raise GraphError(place, [Fault(where, "file", "", "YAML", problem, "mend that line")]) from None
    if not isinstance(data, dict):
        shape = "a mapping with the key graph"
        raise GraphError(place, [Fault(place, "file", "", shape, type(data).__name__, "begin with graph: <name>")])
    faults: list[Fault] = []
    try:
        document = Document.model_validate(data)
    except ValidationError as error:
        raise GraphError(place, _faults(error.errors(), tree, place)) from None
    inputs: dict[str, Port] = {}
    for name, port in document.inputs.items():
        try:
            inputs[name] = parse_port(name, port)
        except ValueError as error:
            where = f"{place}:{_line(tree, ('inputs', name))[0]}"
            faults.append(Fault(where, "inputs", name, "a port", repr(port), str(error).split("; ")[-1]))
    if faults:
        raise GraphError(place, faults)
    return _spec(document, inputs, origin)


def dump(spec: GraphSpec) -> str:
    """The graph as YAML text that `parse` reads back as an equal graph."""
    from mmagent.graph import dialect

    data: dict[str, Any] = {"graph": spec.name}
    if spec.doc:
        data["doc"] = spec.doc
    if spec.inputs:
        data["inputs"] = {name: show_port(port) for name, port in spec.inputs.items()}
    if spec.nodes:
        data["nodes"] = {name: _written(node) for name, node in spec.nodes.items()}
    if spec.outputs:
        data["outputs"] = dict(spec.outputs)
    if spec.lossy:
        data["lossy"] = "allow"
    return dialect.dump(data)


def write(spec: GraphSpec, path: str | Path) -> Path:
    """Write the graph to a file, whole or not at all."""
    from mmagent.intake import write_atomic

    target = Path(path)
    write_atomic(target, dump(spec).encode())
    return target


def _spec(document: Document, inputs: Mapping[str, Port], origin: str) -> GraphSpec:
    nodes = {name: _node(node) for name, node in document.nodes.items()}
    return GraphSpec(
        document.graph, inputs, nodes, document.outputs, document.doc, document.lossy == "allow", origin=origin
    )


def _node(node: Node) -> NodeSpec:
    sources = {port: tuple(item) if isinstance(item, list) else item for port, item in node.sources.items()}
    return NodeSpec(
        node.tool, sources, node.settings, node.retries, node.timeout, tuple(node.fallback), node.seed, node.each
    )


def _written(node: NodeSpec) -> dict[str, Any]:
    data: dict[str, Any] = {"tool": node.tool}
    if node.inputs:
        data["in"] = {port: item if isinstance(item, str) else list(item) for port, item in node.inputs.items()}
    if node.each is not None:
        data["each"] = node.each
    if node.settings:
        data["settings"] = dict(node.settings)
    if node.timeout is not None:
        data["timeout"] = int(node.timeout) if float(node.timeout).is_integer() else node.timeout
    if node.retries:
        data["retries"] = node.retries
    if node.fallback:
        data["fallback"] = list(node.fallback)
    if node.seed is not None:
        data["seed"] = node.seed
    return data


def _faults(errors: Sequence[Any], tree: Tree, place: str) -> list[Fault]:
    """Pydantic's errors as faults, one for each place in the file (it reports every branch of a union)."""
    found: dict[tuple[str, ...], tuple[int, list[Any]]] = {}
    for error in errors:
        line, path = _line(tree, error["loc"])
        if error["type"] == "missing":
            path = (*path, str(error["loc"][-1]))
        found.setdefault(path, (line, []))[1].append(error)
    return [_fault(f"{place}:{line}", path, group) for path, (line, group) in found.items()]


def _fault(where: str, path: tuple[str, ...], errors: Sequence[Any]) -> Fault:
    from mmagent.graph import document

    error = errors[0]
    inside = path[:1] == ("nodes",) and len(path) > 1
    node = path[1] if inside else (path[0] if path else "file")
    key = ".".join(path[2:] if inside else path[1:])
    allowed = document.keys(document.Node if inside else document.Document)
    if error["type"] == "extra_forbidden":
        near = difflib.get_close_matches(path[-1], allowed, 1)
        fix = f"write {near[0]}" if near else f"take {path[-1]} out"
        return Fault(where, node, key if inside else "", f"one of the keys {', '.join(allowed)}", repr(path[-1]), fix)
    if error["type"] == "missing":
        return Fault(where, node, key, f"the key {path[-1]}", "nothing", f"add {path[-1]}: …")
    expected = " or ".join(dict.fromkeys(item["msg"].removeprefix("Input should be ") for item in errors))
    got = repr(error["input"])
    got = f"{got[:60]}…" if len(got) > 60 else got
    quoted = "quote it" if "string" in expected and not isinstance(error["input"], list | dict) else "mend the value"
    return Fault(where, node, key, expected, got, quoted)


def _line(tree: Tree, path: Sequence[object]) -> tuple[int, tuple[str, ...]]:
    """The line of what lies at `path`, as far as the file has it, and that part of the path."""
    import yaml

    line, trail, node = tree.start_mark.line + 1, [], tree
    for part in path:
        step = None
        if isinstance(node, yaml.MappingNode):
            step = next(((key, value) for key, value in node.value if key.value == str(part)), None)
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            step = (node.value[part], node.value[part])
        if step is None:
            break
        line, node = step[0].start_mark.line + 1, step[1]
        trail.append(str(part))
    return line, tuple(trail)
