"""Reading a card off a typed signature: media parameters are ports, plain ones settings, the result the outputs.

What cannot be read raises CardError when the tool is declared. It knows no tool, only functions.
"""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar, Union

from mmagent.card import ANY, Call, Card, Concurrency, Kind, Port, Scalar, Setting
from mmagent.context import Context
from mmagent.errors import CardError
from mmagent.media import Media, fits


class Constraint:
    """What a port asks of its value, beside the modality: `Annotated[Audio, Constraint(rate=16000)]`.

    A string `"$rate"` stands for the tool's own setting `rate`.
    """

    def __init__(self, **attributes: Scalar) -> None:
        self.attributes: Mapping[str, Scalar] = attributes

    def __repr__(self) -> str:
        return f"Constraint({', '.join(f'{key}={value!r}' for key, value in self.attributes.items())})"


@dataclass(frozen=True, slots=True)
class _Options:
    name: str
    kind: Kind | None = None
    cost: float = 0.01
    memory: int = 0
    needs: tuple[str, ...] = ()
    weights: str = ""
    concurrency: Concurrency = "reentrant"
    lossy: bool | None = None
    inline: bool = False
    cacheable: bool = True


def read_card(
    run: Callable[..., Any],
    *,
    name: str,
    doc: str | None = None,
    init: Callable[..., Any] | None = None,
    **options: Any,
) -> Card:
    """Read a card off the signature of `run` (and of the constructor `init`); CardError says what cannot be read."""
    if not re.search(r"\.v[0-9]+$", name):
        name = f"{name}.v1"
    try:
        chosen = _Options(name=name, **options)
    except TypeError as error:
        allowed = ", ".join(field for field in _Options.__slots__ if field != "name")
        raise CardError(f"{name}: {str(error).split(') ')[-1]}; a tool's options are {allowed}") from None
    hints = _hints(run, name)
    inputs: list[Port] = []
    settings = _constructor_settings(init, name) if init is not None else []
    context = False
    for parameter in list(inspect.signature(run).parameters.values())[1 if init is not None else 0 :]:
        where = f"{name}: parameter {parameter.name}"
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise CardError(f"{where} collects arguments; a tool names every port and setting")
        if parameter.name not in hints:
            raise CardError(f"{where} has no annotation; annotate it with a media class or str, int, float, bool")
        if hints[parameter.name] is Context:
            if parameter.name != "ctx":
                raise CardError(f"{where} is a Context; call it ctx")
            context = True
            continue
        item = _read(parameter.name, hints[parameter.name], parameter.default, where)
        if isinstance(item, Port):
            inputs.append(item)
        else:
            settings.append(item)
    if "return" not in hints:
        raise CardError(f"{name}: no return annotation; annotate what it makes, for instance -> Image")
    outputs, streams = _outputs(hints["return"], name)
    _check_references(name, (*inputs, *outputs), settings)
    call = _call(run, streams, name)
    values = {field: getattr(chosen, field) for field in _Options.__slots__ if field not in ("name", "kind", "lossy")}
    kind = chosen.kind or _guess_kind(inputs, outputs)
    values["lossy"] = _guess_lossy(kind, inputs, outputs) if chosen.lossy is None else chosen.lossy
    summary = inspect.cleandoc(doc).split("\n\n")[0].replace("\n", " ") if doc else ""
    return Card(name, kind, tuple(inputs), outputs, tuple(settings), summary, call=call, context=context, **values)


def _hints(function: Callable[..., Any], name: str) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function, include_extras=True)
    except NameError as error:
        raise CardError(
            f"{name}: annotation {error.name!r} is not known where the tool is defined; import it there"
        ) from None


def _constructor_settings(init: Callable[..., Any], name: str) -> list[Setting]:
    if init is object.__init__:
        return []
    hints = _hints(init, name)
    found: list[Setting] = []
    for parameter in list(inspect.signature(init).parameters.values())[1:]:
        where = f"{name}: constructor parameter {parameter.name}"
        item = _read(parameter.name, hints.get(parameter.name), parameter.default, where, at="load")
        if isinstance(item, Port):
            raise CardError(f"{where} is media; the constructor takes plain settings, media go to run()")
        found.append(item)
    return found


def _optional(annotation: Any) -> tuple[Any, bool]:
    if typing.get_origin(annotation) in (Union, types.UnionType):
        rest = [item for item in typing.get_args(annotation) if item is not type(None)]
        if len(rest) == 1:
            return rest[0], len(rest) < len(typing.get_args(annotation))
    return annotation, False


def _media(annotation: Any) -> tuple[str, dict[str, Scalar], str | None] | None:
    """Modality, constraints and variable of a media annotation, or None if it is none.

    `Annotated[Audio, Constraint(rate=16000)]` gives `("audio", {"rate": 16000}, None)`.
    """
    constraints: dict[str, Scalar] = {}
    if typing.get_origin(annotation) is Annotated:
        annotation, *extras = typing.get_args(annotation)
        for extra in extras:
            if isinstance(extra, Constraint):
                constraints.update(extra.attributes)
    variable = None
    if isinstance(annotation, TypeVar):
        variable, annotation = annotation.__name__, annotation.__bound__
    if isinstance(annotation, type) and issubclass(annotation, Media):
        return annotation.modality if annotation is not Media else ANY, constraints, variable
    return None


def _read(name: str, annotation: Any, default: Any, where: str, at: Literal["load", "run"] = "run") -> Port | Setting:
    required = default is inspect.Parameter.empty
    bare, optional = _optional(annotation)
    many = typing.get_origin(bare) is list
    found = _media(typing.get_args(bare)[0] if many else bare)
    if found is not None:
        if not required and default is not None:
            raise CardError(f"{where} is media with a default; write {name}: ... | None = None to leave it out")
        modality, constraints, variable = found
        return Port(name, modality, many, optional or not required, constraints, variable)
    shown = None if required else default
    if typing.get_origin(bare) is Literal:
        choices = typing.get_args(bare)
        setting = Setting(name, _plain(type(choices[0]), where), shown, required, optional, choices, at)
    else:
        setting = Setting(name, _plain(bare, where), shown, required, optional, (), at)
    if not required:
        setting.check(default, where)
    return setting


def _plain(annotation: Any, where: str) -> Literal["str", "int", "float", "bool"]:
    names: dict[Any, Literal["str", "int", "float", "bool"]] = {str: "str", int: "int", float: "float", bool: "bool"}
    if annotation in names:
        return names[annotation]
    shown = getattr(annotation, "__name__", None) or annotation
    raise CardError(
        f"{where} is {shown}; a port is a media class (or list of it), a setting str, int, float, bool or Literal"
    )


def _outputs(annotation: Any, name: str) -> tuple[tuple[Port, ...], bool]:
    """The output ports of a return annotation, and whether the tool yields them.

    `-> Audio` gives one port `audio`; a NamedTuple one port a field; `Iterator[Text]` a tool that streams.
    """
    if typing.get_origin(annotation) in (Iterator, AsyncIterator):
        return _outputs(typing.get_args(annotation)[0], name)[0], True
    if isinstance(annotation, type) and issubclass(annotation, tuple) and hasattr(annotation, "_fields"):
        hints = _hints(annotation, name)
        return tuple(_output(field, hints[field], name) for field in annotation._fields), False
    return (_output(None, annotation, name),), False


def _output(field: str | None, annotation: Any, name: str) -> Port:
    bare, optional = _optional(annotation)
    many = typing.get_origin(bare) is list
    found = _media(typing.get_args(bare)[0] if many else bare)
    if found is None:
        shown = getattr(bare, "__name__", None) or bare
        raise CardError(
            f"{name}: the result {field or ''} is {shown}; return media, a list of media, or a NamedTuple of them"
        )
    modality, constraints, variable = found
    return Port(field or ("media" if modality == ANY else modality), modality, many, optional, constraints, variable)


def _check_references(name: str, ports: Sequence[Port], settings: Sequence[Setting]) -> None:
    known = {setting.name for setting in settings}
    for port in ports:
        for key, value in port.constraints.items():
            if isinstance(value, str) and value.startswith("$") and value[1:] not in known:
                raise CardError(
                    f"{name}: port {port.name} asks for {key}={value}, but there is no setting {value[1:]!r}"
                )


def _call(run: Callable[..., Any], streams: bool, name: str) -> Call:
    if inspect.isasyncgenfunction(run):
        call: Call = "async-generator"
    elif inspect.iscoroutinefunction(run):
        call = "async"
    else:
        call = "generator" if inspect.isgeneratorfunction(run) else "sync"
    if streams != call.endswith("generator"):
        raise CardError(
            f"{name}: a tool that yields is annotated -> Iterator[...] or AsyncIterator[...], and only such a one"
        )
    return call


def _guess_kind(inputs: Sequence[Port], outputs: Sequence[Port]) -> Kind:
    if any(port.modality == "embedding" for port in outputs):
        return "encoder"
    conditioning = len(inputs) == 1 and inputs[0].modality in ("text", "embedding")
    return "generator" if conditioning and outputs[0].modality != "text" else "converter"


def _guess_lossy(kind: Kind, inputs: Sequence[Port], outputs: Sequence[Port]) -> bool:
    """A converter from one modality to another loses something, unless its card says otherwise."""
    return kind == "converter" and not any(
        fits(made.modality, given.modality) for made in outputs for given in inputs if given.modality != ANY
    )


def kebab(name: str) -> str:
    """A Python name in kebab-case.

    >>> kebab("ImageTags"), kebab("image_tags")
    ('image-tags', 'image-tags')
    """
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).replace("_", "-").strip("-").lower()
