"""`mmagent fetch`: bring weights into the cache, or list what there is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from mmagent.cli.output import console, say, size, table, write_json

if TYPE_CHECKING:
    from mmagent.fetch import Progress


@click.command("fetch", short_help="Fetch weights into the cache.")
@click.argument("names", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Fetch every known set.")
@click.option("--list", "listing", is_flag=True, help="List the known sets, and which of them are here.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(names: Sequence[str], everything: bool, listing: bool, quiet: bool, as_json: bool) -> None:
    """Fetch weights by name, verified and cached; a group such as `pocket` stands for several sets.

    What is in the cache already is not fetched again. Prints the folder of each set.
    """
    from mmagent.fetch import all_sets, fetch_all

    if listing:
        _list(as_json)
        return
    wanted = [entry.name for entry in all_sets()] if everything else list(names)
    if not wanted:
        raise click.UsageError("name the weights to fetch, or say --all; --list shows them")
    folders: dict[str, str] = {}
    with _progress(quiet) as progress:
        for name in wanted:
            folders |= {member: str(folder) for member, folder in fetch_all(name, progress=progress).items()}
    if as_json:
        write_json(folders)
    else:
        table(("weights", "folder"), folders.items())


def _list(as_json: bool) -> None:
    from mmagent.fetch import all_sets, groups, location, missing

    sets = all_sets()
    absent = set(missing([entry.name for entry in sets]))
    belongs = {entry.name: [group for group, names in groups().items() if entry.name in names] for entry in sets}
    if as_json:
        facts = ("name", "about", "licence", "credit", "size")
        write_json(
            [
                {
                    **{fact: getattr(entry, fact) for fact in facts},
                    "groups": belongs[entry.name],
                    "here": entry.name not in absent,
                    "folder": str(location(entry.name)),
                }
                for entry in sets
            ]
        )
        return
    rows = []
    for entry in sets:
        state = "absent" if entry.name in absent else "here"
        rows.append((entry.name, state, size(entry.size), ", ".join(belongs[entry.name]), entry.about, entry.licence))
    table(("weights", "", "size", "groups", "about", "licence"), rows)


@contextmanager
def _progress(quiet: bool) -> Iterator[Progress]:
    """A bar for each thing under way on a terminal; elsewhere a line when each begins; or nothing."""
    if quiet:
        yield lambda what, done, total: None
        return
    out = console()
    if not out.is_terminal:
        begun: set[str] = set()

        def tell(what: str, done: int, total: int | None) -> None:
            if what not in begun:
                begun.add(what)
                say(what + (f" ({size(total)})" if total else ""))

        yield tell
        return
    from rich.progress import BarColumn, DownloadColumn, TaskID, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Bars(*columns, console=out) as bars:
        tasks: dict[str, TaskID] = {}

        def show(what: str, done: int, total: int | None) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done, total=total)

        yield show
