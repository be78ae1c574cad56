"""Chat models as reasoners: what they may ask for, what they are told, and how a reply ends."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from langchain_core.language_models import BaseChatModel, FakeListChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from pydantic import PrivateAttr

from mmagent import Agent, Engine, Image, Policy, Signal, Text, message
from mmagent.conversation import Conversation, Said, SpanOpened, TextDelta, Usage
from mmagent.errors import ConversationError, ModelError, UnknownName
from mmagent.model import ChatReasoner, Reasoner, as_reasoner
from mmagent.model.chat import AnswerError, PriceSpec
from mmagent.model.chat.meter import Meter
from mmagent.model.chat.scripted import Piece, ScriptedChat
from mmagent.testing import blank, tone

RED, BLUE = (Image(np.full((2, 2, 3), value, "uint8")) for value in (200, 20))
CAN = {"image": "Paint.", "speech": "Speak.", "audio": "Sound."}


def image(caption: str = "x", **more: Any) -> tuple[str, dict[str, Any]]:
    return "make_image", {"caption": caption, **more}


def scripted(*script: Sequence[Piece]) -> ScriptedChat:
    return ScriptedChat(script=script)


def speak(
    model: BaseChatModel, policy: Policy | None = None, *parts: Any, can: Any = CAN, **options: Any
) -> list[Said]:
    said = Conversation([message("user", "Go.", *parts)])
    return list(ChatReasoner(model, **options).speak(said, policy or Policy(), can))


def signals(said: Sequence[Said]) -> list[tuple[str, str]]:
    return [(item.modality, item.caption) for item in said if isinstance(item, Signal)]


def words(said: Sequence[Said]) -> str:
    return "".join(item.text for item in said if isinstance(item, TextDelta))


# -- what is said


def test_words_and_calls_keep_their_places() -> None:
    said = speak(scripted(["  One ", image("a"), " ", image("b"), "Two.", ("make_speech", {"caption": "c"})]))
    assert said[:-1] == [
        TextDelta("One"), TextDelta(" "),
        SpanOpened("image", 1), Signal("image", "a", place=1),
        SpanOpened("image", 2), Signal("image", "b", place=2),
        TextDelta("Two."), SpanOpened("speech", 4), Signal("speech", "c", place=4),
    ]  # fmt: skip


@pytest.mark.parametrize("whole", [False, True])
def test_a_whole_agent_gives_the_parts_in_order(whole: bool) -> None:
    model = ScriptedChat(
        script=[["Here ", image("a cat"), ("make_speech", {"caption": "Meow"})]], disable_streaming=whole
    )
    reply = Agent(model, tools=[blank, tone], engine=Engine())("Draw a cat, and say what it says.")
    assert reply.parts == (Text("Here"), blank(Text("a cat")), tone(Text("Meow")))
    assert reply.trace.model == "scripted-chat" and reply.trace.usage[0].calls == 1


class Blocks(BaseChatModel):
    """Says words, a call and words in one whole message of blocks; it cannot stream, and counts nothing."""

    @property
    def _llm_type(self) -> str:
        return "blocks"

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Any:
        return self.bind(tools=list(tools), **kwargs)

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> ChatResult:
        call = {"type": "tool_call", "name": "make_image", "args": {"caption": "a"}, "id": "1"}
        thought = {"type": "reasoning", "reasoning": "Hm."}
        blocks: Any = [thought, {"type": "text", "text": "Before."}, call, {"type": "text", "text": "After."}]
        return ChatResult(generations=[ChatGeneration(message=AIMessage(content_blocks=blocks))])


def test_a_message_of_blocks_is_read_in_its_order_and_thoughts_are_no_part_of_it() -> None:
    said = speak(Blocks())
    assert said == [
        TextDelta("Before."), SpanOpened("image", 1), Signal("image", "a", place=1), TextDelta("After."), Usage(),
    ]  # fmt: skip


def test_media_are_referred_to_by_number() -> None:
    said = speak(scripted([image("x", refs=[2, 1, 2])]), None, RED, BLUE)
    assert [item.refs for item in said if isinstance(item, Signal)] == [(BLUE, RED)]


def test_a_caption_may_hold_line_breaks_and_half_characters_are_replaced() -> None:
    said = speak(scripted([("make_image", '{"caption": " a\n\\ud83d cat"}')]))
    assert signals(said) == [("image", "a\n\ufffd cat")]


class Kept(ScriptedChat):
    """A model that keeps its stream, so that nobody but its reader closes it."""

    def stream(self, *args: Any, **kwargs: Any) -> Iterator[AIMessageChunk]:
        kept = self._kept = super().stream(*args, **kwargs)
        return kept

    _kept: Any = PrivateAttr(default=None)


def test_a_reply_that_is_left_closes_the_models_stream() -> None:
    model = Kept(script=[["One two three."]])
    said = ChatReasoner(model).speak(Conversation([message("user", "Go.")]), Policy(), {})
    assert next(said) == TextDelta("One") and model._kept.gi_frame is not None
    said.close()  # type: ignore[attr-defined]  # it is a generator
    assert model._kept.gi_frame is None


# -- what may be asked for


def test_what_is_forbidden_is_not_offered_and_its_call_refused() -> None:
    model = scripted(["A. ", image(), ("make_audio", {"caption": "b"})], ["There is no picture."])
    said = speak(model, Policy(forbid=("image",)))
    assert signals(said) == [("audio", "b")] and words(said) == "A. There is no picture."
    names = [item["function"]["name"] for item in model.heard[0][1]["tools"]]
    assert names == ["make_speech", "make_audio"]
    usage = said[-1]
    assert isinstance(usage, Usage) and usage.calls == 2
    assert usage.told == ("make_image: image cannot be asked for now",)
    assert signals(speak(scripted(["No. ", image()]), Policy(forbid=("image",)))) == []


def test_no_more_is_made_than_the_policy_allows_and_the_model_is_told() -> None:
    model = scripted([image("a"), image("b"), image("c")], ["Only one.", image("d")])
    said = speak(model, Policy(most=(("image", 1),)))
    assert signals(said) == [("image", "a")] and words(said) == "Only one."
    told = model.heard[1][0][-4:]
    assert [type(item) for item in told] == [ToolMessage, ToolMessage, ToolMessage, HumanMessage]
    assert [item.content for item in told[:2]] == [
        "It is being made.", "Error: make_image: a reply may ask for 1 image and no more.",
    ]  # fmt: skip


def test_refs_are_offered_where_there_are_media() -> None:
    model = scripted(["Fine."])
    for media in ((), (RED,)):
        speak(model, None, *media)
    told = ["numbered in square brackets" in str(messages[0].content) for messages, _ in model.heard]
    assert told == [False, True]
    offered = [set(bound["tools"][0]["function"]["parameters"]["properties"]) for _, bound in model.heard]
    assert offered == [{"caption"}, {"caption", "refs"}]


def test_what_is_forced_keeps_its_room_among_the_spans() -> None:
    model = scripted([image("a"), image("b"), ("make_speech", {"caption": "c"})], ["Well."])
    said = speak(model, Policy(force=("speech",), max_spans=2))
    assert signals(said) == [("image", "a"), ("speech", "c")]


def test_each_thing_that_is_forced_and_missing_is_asked_for_by_name() -> None:
    model = scripted(["Words."], [image("a")], [("make_speech", {"caption": "b"})])
    said = speak(model, Policy(force=("image", "speech")))
    assert signals(said) == [("image", "a"), ("speech", "b")] and words(said) == "Words."
    assert [bound.get("tool_choice") for _, bound in model.heard] == [None, "make_image", "make_speech"]


def test_a_choice_is_not_sent_to_a_model_that_takes_none() -> None:
    model = ScriptedChat(script=[["Words."], [image("a")]], profile={"tool_choice": False})
    assert signals(speak(model, Policy(force=("image",)))) == [("image", "a")]
    assert "tool_choice" not in model.heard[1][1]


def test_what_is_forced_and_never_asked_for_is_an_error() -> None:
    model = scripted(["Words."])
    with pytest.raises(AnswerError, match="does not ask for image, which the policy forces"):
        speak(model, Policy(force=("image", "image")))
    assert len(model.heard) == 3


def test_nothing_is_offered_where_nothing_can_be_made() -> None:
    model = scripted(["Words."])
    speak(model, can={})
    messages, bound = model.heard[0]
    assert "tools" not in bound and [type(item) for item in messages] == [HumanMessage]


def test_a_model_that_calls_no_tools_asks_for_nothing() -> None:
    plain = FakeListChatModel(responses=["Hello."])
    assert (
        ChatReasoner(plain).makes == () == ChatReasoner(ScriptedChat(script=[], profile={"tool_calling": False})).makes
    )
    mine = Agent(plain, tools=[blank], engine=Engine())
    assert mine("Hi.").parts == (Text("Hello."),)
    with pytest.raises(ConversationError, match="cannot ask for image"):
        mine("Hi.", policy=Policy(force=("image",)))


# -- what is nonsense


@pytest.mark.parametrize(
    ("call", "fault"),
    [
        (
            ("make_coffee", {"caption": "x"}),
            "'make_coffee' is no tool that you have; there are make_image, make_speech",
        ),
        (("make_image", "a cat"), "the arguments 'a cat' are no JSON object"),
        (("make_image", '["a cat"]'), "no JSON object"),
        (("make_image", {}), "the caption is missing; say in words"),
        (("make_image", '{"caption": ' + "[" * 3000 + "]" * 3000 + "}"), "no JSON object"),
        (image("  \n"), "say in words what to make"),
        (("make_image", {"caption": 3}), "the caption is '3'"),
        (image(refs=[2]), "refs '[2]' are not media of this conversation; give numbers from 1 to 1"),
        (image(refs=[0]), "refs '[0]'"),
        (image(refs=[True]), "refs '[true]'"),
        (image(refs="1"), "are not media of this conversation"),
        (image(tool="dall-e"), "is no tool for image; name none"),
    ],
)
def test_nonsense_is_told_once_with_what_is_right(call: Piece, fault: str) -> None:
    mended = scripted(["So: ", call], [image("better")])
    said = speak(mended, None, RED)
    assert signals(said) == [("image", "better")] and words(said).strip() == "So:"
    answer, result, go_on = mended.heard[1][0][-3:]
    assert isinstance(answer, AIMessage) and isinstance(result, ToolMessage) and isinstance(go_on, HumanMessage)
    assert fault in str(result.content) and (result.status, result.tool_call_id) == (
        "error",
        answer.tool_calls[0]["id"],
    )
    with pytest.raises(AnswerError, match="scripted-chat was told") as caught:
        speak(scripted([call]), None, RED)
    assert fault in str(caught.value)


def test_a_tool_that_may_be_named_is_named() -> None:
    said = speak(scripted([image(tool="sketch")]), tools={"image": ["sketch", "paint"]})
    assert [item.tool for item in said if isinstance(item, Signal)] == ["sketch"]
    with pytest.raises(AnswerError, match="there are sketch, paint"):
        speak(scripted([image(tool="etch")]), tools={"image": ["sketch", "paint"]})


@pytest.mark.parametrize("nothing", [[], [" \n"]])
def test_an_answer_without_anything_is_told_once(nothing: list[Piece]) -> None:
    model = scripted(nothing, ["Now."])
    assert words(speak(model)) == "Now."
    told = model.heard[1][0]
    assert str(told[-1].content).startswith("Your answer was empty")
    assert not any(isinstance(item, AIMessage) for item in told), "some providers refuse an empty message"
    with pytest.raises(AnswerError, match="neither words nor a tool call"):
        speak(scripted(nothing))


def test_a_name_that_is_none_is_not_sent_back() -> None:
    model = scripted([("drop table; --", {"caption": "x"})], ["Fine."])
    speak(model)
    [replayed] = [item for item in model.heard[1][0] if isinstance(item, AIMessage)]
    assert replayed.tool_calls[0]["name"] == "unknown"


def test_a_call_that_may_not_be_is_replayed_whatever_its_arguments_are() -> None:
    model = scripted(["No. ", ("make_image", "a cat")], ["Fine."])
    assert words(speak(model, Policy(forbid=("image",)))) == "No. \nFine."


def test_calls_of_several_requests_have_ids_of_their_own() -> None:
    model = scripted(
        [image("a")], [("make_speech", {"caption": "b"})], [("make_audio", {"caption": "c"})]
    )  # all with the id c0
    speak(model, Policy(force=("image", "speech", "audio")))
    ids = [item.tool_call_id for item in model.heard[2][0] if isinstance(item, ToolMessage)]
    assert len(set(ids)) == 2


def test_words_that_go_on_after_mending_stand_apart() -> None:
    assert words(speak(scripted(["One.", ("make_coffee", {})], [" Two."]))) == "One.\nTwo."


class Cut(ScriptedChat):
    """A model whose answer runs into its limit of tokens."""

    def _stream(self, *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
        yield from super()._stream(*args, **kwargs)
        yield ChatGenerationChunk(message=AIMessageChunk(content="", response_metadata={"finish_reason": "length"}))


def test_a_call_that_was_cut_off_says_what_cut_it() -> None:
    with pytest.raises(AnswerError, match=r"break off after '\{\"caption\": \"a c'; raise max_tokens"):
        speak(Cut(script=[[("make_image", '{"caption": "a c')]]))


def test_tokens_are_told_where_every_request_was_counted() -> None:
    meter = Meter(PriceSpec(input=1, output=2))
    meter.begin()
    meter.count(AIMessageChunk(content="", usage_metadata={"input_tokens": 5, "output_tokens": 0, "total_tokens": 5}))
    meter.count(AIMessageChunk(content="", usage_metadata={"input_tokens": 0, "output_tokens": 7, "total_tokens": 7}))
    assert meter.usage() == Usage(5, 7, 19e-6, "USD")
    meter.begin()
    assert meter.usage() == Usage(calls=2)


# -- the reasoner


def test_a_chat_model_is_a_reasoner() -> None:
    reasoner = as_reasoner(ScriptedChat(script=[["Hi."]]))
    assert isinstance(reasoner, ChatReasoner) and isinstance(reasoner, Reasoner)
    assert repr(reasoner) == "ChatReasoner('scripted-chat')" and as_reasoner(reasoner) is reasoner
    assert ChatReasoner(FakeListChatModel(responses=[])).name == "FakeListChatModel"


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(ModelError, match="not dict"):
        Agent({"model": "gpt"})  # type: ignore[arg-type]  # what is tested


def test_what_it_sees_and_makes_follows_its_profile_and_what_was_said() -> None:
    model = ScriptedChat(script=[], profile={"image_inputs": True, "audio_inputs": True, "video_inputs": False})
    assert ChatReasoner(model).sees == ("image", "audio", "speech")
    assert ChatReasoner(model, sees=[]).sees == () and ChatReasoner(ScriptedChat(script=[])).sees == ()
    assert {"image", "audio", "speech", "video", "points"} <= set(ChatReasoner(model).makes)
    assert not {"text", "conversation", "embedding"} & set(ChatReasoner(model).makes)
    assert ChatReasoner(model, makes=["image"]).makes == ("image",)
    with pytest.raises(UnknownName, match="picture"):
        _ = ChatReasoner(model, sees=["picture"]).sees


def test_the_systems_words_come_first_and_the_conversations_own_count() -> None:
    model = scripted(["Hi."])
    speak(model, system="Be brief.")
    head = model.heard[0][0][0]
    assert isinstance(head, SystemMessage) and str(head.content).startswith("Be brief.\n\nYou can put media")
    said = Conversation([message("system", "Be kind."), message("user", "Go.")])
    list(ChatReasoner(model, system="Be brief.").speak(said, Policy(), {}))
    first: list[BaseMessage] = model.heard[1][0]
    assert [item.content for item in first] == ["Be kind.", "Go."]


def test_an_agent_of_a_chat_model_can_be_asked_again_and_replayed() -> None:
    model = scripted([image("a")], ["Yes."])
    mine = Agent(model, tools=[blank], engine=Engine(), system="Be brief.")
    first = mine("Draw.")
    assert mine("Did you?").parts == (Text("Yes."),)
    assert [type(item) for item in model.heard[1][0]] == [
        SystemMessage,
        HumanMessage,
        AIMessage,
        ToolMessage,
        HumanMessage,
    ]
    assert first.replay({"text": "Draw it."}).parts == (Text("Yes."),)
    assert model.heard[2][0][-1].content == "Draw it."


def test_replies_at_once_do_not_mix() -> None:
    reasoner = ChatReasoner(scripted([image("a"), "x ", image("b")]))
    one, two = (reasoner.speak(Conversation([message("user", "Go.")]), Policy(), CAN) for _ in range(2))
    both = [item for pair in zip(one, two) for item in pair]
    assert both[::2] == both[1::2]


def test_langchain_is_imported_only_where_a_chat_model_is_used() -> None:
    code = (
        "import sys; from mmagent import Agent; from mmagent.model import ScriptedReasoner, ChatReasoner, ChatSpec\n"
        "Agent('pocket'); Agent(ScriptedReasoner(['Hi.'])); Agent(ChatReasoner(ChatSpec(provider='openai', model='m')))\n"
        "print(*{name.split('.')[0] for name in sys.modules} & {'langchain_core', 'langchain_openai', 'torch'})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
