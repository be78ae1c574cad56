"""`mmagent run`: answer one request, made of words and files, into a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from mmagent.cli.ask import agent_options, ask, make_agent, make_policy, request, saved
from mmagent.cli.exits import FAILED
from mmagent.cli.output import say, write_json


@click.command("run", short_help="Answer a request into a folder.")
@click.argument("text", required=False, metavar="[REQUEST]")
@click.option("--in", "files", multiple=True, metavar="FILE", help="A picture, sound, video … (may be repeated).")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=Path("out"), show_default=True,
              help="The folder for the parts of the reply and its trace.")  # fmt: skip
@agent_options
@click.option("--quiet", is_flag=True, help="Show no progress, only the words of the reply.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON and nothing else.")
def command(
    text: str | None,
    files: Sequence[str],
    out: Path,
    model: str,
    tool_files: Sequence[str],
    force: Sequence[str],
    forbid: Sequence[str],
    most: Sequence[str],
    budget: float | None,
    seed: int,
    hosts: Sequence[str],
    quiet: bool,
    as_json: bool,
) -> None:
    """Answer REQUEST, about the given files if there are any; a request may also be spoken, in a sound file alone.

    Words appear as they come. The parts are saved in order as 1.txt, 2.wav …, with the trace as trace.html.
    Exit code 5 if a part could not be made.
    """
    agent = make_agent(model, tool_files)
    policy = make_policy(force, forbid, most, budget, seed)
    parts = request(text, files, hosts)
    if not parts:
        raise click.UsageError("nothing is asked; give a REQUEST, or a spoken one: --in question.wav")
    reply = ask(agent, parts, policy, quiet=quiet, mute=as_json)
    entries = saved(reply, out)
    if as_json:
        trace = reply.trace
        times = {"seconds": trace.seconds, "first_token": trace.first_token, "first_audio": trace.first_audio}
        write_json({"parts": entries, "trace": str(out / "trace.json"), "seed": trace.seed, **times})
    elif not quiet:
        for entry in entries:
            say(f"{entry['path']}  {entry['modality']}" + (f": {entry['error']}" if "error" in entry else ""))
        say(f"{out / 'trace.html'}  trace")
    else:
        for part in reply.failed:
            say(f"error: {part}")
    if reply.failed:
        raise click.exceptions.Exit(FAILED)
