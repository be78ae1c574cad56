"""Whether a tool that is given a context stops when it is cancelled."""

from __future__ import annotations

import threading
import time

from mmagent.conformance.call import Probe
from mmagent.conformance.subject import Fails, Skip, Subject
from mmagent.errors import Cancelled
from mmagent.tool import Instance


def cancel(subject: Subject) -> str:
    """A tool with a `ctx` stops, halfway through its looks at it, within the bound, by raising Cancelled or returning."""
    if not subject.card.context:
        raise Skip("run() takes no ctx")
    whole = Probe()
    started = time.monotonic()
    with subject.loaded() as instance:
        subject.caller.call(instance, subject.inputs(), subject.settings, whole)
        took = time.monotonic() - started
        if not whole.looks:
            if took > subject.bound:
                raise Fails(f"ran {took:.1f} s and never looked at ctx; call ctx.progress or ctx.check in its loop")
            raise Skip("never looks at ctx for cancelling, and is short")
        probe = Probe(cancel_at=max(1, whole.looks // 2))
        ended = _cancelled(subject, instance, probe)
    if ended is None and whole.looks > 1 and probe.looks >= whole.looks:
        raise Fails("was cancelled halfway and went on to its end; let Cancelled pass, or return when ctx.cancelled")
    return f"stops at look {probe.looks} of {whole.looks} when cancelled"


def _cancelled(subject: Subject, instance: Instance, probe: Probe) -> BaseException | None:
    """What the call raised once it was cancelled, None if it returned. It has `bound` seconds to do either."""
    raised: list[BaseException] = []

    def target() -> None:
        try:
            subject.caller.call(instance, subject.inputs(), subject.settings, probe)
        except BaseException as error:  # handed to the thread that waits
            raised.append(error)

    thread = threading.Thread(target=target, name=f"cancel {subject.card.name}", daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(0.01)
        since = probe.cancelled_since
        if thread.is_alive() and since is not None and time.monotonic() - since > subject.bound:
            raise Fails(f"still ran {subject.bound:g} s after it was cancelled; look at ctx more often")
    if raised and not isinstance(raised[0], Cancelled):
        raise Fails(f"raised {type(raised[0]).__name__} when cancelled: {raised[0]}; let Cancelled pass")
    return raised[0] if raised else None
