"""What is proposed when a graph does not check."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from mmagent import testing
from mmagent.card import Card, Scalar
from mmagent.errors import GraphError
from mmagent.graph import yaml
from mmagent.graph.check import check
from mmagent.media import Text
from mmagent.tool import ToolType, tool


class Catalog:
    """Exactly these tools."""

    def __init__(self, tools: tuple[ToolType, ...]) -> None:
        self.tools = [item.card for item in tools]

    def find(self, name: str) -> Card:
        return next(card for card in self.tools if name in (card.name, card.short))

    def card_for(self, name: str, settings: Mapping[str, Scalar]) -> Card:
        return self.find(name)

    def cards(self) -> list[Card]:
        return self.tools


def test_a_list_is_merged_by_the_converter_that_loses_and_costs_least() -> None:
    def merging(name: str, **options: Any) -> ToolType:
        @tool(name=name, **options)
        def merge(texts: list[Text]) -> Text:
            """Several texts as one."""
            return texts[0]

        return merge

    def advice(*tools: ToolType) -> str:
        spec = yaml.parse(
            "graph: test\ninputs: {t: 'list[text]'}\nnodes: {a: {tool: upper, in: {text: t}}}\noutputs: {o: a}"
        )
        with pytest.raises(GraphError) as caught:
            check(spec, Catalog((testing.upper, *tools)))
        return caught.value.faults[0].fix

    answer = merging("answer", kind="reasoner")
    short, dear, cheap = merging("a-short", lossy=True), merging("b-dear", cost=9.0), merging("c-cheap", cost=1.0)
    assert "put c-cheap.v1 between" in advice(answer, short, dear, cheap)
    assert "put b-dear.v1 between" in advice(answer, short, dear)
    assert "put a-short.v1 between" in advice(answer, short)
    assert "between" not in advice(answer)
