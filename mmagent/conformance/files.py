"""Tools out of a file that lies on no shelf."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from mmagent.errors import BrokenTool
from mmagent.registry import tools_in
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
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise BrokenTool(f"{path} cannot be imported as a Python module")
    module = importlib.util.module_from_spec(spec)
    before = sys.modules.get(name)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # whatever the file raises is the reason why it is broken
        if before is None:
            del sys.modules[name]
        else:
            sys.modules[name] = before
        raise BrokenTool(f"{path} fails to import: {type(error).__name__}: {error}") from error
    tools = tools_in(module)
    if not tools:
        raise BrokenTool(f"{path} defines no tool; decorate a typed function with @tool or subclass Tool")
    return tools
