"""A trace as a few lines of plain text, for terminals and logs. Nothing in it can steer the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mmagent.engine.events import Call
from mmagent.trace.data import Part, Route, Trace
from mmagent.trace.words import chain, count, duration, facts, line, tally, usage, verdict, visible

INDENT = "  "
WIDTH = 240
"""Characters of a row; what tools and models wrote is cut there."""


def summary(trace: Trace, refused: bool = False) -> str:
    """The turn in brief: what came back and when, how each part was routed, and every call with its seconds.

    `refused` lists the candidates that the router did not take, which are only counted otherwise. The last line
    has no newline.
    """
    blocks = [_head(trace)]
    if trace.parts:
        blocks.append(["reply", *_columns([_part(number, part, trace) for number, part in enumerate(trace.parts, 1)])])
    if trace.routes:
        blocks.append(["routes", *(row for route in trace.routes for row in _route(route, refused))])
    for number, step in enumerate(trace.steps, 1):
        name = "calls" if len(trace.steps) == 1 else f"calls of step {number}"
        rows = [_call(call) for call in step.begun]
        errors = [INDENT + line(call.error, WIDTH) for call in step.begun if call.error]
        blocks.append([name, *_columns(rows), *errors])
    return visible("\n\n".join("\n".join(block) for block in blocks))


def _head(trace: Trace) -> list[str]:
    rows = [f"{line(trace.model)}: {duration(trace.seconds)}, {tally(trace)}, seed {trace.seed}"]
    firsts = (("first token", trace.first_token), ("first audio", trace.first_audio))
    rows += [", ".join(f"{name} after {duration(at)}" for name, at in firsts if at is not None)]
    rows += [usage(trace.usage)]
    rows += [f"the model was told: {line(told, WIDTH)}" for used in trace.usage for told in used.told]
    return [row for row in rows if row]


def _part(number: int, part: Part, trace: Trace) -> list[str]:
    when = duration(part.seconds) if part.seconds else ""
    known = facts(trace.media.get(part.handle.digest, {})) if part.handle else []
    return [str(number), part.modality, when, f"failed: {part.error}" if part.error else ", ".join(known)]


def _route(route: Route, refused: bool) -> list[str]:
    caption = f" “{line(route.caption)}”" if route.caption else ""
    taken = f"{chain(route.path)} by {route.wire}" if route.path else "no way"
    others = [item for item in route.candidates if not item.accepted]
    number = f"; {count(len(others), 'other')} refused" if others else ""
    first = f"{route.modality}{caption}: {taken} ({route.reason}{number})"
    rest = [f"{verdict(item)} {chain(item.path)} by {item.wire}: {item.reason}" for item in others if refused]
    return [INDENT + line(first, WIDTH), *(INDENT * 2 + line(row, WIDTH) for row in rest)]


def _call(call: Call) -> list[str]:
    tries = f"{call.attempts} attempts" if call.attempts > 1 else ""
    return [call.node, call.tool, call.status, duration(call.seconds), tries]


def _columns(rows: Sequence[Iterable[str]]) -> list[str]:
    """Rows of cells as aligned lines."""
    table = [[line(cell, WIDTH) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))] if table else []
    return [INDENT + "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in table]
