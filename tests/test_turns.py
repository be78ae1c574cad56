"""What holds over several steps, turns, threads and folders."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Annotated

import numpy as np
import pytest

from mmagent import (
    Agent,
    Audio,
    Constraint,
    Embedding,
    Engine,
    Image,
    PartError,
    Policy,
    Reply,
    Signal,
    Speech,
    Text,
    tool,
)
from mmagent.errors import CardError, ConversationError, IntakeError, MediaError, UnknownName
from mmagent.model import ScriptedReasoner

CAT = Image(np.full((4, 4, 3), 200, "uint8"))
DOG = Image(np.full((4, 4, 3), 20, "uint8"))
Spoken = Annotated[Embedding, Constraint(space="scripted.signals")]
Wanted = Annotated[Embedding, Constraint(space="tiny.text")]


@tool(cost=0.001)
def look(image: Image) -> Text:
    """Name what is in a picture."""
    return Text("a cat" if image.array.mean() > 100 else "a dog")


@tool(cost=0.1)
def draw(prompt: Text, size: int = 2) -> Image:
    """Draw a picture of what the words say."""
    return Image(np.full((size, size, 3), len(prompt.text), "uint8"))


@tool(cost=0.1)
def sonify(image: Image) -> Audio:
    """Turn a picture into a melody."""
    return Audio(np.full(16, float(image.array.mean()) / 255, "float32"), 8000)


def agent(*pieces: str | Signal, tools: tuple[object, ...] = (look, draw, sonify), **options: object) -> Agent:
    return Agent(ScriptedReasoner(pieces), tools=tools, engine=Engine(), **options)  # type: ignore[arg-type]


def test_the_policy_holds_over_all_steps_of_a_turn() -> None:
    pieces = [Signal("image", "x"), Signal("audio", "y")]
    reply = agent(*pieces, look_again=3)("Go.", policy=Policy(most=(("image", 1),), max_spans=3))
    assert [type(part) for part in reply.parts] == [Image, Audio, Audio]


def test_what_was_made_can_be_referred_to_in_the_next_step() -> None:
    reasoner = ScriptedReasoner(turns=[[Signal("image", "abc")], [Signal("audio", "its sound")]])
    reply = Agent(reasoner, tools=[look, draw, sonify], engine=Engine(), look_again=1)("Draw, then play it.")
    assert reply.parts == (draw(Text("abc")), sonify(draw(Text("abc"))))


def test_a_picture_of_an_earlier_turn_can_be_referred_to() -> None:
    mine = Agent(
        ScriptedReasoner(turns=[["Nice."], [Signal("audio", "its melody", refs=(Speech(np.zeros(8, "float32"), 8000),))]]),
        tools=[look, sonify], engine=Engine(),
    )  # fmt: skip
    mine("Look: ", CAT)
    assert mine("Play that picture.").parts == (sonify(CAT),)


def test_turns_at_once_are_all_remembered() -> None:
    mine = agent("Yes.")
    threads = [threading.Thread(target=mine, args=(f"Question {number}.",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [item.role for item in mine.conversation] == ["user", "assistant"] * 8
    assert {item.text for item in mine.conversation if item.role == "user"} == {f"Question {n}." for n in range(8)}


def test_a_stream_that_is_over_gives_no_more_events_and_no_second_memory() -> None:
    mine = agent("Yes.")
    stream = mine.stream("One.")
    assert list(stream)
    mine("Two.")
    assert list(stream) == [] and len(mine.conversation) == 4


def test_a_generator_behind_a_projector_is_offered_and_served_by_the_embedding_wire() -> None:
    @tool(cost=0.1)
    def project(states: Spoken) -> Wanted:
        return Embedding(states.array * 2, "tiny.text")

    @tool(cost=0.1)
    def paint(prompt: Wanted) -> Image:
        return Image(np.full((2, 2, 3), int(prompt.array[0, 0]), "uint8"))

    states = Embedding(np.full((1, 4), 21.0), "scripted.signals")
    reasoner = ScriptedReasoner([Signal("image", "a cat", states=states)], projectors=[project.card])
    reply = Agent(reasoner, tools=[project, paint], engine=Engine())("Draw.")
    assert isinstance(reply.parts[0], Image) and reply.parts[0].array[0, 0, 0] == 42
    assert (reply.trace.routes[0].wire, reply.trace.routes[0].path) == ("embedding", ("project.v1", "paint.v1"))


def test_tools_of_any_name_are_the_users_to_take() -> None:
    @tool(cost=0.1)
    def compose(prompt: Text) -> Audio:
        return Audio(np.zeros(4, "float32"), 8000)

    @tool(cost=0.1)
    def answer(prompt: Text) -> Image:
        return CAT

    reply = agent(Signal("audio", "a tune"), Signal("image", "x"), tools=(look, compose, answer))("Go: ", DOG)
    assert reply.parts == (compose(Text("a tune")), CAT)


def test_a_plan_counts_what_the_policy_forces() -> None:
    mine = agent("Hm.")
    plain, forced = mine.plan("Go."), mine.plan("Go.", policy=Policy(force=("image",)))
    assert forced.forecast.seconds == pytest.approx(plain.forecast.seconds + 0.1)


def test_what_is_forced_and_cannot_be_made_is_told_before_anything_runs() -> None:
    mine = agent("Hm.", tools=(look,))
    for ask in (mine, mine.plan):
        with pytest.raises(ConversationError, match="the policy forces audio: nothing can make audio"):
            ask("Go.", policy=Policy(force=("audio",)))
    with pytest.raises(ConversationError, match="scripted cannot ask for points"):
        mine("Go.", policy=Policy(force=("points",)))
    assert mine.reasoner.heard == []  # type: ignore[attr-defined]  # a ScriptedReasoner


def test_refused_candidates_stay_in_the_trace_where_nothing_can_serve() -> None:
    @tool(cost=5.0)
    def slow(prompt: Text) -> Image:
        return CAT

    class Stubborn(ScriptedReasoner):
        def speak(self, conversation, policy, modalities, ctx=None):  # type: ignore[no-untyped-def]
            yield Signal("image", "a cat")

    reply = Agent(Stubborn(), tools=[slow], engine=Engine())("Draw.", policy=Policy(budget=1.0))
    assert isinstance(reply.parts[0], PartError)
    assert ("slow.v1",) in {item.path for item in reply.trace.routes[0].candidates if "over the budget" in item.reason}


def test_text_that_is_no_text_is_refused_at_the_door() -> None:
    with pytest.raises(ConversationError, match="lone surrogate"):
        agent("Hm.")("hi \udcff")


# -- folders


def test_saving_touches_nothing_that_it_did_not_write(tmp_path: Path) -> None:
    theirs = ["2024.pdf", "007.csv", "trace.txt", "media/holiday.jpg", "media/notes/1.txt"]
    for name in theirs:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("mine")
    agent("One. ", Signal("image", "a"), "Two. ", Signal("image", "bb"))("Go.").save(tmp_path)
    reply = agent("Only this.")("Go.")
    reply.save(tmp_path)
    assert all((tmp_path / name).read_text() == "mine" for name in theirs)
    own = {path.name for path in tmp_path.iterdir()} - {name.split("/")[0] for name in theirs}
    assert own == {"1.txt", "trace.html", "trace.json"}
    assert Reply.load(tmp_path).parts == reply.parts


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MediaError, match=r"cannot be saved in .*file"):
        agent("Hm.")("Go.").save(tmp_path / "file")


def test_media_that_were_changed_since_are_not_taken_for_what_was_saved(tmp_path: Path) -> None:
    agent(Signal("image", "abc"))("Go: ", CAT).save(tmp_path)
    (tmp_path / "media" / ".DS_Store").write_bytes(b"\0\1\2")
    assert Reply.load(tmp_path)
    DOG.save(tmp_path / "media" / f"{CAT.digest}.png")
    with pytest.raises(IntakeError, match="is not what was saved there"):
        Reply.load(tmp_path)


def test_text_keeps_its_language_through_a_saved_reply(tmp_path: Path) -> None:
    @tool(cost=0.001)
    def read(image: Image) -> Text:
        return Text("eine Katze", lang="de")

    reply = agent("Ja.", tools=(read,))("Go: ", CAT)
    reply.save(tmp_path)
    assert Text("eine Katze", lang="de") in Reply.load(tmp_path).media.values()


# -- replay


def test_new_words_stand_where_the_old_ones_stood() -> None:
    mine = agent("Hm.")
    mine(CAT, "What is this?").replay({"text": "And that?"})
    heard = mine.reasoner.heard[1].messages[-1]  # type: ignore[attr-defined]  # a ScriptedReasoner
    assert heard.media == (CAT,) and heard.text == "And that?"
    assert [type(item).__name__ for item in heard.segments] == ["MediaSegment", "TextSegment"]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"sonify": {}}, ConversationError, "cannot change sonify: the turn called"),
        ({"nothing": "draw"}, UnknownName, "nothing"),
        ({"draw": "nosuch"}, UnknownName, "nosuch"),
        ({"draw": {"nosuch": 1}}, CardError, "no setting 'nosuch'; it has size"),
        ({"draw": {"size": "big"}}, CardError, "size takes int"),
        ({"draw": 5}, ConversationError, "to a tool's name or to settings, not int"),
        ({"seed": "x"}, ConversationError, "a whole number for seed"),
        ({"policy": {}}, ConversationError, "a Policy for policy, not dict"),
        ({"input-1": "words"}, ConversationError, "takes media for input-1, not str"),
        ({"text": 3}, ConversationError, "a string for text"),
    ],
)
def test_a_change_that_cannot_be_is_refused(change: dict[str, object], error: type[Exception], message: str) -> None:
    reply = agent(Signal("image", "abc"))("Go: ", CAT)
    with pytest.raises(error, match=message):
        reply.replay(change)
