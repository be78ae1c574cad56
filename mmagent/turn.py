"""A turn on its way: it hands out steps to run, takes their results, and ends as a reply.

A turn has one step, and one more each time the model looks at what it has made. It keeps to its policy over all of
them; it knows no engine.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

from mmagent.conversation import Conversation, MediaSegment, Message, Policy, SpanSegment, TextSegment, message
from mmagent.engine.result import Result
from mmagent.errors import ConversationError
from mmagent.graph.library import Library
from mmagent.media import Media, Text
from mmagent.model.reasoner import Reasoner
from mmagent.reply import PartError, Replayer, Reply
from mmagent.step import CompiledStep, Swaps, Words, compile_step
from mmagent.trace.record import Outcome, Served, StepRun, record


class Turn:
    """A request and what has become of it so far. `history` is the conversation before it.

    Iterate it for the steps to run, and give `done` each result before the next; then take `reply`, and `messages`,
    what the turn adds to the conversation.
    """

    def __init__(
        self,
        reasoner: Reasoner,
        library: Library,
        history: Conversation,
        parts: Sequence[str | Media],
        policy: Policy,
        look_again: int = 0,
        swaps: Swaps | None = None,
    ) -> None:
        if not parts:
            raise ConversationError("nothing was asked; give the agent a string or media")
        self.reasoner, self.library, self.policy = reasoner, library, policy
        self.look_again, self.swaps = look_again, swaps or {}
        self.request = self.conversation = history.then(message("user", *parts))
        self._before = len(history)
        self._began = time.perf_counter()
        self._steps: list[StepRun] = []
        self._outcomes: list[Outcome] = []
        self._going: CompiledStep | None = None

    @property
    def messages(self) -> tuple[Message, ...]:
        """What the turn adds to the conversation: the request, the answers, and what was shown of them."""
        return self.conversation.messages[self._before :]

    def compile(self) -> CompiledStep:
        """The step over the conversation as it is now, under what is left of the policy."""
        made = [item.modality for item in self._outcomes if item.modality != "text"]
        return compile_step(self.conversation, self.reasoner, left(self.policy, made), self.library, self.swaps)

    def __iter__(self) -> Iterator[CompiledStep]:
        while len(self._steps) <= self.look_again and (not self._steps or self._steps[-1].served):
            self._going = self.compile()
            yield self._going

    def done(self, result: Result) -> None:
        """Take in what a step gave; raises the first failure if the model could not answer."""
        step = self._going
        if step is None:
            raise RuntimeError("done() was called before a step was taken")
        if result.outputs.get("text") is None:
            result.raise_failure()
        answer, number = step.answer, len(self._steps)
        served = {place: item for place, item in enumerate(answer.said) if isinstance(item, Served)}
        outcomes = [
            _made(item, place, number, result)
            if isinstance(item, Served)
            else Outcome("text", Text(item.text), "", number, place, item.at)
            for place, item in enumerate(answer.said)
        ]
        offset = answer.began - self._began
        self._steps.append(StepRun(step.plan.checked, result, served, offset, answer.first_token, answer.usage))
        self._outcomes += outcomes
        shown = result.outputs.get("conversation")
        before = shown if isinstance(shown, Conversation) else self.conversation
        self.conversation = before.then(Message("assistant", tuple(map(_segment, outcomes, answer.said))))
        made = tuple(MediaSegment(item.medium) for item in outcomes if item.modality != "text" and item.medium)
        if made and len(self._steps) <= self.look_again:
            self.conversation = self.conversation.then(Message("tool", made))

    def reply(self, agent: Replayer) -> Reply:
        """The reply of the turn that has run, made by `agent`."""
        seconds = time.perf_counter() - self._began
        trace, media = record(self.reasoner.name, self.policy, self.request, self._steps, self._outcomes, seconds)
        parts = (item.medium or PartError(item.modality, self._caption(item), item.error) for item in self._outcomes)
        return Reply(tuple(parts), trace, media, agent)

    def _caption(self, outcome: Outcome) -> str:
        return self._steps[outcome.step].served[outcome.place].signal.caption


def left(policy: Policy, made: Sequence[str]) -> Policy:
    """What a policy still asks and allows after `made`, the modalities of the spans so far.

    >>> left(Policy(force=("image", "image"), max_spans=3), ["image"]).force
    ('image',)
    """
    force = list(policy.force)
    for name in made:
        if name in force:
            force.remove(name)
    most = tuple((name, count - made.count(name)) for name, count in policy.most)
    return replace(policy, force=tuple(force), most=most, max_spans=max(policy.max_spans - len(made), 0))


def _made(served: Served, place: int, step: int, result: Result) -> Outcome:
    """What came of a signal: the medium that its subgraph made, or why there is none."""
    modality = served.signal.modality
    if served.graph is None:
        return Outcome(modality, None, served.reason, step, place, served.at)
    splice = result.spliced[str(place)]
    found = splice.outputs.get(modality)
    medium = found[0] if isinstance(found, list) and found else found
    if isinstance(medium, Media):
        return Outcome(modality, medium, "", step, place, served.at)
    cause = next((str(error) for error in splice.failures.values()), "its tools made nothing")
    return Outcome(modality, None, cause, step, place, served.at)


def _segment(outcome: Outcome, said: Words | Served) -> TextSegment | SpanSegment:
    if isinstance(said, Words):
        return TextSegment(said.text)
    return SpanSegment(said.signal.modality, said.signal.caption, outcome.medium)
