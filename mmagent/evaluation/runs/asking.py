"""Asking a system all questions of a source, and keeping each answer as it comes, so that a killed run goes on."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mmagent.conversation import Message, Policy
from mmagent.errors import ConversationError, FetchError, ModelError, NodeFailed, RegistryError, RouteError, RunError
from mmagent.evaluation.prediction import Journal, Part, Prediction, Setting
from mmagent.evaluation.runs.question import Question, questions
from mmagent.intake import Limits
from mmagent.media import Media, Text
from mmagent.reply import PartError, Reply
from mmagent.training.data import BadRecord, BadRecords, Source

if TYPE_CHECKING:
    from mmagent.agent import Agent

Progress = Callable[[int, int], None]
"""Told after each record: how many are done, of how many."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with its media read: what was said before, and the request."""

    question: Question
    history: tuple[Message, ...]
    parts: tuple[Media, ...]


Answerer = Callable[[Asked], Reply | str]
"""Whatever answers: an agent by `AgentAnswers`, or a function of yours."""


class AgentAnswers:
    """Answers by an agent, each question in a conversation of its own; what the agent remembers stays as it is."""

    def __init__(self, agent: Agent, policy: Policy | None = None) -> None:
        self._agent, self._policy = agent, policy

    def __call__(self, asked: Asked) -> Reply:
        before = self._agent.conversation
        self._agent.conversation = before.then(*asked.history)
        try:
            return self._agent(*asked.parts, policy=self._policy)
        finally:
            self._agent.conversation = before


def ask(
    system: Answerer,
    source: Source,
    journal: Journal,
    settings: Mapping[str, Setting],
    *,
    bad: BadRecords | None = None,
    keep_inputs: bool = True,
    limits: Limits | None = None,
    progress: Progress = lambda done, total: None,
) -> list[Prediction]:
    """The predictions for every question of a source, in order; those that the journal has are not asked again.

    `settings` tell this run from others in the same journal. An answer that fails (a tool's error, a request too long)
    is a prediction with an `error`; what would fail every time, a missing library or weights, is raised.
    `keep_inputs` writes the media of requests beside the predictions, for pages that show them.
    """
    bad = bad or BadRecords()
    found = []
    for index in range(len(source)):
        try:
            record = source[index]
            for question in questions(record, record.place):
                key = question.key(settings)
                done = journal.get(key)
                if done is None:
                    asked = Asked(question, question.messages(limits), tuple(question.parts(limits)))
                    done = _answered(system, asked, journal, key, settings, keep_inputs)
                    journal.add(done)
                found.append(done)
        except BadRecord as error:
            bad.met(error)
        progress(index + 1, len(source))
    return found


def _answered(
    system: Answerer, asked: Asked, journal: Journal, key: str, settings: Mapping[str, Setting], keep_inputs: bool
) -> Prediction:
    parts: tuple[Part, ...] = ()
    failure = ""
    began = time.perf_counter()
    try:
        reply = system(asked)
        seconds = time.perf_counter() - began
        if isinstance(reply, str):
            parts = (Part(modality="text", text=reply),)
        else:
            parts = tuple(_part(item, journal) for item in reply.parts)
    except (RunError, ConversationError, ModelError, RouteError) as error:
        if isinstance(error, NodeFailed) and isinstance(error.__cause__, RegistryError | FetchError):
            raise
        failure, seconds = str(error), time.perf_counter() - began
    question = asked.question
    prompt = tuple(
        journal.keep(item) if keep_inputs or isinstance(item, Text) else Part(modality=item.modality)
        for item in asked.parts
    )
    return Prediction(
        key=key,
        id=question.id,
        settings=dict(settings),
        prompt=prompt,
        references=question.references,
        wanted=question.wanted,
        parts=parts,
        error=failure,
        seconds=round(seconds, 3),
    )


def _part(item: Media | PartError, journal: Journal) -> Part:
    if isinstance(item, PartError):
        return Part(modality=item.modality, text=item.caption, error=item.error)
    return journal.keep(item)
