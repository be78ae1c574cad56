"""The short way to run a node that is a plain inline function: gather, key, call, note, in the thread that is there.

It does what a job does for such a node and no less: recipe key, checks of what goes in and comes out, record.
Whatever is out of the ordinary is left to a job.
"""

from __future__ import annotations

from collections import deque
from time import perf_counter
from typing import TYPE_CHECKING, Any

from blake3 import blake3

from mmagent.engine.record import Brief, Record
from mmagent.errors import NodeFailed

_new = tuple.__new__  # `Brief(...)` takes three times as long

if TYPE_CHECKING:
    from mmagent.engine.frame import Frame
    from mmagent.engine.plan import NodePlan, Short
    from mmagent.engine.scheduler import Run


def run_shortcut(run: Run, frame: Frame, node: NodePlan, short: Short, ready: deque[tuple[Frame, int]]) -> bool:
    """Run a node; False, and nothing has happened, if its inputs need a closer look."""
    own = node.own
    arguments: dict[str, Any] = {**own.run_settings}
    text = own.prefix  # the text of `keys.recipe`
    values = frame.values
    for name, lead, many, slot, types in short:
        if many:
            value = [values[one] for one in slot]
            if not types.issuperset(map(type, value)):
                return False
            text += f"{lead}[{','.join([item.digest for item in value])}]"
        else:
            value = values[slot]
            if type(value) not in types:
                return False
            text += lead + value.digest
        arguments[name] = value
    if node.groups:
        run.enter(frame, node)
    key = blake3(text.encode()).hexdigest()
    log = run.log
    started = perf_counter() - log.began
    try:
        output = own.function(**arguments)
        if type(output) not in own.fits:
            output = _checked(node, output)
    except KeyboardInterrupt:
        raise
    except BaseException as cause:
        name, span, parent = frame.name(node.name), frame.span(node), frame.parent_of(node)
        failure = NodeFailed(name, node.tool, cause)
        inputs = {take.name: arguments[take.name] for take in node.takes}
        log.emit("started", span, parent, name, node.tool)
        log.end(
            Record(
                frame, name, node.tool, span, parent, "failed", started, log.now() - started, node, key,
                node.own.settings, inputs, {}, 1, failure,
            )
        )  # fmt: skip
        run.settle(frame, node, failure, ready)
        return True
    log.brief(_new(Brief, (frame, node, started, perf_counter() - log.began, key, arguments, output)))
    run.fill(frame, node, (output,), ready)
    return True


def _checked(node: NodePlan, output: Any) -> Any:
    if isinstance(output, tuple) and hasattr(output, "_fields") and len(output) == 1:
        output = output[0]
    node.own.returns[0].check(output, "its output")
    return output
