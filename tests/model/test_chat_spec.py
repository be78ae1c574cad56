"""Chat models by YAML: what a model.yaml may say, where keys come from, and what errors may repeat."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from langchain_openai import ChatOpenAI

from mmagent import Agent, MissingExtra, load_model
from mmagent.errors import ModelError
from mmagent.model import ChatReasoner
from mmagent.model.chat import ChatSpec, MissingPackage, PriceSpec
from mmagent.model.chat.failures import reason
from mmagent.model.chat.providers import PROVIDERS, variable_of
from mmagent.model.chat.redact import secrets_of
from mmagent.model.spec import read_spec
from mmagent.trace.redact import harmless

KEY = "word-that-is-the-key"


def write(folder: Path, **more: object) -> str:
    content = {"name": "helper", "chat": {"provider": "openai", "model": "gpt-4o-mini"}} | more
    (folder / "model.yaml").write_text(yaml.safe_dump(content))
    return str(folder)


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def test_a_line_of_yaml_makes_a_chat_model(tmp_path: Path) -> None:
    chat = {
        "provider": "openai",
        "model": "gpt-4o-mini",
        "base_url": "http://localhost:8000/v1",
        "options": {"temperature": 0.5},
    }
    price = {"input": 0.15, "output": 0.6, "currency": "EUR"}
    found = load_model(
        write(tmp_path, chat=chat, sees=["image"], makes=["image"], tools={"image": ["paint"]}, price=price, cost=1.5)
    )
    assert isinstance(found, ChatReasoner) and isinstance(found.model, ChatOpenAI)
    assert (found.name, found.sees, found.makes, found.cost, found.price) == (
        "helper", ("image",), ("image",), 1.5, PriceSpec(input=0.15, output=0.6, currency="EUR"),
    )  # fmt: skip
    assert (found.model.openai_api_base, found.model.temperature) == ("http://localhost:8000/v1", 0.5)
    assert found.model.openai_api_key is not None and secrets_of(found.model) == (KEY,)
    assert Agent(str(tmp_path)).reasoner.name == "helper"


def test_the_profile_says_what_a_model_of_yaml_sees(tmp_path: Path) -> None:
    assert load_model(write(tmp_path)).sees == ("image",)


def test_making_it_waits_until_it_is_needed_and_can_be_undone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    found = load_model(write(tmp_path))
    assert isinstance(found, ChatReasoner)
    with pytest.raises(ModelError, match=r"helper \(openai\) cannot be made.*set OPENAI_API_KEY"):
        found.load()
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    found.load()
    made = found.model
    found.unload()
    assert found.model is not made


def test_a_missing_package_is_named_with_the_one_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "langchain_anthropic", None)
    found = load_model(write(tmp_path, chat={"provider": "anthropic", "model": "claude"}))
    with pytest.raises(
        MissingPackage, match=r"model helper needs langchain-anthropic.*: pip install langchain-anthropic$"
    ) as caught:
        _ = found.sees
    assert isinstance(caught.value, MissingExtra)


@pytest.mark.parametrize(
    ("chat", "fault"),
    [
        ({"provider": "nobody", "model": "m"}, "chat.provider: .*there are anthropic"),
        ({"provider": "openai"}, "chat.model: Field required"),
        ({"provider": "openai", "model": "m", "api_key": KEY}, "chat.api_key: Extra inputs"),
        ({"provider": "openai", "model": "m", "options": {"openai_api_key": KEY}}, "environment variable"),
        *(
            (
                {"provider": "openai", "model": "m", "options": {name: KEY, "seed": 1}},
                f"chat.options: .*{name}: no option",
            )
            for name in (
                "openai_api_base",
                "openai_proxy",
                "token",
                "default_headers",
                "model_kwargs",
                "extra_body",
                "model",
                "client_kwargs",
                "client_options",
                "endpoint",
                "anthropic_proxy",
                "custom_get_token_ids",
            )
        ),
        ({"provider": "openai", "model": "m", "base_url": f"https://me:{KEY}@host/v1"}, "no user, password"),
        ({"provider": "openai", "model": "m", "base_url": "host/v1"}, "http://localhost"),
    ],
)
def test_what_a_file_may_not_say_is_refused_and_not_repeated(
    tmp_path: Path, chat: dict[str, object], fault: str
) -> None:
    with pytest.raises(ModelError, match=fault) as caught:
        load_model(write(tmp_path, chat=chat))
    assert KEY not in str(caught.value)


def test_what_says_how_to_answer_is_taken() -> None:
    options = {"max_tokens": 5, "timeout": 60, "stream_usage": True, "reasoning": {"effort": "low"}}
    assert ChatSpec(provider="openai", model="m", options=options).options == options


def test_unknown_sections_and_a_backbone_beside_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="backbone: Extra inputs"):
        load_model(write(tmp_path, backbone={"path": "x"}))
    with pytest.raises(ModelError, match="use load_model"):
        read_spec(Path(write(tmp_path)))


def test_an_option_that_the_class_refuses_is_told_with_where_it_stands(tmp_path: Path) -> None:
    found = load_model(write(tmp_path, chat={"provider": "openai", "model": "m", "options": {"max_retries": KEY}}))
    with pytest.raises(ModelError, match=r"cannot be made: ValidationError.*max_retries") as caught:
        _ = found.sees
    assert "chat.options" in str(caught.value)


def test_each_provider_is_known_by_the_class_of_its_models() -> None:
    assert variable_of(ChatOpenAI(model="m")) == "OPENAI_API_KEY"
    assert len({item.kind for item in PROVIDERS.values()}) == len(PROVIDERS)


@pytest.mark.parametrize(
    "text",
    [
        "Incorrect API key provided: sk-proj-abc123.",
        "Authorization: Bearer abc.def",
        "key AIzaSyA1234567890",
        f"you sent {KEY}",
    ],
)
def test_no_key_is_repeated(text: str) -> None:
    told = harmless(text, [KEY])
    assert "[…]" in told and not any(part in told for part in ("abc", "AIza", KEY))


@given(st.binary(min_size=64), st.text(max_size=20))
def test_no_encoded_media_are_repeated(data: bytes, before: str) -> None:
    import base64

    encoded = base64.b64encode(data).decode()
    for text in (encoded, f"data:image/png;base64,{encoded}"):
        assert encoded[:60] not in harmless(f"{before} {text}", longest=10_000)


def test_a_long_message_is_cut_and_stands_on_one_line() -> None:
    told = harmless("a\nb\x1b[0m " + "long words " * 100)
    assert told.startswith("a b\\u001b[0m long") and 290 < len(told) <= 300


class Overloaded(Exception):
    """As a provider's client raises it: the status is all that is known."""

    def __init__(self, status: int) -> None:
        self.status_code = status


@pytest.mark.parametrize(
    ("error", "why"),
    [(Overloaded(401), "key"), (Overloaded(429), "limit"), (Overloaded(500), "server"), (Overloaded(529), "server"), (Overloaded(422), "request"),
     (TimeoutError(), "timeout"), (BrokenPipeError(), "connection"), (KeyError("x"), "other")],
)  # fmt: skip
def test_what_an_exception_means_is_told_by_its_class_and_status(error: Exception, why: str) -> None:
    assert reason(error) == why
