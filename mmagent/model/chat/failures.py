"""A provider's exception as a ProviderError: what happened, in a word, and what to do about it.

Exceptions are told by the names of their classes and by the HTTP status they carry, so that no provider's package is
imported for it: LangChain's own tree, httpx's, and those of the providers' clients share these names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus

from mmagent.model.chat.errors import ProviderError
from mmagent.trace.redact import harmless

_NAMES: Mapping[str, str] = {
    "ContextOverflowError": "length",
    "ModelAuthenticationError": "key",
    "ModelPermissionDeniedError": "permission",
    "ModelNotFoundError": "name",
    "ModelRateLimitError": "limit",
    "ModelTimeoutError": "timeout",
    "TimeoutException": "timeout",
    "APITimeoutError": "timeout",
    "TimeoutError": "timeout",
    "TransportError": "connection",
    "APIConnectionError": "connection",
    "ModelConnectionError": "connection",
    "ConnectionError": "connection",
    "ModelInvalidRequestError": "request",
    "ModelAPIError": "server",
}
_STATUS: Mapping[int, str] = {400: "request", 401: "key", 403: "permission", 404: "name", 408: "timeout", 429: "limit"}
_FIXES: Mapping[str, str] = {
    "key": "set {variable} to a key that the provider knows",
    "permission": "use a key that may use this model",
    "name": "check the model's name and base_url",
    "limit": "wait, or raise the limit at the provider",
    "length": "begin a new conversation (agent.forget()), send less, or take a model with a longer context",
    "request": "correct what it names, or tell with sees= what the model takes in",
    "timeout": "raise the chat model's timeout, or try again",
    "connection": "check base_url and the network, or try again",
    "server": "try again later",
    "other": "see the langchain integration's documentation",
}
_RETRYABLE = frozenset({"limit", "timeout", "connection", "server"})


def explained(model: str, error: Exception, secrets: Sequence[str], variable: str, written: int) -> ProviderError:
    """The error that tells what a provider's exception means; `written` are the characters that came before it."""
    why = reason(error)
    text = harmless(str(error), secrets) or "no message"
    came = f"{type(error).__name__}: {text}" + (f", after {written} characters of its answer" if written else "")
    fix = _FIXES[why].format(variable=variable or "the provider's environment variable")
    return ProviderError(model, why, came, fix, why in _RETRYABLE)


def reason(error: Exception) -> str:
    """What an exception means: by its class, nearest first, then by its HTTP status.

    >>> reason(ConnectionResetError()), reason(ValueError())
    ('connection', 'other')
    """
    found = next((_NAMES[kind.__name__] for kind in type(error).__mro__ if kind.__name__ in _NAMES), None)
    if found is not None:
        return found
    status = getattr(error, "status_code", None) or getattr(getattr(error, "response", None), "status_code", None)
    if not isinstance(status, int):
        return "other"
    return _STATUS.get(status, "server" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "request")
