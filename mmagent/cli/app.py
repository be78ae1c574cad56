"""The command group: finds a command by the name of its file when it is asked for, and turns errors into exit codes."""

from __future__ import annotations

import os
import sys
import traceback
from importlib import import_module
from typing import Any

import click

from mmagent.cli.exits import INTERRUPTED, code_of
from mmagent.errors import MMAgentError

COMMANDS = ("run", "chat", "plan", "graph", "tools", "model", "new", "fetch", "train", "eval", "doctor", "mcp")
"""In the order in which the help lists them; `mmagent.cli.<name>` holds each as `command`."""


class Commands(click.Group):
    """A group whose commands are modules of this package, imported when they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        found: click.Command = import_module(f"mmagent.cli.{cmd_name}").command
        return found

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; every error of ours becomes a message on stderr and its exit code, others pass."""
        try:
            return super().invoke(ctx)
        except MMAgentError as error:
            if ctx.params.get("debug"):
                click.echo("".join(traceback.format_exception(error)), err=True, nl=False)
            else:
                click.echo(f"error: {error}", err=True)
            raise click.exceptions.Exit(code_of(error)) from error
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            _stop()
            raise click.exceptions.Exit(INTERRUPTED) from None


def _stop() -> None:
    """Let what still runs come to its end; leave without it if it does not."""
    engine = sys.modules.get("mmagent.engine.run")
    if engine is not None and not engine.close_default(wait=2.0):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(INTERRUPTED)


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="mmagent")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def main(debug: bool) -> None:
    """Any-to-any multimodal agents out of composable, typed tools.

    \b
    Exit codes: 0 done, 1 doctor found something missing, 2 wrong usage,
    3 graph does not check, 4 tool broken or check failed, 5 run failed,
    6 input refused, 7 weights cannot be had, 130 interrupted.
    """
