"""The engine against its peers: the same graphs, on the same values, in turn, in one process.

    python benchmarks/engine.py [--quick]

Every figure is a median; the contestants take turns, so that a busy moment of the machine meets them all. Nothing
of ours is switched off: recipe keys, type checks, events, records, cancel, cache. Ends with 1 if a bar is missed.
"""

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import peers

from mmagent.engine import Engine
from mmagent.media import Embedding, Text

IMPORTS = {
    "pydantic": "from pydantic import BaseModel",
    "mmagent": "from mmagent import Agent, Graph, Image, tool",
}
TURN = 0.01
"""Seconds of a contestant's turn."""

HEAVY = ("torch", "transformers", "langchain", "langchain_core", "networkx")


@dataclass(frozen=True)
class Bar:
    """A promise: `value` is at least, or at most, `limit`."""

    what: str
    value: float
    limit: float
    least: bool = True

    @property
    def kept(self) -> bool:
        """Whether it holds."""
        return self.value >= self.limit if self.least else self.value <= self.limit


def interleaved(contestants: Mapping[str, peers.Contestant], copies: int, turns: int) -> dict[str, float]:
    """The median seconds of a run of each; every run has a text of its own, of which it gives `copies`.

    They take turns of equal length, in which each runs as often as it can; a turn counts as its median run.
    """
    medians: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(turns + 1):
        for name, run in contestants.items():
            times: list[float] = []
            while sum(times) < TURN or len(times) < 3:
                text = Text(f"{name}-{turn}-{len(times)}")
                begin = time.perf_counter()
                made = run(text)
                times.append(time.perf_counter() - begin)
                if made.text != text.text * copies:
                    raise AssertionError(f"{name} gave {made}")
            if turn:  # in the first turn each engine builds what it builds lazily
                medians[name].append(statistics.median(times))
    return {name: statistics.median(values) for name, values in medians.items()}


def table(title: str, medians: Mapping[str, float], scale: float, unit: str) -> None:
    """Print the figures, each with its ratio to asyncio, and how much dearer than ours the others are."""
    print(f"\n{title}\n  {'':16} {unit:>12} {'× asyncio':>10} {'× ours':>9}")
    for name, seconds in sorted(medians.items(), key=lambda item: item[1]):
        against = seconds / medians["asyncio"] if "asyncio" in medians else float("nan")
        print(f"  {name:16} {seconds * scale:12.2f} {against:10.1f} {seconds / medians['mmagent inline']:9.1f}")


def chain(engine: Engine, turns: int) -> list[Bar]:
    length = 10
    medians = interleaved(
        {
            "plain calls": peers.plain_chain(length),
            "asyncio": peers.asyncio_chain(length),
            "mmagent inline": peers.mmagent_chain(length, engine),
            "mmagent ordinary": peers.mmagent_chain(length, engine, peers.ordinary_same),
            "hamilton": peers.hamilton_chain(length),
            "haystack": peers.haystack_chain(length),
            "langgraph": peers.langgraph_chain(length),
        },
        1,
        turns,
    )
    table("Chain of 10: µs a node", medians, 1e6 / length, "µs")
    inline, ordinary = medians["mmagent inline"], medians["mmagent ordinary"]
    return [
        Bar("chain: inline node, × cheaper than langgraph", medians["langgraph"] / inline, 50),
        Bar("chain: inline node, cost of hamilton's", inline / medians["hamilton"], 1, least=False),
        Bar("chain: ordinary node, × cheaper than langgraph", medians["langgraph"] / ordinary, 8),
    ]


def fan(engine: Engine, turns: int) -> list[Bar]:
    width = peers.WIDTH
    medians = interleaved(
        {
            "plain calls": peers.plain_fan(width),
            "asyncio": peers.asyncio_fan(width),
            "mmagent inline": peers.mmagent_fan(width, engine),
            "mmagent ordinary": peers.mmagent_fan(width, engine, peers.ordinary_same),
            "hamilton": peers.hamilton_fan(width),
            "haystack": peers.haystack_fan(width),
            "langgraph": peers.langgraph_fan(width),
        },
        width,
        turns,
    )
    table(f"Fan-out {width} and join: µs a run", medians, 1e6, "µs")
    ratio = medians["langgraph"] / medians["mmagent inline"]
    return [Bar("fan-out: inline, × cheaper than langgraph", ratio, 50)]


def build_and_run(make: Callable[[], peers.Contestant]) -> tuple[float, float]:
    """Seconds to build a graph and seconds of its first run."""
    begin = time.perf_counter()
    run = make()
    built = time.perf_counter()
    run(Text("x"))
    return built - begin, time.perf_counter() - built


def long_chain(engine: Engine, rounds: int) -> list[Bar]:
    length = 1000
    makes: dict[str, Callable[[], peers.Contestant]] = {
        "mmagent inline": lambda: peers.mmagent_chain(length, engine),
        "mmagent ordinary": lambda: peers.mmagent_chain(length, engine, peers.ordinary_same),
        "hamilton": lambda: peers.hamilton_chain(length),
        "langgraph": lambda: peers.langgraph_chain(length),
    }
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in makes}
    for _ in range(rounds):
        for name, make in makes.items():
            times[name].append(build_and_run(make))
    print(f"\nChain of {length}, built and run once: ms\n  {'':16} {'build':>10} {'run':>10} {'together':>10}")
    totals = {}
    for name, pairs in times.items():
        build, run = (statistics.median(column) for column in zip(*pairs))
        totals[name] = statistics.median([sum(pair) for pair in pairs])
        print(f"  {name:16} {build * 1e3:10.1f} {run * 1e3:10.1f} {totals[name] * 1e3:10.1f}")
    return [Bar("1,000-node chain: × faster than langgraph", totals["langgraph"] / totals["mmagent inline"], 10)]


def flat(engine: Engine, rounds: int) -> list[Bar]:
    """What a node costs to build and to run in chains of 100, 1,000 and 10,000.

    Measured before the peers are loaded: with their modules the garbage collector has more to look through.
    """
    lengths = (100, 1000, 10_000)
    times: dict[int, list[tuple[float, float]]] = {length: [] for length in lengths}
    for _ in range(rounds):
        for length in lengths:
            make = partial(peers.mmagent_chain, length, engine)
            pairs = [build_and_run(make) for _ in range(lengths[-1] // length)]
            build, run = (statistics.mean(column) / length for column in zip(*pairs))
            times[length].append((build, run))
    print(f"\nCost a node by length of chain: µs\n  {'':16} {'build':>10} {'run':>10}")
    columns = {length: [statistics.median(column) for column in zip(*times[length])] for length in lengths}
    for length, (build, run) in columns.items():
        print(f"  {length:<16,} {build * 1e6:10.2f} {run * 1e6:10.2f}")
    build_ratio, run_ratio = (columns[10_000][index] / columns[100][index] for index in (0, 1))
    return [
        Bar("flat: building a node, 10,000 against 100", build_ratio, 1.3, least=False),
        Bar("flat: running a node, 10,000 against 100", run_ratio, 1.3, least=False),
    ]


def naps(engine: Engine, rounds: int) -> list[Bar]:
    """Eight naps of 50 ms side by side, by both APIs."""
    graph = peers.builder()
    text = graph.input("text", Text)
    for index in range(8):
        graph.output(f"o{index}", graph.add(f"n{index}", peers.nap, text=text))
    plan = engine.plan(graph.checked(), registry=graph.registry)
    ways: dict[str, Callable[[], Any]] = {
        "run": lambda: engine.run(plan, {"text": Text("x")}),
        "arun": lambda: asyncio.run(engine.arun(plan, {"text": Text("x")})),
    }
    bars = []
    print(f"\n8 × {peers.NAP * 1e3:.0f} ms: ms")
    for name, way in ways.items():
        times = []
        for _ in range(rounds):
            begin = time.perf_counter()
            way()
            times.append(time.perf_counter() - begin)
        median = statistics.median(times)
        print(f"  {name:16} {median * 1e3:10.1f}")
        bars.append(Bar(f"8 × 50 ms by {name}, × 50 ms", median / peers.NAP, 1.15, least=False))
    return bars


def by_reference(engine: Engine) -> list[Bar]:
    """50 MiB through ten ordinary nodes: what comes out is the object that went in."""
    import numpy as np

    graph = peers.builder()
    last = graph.input("states", "embedding")
    for index in range(10):
        last = graph.add(f"n{index}", peers.big_same, states=last)
    graph.output("states", last)
    big = Embedding(np.zeros((128, 102_400), "float32"), "bench.space")
    same = engine.run(graph.checked(), {"states": big}, registry=graph.registry).outputs["states"] is big
    print(f"\n50 MiB through ten nodes: {'the same object' if same else 'a copy'}")
    return [Bar("50 MiB through ten nodes: the same object", float(same), 1)]


def imports(rounds: int) -> list[Bar]:
    """Import times in fresh processes, in turn, all of it compiled before, and what comes with ours."""
    times: dict[str, list[float]] = {name: [] for name in IMPORTS}
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": folder}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        for count in range(rounds + 1):
            for name, statement in IMPORTS.items():
                code = f"import time; t = time.perf_counter(); {statement}; print(time.perf_counter() - t)"
                command = [sys.executable, "-c", code]
                done = subprocess.run(command, env=environment, check=True, capture_output=True)
                if count:  # the first of each compiles, and reads the disk
                    times[name].append(float(done.stdout))
    medians = {name: statistics.median(values) for name, values in times.items()}
    code = f"{IMPORTS['mmagent']}; import sys; print(sum(name in sys.modules for name in {HEAVY}))"
    heavy = int(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout)
    print("\nImport: ms")
    for name, seconds in medians.items():
        print(f"  {IMPORTS[name]:45} {seconds * 1e3:8.1f}")
    return [
        Bar("import: × pydantic", medians["mmagent"] / medians["pydantic"], 2.5, least=False),
        Bar("import: heavy libraries that come with it", heavy, 0, least=False),
    ]


def main() -> int:
    """Run everything; 0 if every bar is kept."""
    parser = argparse.ArgumentParser(description="The engine against its peers.")
    parser.add_argument("--quick", action="store_true", help="fewer rounds: a look, not a measurement")
    quick = parser.parse_args().quick
    engine = Engine()
    bars = imports(3 if quick else 11)
    bars += flat(engine, 3 if quick else 9)
    bars += chain(engine, 10 if quick else 60)
    bars += fan(engine, 10 if quick else 60)
    bars += long_chain(engine, 2 if quick else 7)
    bars += naps(engine, 3 if quick else 11)
    bars += by_reference(engine)
    print(f"\n{'Bar':52} {'value':>9}   {'limit':>7}")
    for bar in bars:
        sign, verdict = "≥" if bar.least else "≤", "kept" if bar.kept else "MISSED"
        print(f"{bar.what:52} {bar.value:9.2f} {sign} {bar.limit:7.2f}   {verdict}")
    engine.close()
    return 0 if all(bar.kept for bar in bars) else 1


if __name__ == "__main__":
    sys.exit(main())
