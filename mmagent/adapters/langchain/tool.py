"""Any mmagent tool or graph as a LangChain tool: words and references in; words, handles and the media out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from langchain_core.callbacks import AsyncCallbackManagerForToolRun, CallbackManagerForToolRun
from langchain_core.tools import BaseTool, ToolException
from pydantic import SkipValidation

from mmagent.adapters.langchain.blocks import to_block
from mmagent.adapters.langchain.progress import arun, run
from mmagent.adapters.langchain.schema import arguments
from mmagent.adapters.langchain.sources import Sources, sources
from mmagent.adapters.langchain.store import MediaStore
from mmagent.adapters.langchain.target import Callable, Target, outputs, target
from mmagent.adapters.langchain.told import in_words, single
from mmagent.card import ANY, Card, Port, Scalar
from mmagent.engine.run import Engine
from mmagent.errors import MMAgentError
from mmagent.intake import Limits
from mmagent.media import Media, Text, modality
from mmagent.registry import Registry


class MediaTool(BaseTool):
    """A tool or a graph that an LLM may call; made by `as_tool`.

    Its content is for the model to read: words, and the handles of media in `store`. Its artifact is for the
    program: the output, or all outputs by name where there are several, as media or as content blocks with handles.
    """

    target: Annotated[Target, SkipValidation]
    store: Annotated[MediaStore, SkipValidation]
    sources: Annotated[Sources, SkipValidation]
    names: dict[str, str]
    blocks: bool = False
    artifact: Literal["media", "blocks"] = "media"
    seed: int = 0
    response_format: Literal["content", "content_and_artifact"] = "content_and_artifact"

    @property
    def card(self) -> Card:
        """The card of the tool or graph."""
        return self.target.card

    def _run(
        self, *words: str, run_manager: CallbackManagerForToolRun | None = None, **given: Any
    ) -> tuple[str | list[dict[str, Any]], Any]:
        try:
            inputs, settings = self._read(words, given)
            plan = self.target.plan(inputs, settings)
            return self._answer(run(self.target.engine, plan, inputs, self.seed, run_manager))
        except MMAgentError as error:
            if not self.handle_tool_error:
                raise
            raise ToolException(str(error)) from error

    async def _arun(
        self, *words: str, run_manager: AsyncCallbackManagerForToolRun | None = None, **given: Any
    ) -> tuple[str | list[dict[str, Any]], Any]:
        try:
            inputs, settings = self._read(words, given)
            plan = self.target.plan(inputs, settings)
            return self._answer(await arun(self.target.engine, plan, inputs, self.seed, run_manager))
        except MMAgentError as error:
            if not self.handle_tool_error:
                raise
            raise ToolException(str(error)) from error

    def _read(self, words: Sequence[str], given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """The inputs and settings of a call; a string alone is the first argument."""
        named = {self.names[field]: value for field, value in {**dict(zip(self.names, words)), **given}.items()}
        ports = {port.name: port for port in self.card.inputs}
        sources = replace(self.sources, counted=True)
        inputs = {
            name: _value(ports[name], value, sources)
            for name, value in named.items()
            if name in ports and value is not None
        }
        return inputs, {name: value for name, value in named.items() if name not in ports}

    def _answer(self, made: Mapping[str, Any]) -> tuple[str | list[dict[str, Any]], Any]:
        found = outputs(self.card, made)
        words = in_words(found, self.store)
        content = words if not self.blocks else [{"type": "text", "text": words}, *self._shown(found)]
        kept = found if self.artifact == "media" else {name: self._held(value) for name, value in found.items()}
        return content, single(self.card, kept)

    def _held(self, value: Any) -> Any:
        """An output as plain data, its media by handle."""
        if isinstance(value, list):
            return [self._held(item) for item in value]
        return None if value is None else to_block(value, self.store)

    def _shown(self, found: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The media as content blocks. Blocks of audio and video are no content of a tool's message to LangChain,
        which would write them out as text; they go as files."""
        values = (item for value in found.values() for item in (value if isinstance(value, list) else [value]))
        shown = [to_block(item) for item in values if isinstance(item, Media) and not isinstance(item, Text)]
        return [block if block["type"] == "image" else {**block, "type": "file"} for block in shown]


def as_tool(
    what: Callable,
    *,
    store: MediaStore | None = None,
    name: str | None = None,
    description: str | None = None,
    settings: Mapping[str, Scalar] | None = None,
    choose: Sequence[str] | None = None,
    hosts: Sequence[str] = (),
    folders: Sequence[str | Path] = (),
    limits: Limits | None = None,
    blocks: bool = False,
    artifact: Literal["media", "blocks"] = "media",
    seed: int = 0,
    registry: Registry | None = None,
    engine: Engine | None = None,
    **options: Any,
) -> MediaTool:
    """A tool or graph, by name or itself, as a LangChain tool.

    Text ports are string arguments. Ports of other media take a reference: a handle of `store`, a data URI, a URL on
    `hosts`, or a file in `folders`. Settings that go to each call are arguments with their defaults; those of the
    constructor (a model's folder, say) are not for an LLM to choose unless `choose` names them, and `settings` fixes
    any. Tools that shall know each other's handles are given one `store`.

    With `blocks` the content has the media as content blocks too, for models that can see them. `artifact="blocks"`
    keeps content blocks with handles where a checkpoint has to write messages down. `options` are those of BaseTool: with `handle_tool_error` what mmagent refuses is told to the model; without, it is raised.
    UnknownName, BrokenTool or CardError if there is no such tool.
    """
    found = target(what, settings=settings, registry=registry, engine=engine)
    card, held = found.card, store if store is not None else MediaStore()
    free = [item.name for item in card.settings if item.name not in found.fixed]
    chosen = [item for item in free if (item in choose if choose is not None else card.setting(item).at == "run")]  # type: ignore[union-attr]  # it is the card's own
    title = name or card.short
    made = arguments(card, chosen, title)
    return MediaTool(
        name=title,
        description=description or _description(card),
        args_schema=made.model,
        names=dict(made.names),
        target=found,
        store=held,
        sources=sources(held, hosts, folders, limits),
        blocks=blocks,
        artifact=artifact,
        seed=seed,
        **options,
    )


def _value(port: Port, value: str | list[str], sources: Sources) -> Media | list[Media]:
    if isinstance(value, list):
        return [_medium(port, item, sources) for item in value]
    return _medium(port, value, sources)


def _medium(port: Port, value: str, sources: Sources) -> Media:
    if port.modality == "text" or (port.modality == ANY and not sources.refers(value)):
        return Text(value)
    return sources.open(value, Media if port.modality == ANY else modality(port.modality))


def _description(card: Card) -> str:
    gives = ", ".join(str(port) for port in card.outputs)
    return f"{card.doc.strip() or card.short} Gives {gives}."
