"""The tools of every shelf, as modules `mmagent.tools.<name>`: the user's shelves first, then ours."""

from mmagent.shelf import tool_folders

__path__[:] = tool_folders()
