"""Who is signed in, and what was asked of them; in memory only, so that a restart signs everybody out."""

from __future__ import annotations

import secrets
from collections import deque
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from keywright.sandbox.plaintext import digest

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["LAPSE", "Session", "Sessions", "ticket"]

_LIFETIME: Final = timedelta(hours=8)
"""A working day; afterwards the admin key is asked for again."""

LAPSE: Final = timedelta(seconds=15)
"""How long "Revoke?" stands: long enough to be read aloud, short enough not to be forgotten on a screen."""

_REMEMBERED: Final = 1000
"""Creation forms that are known to have been used, per session."""


def ticket() -> str:
    """Something that cannot be guessed: a session's name, its CSRF token, a form's number."""
    return secrets.token_urlsafe(32)


@dataclass(slots=True)
class Session:
    """One browser that has shown the admin key. `csrf`: stands in each form. `notice`: to be said on the next page."""

    ends: datetime
    csrf: str = field(default_factory=ticket)
    notice: str | None = None
    _asked: dict[str, datetime] = field(default_factory=dict)
    _spent: deque[str] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))

    def take_notice(self) -> str | None:
        """What is to be said; once."""
        notice, self.notice = self.notice, None
        return notice

    def ask(self, key_id: str, now: datetime) -> None:
        """The first click."""
        self._asked = {key: until for key, until in self._asked.items() if until > now}
        self._asked[key_id] = now + LAPSE

    def is_asked(self, key_id: str, now: datetime) -> bool:
        """Whether the question still stands."""
        until = self._asked.get(key_id)
        return until is not None and now < until

    def answered(self, key_id: str, now: datetime) -> bool:
        """The second click: whether it came in time. The question is gone in any case."""
        until = self._asked.pop(key_id, None)
        return until is not None and now < until

    def spend(self, form: str) -> bool:
        """Use a creation form; False where it was used before: a reload, Back, or a second click."""
        if form in self._spent:
            return False
        self._spent.append(form)
        return True

    def give_back(self, form: str) -> None:
        """It made nothing, and may be sent again."""
        self._spent.remove(form)


class Sessions:
    """All sessions. Their names are kept as digests, as keys are."""

    def __init__(self) -> None:
        self._open: dict[bytes, Session] = {}

    def open(self, now: datetime) -> str:
        """A new session's name, for the cookie."""
        self._open = {name: session for name, session in self._open.items() if now < session.ends}
        name = ticket()
        self._open[digest(name)] = Session(ends=now + _LIFETIME)
        return name

    def find(self, name: str, now: datetime) -> Session | None:
        """The session of this name, unless it has ended."""
        session = self._open.get(digest(name))
        return session if session is not None and now < session.ends else None

    def close(self, name: str) -> None:
        """End a session; none of that name is no error."""
        self._open.pop(digest(name), None)
