"""Chat models as reasoners: any LangChain chat model speaks where our own LLM does, over the text wire.

Importing this imports no LangChain; that waits until a model speaks or is asked what it can.
"""

from mmagent.model.chat.errors import AnswerError, MissingPackage, ProviderError
from mmagent.model.chat.reasoner import ChatReasoner
from mmagent.model.chat.spec import ChatModelSpec, ChatSpec, PriceSpec

__all__ = [
    "AnswerError",
    "ChatModelSpec",
    "ChatReasoner",
    "ChatSpec",
    "MissingPackage",
    "PriceSpec",
    "ProviderError",
]
