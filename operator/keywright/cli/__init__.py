"""The commands: one file each; they parse, call, print. Errors are one line, without a traceback."""

from keywright.cli.main import main

__all__ = ["main"]
