"""The tree of errors: the type alone says whether to try again, and when.

    KeywrightError
    ├── Retryable                the same call may work later; `after` seconds, None: the caller's own backoff
    │   ├── Unavailable          nothing happened: refused, reset before the request left, 5xx on a read
    │   ├── RateLimited          the other side said to wait (`after` from Retry-After)
    │   └── Conflict             a guarded write lost: read again, plan again
    ├── Terminal                 a person or another object must change first; `reason` is a CamelCase word
    │   ├── Rejected             the other side understood and refused (4xx)
    │   └── Unauthorized         credentials refused or lacking a right
    ├── Ambiguous                the call may have been committed: look before doing it again
    ├── NotLeading               another process may act, this one not (any more); nothing was sent
    └── NotYet                   somebody asks already, on behalf of all: come again in a moment

Adapters convert what their clients raise once, here's types only; messages are sentences for `kubectl describe`, and
never carry a response's body, since that may hold a secret.
"""

from __future__ import annotations

__all__ = [
    "Ambiguous",
    "Conflict",
    "KeywrightError",
    "NotLeading",
    "NotYet",
    "RateLimited",
    "Rejected",
    "Retryable",
    "Terminal",
    "Unauthorized",
    "Unavailable",
]


class KeywrightError(Exception):
    """Base of all; its text is one sentence that a user may read."""


class Retryable(KeywrightError):
    """The same call may work later."""

    def __init__(self, message: str, *, after: float | None = None) -> None:
        """`after`: seconds the other side asked to wait, None where it did not say."""
        super().__init__(message)
        self.after = after


class Unavailable(Retryable):
    """Nothing happened at the other side."""


class RateLimited(Retryable):
    """Too many requests; `after` says for how long to be quiet."""


class Conflict(Retryable):
    """Somebody else wrote first."""


class Terminal(KeywrightError):
    """Trying again changes nothing until something else has changed."""

    def __init__(self, message: str, *, reason: str) -> None:
        """`reason`: CamelCase, as it goes into a condition."""
        super().__init__(message)
        self.reason = reason


class Rejected(Terminal):
    """Understood and refused."""


class Unauthorized(Terminal):
    """The credentials are refused, or lack a right."""


class Ambiguous(KeywrightError):
    """Nobody knows whether the call was committed."""


class NotLeading(KeywrightError):
    """The lease is another process's, or does not last long enough: whoever meets this stops, and writes nothing more."""


class NotYet(KeywrightError):
    """Somebody asks already, and the answer takes longer than it is worth waiting for here; there is nothing to tell."""
