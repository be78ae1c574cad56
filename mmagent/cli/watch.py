"""A run as the terminal shows it: words on stdout as they come, everything else that goes on, on stderr."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Self

import click

from mmagent.cli.output import console, printable, say

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from mmagent.engine.events import Event


class Watch:
    """Shows events as they happen, one by one given to `see`.

    The words of node `speaker` go to stdout; on a terminal the other nodes have a bar each while they run, which
    gives way while words are being written; elsewhere each has a line when it ends. `quiet` shows no node,
    `mute` no words.
    """

    def __init__(self, *, speaker: str = "", quiet: bool = False, mute: bool = False) -> None:
        self._speaker, self._quiet, self._mute = speaker, quiet, mute
        self._line_open = False
        self._bars: Progress | None = None
        self._tasks: dict[int, TaskID] = {}
        self._running: dict[int, tuple[str, float, float]] = {}
        self._terminal = not quiet and console().is_terminal

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hide()
        self._end_line()

    def see(self, event: Event) -> None:
        """Show one event."""
        spoken = bool(self._speaker) and event.node == self._speaker
        if spoken and event.kind == "token":
            self._running.pop(event.span, None)  # from now on its words show that it runs
            if not self._mute:
                self._write(printable(event.data))
        elif not event.tool or self._quiet:  # an event without a tool is about a graph within the graph
            return
        elif event.kind == "started":
            self._running[event.span] = (event.node, 0.0, 1.0)
        elif event.kind == "progress" and event.span in self._running:
            done, total, _ = event.data
            self._running[event.span] = (event.node, done, total)
        elif event.kind in ("finished", "cached", "failed", "skipped"):
            self._running.pop(event.span, None)
            self._ended(event, spoken)
        if self._terminal and not self._line_open:
            self._show()

    def _ended(self, event: Event, spoken: bool) -> None:
        if self._bars is not None and event.span in self._tasks:
            self._bars.remove_task(self._tasks.pop(event.span))
        # one line here: what keeps a command from succeeding is told in full when it ends
        reason = f": {str(event.data).splitlines()[0]}" if event.kind in ("failed", "skipped") and event.data else ""
        if spoken or (self._terminal and reason):
            self._hide()
            self._end_line()
        if reason or not (self._terminal or spoken):
            say(f"{event.node} ({event.tool}) {event.kind} at {event.time:.1f} s{reason}")

    def _write(self, text: str) -> None:
        self._hide()
        click.echo(text, nl=False)
        sys.stdout.flush()
        self._line_open = not text.endswith("\n")

    def _end_line(self) -> None:
        if self._line_open:
            click.echo()
            self._line_open = False

    def _show(self) -> None:
        """Draw a bar for every node that runs; a node that has told nothing yet has a moving one."""
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        if self._bars is None:
            if not self._running:
                return
            columns = (
                SpinnerColumn(),
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                TimeElapsedColumn(),
            )
            self._bars = Progress(*columns, console=console(), transient=True, redirect_stdout=False)
            self._bars.start()
        for span, (node, done, total) in self._running.items():
            if span not in self._tasks:
                self._tasks[span] = self._bars.add_task(printable(node), total=None)
            self._bars.update(self._tasks[span], completed=done, total=total if done else None)

    def _hide(self) -> None:
        if self._bars is not None:
            self._bars.stop()
            self._bars, self._tasks = None, {}
