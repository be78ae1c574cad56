"""What goes wrong with chat models, as errors.

ModelError
├── ProviderError    who runs the model did not answer: key, limit, request, connection
└── AnswerError      the model answered, and what came is of no use
MissingExtra
└── MissingPackage   the provider's package is not installed
"""

from __future__ import annotations

from collections.abc import Sequence

from mmagent.errors import MissingExtra, ModelError, RegistryError


class ProviderError(ModelError):
    """Whoever runs a chat model did not answer, or broke off.

    `reason` is one of `key permission name limit length request timeout connection server other`; `retryable` says
    whether the same request may succeed later. The langchain model has by then made its own retries.
    """

    def __init__(self, model: str, reason: str, came: str, fix: str, retryable: bool = False) -> None:
        self.model, self.reason, self.retryable = model, reason, retryable
        super().__init__(f"chat model {model} did not answer ({reason}): {came}; {fix}")


class AnswerError(ModelError):
    """A chat model's answer cannot be used, also after it was told why. `faults` says what came, one line each."""

    def __init__(self, model: str, faults: Sequence[str], fix: str) -> None:
        self.model, self.faults = model, tuple(faults)
        super().__init__(f"chat model {model} was told and still answers wrongly: {'; '.join(self.faults)}; {fix}")


class MissingPackage(MissingExtra):
    """The package that connects to a provider is not installed; the message gives the one command."""

    def __init__(self, package: str, wanted_by: str) -> None:
        self.library, self.extra, self.wanted_by = package, "", wanted_by
        # MissingExtra's own message names an extra of ours; a provider's package is none.
        RegistryError.__init__(
            self, f"{wanted_by} needs {package}, which is not installed. Install it with: pip install {package}"
        )
