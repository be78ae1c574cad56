"""The one node contract: a tool is a cheap constructor, `load()`, `run(...)` and `unload()`, described by a card.

A class is a tool by subclassing `Tool`; a plain typed function by `@tool`. This module knows nothing of graphs or of
how calls are scheduled.
"""

from __future__ import annotations

import functools
import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Generic, ParamSpec, Protocol, TypeVar, overload

from mmagent.card import Card
from mmagent.context import Context, Splice
from mmagent.errors import CardError
from mmagent.signature import Constraint, kebab, read_card

__all__ = ["Constraint", "Context", "FunctionTool", "Instance", "Splice", "Tool", "ToolType", "tool"]

P = ParamSpec("P")
R = TypeVar("R")


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
    `run` may be `async`. A subclass of a tool is a tool of its own, named by `name=` or by its class; options
    that it does not give are those of its parent.
    """

    card: ClassVar[Card]
    _card_options: ClassVar[Mapping[str, Any]] = {}

    def __init_subclass__(cls, *, name: str | None = None, **options: Any) -> None:
        super().__init_subclass__()
        cls._card_options = {**cls._card_options, **options}
        if inspect.isabstract(cls):
            if name is not None:
                raise CardError(f"{name}: class {cls.__name__} has no run(); write one, or leave the name away")
            return
        name = name or f"{kebab(cls.__name__)}.v1"
        run = inspect.getattr_static(cls, "run")
        if isinstance(run, staticmethod | classmethod) or not inspect.isroutine(run):
            raise CardError(f"{name}: run of class {cls.__name__} is {type(run).__name__}; write a method with self")
        cls.card = read_card(cls.run, name=name, init=cls.__init__, doc=cls.__doc__, **cls._card_options)

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

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
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
    (bytes), `needs`, `concurrency`, `lossy` (a converter from one modality to another is, unless it says
    `lossy=False`), `inline`, `cacheable`. A signature that cannot be a tool raises CardError.
    """
    if function is None:
        return functools.partial(_function_tool, name=name, **options)
    return _function_tool(function, name=name, **options)


def _function_tool(function: Callable[P, R], name: str | None = None, **options: Any) -> FunctionTool[P, R]:
    if not inspect.isroutine(function):
        what = f"class {function.__name__}" if isinstance(function, type) else repr(function)
        raise CardError(f"@tool makes a tool of a function, not of {what}; a class is a tool by subclassing Tool")
    named = name or f"{kebab(function.__name__)}.v1"
    return FunctionTool(function, read_card(function, name=named, doc=function.__doc__, **options))
