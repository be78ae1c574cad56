"""How many threads a forward pass takes: never all of the processors, unless the user says so.

The threads of one pass wait for each other by spinning. Where one of them has to wait for a processor, because
a tool that runs beside the model or another process has it, the others burn theirs: on two processors with one
of them busy, a token by two threads takes 2,000 ms, by one thread 140 (70 and 42 where both are free).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import torch

QUOTA = Path("/sys/fs/cgroup/cpu.max")  # "MICROSECONDS PERIOD", or "max PERIOD"


def usable(quota: Path = QUOTA) -> int:
    """The processors that this process may use, by its affinity and by the quota of its container."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on every platform
    most = len(affinity(0)) if affinity else os.cpu_count() or 1
    with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
        share, period = quota.read_text("ascii").split()
        most = min(most, int(share) // int(period))
    return max(1, most)


@contextlib.contextmanager
def modest() -> Iterator[None]:
    """Leave a processor free in what this thread computes. OMP_NUM_THREADS and lower counts are left as they are."""
    before = torch.get_num_threads()
    most = max(1, usable() - 1)
    if "OMP_NUM_THREADS" in os.environ or before <= most:
        yield
        return
    torch.set_num_threads(most)
    try:
        yield
    finally:
        torch.set_num_threads(before)
