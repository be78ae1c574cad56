"""The command line, one file a command. `mmagent --help` imports nothing but click."""

from mmagent.cli.app import main

__all__ = ["main"]
