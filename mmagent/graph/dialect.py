"""The YAML that graph files are written in: safe, YAML 1.2 scalars (`on`, `no` and dates are text), no key twice.

Reader and writer share one table of scalars, so that what one writes plain the other never takes for something
else.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

_SCALARS = (
    ("tag:yaml.org,2002:null", r"~|null|Null|NULL|", "~nN\0"),
    ("tag:yaml.org,2002:bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("tag:yaml.org,2002:int", r"[-+]?(?:0|[1-9][0-9]*)", "-+0123456789"),
    (
        "tag:yaml.org,2002:float",
        r"[-+]?(?:(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+|\.inf)|\.nan",
        "-+.0123456789",
    ),
)


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, Any] = {}

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (yaml.YAMLError, RecursionError):
            raise
        except (
            Exception
        ):  # raised raw: ValueError by 5,000 digits, KeyError by `!!bool maybe`, IndexError by `!!int ''`
            problem = f"something that cannot be read as {node.tag.rpartition(':')[2]}"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark) from None


class _Dumper(yaml.SafeDumper):
    yaml_implicit_resolvers: dict[str, Any] = {}


for _kind in (_Loader, _Dumper):
    for _tag, _pattern, _first in _SCALARS:
        _starts = [letter if letter != "\0" else "" for letter in _first]
        _kind.add_implicit_resolver(_tag, re.compile(rf"^(?:{_pattern})$"), _starts)


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value.strip("\n") else None
    if "\x85" in value:  # a line break, which only double quotes keep apart from others
        style = '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def load(text: str) -> tuple[yaml.Node, Any]:
    """The syntax tree, which knows lines, and the value of a YAML text; YAMLError when it is none or has a key twice."""
    loader = _Loader(text)
    try:
        tree = loader.get_single_node()
        if tree is None:
            raise yaml.MarkedYAMLError(problem="the file is empty")
        _refuse_twice(tree, set())
        return tree, loader.construct_document(tree)
    except RecursionError:
        raise yaml.MarkedYAMLError(problem="a value nested too deep") from None
    finally:
        loader.dispose()


def dump(data: object) -> str:
    """The value as YAML text: leaves in one line, everything above them indented, keys in their order."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, default_flow_style=None, allow_unicode=True, width=110)


def _refuse_twice(node: yaml.Node, seen: set[int]) -> None:
    if id(node) in seen or isinstance(node, yaml.ScalarNode):
        return
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        keys: dict[object, int] = {}
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in keys:
                    problem = f"the key {key.value!r} is here twice, first on line {keys[key.value]}"
                    raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
                keys[key.value] = key.start_mark.line + 1
            _refuse_twice(value, seen)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            _refuse_twice(value, seen)
