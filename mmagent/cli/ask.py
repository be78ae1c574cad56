"""What `run`, `chat` and `plan` share: the agent and the policy that their options describe, and asking it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from mmagent.cli import inputs as words
from mmagent.cli.watch import Watch

if TYPE_CHECKING:
    from mmagent.agent import Agent
    from mmagent.conversation import Policy
    from mmagent.media import Media
    from mmagent.reply import Reply

F = TypeVar("F", bound=Callable[..., Any])

SPEAKER = "answer"
"""The node of a turn's graph whose words are the reply."""


def agent_options(command: F) -> F:
    """The options that choose the model, its tools and the policy."""
    options = (
        click.option("--model", default="pocket", show_default=True, help="A model's name or folder."),
        click.option("--tool", "tool_files", multiple=True, type=click.Path(), metavar="FILE",
                     help="Give the agent the tools of this Python file, or this YAML graph as a tool (may be repeated)."),
        click.option("--force", multiple=True, metavar="MODALITY", help="It must be made at least once."),
        click.option("--forbid", multiple=True, metavar="MODALITY", help="It must not be made."),
        click.option("--max", "most", multiple=True, metavar="MODALITY=N", help="At most so many of it are made."),
        click.option("--budget", type=click.FloatRange(min=0), metavar="SECONDS",
                     help="The most that the tools of one part may be expected to take."),
        click.option("--seed", type=int, default=0, show_default=True, help="The same seed gives the same reply."),
        click.option("--host", "hosts", multiple=True, help="Allow --in to be a URL of this host."),
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def make_agent(model: str, tool_files: Sequence[str]) -> Agent:
    """The agent, with the tools of further Python files and graphs of YAML files.

    What lies on the shelves is imported first, users' modalities with it, so that files of those can be opened.
    """
    from mmagent.agent import Agent
    from mmagent.conformance.files import load_file
    from mmagent.engine.graph import Graph
    from mmagent.registry import registry

    registry.listings()
    graphs = [file for file in tool_files if file.endswith((".yaml", ".yml"))]
    agent = Agent(model, tools=[item for file in tool_files if file not in graphs for item in load_file(file)])
    agent.add(*[Graph(Path(file), registry=agent.library.registry) for file in graphs])
    return agent


def make_policy(
    force: Sequence[str], forbid: Sequence[str], most: Sequence[str], budget: float | None, seed: int
) -> Policy:
    """The policy that the options describe; a usage error for one that contradicts itself."""
    from mmagent.conversation import Policy
    from mmagent.errors import ConversationError
    from mmagent.media import modality

    counts = []
    for name, value in words.pairs(most, "--max"):
        if not value.isdigit():
            raise click.BadParameter(f"{name} takes a count, not {value!r}", param_hint="--max")
        counts.append((name, int(value)))
    for name in (*force, *forbid, *(name for name, _ in counts)):
        modality(name)
    try:
        return Policy(force=tuple(force), forbid=tuple(forbid), most=tuple(counts), budget=budget, seed=seed)
    except ConversationError as error:
        raise click.UsageError(str(error)) from error


def request(text: str | None, files: Sequence[str], hosts: Sequence[str]) -> list[str | Media]:
    """The parts of a request: media first, then the words, of which either may be missing; IntakeError as `Media.open`."""
    parts: list[str | Media] = [*words.files(files, hosts)]
    return [*parts, text] if text else parts


def ask(
    agent: Agent, parts: Sequence[str | Media], policy: Policy, *, quiet: bool = False, mute: bool = False
) -> Reply:
    """Ask, showing what goes on; `quiet` shows words alone, `mute` not even those."""
    stream = agent.stream(*parts, policy=policy)
    with Watch(speaker=SPEAKER, quiet=quiet or mute, mute=mute) as watch:
        for event in stream:
            watch.see(event)
    return stream.reply


def saved(reply: Reply, folder: Path) -> list[dict[str, Any]]:
    """Save a reply; its parts as data, each with its file."""
    from mmagent.media import Media, Text

    found = []
    for part, path in zip(reply.parts, reply.save(folder)):
        entry: dict[str, Any] = {"modality": part.modality, "path": str(path)}
        if isinstance(part, Text):
            entry["text"] = part.text
        elif not isinstance(part, Media):
            entry |= {"caption": part.caption, "error": part.error}
        found.append(entry)
    return found
