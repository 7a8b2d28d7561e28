"""`keywright demo`: everything on this machine, and the life of a few keys as it happens. Parses, calls, prints."""

from __future__ import annotations

from keywright.errors import Terminal

__all__ = ["demo"]


def demo() -> None:
    """Show the whole life of a few keys on this machine."""
    raise Terminal("The demo is being built.", reason="NotYet")
