"""The one node contract: a tool is a cheap constructor, `load()`, `run(...)` and `unload()`, described by a card.

A class is a tool by subclassing `Tool`; a plain typed function by `@tool`. This module knows nothing of graphs or of
how calls are scheduled.
"""

from __future__ import annotations

import functools
import inspect
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, ClassVar, Generic, ParamSpec, Protocol, TypeVar, overload

from mmagent.card import Card, Scalar
from mmagent.context import Context, Splice
from mmagent.errors import CardError
from mmagent.signature import Constraint, kebab, read_card

__all__ = [
    "Constraint",
    "Context",
    "FunctionTool",
    "Instance",
    "Preset",
    "Scalar",
    "Splice",
    "Tool",
    "ToolType",
    "tool",
]

P = ParamSpec("P")
R = TypeVar("R")


class ToolType(Protocol):
    """Anything that can be registered: it has a card and makes instances from settings."""

    @property
    def card(self) -> Card: ...

    def card_for(self, settings: Mapping[str, Scalar]) -> Card: ...

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
        card = read_card(cls.run, name=name, init=cls.__init__, doc=cls.__doc__, **cls._card_options)
        follows = inspect.getattr_static(cls, "card_for") is not inspect.getattr_static(Tool, "card_for")
        cls.card = replace(card, follows_settings=follows)

    @classmethod
    def card_for(cls, settings: Mapping[str, Scalar]) -> Card:
        """The card of the tool with these settings, all of them; a tool whose ports depend on them overrides it.

        It is asked whenever a graph is checked, so it must be cheap: it may read a small file, and imports nothing
        heavy. It may tell more of the ports than `cls.card` does, and `cost`, `memory`, `needs`, `weights`; names of
        ports and settings stay. What is wrong with the settings is raised as CardError or another MMAgentError.
        """
        return cls.card

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

    def card_for(self, settings: Mapping[str, Scalar]) -> Card:
        """Its card, whatever the settings."""
        return self.card

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


class Preset:
    """A tool with settings of its own under a name of its own; in every other way a tool like any.

        Preset("my-clip", ImageEncoder, {"model": "openai/clip-vit-base-patch32"})

    The settings become the defaults of its card, the rest of which is what the tool's card is with them. `doc`,
    `cost` (seconds) and `memory` (bytes) replace those of the tool. CardError tells of settings that the tool does
    not take; whatever else is wrong with them is raised when the card is asked for.
    """

    def __init__(
        self,
        name: str,
        base: ToolType,
        settings: Mapping[str, object],
        *,
        doc: str = "",
        cost: float | None = None,
        memory: int | None = None,
    ) -> None:
        self.name = name if re.search(r"\.v[0-9]+$", name) else f"{name}.v1"
        self.base = base
        known = {setting.name: setting for setting in base.card.settings}
        unknown = [key for key in settings if key not in known]
        if unknown:
            raise CardError(f"{name}: {base.card.name} has no setting {unknown[0]!r}; it has {', '.join(known)}")
        self.settings = {key: known[key].check(value, name) for key, value in settings.items()}
        self._doc, self._cost, self._memory = doc, cost, memory

    @property
    def card(self) -> Card:
        """The card with the preset's settings, as the tool tells it now."""
        defaults = {setting.name: setting.default for setting in self.base.card.settings}
        return self.card_for({**defaults, **self.settings})

    def card_for(self, settings: Mapping[str, Scalar]) -> Card:
        """The card with these settings, all of them."""
        card = self.base.card_for(settings)
        settings_of = [
            replace(setting, default=self.settings[setting.name], required=False)
            if setting.name in self.settings
            else setting
            for setting in card.settings
        ]
        return replace(
            card,
            name=self.name,
            settings=tuple(settings_of),
            doc=self._doc or card.doc,
            cost=card.cost if self._cost is None else self._cost,
            memory=card.memory if self._memory is None else self._memory,
        )

    def make(self, settings: Mapping[str, object]) -> Instance:
        """An instance of the tool, from the preset's settings under those given."""
        return self.base.make({**self.settings, **settings})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Preset) and self._key == other._key

    def __hash__(self) -> int:
        return hash((self.name, id(self.base)))

    @property
    def _key(self) -> tuple[object, ...]:
        return self.name, self.base, self.settings, self._doc, self._cost, self._memory

    def __repr__(self) -> str:
        return f"<tool {self.name}: {self.base.card.name} with {self.settings}>"


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
    `lossy=False`), `inline`, `cacheable`, `either` (optional ports of which exactly one is given). A signature that cannot be a tool raises CardError.
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
