"""What a chat model can, as far as LangChain knows: its profile, its class, its fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langchain_core.language_models import BaseChatModel

from mmagent.conversation import Policy

_INPUTS: Mapping[str, tuple[str, ...]] = {
    "image_inputs": ("image",),
    "audio_inputs": ("audio", "speech"),
    "video_inputs": ("video",),
}
_FIELDS: Mapping[str, tuple[str, ...]] = {
    "max_tokens": ("max_tokens", "max_output_tokens", "num_predict"),
    "temperature": ("temperature",),
    "seed": ("seed", "random_seed"),
}
"""What the integrations call a policy's limits."""


def profile(model: BaseChatModel) -> Mapping[str, Any]:
    """The model's profile; empty where nothing is known of it."""
    found: Mapping[str, Any] | None = getattr(model, "profile", None)
    return found or {}


def sees(model: BaseChatModel) -> tuple[str, ...]:
    """The modalities that the model takes in by its profile."""
    known = profile(model)
    return tuple(name for key, names in _INPUTS.items() if known.get(key) for name in names)


def calls_tools(model: BaseChatModel) -> bool:
    """Whether the model can call tools: its class must bind them, and its profile not deny it."""
    return type(model).bind_tools is not BaseChatModel.bind_tools and bool(profile(model).get("tool_calling", True))


def chooses_tools(model: BaseChatModel) -> bool:
    """Whether the model can be made to call a certain tool."""
    return bool(profile(model).get("tool_choice", True))


def limited(model: BaseChatModel, policy: Policy) -> BaseChatModel:
    """The model under the policy's limits of tokens, temperature and seed, where they are not those of any policy.

    A policy that says nothing of them leaves the model as it was made: its defaults are meant for a model of our own,
    and several models refuse a temperature.
    """
    usual, known = Policy(), type(model).model_fields
    asked = {name: getattr(policy, name) for name in _FIELDS if getattr(policy, name) != getattr(usual, name)}
    changed = {field: value for name, value in asked.items() for field in _FIELDS[name] if field in known}
    return model.model_copy(update=changed) if changed else model
