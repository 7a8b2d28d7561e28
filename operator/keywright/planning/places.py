"""A place that a key stands in, or stood in, as one word: what the status writes down. Here is how messages call it. Pure."""

from __future__ import annotations

__all__ = ["named"]


def named(place: str | None) -> str:
    """A place for a message; None: no place is known."""
    return f"Secret {place}" if place else "its target"
