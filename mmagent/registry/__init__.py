"""The registry: finds tools by name on the shelves, in entry points and among those added in Python.

A tool is looked for among those added in Python, then in the file that is named after it, then in all files and
entry points, then among the presets; the first of these that has it answers, to a name without version with its highest. Listing imports
the tools' files, whose heavy imports wait for `load()`. It knows nothing of graphs or of running.
"""

from mmagent.registry.files import forget, read_file
from mmagent.registry.lookup import Listing, Registry, load_tool, registry
from mmagent.registry.sources import tools_in

__all__ = ["Listing", "Registry", "forget", "load_tool", "read_file", "registry", "tools_in"]
