"""What an installation has and lacks, each with the command that gets it. Nothing is imported to find out, nothing fetched."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from packaging.requirements import Requirement

DISTRIBUTION = "mmagent"
SPARE = 500_000_000
"""Bytes of disk that should be free beside what is to be fetched."""
ELSEWHERE = "export MMAGENT_CACHE=/another/folder"


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that was looked at. `needed`: the agent cannot answer without it. `command` gets it."""

    area: Literal["version", "library", "weights", "cache", "disk", "tool", "program"]
    name: str
    ok: bool
    detail: str
    needed: bool = False
    command: str = ""


def examine(model: str) -> Iterator[Item]:
    """Everything that bears on answering with `model`, then what other extras and tools lack."""
    from mmagent.fetch import groups
    from mmagent.model import load_model

    needs = [*load_model(model).needs, *([f"extra:{model}"] if model in _extras() else [])]
    extras = {need.removeprefix("extra:") for need in needs if need.startswith("extra:")}
    weights = [need.removeprefix("weights:") for need in needs if need.startswith("weights:")]
    weights = list(dict.fromkeys([*weights, *groups().get(model, ())]))
    yield from _versions()
    yield from _libraries(extras)
    yield from _weights(weights)
    yield from _cache(weights)
    yield Item("program", "programs", True, "none are needed: video, sound and pictures go through Python libraries")
    yield from _tools()


def _versions() -> Iterator[Item]:
    from mmagent import __version__

    running = ".".join(map(str, sys.version_info[:3]))
    try:
        wanted = metadata.metadata(DISTRIBUTION)["Requires-Python"] or ""
    except metadata.PackageNotFoundError:
        command = "pip install mmagent"
        yield Item("version", DISTRIBUTION, False, f"{__version__}, not installed as a package", command=command)
        return
    from packaging.specifiers import SpecifierSet

    yield Item("version", DISTRIBUTION, True, __version__)
    fits = SpecifierSet(wanted).contains(running)
    yield Item("version", "python", fits, f"{running}, {wanted} is wanted", needed=True, command="install Python 3.11")


def _extras() -> list[str]:
    try:
        return metadata.metadata(DISTRIBUTION).get_all("Provides-Extra") or []
    except metadata.PackageNotFoundError:
        return []


def _libraries(needed: set[str]) -> Iterator[Item]:
    """The core's libraries and each extra's but the developers' ones, by the package's own metadata."""
    for extra in ("", *(name for name in _extras() if name not in ("dev", "bench"))):
        wanted = _requirements(extra)
        lacking = [text for requirement in wanted if (text := _lacks(requirement))]
        name = f"libraries of the extra {extra}" if extra else "core libraries"
        found = "; ".join(lacking) or f"all {len(wanted)} are installed"
        command = f"pip install '{DISTRIBUTION}[{extra}]'" if extra else f"pip install {DISTRIBUTION}"
        yield Item("library", name, not lacking, found, needed=not extra or extra in needed, command=command)


def _requirements(extra: str) -> list[Requirement]:
    from packaging.requirements import Requirement

    try:
        listed = [Requirement(line) for line in metadata.requires(DISTRIBUTION) or ()]
    except metadata.PackageNotFoundError:
        return []
    bare = [item for item in listed if item.marker is None or item.marker.evaluate({"extra": ""})]
    if not extra:
        return bare
    found: list[Requirement] = []
    for item in listed:
        if item in bare or item.marker is None or not item.marker.evaluate({"extra": extra}):
            continue
        if item.name == DISTRIBUTION:
            found += [inner for other in sorted(item.extras) for inner in _requirements(other)]
        else:
            found.append(item)
    return found


def _lacks(requirement: Requirement) -> str:
    """What is wrong with an installed library, or nothing."""
    try:
        version = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return f"{requirement.name} is not installed"
    if not requirement.specifier.contains(version, prereleases=True):
        return f"{requirement.name} is {version}, {requirement.specifier} is wanted"
    return ""


def _weights(needed: list[str]) -> Iterator[Item]:
    from mmagent.cli.output import size
    from mmagent.fetch import all_sets, location, missing

    absent = set(missing([entry.name for entry in all_sets()]))
    for entry in all_sets():
        here = entry.name not in absent
        detail = str(location(entry.name)) if here else f"{entry.about}, {size(entry.size)}, is not in the cache"
        yield Item(
            "weights", f"weights {entry.name}", here, detail, entry.name in needed, f"mmagent fetch {entry.name}"
        )


def _cache(needed: list[str]) -> Iterator[Item]:
    """Whether the cache can be written and has room for the weights that are needed and absent."""
    from mmagent.cli.output import size
    from mmagent.fetch import cache_folder, missing, weights

    folder = cache_folder()
    there = next(path for path in (folder, *folder.parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            yield Item("cache", "cache", True, f"{folder} can be written")
    except OSError as error:
        yield Item("cache", "cache", False, f"{folder} cannot be written: {error.strerror}", True, ELSEWHERE)
    wanted = sum(entry.size + (entry.room or entry.size) for entry in map(weights, missing(needed))) + SPARE
    free = shutil.disk_usage(there).free
    detail = f"{size(free)} free where the cache lies, {size(wanted)} wanted"
    yield Item("disk", "free disk", free >= wanted, detail, True, ELSEWHERE)


def _tools() -> Iterator[Item]:
    """The files on the shelves that hold no tool because they fail to import."""
    from mmagent.registry import registry
    from mmagent.shelf import own_shelf

    listings = registry.listings()
    broken = [listing for listing in listings if listing.broken]
    yield Item("tool", "tools", True, f"{len(listings) - len(broken)} tools can be used")
    own = str(own_shelf().tools)
    for listing in broken:
        ours = str(Path(listing.origin).parent) == own
        detail = f"{listing.origin}: {listing.broken}"
        yield Item("tool", f"tool file {listing.name}", False, detail, ours, f"mmagent tools check {listing.origin}")
