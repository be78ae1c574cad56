"""Weights by name: fetched once from the first source that has them, verified, converted, and cached.

    >>> folder = fetch("moonshine-tiny-en")          # doctest: +SKIP
    >>> missing(["pocket"])                          # doctest: +SKIP
    []

Reading the catalogue imports nothing heavy; converting imports what it needs.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from mmagent.errors import Offline, UnknownName
from mmagent.fetch import convert
from mmagent.fetch.cache import build, cache_folder, intact, lock, present
from mmagent.fetch.catalogue import GROUPS, SETS, Part, WeightSet, expand
from mmagent.fetch.process import Progress
from mmagent.fetch.sources import File, Source, Unavailable

__all__ = [
    "File",
    "Progress",
    "Source",
    "WeightSet",
    "all_sets",
    "cache_folder",
    "fetch",
    "fetch_all",
    "groups",
    "location",
    "missing",
    "weights",
]


def weights(name: str) -> WeightSet:
    """The set of that name; UnknownName lists the known ones."""
    found = expand(name)
    if name not in SETS:
        raise UnknownName(f"{name} is a group of weights; ask for one of {', '.join(found)}, or use fetch_all")
    return SETS[name]


def all_sets() -> tuple[WeightSet, ...]:
    """Every known set, by name."""
    return tuple(SETS[name] for name in sorted(SETS))


def groups() -> dict[str, tuple[str, ...]]:
    """The names that stand for several sets."""
    return dict(GROUPS)


def location(name: str) -> Path:
    """The folder in which the set of that name lies once it is fetched."""
    return _place(weights(name))


def missing(names: Iterable[str]) -> list[str]:
    """Those of the sets (groups are expanded) that are not in the cache, and those that they are joined with."""
    sets = (SETS[name] for given in names for name in expand(given))
    absent = [entry for entry in sets if not present(_place(entry))]
    joined = (name for entry in absent for name in missing(part.set for part in entry.parts))
    return list(dict.fromkeys([*(entry.name for entry in absent), *joined]))


def fetch_all(name: str, *, progress: Progress | None = None) -> dict[str, Path]:
    """Fetch every set that a set's or a group's name stands for: name → folder."""
    return {member: fetch(member, progress=progress) for member in expand(name)}


def fetch(name: str, *, progress: Progress | None = None) -> Path:
    """The folder of the named set, fetched and converted first if the cache does not hold it whole.

    `progress(what, bytes_done, bytes_total)` is called all the while; what it raises stops the fetch. Offline
    lists every source with its reason; DigestMismatch names the file that is not what it should be. In
    either case nothing is kept.
    """
    entry, say = weights(name), progress or _silent
    folder = _place(entry)
    if intact(folder):
        return folder
    with lock(folder, lambda: say(f"{entry.name}: waiting for another process that fetches it", 0, None)):
        if not intact(folder):
            build(folder, lambda place: _fill(entry, place, say))
    return folder


def _fill(entry: WeightSet, place: Path, say: Progress) -> None:
    convert.check(entry.convert, f"the weights {entry.name}")
    with tempfile.TemporaryDirectory(dir=place, prefix="raw-") as scratch:
        raw, ready = Path(scratch, "raw"), Path(scratch, "ready")
        raw.mkdir()
        ready.mkdir()
        _obtain(entry, raw, say)
        total = entry.size + (entry.room or entry.size)
        convert.convert(entry.convert, raw, ready, total, f"{entry.name}: converting", say)
        for item in ready.iterdir():
            shutil.move(item, place)
    for part in entry.parts:
        _join(fetch(part.set, progress=say), part, place)


def _join(folder: Path, part: Part, place: Path) -> None:
    """Put the part's files into `place`, without a copy where the file system has links."""
    for there, here in part.files.items():
        target = place / here
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(folder / there, target)
        except OSError:
            shutil.copyfile(folder / there, target)


def _obtain(entry: WeightSet, raw: Path, say: Progress) -> None:
    reasons: list[str] = []
    for source in entry.sources:
        try:
            return source.take(entry.files, raw, lambda note, done, total: say(f"{entry.name}: {note}", done, total))
        except Unavailable as reason:
            reasons.append(f"{source}: {reason}\n    later: {source.command}")
    listed = "\n  ".join(reasons)
    raise Offline(
        f"the weights {entry.name} ({entry.size / 1e6:.0f} MB) could be had from no source.\n  {listed}\n"
        f"When one can be reached: mmagent fetch {entry.name}"
    )


def _place(entry: WeightSet) -> Path:
    return cache_folder() / f"{entry.name}-{entry.digest[:12]}"


def _silent(what: str, done: int, total: int | None) -> None:
    pass
