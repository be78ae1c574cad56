"""Reading a card off a typed signature: media parameters are ports, plain ones settings, the result the outputs.

What cannot be read raises CardError when the tool is declared. It knows no tool, only functions.
"""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
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
        for key, value in attributes.items():
            if not isinstance(value, str | int | float | None):
                raise CardError(f"Constraint: {key} is a plain value (str, int, float, bool, None), not {value!r}")
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
    either: tuple[str, ...] = ()


def read_card(
    run: Callable[..., Any],
    *,
    name: str,
    doc: str | None = None,
    init: Callable[..., Any] | None = None,
    **options: Any,
) -> Card:
    """Read a card off the signature of `run`; CardError says what cannot be read.

    With `init`, a constructor, `run` is a method: its own `self` is passed over, and the constructor's parameters
    are settings too.
    """
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
    for parameter in _parameters(run, hints, name, method=init is not None):
        where, annotation = f"{name}: parameter {parameter.name}", hints[parameter.name]
        if annotation is Context or parameter.name == "ctx":
            if annotation is not Context or parameter.name != "ctx":
                raise CardError(f"{where} is {_shown(annotation)}; the context is written ctx: Context")
            context = True
            continue
        item = _read(parameter.name, annotation, parameter.default, where)
        if isinstance(item, Port):
            inputs.append(item)
        else:
            settings.append(item)
    if "return" not in hints:
        raise CardError(f"{name}: no return annotation; annotate what it makes, for instance -> Image")
    outputs, streams = _outputs(hints["return"], name)
    _check_references(name, inputs, outputs, settings)
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
    except CardError as error:
        raise CardError(f"{name}: {error}") from None
    except Exception as error:  # an annotation is an expression: evaluating it may raise anything
        raise CardError(f"{name}: its annotations cannot be read: {type(error).__name__}: {error}") from error


def _parameters(
    function: Callable[..., Any], hints: Mapping[str, Any], name: str, *, method: bool, of: str = "parameter"
) -> list[inspect.Parameter]:
    """The parameters that a tool is given by name, each with an annotation; a method's first is its `self`."""
    found = list(inspect.signature(function).parameters.values())
    if method:
        if not found or (found[0].name != "self" and found[0].name in hints):
            raise CardError(f"{name}: the first parameter of {function.__name__}() is self; add it")
        found = found[1:]
    for parameter in found:
        where = f"{name}: {of} {parameter.name}"
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise CardError(f"{where} collects arguments; a tool names every port and setting")
        if parameter.kind is parameter.POSITIONAL_ONLY:
            raise CardError(f"{where} is positional-only, and a tool is called by name; take the / away")
        if parameter.name not in hints:
            plain = "str, int, float, bool"
            kinds = plain if of.startswith("constructor") else f"a media class or {plain}"
            raise CardError(f"{where} has no annotation; annotate it with {kinds}")
    return found


def _constructor_settings(init: Callable[..., Any], name: str) -> list[Setting]:
    if init is object.__init__:
        return []
    hints, found = _hints(init, name), list[Setting]()
    for parameter in _parameters(init, hints, name, method=True, of="constructor parameter"):
        where = f"{name}: constructor parameter {parameter.name}"
        item = _read(parameter.name, hints[parameter.name], parameter.default, where, at="load")
        if isinstance(item, Port):
            raise CardError(f"{where} is media; the constructor takes plain settings, media go to run()")
        found.append(item)
    return found


def _shown(annotation: Any) -> str:
    return str(getattr(annotation, "__name__", None) or annotation)


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


def _port(annotation: Any) -> tuple[str, bool, bool, dict[str, Scalar], str | None] | None:
    """Modality, many, optional, constraints and variable of an annotation that is a port's, or None if it is none."""
    bare, optional = _optional(annotation)
    items = typing.get_args(bare) if typing.get_origin(bare) is list else ()
    found = _media(items[0] if items else bare)
    return None if found is None else (found[0], bool(items), optional, found[1], found[2])


def _read(name: str, annotation: Any, default: Any, where: str, at: Literal["load", "run"] = "run") -> Port | Setting:
    required = default is inspect.Parameter.empty
    found = _port(annotation)
    if found is not None:
        if not required and default is not None:
            raise CardError(f"{where} is media with a default; write {name}: ... | None = None to leave it out")
        modality, many, optional, constraints, variable = found
        return Port(name, modality, many, optional or not required, constraints, variable)
    bare, optional = _optional(annotation)
    choices: tuple[Scalar, ...] = ()
    if typing.get_origin(bare) is Literal:
        optional = optional or None in typing.get_args(bare)
        choices = tuple(choice for choice in typing.get_args(bare) if choice is not None)
        kinds = {type(choice) for choice in choices}
        if len(kinds) != 1:
            raise CardError(f"{where} is {bare}; its choices are of one type: str, int, float or bool")
        bare = kinds.pop()
    setting = Setting(name, _plain(bare, where), None, required, optional, choices, at)
    return setting if required else replace(setting, default=setting.check(default, where))


def _plain(annotation: Any, where: str) -> Literal["str", "int", "float", "bool"]:
    names: dict[Any, Literal["str", "int", "float", "bool"]] = {str: "str", int: "int", float: "float", bool: "bool"}
    for kind, name in names.items():
        if annotation is kind:
            return name
    raise CardError(
        f"{where} is {_shown(annotation)}; "
        "a port is a media class (or list of it), a setting str, int, float, bool or Literal"
    )


def _outputs(annotation: Any, name: str) -> tuple[tuple[Port, ...], bool]:
    """The output ports of a return annotation, and whether the tool yields them.

    `-> Audio` gives one port `audio`; a NamedTuple one port a field; `Iterator[Text]` a tool that streams.
    """
    if typing.get_origin(annotation) in (Iterator, AsyncIterator) and typing.get_args(annotation):
        return _outputs(typing.get_args(annotation)[0], name)[0], True
    if isinstance(annotation, type) and issubclass(annotation, tuple) and hasattr(annotation, "_fields"):
        if not annotation._fields:
            raise CardError(f"{name}: the result {annotation.__name__} has no fields; give it one for each output")
        hints = _hints(annotation, name)
        return tuple(_output(field, hints[field], name) for field in annotation._fields), False
    return (_output(None, annotation, name),), False


def _output(field: str | None, annotation: Any, name: str) -> Port:
    found = _port(annotation)
    if found is None:
        what = f"the result {field}" if field else "the result"
        raise CardError(
            f"{name}: {what} is {_shown(_optional(annotation)[0])}; "
            "return media, a list of media, or a NamedTuple of them"
        )
    modality = found[0]
    return Port(field or ("media" if modality == ANY else modality), *found)


def _check_references(name: str, inputs: Sequence[Port], outputs: Sequence[Port], settings: Sequence[Setting]) -> None:
    """Every setting and type variable that a port refers to is there."""
    known = {setting.name for setting in settings}
    for port in (*inputs, *outputs):
        for key, value in port.constraints.items():
            if isinstance(value, str) and value.startswith("$") and value[1:] not in known:
                raise CardError(
                    f"{name}: port {port.name} asks for {key}={value}, but there is no setting {value[1:]!r}"
                )
    variables = {port.variable for port in inputs}
    for port in outputs:
        if port.variable not in (None, *variables):
            raise CardError(
                f"{name}: the result is {port.variable}, a type variable that no input has; use it in an input too, "
                "or name the modality"
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
