"""`mmagent chat`: talk with an agent, line by line, on a terminal or from a pipe."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mmagent.cli import inputs as words
from mmagent.cli.ask import agent_options, ask, make_agent, make_policy
from mmagent.cli.exits import FAILED, code_of
from mmagent.cli.output import say
from mmagent.errors import MMAgentError

if TYPE_CHECKING:
    from mmagent.agent import Agent
    from mmagent.conversation import Policy
    from mmagent.media import Media
    from mmagent.reply import Reply

HELP = """\
/in FILE      put a file into the next request; an empty line sends it without words
/save FOLDER  save the last reply, its parts and its trace
/policy       show the policy; /policy force=speech forbid=image max=image:2 seed=3 changes it; /policy none drops it
/trace        show what happened in the last turn
/forget       begin a new conversation
/quit         leave"""


@click.command("chat", short_help="Talk with an agent.")
@click.option("--in", "files", multiple=True, metavar="FILE", help="A file for the first request (may be repeated).")
@agent_options
@click.option("--quiet", is_flag=True, help="Show no progress, only the words of the replies.")
def command(
    files: Sequence[str],
    model: str,
    tool_files: Sequence[str],
    force: Sequence[str],
    forbid: Sequence[str],
    most: Sequence[str],
    budget: float | None,
    seed: int,
    hosts: Sequence[str],
    quiet: bool,
) -> None:
    """Talk with an agent that remembers; /help lists what else can be said.

    Lines may come from a pipe; an error does not end the talk, and its exit code is the command's in the end.
    """
    chat = Chat(make_agent(model, tool_files), make_policy(force, forbid, most, budget, seed), hosts, quiet)
    chat.pending += words.files(files, hosts)
    for line in _lines():
        if not chat.take(line):
            break
    if chat.code:
        raise click.exceptions.Exit(chat.code)


class Chat:
    """A conversation as a command line: `take` lines until it says that the talk is over."""

    def __init__(self, agent: Agent, policy: Policy, hosts: Sequence[str] = (), quiet: bool = False) -> None:
        self.agent, self.policy, self._first = agent, policy, policy
        self.hosts, self.quiet = hosts, quiet
        self.pending: list[str | Media] = []
        self.reply: Reply | None = None
        self.code = 0

    def take(self, line: str) -> bool:
        """Act on one line; False when it was /quit. An error of ours is told and remembered, and the talk goes on."""
        verb, _, rest = line.strip().partition(" ")
        if verb in ("/quit", "/exit"):
            return False
        try:
            if verb in COMMANDS:
                COMMANDS[verb](self, rest.strip())
            elif verb.startswith("/") and "/" not in verb[1:]:
                raise click.UsageError(f"no command {verb}; /help lists them")
            elif verb or self.pending:
                self.ask(line.strip())
        except MMAgentError as error:
            self._failed(f"error: {error}", code_of(error))
        except click.ClickException as error:
            self._failed(f"error: {error.format_message()}", error.exit_code)
        except KeyboardInterrupt:
            self._failed("interrupted", FAILED)
        return True

    def ask(self, text: str) -> None:
        """Ask with the files that wait; they are kept for another try if the agent cannot answer."""
        self.reply = ask(self.agent, [*self.pending, *([text] if text else [])], self.policy, quiet=self.quiet)
        self.pending = []
        for part in self.reply.parts:
            if part.modality != "text":
                say(f"[{part.modality}] {part!r}")
        if self.reply.failed:
            self.code = self.code or FAILED

    def put(self, rest: str) -> None:
        """/in FILE"""
        if not rest:
            raise click.UsageError("/in takes a file")
        medium = words.files([rest], self.hosts)[0]
        self.pending.append(medium)
        say(f"[{medium.modality}] {medium!r}")

    def save(self, rest: str) -> None:
        """/save FOLDER"""
        if not rest:
            raise click.UsageError("/save takes a folder")
        for path in self._last().save(Path(rest)):
            say(str(path))

    def forget(self, rest: str) -> None:
        """/forget"""
        self.agent.forget()
        self.pending = []
        say("a new conversation")

    def set_policy(self, rest: str) -> None:
        """/policy [force=… forbid=… max=…:N seed=N | none]"""
        if rest == "none":
            self.policy = self._first
        elif rest:
            self.policy = _changed(self.policy, rest.split())
        shown = ((item.name, getattr(self.policy, item.name)) for item in fields(self.policy))
        say("policy: " + ", ".join(f"{name}={value!r}" for name, value in shown))

    def trace(self, rest: str) -> None:
        """/trace"""
        from mmagent.trace.text import summary

        click.echo(summary(self._last().trace))

    def help(self, rest: str) -> None:
        """/help"""
        say(HELP)

    def _last(self) -> Reply:
        if self.reply is None:
            raise click.UsageError("there is no reply yet; ask something first")
        return self.reply

    def _failed(self, message: str, code: int) -> None:
        say(message)
        self.code = self.code or code


COMMANDS: Mapping[str, Callable[[Chat, str], None]] = {
    "/in": Chat.put,
    "/save": Chat.save,
    "/forget": Chat.forget,
    "/policy": Chat.set_policy,
    "/trace": Chat.trace,
    "/help": Chat.help,
}


def _changed(policy: Policy, given: Sequence[str]) -> Policy:
    """The policy with `force=a,b`, `forbid=a`, `max=a:2,b:1` and `seed=3` in place of what it said there."""
    found = dict(words.pairs(given, "/policy"))
    unknown = sorted(set(found) - {"force", "forbid", "max", "seed"})
    if unknown:
        raise click.UsageError(f"/policy knows force, forbid, max and seed, not {unknown[0]}")
    seed = found.get("seed", str(policy.seed))
    if not seed.lstrip("-").isdigit():
        raise click.UsageError(f"seed is a whole number, not {seed!r}")
    names = {key: [name for name in found.get(key, "").split(",") if name] for key in ("force", "forbid", "max")}
    counts = [item.replace(":", "=", 1) for item in names["max"]]
    new = make_policy(names["force"], names["forbid"], counts, policy.budget, int(seed))
    return replace(
        new,
        force=new.force if "force" in found else policy.force,
        forbid=new.forbid if "forbid" in found else policy.forbid,
        most=new.most if "max" in found else policy.most,
    )


def _lines() -> Iterator[str]:
    """Lines of stdin: with a prompt and a history on a terminal, as they are from a pipe."""
    if not sys.stdin.isatty():
        yield from sys.stdin
        return
    try:
        import readline  # noqa: F401 - its import gives input() a history and line editing; Windows has none
    except ImportError:
        pass
    say("/help lists the commands, /quit leaves")
    while True:
        try:
            yield input("> ")
        except EOFError:
            click.echo()
            return
