"""Providers of chat models, and the LangChain integration that speaks to each. A key comes from the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, cast

from mmagent.errors import ModelError
from mmagent.model.chat.errors import MissingPackage
from mmagent.trace.redact import harmless

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from mmagent.model.chat.spec import ChatSpec


@dataclass(frozen=True, slots=True)
class Provider:
    """The package that connects to a provider, its chat model class, and the variable that holds the key, if any."""

    package: str
    kind: str
    variable: str = ""

    @property
    def module(self) -> str:
        return self.package.replace("-", "_")


PROVIDERS: Mapping[str, Provider] = {
    "anthropic": Provider("langchain-anthropic", "ChatAnthropic", "ANTHROPIC_API_KEY"),
    "deepseek": Provider("langchain-deepseek", "ChatDeepSeek", "DEEPSEEK_API_KEY"),
    "google": Provider("langchain-google-genai", "ChatGoogleGenerativeAI", "GOOGLE_API_KEY"),
    "groq": Provider("langchain-groq", "ChatGroq", "GROQ_API_KEY"),
    "mistral": Provider("langchain-mistralai", "ChatMistralAI", "MISTRAL_API_KEY"),
    "ollama": Provider("langchain-ollama", "ChatOllama"),
    "openai": Provider("langchain-openai", "ChatOpenAI", "OPENAI_API_KEY"),
    "xai": Provider("langchain-xai", "ChatXAI", "XAI_API_KEY"),
}


def build(spec: ChatSpec, owner: str) -> BaseChatModel:
    """The chat model of a spec, made but not yet asked anything.

    MissingPackage gives the command that installs the integration; ModelError says why the model cannot be made,
    which is mostly that the variable with the key is not set.
    """
    provider = PROVIDERS[spec.provider]
    try:
        kind = getattr(import_module(provider.module), provider.kind)
    except ImportError:
        raise MissingPackage(provider.package, f"model {owner}") from None
    address = {} if spec.base_url is None else {"base_url": spec.base_url}
    try:
        return cast("BaseChatModel", kind(model=spec.model, **address, **spec.options))
    except Exception as error:
        why = harmless(f"{type(error).__name__}: {error}")
    fix = f"set {provider.variable}, or correct `chat.options`" if provider.variable else "correct `chat.options`"
    raise ModelError(f"model {owner} ({spec.provider}) cannot be made: {why}; {fix}")


def variable_of(model: BaseChatModel) -> str:
    """The environment variable that holds the key of such a model, as far as its class is known here."""
    names = {kind.__name__ for kind in type(model).__mro__}
    found = (item.variable for item in PROVIDERS.values() if item.kind in names)
    return next(found, "")
