"""Another program at work on our behalf: watched, killed when the watcher is interrupted, its last words kept.

Package clients and conversions do not say how far they are; the growth of the folder they write into does.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

Progress = Callable[[str, int, int | None], None]
"""Called with what is going on, the bytes so far, and the bytes in all if they are known."""

_TICK = 0.2
_ERRORS = ("error", "e: ", "npm error", "npm err!")


class ProcessFailed(Exception):
    """The program is missing or ended with an error; the text is its reason."""


def watch(
    command: Sequence[str], folder: Path, note: str, total: int, progress: Progress, env: Mapping[str, str]
) -> None:
    """Run `command` in `folder`, reporting how much lies there; ProcessFailed gives the reason of a failure.

    `env` is added to the environment; temporary files go below `folder`, so that they count and vanish with it.
    """
    log = folder / ".log"
    progress(note, 0, total)
    try:
        with log.open("wb") as out:
            child = subprocess.Popen(
                command, cwd=folder, env={**os.environ, "TMPDIR": str(folder), **env},
                stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            )  # fmt: skip
    except FileNotFoundError:
        raise ProcessFailed(f"{command[0]} is not installed") from None
    try:
        while child.poll() is None:
            progress(note, min(held(folder), total), total)
            try:
                child.wait(_TICK)
            except subprocess.TimeoutExpired:
                pass  # still at work
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()
    if child.returncode:
        raise ProcessFailed(last_words(log.read_text(errors="replace")) or f"exit code {child.returncode}")
    progress(note, total, total)


def held(folder: Path) -> int:
    """Bytes of all files below `folder`, some of which may be on the move."""
    total = 0
    for place, _, names in os.walk(folder):  # unlike Path.rglob it passes over a folder that has just vanished
        for name in names:
            try:
                total += os.lstat(f"{place}/{name}").st_size
            except FileNotFoundError:
                pass  # moved away since it was listed
    return total


def last_words(text: str) -> str:
    """What a program's output says about its failure: the first lines that call themselves errors, else the last line.

    >>> last_words("Looking\\nERROR: No matching distribution found for x==1\\nBye")
    'ERROR: No matching distribution found for x==1'
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith(_ERRORS)]
    return ("; ".join(errors[:3]) or (lines or [""])[-1])[:400]
