"""mmagent inside LangChain: an agent as a chat model, a tool or a graph as a LangChain tool or Runnable.

    model = AgentChatModel(agent=Agent("pocket"))
    tools = [as_tool("image-tags", store=store), as_tool("caption-and-speak", store=store)]
    chain = as_runnable("describe-picture") | prompt | model

chat      AgentChatModel                          call      one request to it, and its reply as chunks
messages  LangChain messages as a conversation    tap       a reasoner overheard: order, stop sequences, usage
blocks    content blocks and media                sources   where media may come from
store     media by handle                         target    what is called: a tool with settings, or a graph
tool      as_tool                                 runnable  as_runnable
schema    a card as the arguments of a tool       told      outputs in words, and as they come
progress  running under LangChain's callbacks     stop      stop sequences
"""

from mmagent.adapters.langchain.blocks import from_block, media_of, to_block
from mmagent.adapters.langchain.chat import AgentChatModel
from mmagent.adapters.langchain.runnable import MediaRunnable, as_runnable
from mmagent.adapters.langchain.sources import Sources
from mmagent.adapters.langchain.store import MediaStore
from mmagent.adapters.langchain.tool import MediaTool, as_tool

__all__ = [
    "AgentChatModel",
    "MediaRunnable",
    "MediaStore",
    "MediaTool",
    "Sources",
    "as_runnable",
    "as_tool",
    "from_block",
    "media_of",
    "to_block",
]
