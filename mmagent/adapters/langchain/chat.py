"""An agent as a LangChain chat model: messages in, an AIMessage with words and media out, whole or streamed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Self

from langchain_core.caches import BaseCache
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LangSmithParams, LanguageModelInput, ModelProfile
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.runnables.config import set_config_context
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import ConfigDict, Field, SkipValidation, model_validator

from mmagent.adapters.langchain.call import Call
from mmagent.adapters.langchain.messages import asked
from mmagent.adapters.langchain.sources import sources
from mmagent.adapters.langchain.store import MediaStore
from mmagent.adapters.langchain.tap import Tap
from mmagent.agent import Agent
from mmagent.conversation import Policy
from mmagent.errors import ConversationError
from mmagent.intake import Limits
from mmagent.model.chat import ChatReasoner
from mmagent.model.chat.abilities import calls_tools
from mmagent.model.chat.foreign import Foreign

_POLICY = ("policy", "temperature", "max_tokens", "seed")
_TOOLS = ("tools", "tool_choice", "parallel_tool_calls")


class AgentChatModel(BaseChatModel):
    """An `Agent` that LangChain can talk to.

        model = AgentChatModel(agent=Agent("pocket"))
        model.invoke([HumanMessage([{"type": "text", "text": "What is this?"}, image_block])]).content_blocks

    LangChain's messages are the conversation: the agent's own memory is neither read nor written, and calls may
    run side by side. A system message among them takes the place of the agent's. `policy`, `temperature`,
    `max_tokens`, `seed` and `stop` may be given here, with `bind`, or with a call; what is not given is the agent's.

    Media in messages come as base64, as handles of `store`, or as URLs on `hosts`, within `limits`. Media of the
    reply are content blocks with base64, or with handles where there is a `store`. A part that could not be made is a
    `non_standard` block that says why. What keeps the agent from answering at all raises its own MMAgentError.

    Where a chat model that calls tools speaks for the agent (`Agent(ChatOpenAI(...))`), `bind_tools` offers it
    LangChain's tools too, and its calls come with the message. Any other model has no calls of tools, so there
    `bind_tools` and `with_structured_output` raise NotImplementedError.
    """

    agent: Annotated[Agent, SkipValidation]
    policy: Annotated[Policy | None, SkipValidation] = None
    temperature: float | None = None
    max_tokens: int | None = None
    seed: int | None = None
    stop: list[str] | None = None
    store: Annotated[MediaStore | None, SkipValidation] = None
    hosts: Annotated[Sequence[str], SkipValidation] = ()
    limits: Annotated[Limits | None, SkipValidation] = None
    cache: Annotated[BaseCache | bool | None, SkipValidation] = Field(default=False, exclude=True)

    model_config = ConfigDict(arbitrary_types_allowed=True)

    @model_validator(mode="after")
    def _check(self) -> Self:
        """Refuse here what each call would refuse, and a cache, whose keys cannot tell one agent from another."""
        if self.cache is not False:
            raise ConversationError("replies of an agent are not kept in LangChain's cache; leave cache out")
        sources(self.store, self.hosts, (), self.limits)
        self._policy({})
        return self

    @property
    def model_name(self) -> str:
        """The name of the agent's model."""
        return self.agent.model

    @property
    def _llm_type(self) -> str:
        return "mmagent"

    def _resolve_model_profile(self) -> ModelProfile:
        """What it takes in: media that its model cannot see are put into words by tools."""
        return ModelProfile(
            text_inputs=True,
            image_inputs=True,
            image_url_inputs=bool(self.hosts),
            audio_inputs=True,
            video_inputs=True,
            pdf_inputs=False,
            text_outputs=True,
            tool_calling=self._calls_tools(),
            structured_output=False,
        )

    def bind_tools(
        self,
        tools: Sequence[Mapping[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | None = None,
        strict: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """The model with tools of LangChain's that it may call, and with options of a call, `parallel_tool_calls` too.

        NotImplementedError if the agent's model calls none, ConversationError for an option that there is not.
        """
        if not self._calls_tools():
            raise NotImplementedError(
                f"{self.model_name} does not call tools of LangChain's; give the agent mmagent's own (Agent(tools=[...])), "
                "or a chat model that calls tools (Agent(ChatOpenAI(...)))"
            )
        self._policy(
            {name: value for name, value in kwargs.items() if name not in ("stop", "ls_structured_output_format")}
        )
        offered = [convert_to_openai_tool(item, strict=strict) for item in tools]
        return self.bind(tools=offered, tool_choice=tool_choice, **kwargs)

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        params = super()._get_ls_params(stop=stop or self.stop, **kwargs)
        return {**params, "ls_provider": "mmagent"}

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        call, seed = self._call(messages, stop, kwargs)
        # A chat model that speaks for the agent would take this run's callbacks for its own: the context has them in
        # this thread, where an engine may run tools, and nowhere else.
        with set_config_context({"callbacks": []}) as context:
            for step in call.turn:
                result = context.run(self.agent.engine.run, step.plan, step.inputs, partial=True, seed=seed)
                call.turn.done(result)
        return call.result()

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        call, seed = self._call(messages, stop, kwargs)
        for step in call.turn:
            call.turn.done(await self.agent.engine.arun(step.plan, step.inputs, partial=True, seed=seed))
        return call.result()

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        call, seed = self._call(messages, stop, kwargs)
        for step in call.turn:
            with self.agent.engine.stream(step.plan, step.inputs, partial=True, seed=seed) as events:
                for event in events:
                    yield from call.hear(event, step)
            call.turn.done(events.result)
            yield from call.end(step)
        yield call.last()

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        call, seed = self._call(messages, stop, kwargs)
        for step in call.turn:
            async with self.agent.engine.astream(step.plan, step.inputs, partial=True, seed=seed) as events:
                async for event in events:
                    for chunk in call.hear(event, step):
                        yield chunk
            call.turn.done(events.result)
            for chunk in call.end(step):
                yield chunk
        yield call.last()

    def _call(
        self, messages: Sequence[BaseMessage], stop: Sequence[str] | None, given: Mapping[str, Any]
    ) -> tuple[Call, int]:
        policy = self._policy(given)
        before = self.agent.conversation.messages[:1]
        system = before[0] if before and before[0].role == "system" else None
        reasoner, foreign = self.agent.reasoner, None
        guard = sources(self.store, self.hosts, (), self.limits)
        request = asked(messages, guard, system, linked=isinstance(reasoner, ChatReasoner))
        if given.get("tools") and not self._calls_tools():
            raise ConversationError(f"{reasoner.name} does not call tools of LangChain's; leave tools out")
        if isinstance(reasoner, ChatReasoner):
            options = {name: value for name, value in given.items() if name == "parallel_tool_calls"}
            foreign = Foreign(given.get("tools") or (), given.get("tool_choice"), options, request.links)
            reasoner = reasoner.offered(foreign)
        tap = Tap(reasoner, self.stop or () if stop is None else stop)
        return Call(self.agent, request, policy, tap, self.store, foreign), policy.seed

    def _calls_tools(self) -> bool:
        """Whether LangChain's tools can be offered to who speaks for the agent: a chat model that calls tools."""
        reasoner = self.agent.reasoner
        return isinstance(reasoner, ChatReasoner) and calls_tools(reasoner.model)

    def _policy(self, given: Mapping[str, Any]) -> Policy:
        """The policy of a call; ConversationError for an option that there is not."""
        unknown = sorted(set(given) - {*_POLICY, *_TOOLS})
        if unknown:
            raise ConversationError(f"a call takes {', '.join(_POLICY)} and stop, not {', '.join(unknown)}")
        values = {name: given.get(name, getattr(self, name)) for name in _POLICY}
        policy = values.pop("policy") or self.agent.policy
        return replace(policy, **{name: value for name, value in values.items() if value is not None})
