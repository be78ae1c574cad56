"""The one node contract: a tool is a cheap constructor, `load()`, `run(...)` and `unload()`, described by a card.

A class is a tool by subclassing `Tool`; a plain typed function by `@tool`. The card is read off the signature
when the tool is declared, and a signature that cannot be one raises CardError there. This module knows
nothing of graphs or of how calls are scheduled.
"""

from __future__ import annotations

import functools
import inspect
import re
import types
import typing
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Generic, Literal, ParamSpec, Protocol, TypeVar, Union, overload

from mmagent.card import ANY, Call, Card, Concurrency, Kind, Port, Scalar, Setting
from mmagent.errors import CardError
from mmagent.media import Media

P = ParamSpec("P")
R = TypeVar("R")


class Constraint:
    """What a port asks of its value, beside the modality: `Annotated[Audio, Constraint(rate=16000)]`.

    A string `"$rate"` stands for the tool's own setting `rate`.
    """

    def __init__(self, **attributes: Scalar) -> None:
        self.attributes: Mapping[str, Scalar] = attributes

    def __repr__(self) -> str:
        return f"Constraint({', '.join(f'{key}={value!r}' for key, value in self.attributes.items())})"


class Splice(Protocol):
    """A subgraph that is being run on behalf of a node."""

    @property
    def done(self) -> bool:
        """Whether every output of the subgraph is there, or has failed."""
        ...


class Context(Protocol):
    """What a running call may say and ask; a tool that takes a parameter `ctx: Context` is given one."""

    @property
    def seed(self) -> int:
        """The node's seed; a tool that draws random numbers draws them all from it."""
        ...

    @property
    def cancelled(self) -> bool:
        """Whether the call should stop; long tools look at it, or call `check`."""
        ...

    def check(self) -> None:
        """Raise Cancelled if the call should stop."""
        ...

    def progress(self, done: float, total: float = 1.0, note: str = "") -> None:
        """Say how far the call is; it also restarts the node's timeout, and raises Cancelled like `check`."""
        ...

    def token(self, text: str) -> None:
        """Publish a piece of text as it is made."""
        ...

    def preview(self, media: Media) -> None:
        """Publish an unfinished result."""
        ...

    def splice(self, graph: Any, inputs: Mapping[str, Media], place: str) -> Splice:
        """Run a subgraph beside this call; its outputs join the run's result under `place`.

        The subgraph is checked first: GraphError, and nothing starts, if it does not check.
        """
        ...


class Trainable(Protocol):
    """A generator that a projector can be trained towards."""

    def condition(self, texts: Sequence[str]) -> Sequence[Media]:
        """The states of the generator's own text encoder for `texts`: the targets of alignment."""
        ...

    def loss(self, conditioning: Any, media: Sequence[Media]) -> Any:
        """The generator's own denoising loss under `conditioning`, a scalar tensor."""
        ...

    def null(self) -> Media:
        """The conditioning that stands for no prompt, for classifier-free guidance."""
        ...


class ToolType(Protocol):
    """Anything that can be registered: it has a card and makes instances from settings."""

    @property
    def card(self) -> Card: ...

    def make(self, settings: Mapping[str, object]) -> Instance: ...


class Instance(Protocol):
    """A tool that can be loaded and run."""

    @property
    def card(self) -> Card: ...

    def load(self) -> None: ...

    @property
    def run(self) -> Callable[..., Any]: ...

    def unload(self) -> None: ...


class Tool(ABC):
    """A tool written as a class.

        class Blur(Tool, name="blur.v1", cost=0.02):
            def __init__(self, radius: float = 2.0) -> None: ...
            def run(self, image: Image) -> Image: ...

    Constructor parameters and the plain parameters of `run` are settings; the media parameters of `run` are
    input ports; its result is the output. The constructor must be cheap: weights load in `load()`.
    `run` may be `async`. `run_batch(requests)` is called with several requests at once if it is there and the
    card says `batched`.
    """

    card: ClassVar[Card]

    def __init_subclass__(cls, *, name: str | None = None, **options: Any) -> None:
        super().__init_subclass__()
        if inspect.isabstract(cls) or "run" not in cls.__dict__:
            return
        cls.card = read_card(
            cls.run, name=name or f"{_kebab(cls.__name__)}.v1", init=cls.__init__, doc=cls.__doc__, **options
        )

    @classmethod
    def make(cls, settings: Mapping[str, object]) -> Tool:
        """A new instance from the settings that its constructor takes; the others are left to `run`."""
        return cls(
            **{
                item.name: settings[item.name]
                for item in cls.card.settings
                if item.at == "load" and item.name in settings
            }
        )

    def load(self) -> None:
        """Make the tool ready to run: import what is heavy, read the weights. Called once, before `run`."""

    @property
    @abstractmethod
    def run(self) -> Callable[..., Any]:
        """Turn the inputs into the output."""

    def unload(self) -> None:
        """Give back what `load` took; the tool may be loaded again."""


class FunctionTool(Generic[P, R]):
    """A function that is a tool; calling it calls the function."""

    def __init__(self, function: Callable[P, R], card: Card) -> None:
        self.function, self.card = function, card
        functools.update_wrapper(self, function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<tool {self.card.name}>"

    def make(self, settings: Mapping[str, object]) -> FunctionTool[P, R]:
        """This tool itself: a function holds no state, all its settings go to `run`."""
        return self

    def load(self) -> None:
        """Nothing to do for a function."""

    @property
    def run(self) -> Callable[P, R]:
        """The function."""
        return self.function

    def unload(self) -> None:
        """Nothing to do for a function."""


@dataclass(frozen=True, slots=True)
class _Options:
    name: str
    kind: Kind | None = None
    cost: float = 0.01
    memory: int = 0
    needs: tuple[str, ...] = ()
    weights: str = ""
    concurrency: Concurrency = "reentrant"
    lossy: bool = False
    inline: bool = False
    cacheable: bool = True


@overload
def tool(function: Callable[P, R], /) -> FunctionTool[P, R]: ...
@overload
def tool(*, name: str | None = None, **options: Any) -> Callable[[Callable[P, R]], FunctionTool[P, R]]: ...
def tool(function: Callable[..., Any] | None = None, /, *, name: str | None = None, **options: Any) -> Any:
    """Make a tool of a typed function: media parameters are ports, `str int float bool Literal` are settings.

        @tool
        def sonify(image: Image, tempo: int = 120) -> Audio: ...

    `list[Image]` takes several, `Image | None` may be left out, `ctx: Context` is given progress and cancel,
    a NamedTuple names several outputs. Options are the card's: `name`, `kind`, `cost` (seconds), `memory`
    (bytes), `needs`, `concurrency`, `lossy`, `inline`, `cacheable`. A signature that cannot be a tool raises
    CardError.
    """
    if function is None:
        return functools.partial(_function_tool, name=name, **options)
    return _function_tool(function, name=name, **options)


def _function_tool(function: Callable[P, R], name: str | None = None, **options: Any) -> FunctionTool[P, R]:
    named = name or f"{_kebab(function.__name__)}.v1"
    return FunctionTool(function, read_card(function, name=named, doc=function.__doc__, **options))


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
    values = {field: getattr(chosen, field) for field in _Options.__slots__ if field not in ("name", "kind")}
    kind = chosen.kind or _guess_kind(inputs, outputs)
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


def _kebab(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).replace("_", "-").strip("-").lower()
