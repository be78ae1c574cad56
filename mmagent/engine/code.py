"""What a tool's code is: two tools of one name whose code differs never share a result.

The digest covers the source file that a tool is defined in, its functions and classes, the values they close over,
their defaults, the globals they name, and so on through everything that is not installed. Values count as they are
when the graph is planned: a tool whose results follow something that changes later must say `cacheable=False`. What
a tool reads from files is not covered; its version, or the digest of its weights, stands for that.
"""

from __future__ import annotations

import dis
import functools
import logging
import re
import secrets
import sys
import threading
import types
import weakref
from collections import OrderedDict, defaultdict, deque
from collections.abc import Iterator
from contextlib import suppress
from enum import Enum
from pathlib import PurePath
from typing import Any, NamedTuple

from blake3 import blake3

from mmagent.card import Card
from mmagent.engine import source
from mmagent.media import Media
from mmagent.tool import FunctionTool, Preset


class Code(NamedTuple):
    """A digest of a tool's code; stable across processes if it is `whole`, else for this tool object alone."""

    digest: str
    whole: bool


_ATOMS = frozenset({type(None), bool, int, float, complex, str, bytes, range, type(Ellipsis), type(NotImplemented)})
_SEQUENCES = (tuple, list, deque)
_MAPPINGS = (dict, OrderedDict, defaultdict, types.MappingProxyType)
_DESCRIPTORS = (
    types.MemberDescriptorType,
    types.GetSetDescriptorType,
    type(vars(NamedTuple("_Pair", [("left", int)]))["left"]),
)
_BASES = frozenset({"abc.ABC", "builtins.object", "mmagent.tool.Tool", "typing.Generic", "typing.Protocol"})
"""Installed classes that hold no state of their own."""

_BOOKKEEPING = frozenset({
    "__module__", "__qualname__", "__dict__", "__weakref__", "__doc__", "__annotations__", "__parameters__",
    "__orig_bases__", "__match_args__", "__slots__", "__abstractmethods__", "__dataclass_fields__",
    "__dataclass_params__", "__firstlineno__", "__static_attributes__", "__annotate_func__", "__annotations_cache__",
    "__protocol_attrs__", "__non_callable_proto_members__", "_abc_impl", "_is_protocol", "_is_runtime_protocol",
})  # fmt: skip
"""What Python notes in a class, of which nothing changes a result."""

_MOST = 100_000
"""Values that are looked at before a tool is taken for one that cannot be told from others by its code."""

_alone: dict[int, tuple[weakref.ref[Any], str]] = {}
_giving = threading.RLock()  # a weak reference's callback may run in the thread that holds it


def code_of(tool: Any) -> Code:
    """The digest of a tool's code. Not whole where it holds what has no digest: locks, clients, loaded models."""
    walk = _Walk()
    while isinstance(tool, Preset):  # its settings and name are in every key already
        tool = tool.base
    try:
        walk.origin(getattr(tool, "function", tool))
        walk.add(tool)
    except RecursionError:
        walk.whole = False
    digest = walk.digest
    return Code(digest, True) if walk.whole else Code(f"{digest} {_token(tool)}", False)


def _token(tool: Any) -> str:
    """What no other tool has, here or in another process."""
    key = id(tool)  # not the tool, for others may be equal to it
    with _giving:
        held = _alone.get(key)
        if held is not None and held[0]() is tool:
            return held[1]
        token = secrets.token_hex(16)
        with suppress(TypeError):  # it cannot be referred to weakly: no two of its plans share results
            _alone[key] = weakref.ref(tool, lambda gone: _forget(key, gone)), token
        return token


def _forget(key: int, gone: weakref.ref[Any]) -> None:
    """Drop a token, unless the id has been given to another tool meanwhile."""
    with _giving:
        if key in _alone and _alone[key][0] is gone:
            del _alone[key]


class _Walk:
    """Goes through everything that a value is made of, in an order that is the same in every process."""

    def __init__(self) -> None:
        self.whole = True
        self._hash = blake3()
        self._seen: dict[int, int] = {}
        self._held: list[Any] = []  # an id is given again once its object is gone
        self._left = _MOST

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()

    def origin(self, value: Any) -> None:
        """Take in the source file in which it is defined."""
        name = getattr(value if hasattr(value, "__module__") else type(value), "__module__", None) or ""
        found = source.stamp(name) if name else None
        if found is not None:
            self._put("origin", found.text)
            self.whole = self.whole and found.sure

    def add(self, value: Any) -> None:
        """Take in a value."""
        kind = type(value)
        self._left -= 1
        if self._left < 0:
            self.whole = False
        elif kind in _ATOMS:
            self._put(kind.__name__, value if kind is bytes else repr(value))
        elif kind is tuple or isinstance(value, types.CodeType):
            # By value: whether equal ones are one object depends on whether the module was compiled or read.
            self._made_of(value, kind)
        elif id(value) in self._seen:
            self._put("again", str(self._seen[id(value)]))
        else:
            self._seen[id(value)] = len(self._seen)
            self._held.append(value)
            self._made_of(value, kind)

    def _put(self, what: str, data: str | bytes) -> None:
        data = data if isinstance(data, bytes) else data.encode("utf-8", "surrogatepass")
        self._hash.update(f"{what}:{len(data)}:".encode() + data)

    def _parts(self, what: str, *values: Any) -> None:
        self._put(what, str(len(values)))
        for value in values:
            self.add(value)

    def _opaque(self, value: Any) -> None:
        self.whole = False
        self._put("opaque", _path(type(value)))

    def _made_of(self, value: Any, kind: type) -> None:
        if isinstance(value, types.CodeType):
            self._code(value)
        elif isinstance(value, types.FunctionType):
            self._function(value)
        elif isinstance(value, type):
            self._class(value)
        elif isinstance(value, types.ModuleType):
            self._module(value.__name__)
        elif isinstance(value, FunctionTool):
            self._parts("tool", value.card.name, value.function)
        elif isinstance(value, Card):
            self._put("card", value.name)
        elif isinstance(value, Media):
            self._put("media", f"{value.modality} {value.digest}")
        elif kind in _SEQUENCES:
            self._parts(kind.__name__, *value)
        elif kind in _MAPPINGS:
            self._parts(kind.__name__, *(part for pair in value.items() for part in pair))
            self.add(getattr(value, "default_factory", None))
        elif kind in (set, frozenset) and all(type(item) in _ATOMS for item in value):
            self._put(kind.__name__, repr(sorted(map(repr, value))))  # its own order is random
        else:
            self._object(value, kind)

    def _object(self, value: Any, kind: type) -> None:
        if isinstance(value, staticmethod | classmethod | types.MethodType):
            self._parts("method", value.__func__, getattr(value, "__self__", None))
        elif isinstance(value, property):
            self._parts("property", value.fget, value.fset, value.fdel)
        elif isinstance(value, functools.partial):
            self._parts("partial", value.func, value.args, value.keywords)
        elif isinstance(value, functools.cached_property):
            self._parts("cached property", value.func)
        elif isinstance(value, functools._lru_cache_wrapper):
            self._parts("cached", value.__wrapped__)
        elif isinstance(value, types.BuiltinFunctionType | types.MethodDescriptorType | types.WrapperDescriptorType):
            self._parts("builtin", value.__qualname__, getattr(value, "__self__", None))
        elif isinstance(value, Enum):
            self._parts("member", kind, value.name, value.value)
        elif isinstance(value, re.Pattern):
            self._parts("pattern", value.pattern, value.flags)
        elif isinstance(value, PurePath | logging.Logger):
            self._put(kind.__name__, str(getattr(value, "name", value) if isinstance(value, logging.Logger) else value))
        elif isinstance(value, types.GenericAlias | types.UnionType) or kind.__module__ == "typing":
            self._put("type", repr(value))
            self._parts("of", getattr(value, "__origin__", None), *(getattr(value, "__args__", ()) or ()))
        elif kind is types.SimpleNamespace:
            self._parts("namespace", vars(value))
        elif kind is object or _path(kind) == "dataclasses._HAS_DEFAULT_FACTORY_CLASS":
            self._put("object", _path(kind))
        elif kind.__module__ == "numpy":
            self._array(value)
        elif all(_path(base) in _BASES or _local(base) for base in kind.__mro__):
            self._parts("instance", kind, *_state(value))
        else:
            self._opaque(value)

    def _array(self, value: Any) -> None:
        import numpy as np

        if not isinstance(value, np.ndarray | np.generic) or value.dtype.hasobject:
            self._opaque(value)
            return
        self._put("array", f"{value.dtype.descr} {value.shape}")
        self._put("bytes", np.ascontiguousarray(value).tobytes())

    def _module(self, name: str) -> None:
        found = source.stamp(name)
        if found is None:
            self.whole = False
        else:
            self._put(f"module {name}", found.text)
            self.whole = self.whole and found.sure

    def _class(self, cls: type) -> None:
        self._put("class", _path(cls))
        if not _local(cls):
            self._module(cls.__module__)
            return
        self._parts("bases", *cls.__bases__)
        for name, item in vars(cls).items():
            if name not in _BOOKKEEPING and not isinstance(item, _DESCRIPTORS):
                self._parts(name, item)

    def _function(self, function: types.FunctionType) -> None:
        module = function.__globals__.get("__name__")
        cells = [cell.cell_contents if _filled(cell) else "" for cell in function.__closure__ or ()]
        self._put("function", function.__qualname__)
        self._parts("defaults", function.__defaults__, function.__kwdefaults__, *cells)
        if isinstance(module, str) and not source.local(module):  # it may still wrap, or close over, what is not
            self._module(module)
            return
        self.add(function.__code__)
        for use in _uses(function.__code__):
            self._use(use, function.__globals__)

    def _code(self, code: types.CodeType) -> None:
        self._put("code", code.co_code)
        self._put("except", getattr(code, "co_exceptiontable", b""))
        self._parts("names", code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars, code.co_flags)
        self._parts("constants", *code.co_consts)

    def _use(self, use: _Use, names: dict[str, Any]) -> None:
        if use.imports:
            package = names.get("__package__") or ""
            for name in source.imported(package, use.level, use.name, list(use.parts)):
                if source.stamp(name) is not None:
                    self._module(name)
        elif use.name in names:
            value = names[use.name]
            self._parts(use.name, value)
            if isinstance(value, types.ModuleType) and use.parts and source.local(value.__name__):
                self._parts(use.parts[0], getattr(value, use.parts[0], None))


class _Use(NamedTuple):
    """A global that a code names, with the attribute it takes of it; or a module that it imports, with what of it."""

    name: str
    parts: tuple[str, ...]
    imports: bool = False
    level: int = 0


@functools.lru_cache(maxsize=4096)
def _uses(code: types.CodeType) -> tuple[_Use, ...]:
    """What a code and those within it name, in order."""
    return tuple(dict.fromkeys(_read(code)))


def _read(code: types.CodeType) -> Iterator[_Use]:
    steps = [step for step in dis.get_instructions(code) if step.opname not in ("CACHE", "EXTENDED_ARG")]
    for index, step in enumerate(steps):
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            after = steps[index + 1]
            takes = after.opname in ("LOAD_ATTR", "LOAD_METHOD")
            yield _Use(str(step.argval), (str(after.argval),) if takes else ())
        elif step.opname == "IMPORT_NAME":
            level, taken = steps[index - 2].argval, steps[index - 1].argval
            yield _Use(str(step.argval), tuple(taken or ()), True, level)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _read(constant)


def _filled(cell: types.CellType) -> bool:
    try:
        _ = cell.cell_contents
    except ValueError:  # not assigned yet
        return False
    return True


def _state(value: Any) -> Iterator[Any]:
    yield getattr(value, "__dict__", None)
    for base in type(value).__mro__:
        slots = vars(base).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            yield from (name, getattr(value, name, None))


def _path(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def _local(cls: type) -> bool:
    return cls.__module__ != "builtins" and (cls.__module__ not in sys.modules or source.local(cls.__module__))
