"""Tools out of a file that lies on no shelf."""

from __future__ import annotations

from pathlib import Path

from mmagent.errors import BrokenTool
from mmagent.registry import read_file, tools_in
from mmagent.tool import ToolType


def load_file(path: str | Path) -> list[ToolType]:
    """The tools that a Python file defines, in its order; BrokenTool says why it cannot be read or has none.

    The file becomes the module `mmagent.tools.<stem>`, as if it lay on a shelf, and hides one of that name there.
    """
    file = Path(path).resolve()
    name = f"mmagent.tools.{file.stem}"
    if not file.is_file():
        raise BrokenTool(f"{path} is not a file; name a Python file that defines a tool")
    if not file.stem.isidentifier() or file.suffix != ".py":
        raise BrokenTool(f"{path} cannot be imported; a tool's file is named like a module: my_tool.py")
    try:
        module = read_file(name, file)
    except (Exception, SystemExit) as error:  # whatever the file raises is the reason why it is broken
        raise BrokenTool(f"{path} fails to import: {type(error).__name__}: {error}") from error
    tools = tools_in(module)
    if not tools:
        raise BrokenTool(f"{path} defines no tool; decorate a typed function with @tool or subclass Tool")
    return tools
