"""How a statement refuses."""

from __future__ import annotations

__all__ = ["NotAllowedError", "NotFoundError"]


class NotFoundError(Exception):
    """No such thing; the text names it."""


class NotAllowedError(Exception):
    """The platform's own rules refuse it; the text says which."""
