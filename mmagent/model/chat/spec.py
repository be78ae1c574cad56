"""What the `model.yaml` of a chat model says: where it runs, what it sees, what it costs. Keys never stand in it."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from mmagent.model.chat.providers import PROVIDERS
from mmagent.model.spec import Part

_OPTIONS = (
    "disable_streaming", "effort", "frequency_penalty", "include_thoughts", "keep_alive", "logprobs", "max_completion_tokens",
    "max_output_tokens", "max_retries", "max_tokens", "num_ctx", "num_predict", "output_version", "presence_penalty",
    "random_seed", "reasoning", "reasoning_effort", "repeat_penalty", "request_timeout", "safe_prompt", "seed",
    "service_tier", "stop", "stop_sequences", "stream_usage", "streaming", "temperature", "thinking", "thinking_budget",
    "thinking_level", "timeout", "top_k", "top_p", "use_responses_api", "verbosity",
)  # fmt: skip
"""What a file may set: how the model answers. Every integration has other names for keys, addresses, proxies and
headers, some of them deep in arguments for its client, so what may stand there is listed and not what may not."""


class ChatSpec(Part):
    """Which model, at which provider; `options` go to the integration's class as they are, those that say how to answer.

    `base_url` is where the provider's key and the conversations are sent, for a server of one's own.
    """

    provider: str
    model: Annotated[str, Field(min_length=1)]
    base_url: str | None = None
    options: dict[str, Any] = Field(default_factory=dict)

    @field_validator("provider")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in PROVIDERS:
            raise ValueError(f"no provider of that name; there are {', '.join(PROVIDERS)}")
        return value

    @field_validator("base_url")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        if value is None:
            return value
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("not an address like http://localhost:8000/v1")
        if parts.username or parts.password or parts.query:
            raise ValueError("an address carries no user, password or query; keys go into the environment")
        return value

    @field_validator("options")
    @classmethod
    def _listed(cls, value: dict[str, Any]) -> dict[str, Any]:
        others = [name for name in value if name not in _OPTIONS]
        if others:
            raise ValueError(
                f"{', '.join(others)}: no option of a file; there are {', '.join(_OPTIONS)}. Keys go into the provider's "
                "environment variable, an address into base_url; anything else takes a chat model made in Python"
            )
        return value


class PriceSpec(Part):
    """What a million tokens cost, read and written."""

    input: Annotated[float, Field(ge=0)]
    output: Annotated[float, Field(ge=0)]
    currency: str = "USD"


class ChatModelSpec(Part):
    """A whole chat model, as its folder's `model.yaml` gives it.

    `sees` and `makes` are modalities; left out, the model's own profile says what it sees, and it may ask for
    everything that can be made. `tools` are tools that it may name, by the modality that they make. `cost` is the
    expected seconds of a reply.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
    doc: str = ""
    chat: ChatSpec
    system: str = ""
    sees: tuple[str, ...] | None = None
    makes: tuple[str, ...] | None = None
    tools: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    price: PriceSpec | None = None
    cost: Annotated[float, Field(ge=0)] = 3.0
