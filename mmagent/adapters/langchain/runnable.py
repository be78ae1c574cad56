"""Any mmagent tool or graph as a LangChain Runnable: media and words in, media and words out, streamed and batched."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Annotated, Any

from langchain_core.callbacks import AsyncCallbackManagerForChainRun, CallbackManagerForChainRun
from langchain_core.runnables import RunnableConfig, RunnableSerializable
from pydantic import BaseModel, ConfigDict, SkipValidation, create_model

from mmagent.adapters.langchain.progress import arun, atell, run, tell
from mmagent.adapters.langchain.target import Callable, Target, outputs, target
from mmagent.adapters.langchain.told import Chunk, Telling, is_media, plain, single
from mmagent.card import Card, Scalar
from mmagent.engine.run import Engine
from mmagent.errors import CardError
from mmagent.media import Media, Text
from mmagent.registry import Registry


class MediaRunnable(RunnableSerializable[Any, Any]):
    """A tool or a graph in a chain; made by `as_runnable`.

    It takes its inputs and settings by name, or the value alone where one input is all that it needs. Words may be
    str, and come out as str; other media are mmagent's own. It gives its output, or all outputs by name where there
    are several. `stream` gives words piece by piece, media as they are shown, and one of several outputs as
    `{output: value}` when it comes; its chunks add up to what `invoke` gives.
    """

    target: Annotated[Target, SkipValidation]
    seed: int = 0

    model_config = ConfigDict(arbitrary_types_allowed=True)

    @property
    def card(self) -> Card:
        """The card of the tool or graph."""
        return self.target.card

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """Run it; the first failure is raised after what does not depend on it has finished."""
        return self._call_with_config(self._invoke, input, config, **kwargs)

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """The same without blocking the running loop."""
        return await self._acall_with_config(self._ainvoke, input, config, **kwargs)

    def stream(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Iterator[Any]:
        """Outputs as they come. Leaving the loop early cancels the run."""
        yield from self._transform_stream_with_config(iter([input]), self._told, config, **kwargs)

    async def astream(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> AsyncIterator[Any]:
        """The same for `async for`."""

        async def one() -> AsyncIterator[Any]:
            yield input

        async for chunk in self._atransform_stream_with_config(one(), self._atold, config, **kwargs):
            yield chunk

    def get_name(self, suffix: str | None = None, *, name: str | None = None) -> str:
        """The name that its runs have in traces: its own, or the tool's or graph's."""
        return super().get_name(suffix, name=name or self.name or self.card.short)

    def get_input_schema(self, config: RunnableConfig | None = None) -> type[BaseModel]:
        """Its inputs and settings as a pydantic class; media are of any type, for JSON has none for them."""
        fields: dict[str, Any] = {port.name: (Any, None if port.optional else ...) for port in self.card.inputs}
        for item in self.card.settings:
            if item.name not in self.target.fixed:
                fields[item.name] = (Any, ... if item.required else item.default)
        return create_model(self.get_name("Input"), __config__=ConfigDict(protected_namespaces=()), **fields)

    def _invoke(self, given: Any, run_manager: CallbackManagerForChainRun) -> Any:
        inputs, settings = self._read(given)
        plan = self.target.plan(inputs, settings)
        return self._answer(run(self.target.engine, plan, inputs, self.seed, run_manager))

    async def _ainvoke(self, given: Any, run_manager: AsyncCallbackManagerForChainRun) -> Any:
        inputs, settings = self._read(given)
        plan = self.target.plan(inputs, settings)
        return self._answer(await arun(self.target.engine, plan, inputs, self.seed, run_manager))

    def _told(self, given: Iterator[Any]) -> Iterator[Any]:
        for item in given:
            inputs, settings = self._read(item)
            plan = self.target.plan(inputs, settings)
            telling = Telling(plan.checked)
            with self.target.engine.stream(plan, inputs, seed=self.seed) as events:
                for event in events:
                    tell(event)
                    yield from map(self._chunk, telling.hear(event))
            yield from map(self._chunk, telling.end(events.result.outputs))

    async def _atold(self, given: AsyncIterator[Any]) -> AsyncIterator[Any]:
        async for item in given:
            inputs, settings = self._read(item)
            plan = self.target.plan(inputs, settings)
            telling = Telling(plan.checked)
            async with self.target.engine.astream(plan, inputs, seed=self.seed) as events:
                async for event in events:
                    await atell(event)
                    for chunk in telling.hear(event):
                        yield self._chunk(chunk)
            for chunk in telling.end(events.result.outputs):
                yield self._chunk(chunk)

    def _chunk(self, chunk: Chunk) -> Any:
        return single(self.card, chunk) if len(self.card.outputs) == 1 else chunk

    def _answer(self, made: Mapping[str, Any]) -> Any:
        found = {name: plain(value) for name, value in outputs(self.card, made).items()}
        return single(self.card, found)

    def _read(self, given: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """The inputs and settings out of what was given."""
        named = given if isinstance(given, Mapping) else {self._only(): given}
        ports = {port.name: port for port in self.card.inputs}
        inputs = {name: _value(name, value) for name, value in named.items() if name in ports and value is not None}
        return inputs, {name: value for name, value in named.items() if name not in ports}

    def _only(self) -> str:
        """The input that a value alone is for; CardError if that is not plain."""
        needed = [port.name for port in self.card.inputs if not port.optional] or [
            port.name for port in self.card.inputs
        ]
        if len(needed) != 1:
            names = ", ".join(port.name for port in self.card.inputs) or "none"
            raise CardError(f"{self.card.short} takes its inputs by name ({names}); give a dict")
        return needed[0]


def as_runnable(
    what: Callable,
    *,
    settings: Mapping[str, Scalar] | None = None,
    seed: int = 0,
    name: str | None = None,
    registry: Registry | None = None,
    engine: Engine | None = None,
) -> MediaRunnable:
    """A tool or graph, by name or itself, as a Runnable. `settings` are those that every call has.

    UnknownName, BrokenTool, GraphError or CardError if there is no such tool or graph.
    """
    found = target(what, settings=settings, registry=registry, engine=engine)
    return MediaRunnable(target=found, seed=seed, name=name)


def _value(name: str, value: Any) -> Media | list[Media]:
    """A value for an input: words become Text; CardError for what is neither words nor media."""
    items = [Text(item) if isinstance(item, str) else item for item in (value if isinstance(value, list) else [value])]
    if not is_media(items):
        raise CardError(f"input {name} takes media or words, not {type(value).__name__}; wrap it in a media class")
    return items if isinstance(value, list) else items[0]
