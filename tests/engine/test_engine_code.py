"""What makes two tools of one name different tools: code, and all that it leads to which is not installed."""

from __future__ import annotations

import enum
import functools
import importlib
import os
import re
import subprocess
import sys
import textwrap
import threading
import types
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmagent.card import Card
from mmagent.engine import Engine, Store, source
from mmagent.engine.code import code_of
from mmagent.graph.builder import GraphBuilder
from mmagent.media import Embedding, Text
from mmagent.tool import FunctionTool, Tool, tool

Build = Callable[..., GraphBuilder]

CARD = Card("a.v1", "converter", (), ())


def digest(function: Any) -> str:
    """The digest of a tool that must have one for all processes."""
    code = code_of(FunctionTool(function, CARD))
    assert code.whole
    return code.digest


def defined(text: str, name: str = "run") -> Any:
    """What that source defines under the name, in a module that has no file."""
    names: dict[str, Any] = {"__name__": "made"}
    exec(textwrap.dedent(text), names)  # noqa: S102  # code that differs in one place
    return names[name]


def repeat(count: Any) -> FunctionTool[..., Text]:
    @tool(name="repeat.v1")
    def repeat(text: Text) -> Text:
        return Text(text.text * int(count))

    return repeat


def output(engine: Engine, build: Build, step: Any) -> Any:
    graph = build()
    graph.output("out", graph.add("n", step, text=graph.input("text", Text)))
    return engine.run(graph.checked(), {"text": Text("a")}, registry=graph.registry).outputs["out"]


def test_an_edited_tool_is_not_given_its_former_result(engine: Engine, build: Build) -> None:
    @tool(name="edited")
    def before(text: Text) -> Text:
        return Text(text.text + "1")

    @tool(name="edited")
    def after(text: Text) -> Text:
        return Text(text.text + "2")

    assert [output(engine, build, step) for step in (before, after)] == [Text("a1"), Text("a2")]


def test_tools_that_close_over_different_values_do_not_share_results(engine: Engine, build: Build) -> None:
    assert [output(engine, build, repeat(count)) for count in (2, 3, 2)] == [Text("aa"), Text("aaa"), Text("aa")]


def test_a_module_in_folders_without_an_init_counts_though_nothing_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "spread" / "inner").mkdir(parents=True)
    (tmp_path / "spread" / "inner" / "part.py").write_text("x = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    first = source.stamp("spread.inner.part")
    assert first is not None and first.sure
    (tmp_path / "spread" / "inner" / "part.py").write_text("x = 22\n")
    assert source.stamp("spread.inner.part") != first
    assert "spread" not in sys.modules


@pytest.fixture
def hasty() -> Iterator[None]:
    """Threads that take turns far more often than usual, so that races are lost in a test, not in the field."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("hasty")
def test_threads_that_meet_a_tool_at_once_agree_on_what_it_is() -> None:
    lock = threading.Lock()

    def look(held: FunctionTool[..., Any], meet: threading.Barrier) -> str:
        meet.wait(60)
        return code_of(held).digest

    for _ in range(50):
        held, meet = FunctionTool(lambda text: lock and text, CARD), threading.Barrier(8)
        with ThreadPoolExecutor(8) as pool:
            assert len(set(pool.map(look, [held] * 8, [meet] * 8))) == 1


def test_tools_that_close_over_what_has_no_digest_share_results_with_themselves_alone(
    engine: Engine, build: Build, tmp_path: Path
) -> None:
    class Heavy(int):
        """Says nothing about what it holds."""

    first, second = repeat(Heavy(2)), repeat(Heavy(3))
    assert code_of(first) == code_of(first) != code_of(second)
    assert not code_of(first).whole
    assert [output(engine, build, step) for step in (first, second, first)] == [Text("aa"), Text("aaa"), Text("aa")]

    @tool(cost=9)
    def dear(text: Text) -> Text:
        with lock:
            return text

    lock = threading.Lock()
    storing = Engine(store=Store(tmp_path))
    output(storing, build, dear)
    storing.close()
    assert list(tmp_path.rglob("*.json")) == []


def test_embeddings_of_different_tools_are_not_taken_for_each_other(engine: Engine, build: Build) -> None:
    def encode(value: float, inline: bool) -> FunctionTool[..., Embedding]:
        @tool(name="encode.v1", inline=inline)
        def encode(text: Text) -> Embedding:
            return Embedding(np.full((1, 2), value, "float32"), "test.space")

        return encode

    @tool
    def read(states: Embedding) -> Text:
        return Text(str(states.array[0, 0]))

    def seen(value: float, inline: bool) -> Any:
        graph = build()
        states = graph.add("e", encode(value, inline), text=graph.input("text", Text))
        graph.output("out", graph.add("r", read, states=states))
        return engine.run(graph.checked(), {"text": Text("a")}, registry=graph.registry).outputs["out"]

    for inline in (False, True):
        assert [seen(value, inline) for value in (1.0, 2.0)] == [Text("1.0"), Text("2.0")]


@pytest.mark.parametrize(
    "sources",
    [
        ["def run(t): return t + 1", "def run(t): return t + 2", "def run(t): return t - 1", "def run(t): return run"],
        ["def run(t, n=1): return t", "def run(t, n=2): return t", "def run(t, *, n=1): return t"],
        ["N = 1\ndef run(t): return N", "N = 2\ndef run(t): return N", "N = 1.0\ndef run(t): return N"],
        ["N = [1]\ndef run(t): return N", "N = [2]\ndef run(t): return N", "N = {1: 2}\ndef run(t): return N"],
        ["def h(t): return 1\ndef run(t): return h(t)", "def h(t): return 2\ndef run(t): return h(t)"],
        ["M = 1\ndef h(t): return M\ndef run(t): return h(t)", "M = 2\ndef h(t): return M\ndef run(t): return h(t)"],
        ["M = 1\ndef run(t): return [lambda: M]", "M = 2\ndef run(t): return [lambda: M]"],
        ["class C:\n m = 1\ndef run(t): return C.m", "class C:\n m = 2\ndef run(t): return C.m"],
        ["class B:\n m = 1\nclass C(B): pass\ndef run(t): return C", "class B:\n m = 2\nclass C(B): pass\ndef run(t): return C"],
        ["class C: pass\nc = C(); c.n = 1\ndef run(t): return c", "class C: pass\nc = C(); c.n = 2\ndef run(t): return c"],
        ["class C: __slots__ = 'n'\nc = C(); c.n = 1\ndef run(t): return c",
         "class C: __slots__ = 'n'\nc = C(); c.n = 2\ndef run(t): return c"],
        ["def run(t):\n try: t()\n except KeyError: return 1", "def run(t):\n try: t()\n except ValueError: return 1"],
        ["import math\ndef run(t): return math.pi", "import cmath as math\ndef run(t): return math.pi"],
        ["from functools import partial\np = partial(int, base=2)\ndef run(t): return p",
         "from functools import partial\np = partial(int, base=3)\ndef run(t): return p"],
    ],
)  # fmt: skip
def test_the_digest_follows_whatever_the_code_leads_to(sources: list[str]) -> None:
    assert [digest(defined(source)) for source in sources] == [digest(defined(source)) for source in sources]
    assert len({digest(defined(source)) for source in sources}) == len(sources)


class Colour(enum.Enum):
    """A plain value."""

    RED = 1
    BLUE = 2


@dataclass
class Size:
    """Another."""

    width: int = 1
    names: list[str] = field(default_factory=list)


class Pair(NamedTuple):
    """And another."""

    left: int
    right: int = 2


def closes_over(value: Any) -> Any:
    def run(text: Text) -> Any:
        return value

    return run


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Colour.RED, Colour.BLUE),
        (Size(1), Size(2)),
        (Size(names=["a"]), Size(names=["b"])),
        (types.SimpleNamespace(n=1), types.SimpleNamespace(n=2)),
        (re.compile("a"), re.compile("b")),
        (Path("a"), Path("b")),
        (np.zeros(3), np.ones(3)),
        (np.zeros(3), np.zeros((3, 1))),
        (np.float32(1), np.float32(2)),
        (Text("a"), Text("b")),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ([1].append, [2].append),
        (functools.cache(lambda: 1), functools.cache(lambda: 2)),
        (list[int], list[str]),
        (Size, Pair),
        (0.0, -0.0),
        (True, 1),
        ((1, (2, 3)), (1, 2, 3)),
        ("a", b"a"),
    ],
)
def test_values_that_differ_make_different_tools(one: Any, other: Any) -> None:
    assert digest(closes_over(one)) == digest(closes_over(one)) != digest(closes_over(other))


@pytest.mark.parametrize(
    "value", [threading.Lock(), iter([1]), {object: threading.Event()}], ids=["lock", "iter", "in"]
)
def test_what_has_no_digest_is_told_apart_by_tool(value: Any) -> None:
    one, other = (FunctionTool(closes_over(value), CARD) for _ in range(2))
    assert code_of(one) == code_of(one) != code_of(other)
    assert not code_of(one).whole


def test_tools_that_are_equal_are_told_apart_all_the_same() -> None:
    class Alike(FunctionTool[..., Any]):
        """A tool that says that it is every other."""

        def __eq__(self, other: object) -> bool:
            return True

        def __hash__(self) -> int:
            return 1

    function = closes_over(threading.Lock())
    one, other = Alike(function, CARD), Alike(function, CARD)
    assert code_of(one) == code_of(one) != code_of(other)


def test_what_holds_itself_has_a_digest() -> None:
    ring: list[Any] = [1]
    ring.append(ring)
    assert digest(closes_over(ring)) == digest(closes_over(ring))


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
                    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner)))  # fmt: skip
def test_equal_values_have_equal_digests_wherever_they_come_from(value: Any) -> None:
    again = eval(repr(value), {"nan": float("nan"), "inf": float("inf")})  # noqa: S307  # what Python has just written
    assert digest(closes_over(value)) == digest(closes_over(again))


def test_the_parts_of_a_tool_class_count() -> None:
    def made(base_result: int, own: int, constant: int) -> type[Tool]:
        class Base(Tool):
            def load(self) -> None:
                self.n = base_result

        class Made(Base, name="made.v1"):
            SIZE = constant

            def run(self, text: Text) -> Text:
                return Text(text.text * own)

        return Made

    kinds = [(1, 1, 1), (2, 1, 1), (1, 2, 1), (1, 1, 2)]
    assert all(code_of(made(*kind)).whole for kind in kinds)
    assert [code_of(made(*kind)) for kind in kinds] == [code_of(made(*kind)) for kind in kinds]
    assert len({code_of(made(*kind)).digest for kind in kinds}) == 4


TOOL = """
    import {helper}
    from mmagent import Text, tool

    @tool(cost=3.0)
    def repeat(text: Text) -> Text:
        {inside}
        return Text(text.text * ({how}))
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of modules that are gone after the test."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and str(tmp_path) in str(sys.modules[name].__file__):
            del sys.modules[name]


def in_a_process(home: Path) -> str:
    """What a script in that folder prints that runs the tool on `a` with a store."""
    script = """
        import sys, tool_file
        from mmagent.engine import Engine, Store
        from mmagent.engine.code import code_of
        from mmagent.graph.builder import GraphBuilder
        from mmagent.media import Text
        from mmagent.registry import Registry
        graph = GraphBuilder("test", registry=Registry())
        graph.output("out", graph.add("n", tool_file.repeat, text=graph.input("text", Text)))
        with Engine(store=Store("store")) as engine:
            result = engine.run(graph.checked(), {"text": Text("a")}, registry=graph.registry)
        print(result.outputs["out"], result.calls[0].status)
    """
    environment = {**os.environ, "PYTHONPATH": str(home), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", textwrap.dedent(script)]
    return subprocess.run(command, env=environment, cwd=home, check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.parametrize(
    ("inside", "how", "helper"),
    [
        ("", "helper_a.N", "N = {}"),
        ("", "helper_a.f()", "import helper_b\ndef f(): return helper_b.N"),
        ("from helper_a import N", "N", "N = {}"),
        ("import helper_a as other", "other.f()", "from helper_b import *\ndef f(): return N"),
    ],
)
def test_a_stored_result_is_given_again_until_a_module_that_leads_to_it_changes(
    home: Path, inside: str, how: str, helper: str
) -> None:
    text = textwrap.dedent(TOOL).format(helper="math" if inside else "helper_a", inside=inside or "pass", how=how)
    (home / "tool_file.py").write_text(text)
    for count in (2, 3):
        (home / "helper_a.py").write_text(helper.format(count))
        (home / "helper_b.py").write_text(f"N = {count}")
        assert [in_a_process(home), in_a_process(home)] == [f"{'a' * count} finished", f"{'a' * count} cached"]


def test_a_file_that_changed_after_the_process_began_is_not_trusted_to_be_what_was_loaded(home: Path) -> None:
    (home / "late_tool.py").write_text("def run(text): return text")
    late = importlib.import_module("late_tool")
    assert not code_of(FunctionTool(late.run, CARD)).whole
    os.utime(home / "late_tool.py", (1, 1))
    assert code_of(FunctionTool(late.run, CARD)).whole


def test_a_tool_file_without_any_change_in_code_counts_as_changed_with_its_text(home: Path) -> None:
    digests = []
    for sign in "12":
        (home / "plain_tool.py").write_text(f"# {sign}\ndef run(text): return text")
        os.utime(home / "plain_tool.py", (int(sign), int(sign)))
        digests.append(digest(importlib.import_module("plain_tool").run))
        del sys.modules["plain_tool"]
    assert digests[0] != digests[1]
