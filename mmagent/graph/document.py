"""The shape of a graph file, for pydantic: which keys there are and what each may hold.

Imported only when a file is read, because pydantic costs a tenth of a second to import.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Plain = str | int | float | bool | None


class Node(BaseModel):
    """One entry under `nodes`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    tool: str
    sources: dict[str, str | list[str]] = Field(default_factory=dict, alias="in")
    each: str | None = None
    settings: dict[str, Plain] = Field(default_factory=dict)
    timeout: Annotated[float, Field(gt=0)] | None = None
    retries: Annotated[int, Field(ge=0)] = 0
    fallback: list[str] = Field(default_factory=list)
    seed: int | None = None


class Document(BaseModel):
    """A whole file. `inputs` are ports as text, `outputs` sources."""

    model_config = ConfigDict(extra="forbid", strict=True)

    graph: str
    doc: str = ""
    lossy: Literal["allow"] | None = None
    inputs: dict[str, str] = Field(default_factory=dict)
    nodes: dict[str, Node] = Field(default_factory=dict)
    outputs: dict[str, str] = Field(default_factory=dict)


def keys(model: type[BaseModel]) -> tuple[str, ...]:
    """The keys that a mapping of that model may have, as they are written in a file."""
    return tuple(field.alias or name for name, field in model.model_fields.items())
