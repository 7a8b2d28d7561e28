"""The commands: one file each; they parse, call, print. Errors are one line, without a traceback."""

from keywright.cli.completion import complete_for_kubectl
from keywright.cli.main import main

__all__ = ["complete_for_kubectl", "main"]
