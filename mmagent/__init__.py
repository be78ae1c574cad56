"""mmagent: any-to-any multimodal agents out of composable, typed tools.

Names are imported when they are first used, so that `import mmagent` stays light.
"""

from importlib import import_module
from typing import TYPE_CHECKING

# Not lazily, since the name is also the module's: importing the module later would hide the decorator.
from mmagent.tool import Constraint, Context, Preset, Tool, tool

__version__ = "0.1.0"

if TYPE_CHECKING:
    from mmagent.agent import Agent
    from mmagent.card import Card, Port, Setting
    from mmagent.conversation import Conversation, Policy, Signal, message
    from mmagent.engine.graph import Graph
    from mmagent.engine.run import Engine
    from mmagent.errors import MissingExtra, MMAgentError
    from mmagent.graph.builder import GraphBuilder
    from mmagent.intake import Limits
    from mmagent.media import Audio, Embedding, Image, Media, Points, Speech, Text, Video
    from mmagent.model import load_model
    from mmagent.registry import load_tool
    from mmagent.reply import PartError, Reply

_HOMES = {
    "mmagent.agent": ("Agent",),
    "mmagent.card": ("Card", "Port", "Setting"),
    "mmagent.conversation": ("Conversation", "Policy", "Signal", "message"),
    "mmagent.engine.graph": ("Graph",),
    "mmagent.engine.run": ("Engine",),
    "mmagent.errors": ("MMAgentError", "MissingExtra"),
    "mmagent.graph.builder": ("GraphBuilder",),
    "mmagent.intake": ("Limits",),
    "mmagent.media": ("Audio", "Embedding", "Image", "Media", "Points", "Speech", "Text", "Video"),
    "mmagent.model": ("load_model",),
    "mmagent.registry": ("load_tool",),
    "mmagent.reply": ("PartError", "Reply"),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Agent",
    "Audio",
    "Card",
    "Constraint",
    "Context",
    "Conversation",
    "Embedding",
    "Engine",
    "Graph",
    "GraphBuilder",
    "Image",
    "Limits",
    "MMAgentError",
    "Media",
    "MissingExtra",
    "PartError",
    "Points",
    "Policy",
    "Port",
    "Preset",
    "Reply",
    "Setting",
    "Signal",
    "Speech",
    "Text",
    "Tool",
    "Video",
    "load_model",
    "load_tool",
    "message",
    "tool",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'mmagent' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return __all__
