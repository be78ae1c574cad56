"""The checks, one function each; `check` runs them in order and tells what each found."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from mmagent.card import Scalar, Setting
from mmagent.conformance.call import Caller, Probe, Value
from mmagent.conformance.cancel import cancel
from mmagent.conformance.fresh import digests_of, heavy_imports, travels
from mmagent.conformance.results import faults
from mmagent.conformance.subject import Fails, Skip, Subject
from mmagent.errors import CardError, MMAgentError
from mmagent.media import Media
from mmagent.tool import ToolType

Status = Literal["ok", "fail", "skip"]
THREADS = 4


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found. `skip`: the card does not claim what the check is about; `detail` says so."""

    tool: str
    check: str
    status: Status
    detail: str

    def __str__(self) -> str:
        return f"{self.tool}: {self.check}: {self.status}: {self.detail}"


def check(
    tool: ToolType,
    *,
    inputs: Mapping[str, Sequence[Media]] | None = None,
    settings: Mapping[str, object] | None = None,
    file: str | Path | None = None,
    bound: float = 5.0,
    only: Sequence[str] = (),
) -> Iterator[Finding]:
    """Try the tool and yield a finding for each of CHECKS (or those in `only`), in order, as it is made.

    `inputs` replace generated samples, by port. `settings` override defaults; CardError if one is wrong or
    missing. `file` is where the tool is defined, if on no shelf. A cancelled call has `bound` seconds to end.
    """
    unknown = sorted(set(inputs or {}) - {port.name for port in tool.card.inputs})
    if unknown:
        ports = ", ".join(port.name for port in tool.card.inputs) or "none"
        raise CardError(f"{tool.card.name}: no input port {unknown[0]!r}; it has {ports}")
    chosen = tool.card.check_settings(settings or {})
    with Caller() as caller:
        subject = Subject(tool, chosen, inputs or {}, caller, Path(file).resolve() if file else None, bound)
        for name, examine in CHECKS.items():
            if not only or name in only:
                yield _finding(subject, name, examine)


def _finding(subject: Subject, name: str, examine: Callable[[Subject], str]) -> Finding:
    try:
        return Finding(subject.card.name, name, "ok", examine(subject))
    except Skip as reason:
        return Finding(subject.card.name, name, "skip", str(reason))
    except Exception as error:  # whatever the tool raises is what there is to find
        told = isinstance(error, Fails | MMAgentError)
        return Finding(
            subject.card.name, name, "fail", str(error) if told else f"raised {type(error).__name__}: {error}"
        )


def constructor(subject: Subject) -> str:
    """Importing the file and constructing the tool imports no heavy library."""
    if not subject.findable:
        raise Skip("it is in no file and on no shelf, so no other process can import it")
    found = heavy_imports(subject.card.name, subject.settings, subject.file)
    if found:
        raise Fails(f"imports {', '.join(found)} before load(); move the import into load() or run()")
    return "nothing heavy is imported before load()"


def types(subject: Subject) -> str:
    """On inputs of every port, and on the required ones alone, the outputs are what the card says."""
    cases = []
    for number, form in enumerate(subject.card.forms()):
        cases.append(subject.inputs(form=number))
        if any(port.optional for port in form.inputs):
            cases.append(subject.inputs(optional=False, form=number))
    with subject.loaded() as instance:
        for inputs in cases:
            result = subject.caller.call(instance, inputs, subject.settings, Probe())
            found = faults(subject.card, result, inputs, subject.settings)
            if found:
                raise Fails(f"{'; '.join(found)} (with {', '.join(inputs) or 'no input'})")
    shown = ", ".join(f"{port.name}: {port}" for port in subject.card.outputs)
    return f"outputs are as the card says ({shown})"


def settings(subject: Subject) -> str:
    """Every declared choice works: those of `run` in a call, those of the constructor in the constructor."""
    tried = 0
    with subject.loaded() as instance:
        for item in subject.card.settings:
            for value in _alternatives(item, subject.settings[item.name]):
                tried += 1
                chosen = {**subject.settings, item.name: value}
                if item.at == "load" and _refused(subject, chosen):
                    continue
                inputs = replace(subject, settings=chosen).inputs()
                try:
                    if item.at == "load":
                        subject.tool.make(chosen)
                        continue
                    result = subject.caller.call(instance, inputs, chosen, Probe())
                except Exception as error:
                    raise Fails(f"{item.name}={value!r} raised {type(error).__name__}: {error}") from error
                found = faults(subject.card, result, inputs, chosen)
                if found:
                    raise Fails(f"with {item.name}={value!r}: {'; '.join(found)}")
    if not tried:
        raise Skip("no setting has declared choices")
    return "the one other choice that is declared works" if tried == 1 else f"all {tried} other declared choices work"


def determinism(subject: Subject) -> str:
    """The same inputs, settings and seed give the same digests: twice, on a fresh instance, in a fresh process."""
    if not subject.card.cacheable:
        raise Skip("the card says cacheable=False: results may differ")
    with subject.loaded() as instance:
        first, second = subject.run(instance), subject.run(instance)
    with subject.loaded() as instance:
        third = subject.run(instance)
    if first != second:
        raise Fails("two calls with one seed differ; draw every random number from ctx.seed, or say cacheable=False")
    if first != third:
        raise Fails("a fresh instance gives another result with the same seed; what load() makes must not vary")
    if not subject.findable or not all(map(travels, _media(subject.inputs()))):
        return "same seed, same digests: twice, and on a fresh instance"
    if first != digests_of(subject.card.name, subject.settings, subject.inputs(), subject.file):
        raise Fails("another process gives another result with the same seed; use no hash(), id(), set order or time")
    return "same seed, same digests: twice, on a fresh instance, and in a fresh process"


def concurrency(subject: Subject) -> str:
    """A reentrant tool gives the same results called from several threads at once as one after another."""
    if subject.card.concurrency != "reentrant":
        raise Skip(f"the card says {subject.card.concurrency}: never called from two threads at once")
    with subject.loaded() as instance:
        alone = [subject.run(instance, variant) for variant in range(THREADS)]
        together = _at_once(lambda variant: subject.run(instance, variant))
    if subject.card.cacheable and alone != together:
        count = sum(one != other for one, other in zip(alone, together))
        raise Fails(
            f"{count} of {THREADS} calls at once gave another result than alone; "
            "keep no state on self during run(), or say concurrency='exclusive'"
        )
    return f"{THREADS} calls at once give what they give alone"


def unload(subject: Subject) -> str:
    """One instance can be loaded, run, unloaded, and all that once more, to the same result."""
    instance = subject.tool.make(subject.settings)
    rounds = []
    for attempt in ("first", "second"):
        try:
            instance.load()
            rounds.append(subject.run(instance))
            instance.unload()
        except Exception as error:
            raise Fails(f"the {attempt} load, run, unload raised {type(error).__name__}: {error}") from error
    if subject.card.cacheable and rounds[0] != rounds[1]:
        raise Fails("after unload() and load() the result differs; load() must bring back what unload() gave away")
    return "load, run, unload works twice on one instance"


def _at_once(call: Callable[[int], list[str]]) -> list[list[str]]:
    """`call(0) … call(THREADS - 1)`, all begun at the same moment; the first error is raised."""
    barrier = threading.Barrier(THREADS)

    def start(variant: int) -> list[str]:
        barrier.wait()
        return call(variant)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(start, range(THREADS)))


def _refused(subject: Subject, settings: Mapping[str, Scalar]) -> bool:
    """Whether the tool's card says that it does not take these settings: not every checkpoint has every part."""
    try:
        subject.tool.card_for(settings)
    except MMAgentError:
        return True
    return False


def _media(inputs: Mapping[str, Value]) -> list[Media]:
    """The media of all inputs, lists unrolled."""
    values = [item for value in inputs.values() for item in (value if isinstance(value, list) else [value])]
    return [item for item in values if item is not None]


def _alternatives(setting: Setting, current: Scalar) -> list[Scalar]:
    """The other values that a setting is declared to take, where those can be listed."""
    values = list(setting.choices) or ([False, True] if setting.type == "bool" else [])
    if setting.optional:
        values.append(None)
    return [value for value in values if value != current]


CHECKS: Mapping[str, Callable[[Subject], str]] = {
    "constructor": constructor,
    "types": types,
    "settings": settings,
    "determinism": determinism,
    "concurrency": concurrency,
    "unload": unload,
    "cancel": cancel,
}
"""Every check by name, in the order in which they run; the last may leave a thread behind if the tool never stops."""
