"""The card: a tool's frozen data, which everything but the tool's own code works from.

It knows modalities by name only; it does not know media classes, tools or graphs.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from mmagent.errors import CardError

Kind = Literal["encoder", "generator", "converter", "reasoner"]
Concurrency = Literal["exclusive", "reentrant"]
Call = Literal["sync", "async", "generator", "async-generator"]
Scalar = str | int | float | bool | None

ANY = "any"
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*\.v[0-9]+")


@dataclass(frozen=True, slots=True)
class Port:
    """A named, typed input or output of a tool.

    `modality` is a modality's name, or `any`. `constraints` are the attributes that a value has to have
    (`rate`, `channels`, `width`, `tokens`, `space` …); a value `"$rate"` stands for the setting `rate`.
    `many`: the port holds a list. `optional`: it may hold nothing. `variable`: inputs and outputs that share
    a variable have one modality, that of the value which comes in.
    """

    name: str
    modality: str
    many: bool = False
    optional: bool = False
    constraints: Mapping[str, Scalar] = field(default_factory=dict)
    variable: str | None = None

    def __str__(self) -> str:
        limits = ", ".join(f"{key}={value}" for key, value in self.constraints.items())
        text = f"{self.modality}({limits})" if limits else self.modality
        text = f"list[{text}]" if self.many else text
        return f"{text} | None" if self.optional else text


@dataclass(frozen=True, slots=True)
class Setting:
    """A plain value that a tool can be given: `str int float bool`, or one of `choices`.

    `required` settings have no default. `at` says whether it goes to the constructor (`load`: another value
    is another loaded tool) or to each call (`run`).
    """

    name: str
    type: Literal["str", "int", "float", "bool"]
    default: Scalar = None
    required: bool = False
    optional: bool = False
    choices: tuple[Scalar, ...] = ()
    at: Literal["load", "run"] = "run"

    def check(self, value: object, owner: str) -> Scalar:
        """Return `value` if this setting may hold it, an int for a float widened; raise CardError if not."""
        if value is None and self.optional:
            return None
        kinds: dict[str, type] = {"str": str, "int": int, "float": float, "bool": bool}
        if self.type == "float" and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        wanted = f"one of {', '.join(map(repr, self.choices))}" if self.choices else self.type
        right = isinstance(value, kinds[self.type]) and not (self.type == "int" and isinstance(value, bool))
        if not right or (self.choices and value not in self.choices):
            raise CardError(f"{owner}: setting {self.name} takes {wanted}, not {value!r:.100}")
        return value  # type: ignore[return-value]  # isinstance above proves it, through a dict of types


@dataclass(frozen=True, slots=True)
class Card:
    """What a tool is, without loading it: name, kind, ports, settings, cost and needs.

    `name` is kebab-case with a version (`whisper.v1`) and stable in saved files. `cost` is the expected
    seconds of a call on two cores; `needs` names extras (`extra:pocket`) and weights (`weights:moonshine-tiny`).
    `lossy` converters are inserted only where a graph allows it. `inline` tools are so trivial that they run
    in place, are not cached, and must not block. `cacheable` is false for tools whose result may differ
    between calls with the same inputs, settings and seed. `weights` is the digest of what the tool was
    loaded from, as far as it is known before loading. `either` names optional inputs of which exactly one is
    given. `follows_settings`: with other settings the tool has another card, see `Tool.card_for`.
    """

    name: str
    kind: Kind
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    settings: tuple[Setting, ...] = ()
    doc: str = ""
    cost: float = 0.01
    memory: int = 0
    needs: tuple[str, ...] = ()
    weights: str = ""
    concurrency: Concurrency = "reentrant"
    lossy: bool = False
    inline: bool = False
    cacheable: bool = True
    call: Call = "sync"
    context: bool = False
    either: tuple[str, ...] = ()
    follows_settings: bool = False

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise CardError(f"tool name {self.name!r} is not kebab-case with a version; write it like 'image-tags.v1'")
        names = [*(port.name for port in self.inputs), *(setting.name for setting in self.settings)]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise CardError(f"{self.name}: {', '.join(twice)} named twice among ports and settings; rename one")
        for option, allowed in (("kind", Kind), ("concurrency", Concurrency), ("call", Call)):
            self._check(option, getattr(self, option) in get_args(allowed), f"one of {', '.join(get_args(allowed))}")
        for option in ("lossy", "inline", "cacheable", "context", "follows_settings"):
            self._check(option, isinstance(getattr(self, option), bool), "True or False")
        self._check("cost", _number(self.cost) and 0 <= self.cost < math.inf, "seconds, 0 or more")
        self._check("memory", _number(self.memory) and isinstance(self.memory, int) and self.memory >= 0, "whole bytes")
        needs = isinstance(self.needs, tuple) and all(isinstance(need, str) for need in self.needs)
        self._check("needs", needs, "a tuple of names, ('extra:local',)")
        for option in ("doc", "weights"):
            self._check(option, isinstance(getattr(self, option), str), "text")
        optional = {port.name for port in self.inputs if port.optional}
        one_of = isinstance(self.either, tuple) and len(set(self.either)) == len(self.either) != 1
        self._check("either", one_of and optional.issuperset(self.either), "a tuple of two or more optional inputs")
        if self.inline and self.call != "sync":
            raise CardError(f"{self.name}: an inline tool is a plain sync function, not {self.call}; drop inline=True")

    def _check(self, option: str, right: bool, wanted: str) -> None:
        if not right:
            raise CardError(f"{self.name}: {option} is {wanted}, not {getattr(self, option)!r}")

    @property
    def short(self) -> str:
        """The name without its version."""
        return self.name.rsplit(".v", 1)[0]

    def input(self, name: str) -> Port | None:
        """The input port of that name, or None."""
        return next((port for port in self.inputs if port.name == name), None)

    def output(self, name: str) -> Port | None:
        """The output port of that name, or None."""
        return next((port for port in self.outputs if port.name == name), None)

    def setting(self, name: str) -> Setting | None:
        """The setting of that name, or None."""
        return next((setting for setting in self.settings if setting.name == name), None)

    def forms(self) -> tuple[Card, ...]:
        """The card once for each input of `either`, which is required there while the others are gone; or itself."""
        if not self.either:
            return (self,)
        return tuple(replace(self, inputs=self._inputs_with(name), either=()) for name in self.either)

    def _inputs_with(self, name: str) -> tuple[Port, ...]:
        kept = (port for port in self.inputs if port.name == name or port.name not in self.either)
        return tuple(replace(port, optional=False) if port.name == name else port for port in kept)

    def check_settings(self, given: Mapping[str, object]) -> dict[str, Scalar]:
        """All settings with `given` over the defaults; CardError names an unknown, missing or ill-typed one."""
        known = {setting.name: setting for setting in self.settings}
        for name in given:
            if name not in known:
                raise CardError(f"{self.name}: no setting {name!r}; it has {', '.join(known) or 'none'}")
        for setting in self.settings:
            if setting.required and setting.name not in given:
                raise CardError(f"{self.name}: setting {setting.name} ({setting.type}) has no default; give it a value")
        return {
            name: setting.check(given[name], self.name) if name in given else setting.default
            for name, setting in known.items()
        }


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
