"""How urgent an ApiKey is, of those that are due at once: after a week without an operator, or when somebody says that a key leaked.

Read from the object as it was last seen, in microseconds: the queue asks it of every name that competes. Decides nothing.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from keywright.ports.issuer import AHEAD

if TYPE_CHECKING:
    from keywright.ports.cluster import Object

__all__ = ["LAST", "urgency"]

_ENDING: Final = 0.0
"""What is deleted: its keys still work."""
_ENDLESS: Final = 1e12
"""Seconds, later than any date: overdue by a schedule, and without an end."""
LAST: Final = float("inf")
"""What is not overdue, in the order in which it comes."""


def urgency(seen: Object | None, now: datetime) -> float:
    """Lowest first: said to be compromised; being deleted; overdue to be replaced, by when the key ends (seconds); all else."""
    if seen is None:
        return LAST
    meta, status = seen["metadata"], seen.get("status") or {}
    asked = (meta.get("annotations") or {}).get("keywright.dev/compromised")
    if asked is not None and status.get("keyId") and asked != (status.get("handled") or {}).get("compromised"):
        return AHEAD
    if "deletionTimestamp" in meta:
        return _ENDING
    due, ends = _seconds(status.get("renewalTime")), _seconds(status.get("expiresAt"))
    if min(due, ends) > now.timestamp():
        return LAST
    return min(ends, _ENDLESS)


def _seconds(text: object) -> float:
    """Of a time in a status; LAST where there is none that can be read."""
    try:
        return datetime.fromisoformat(str(text)).timestamp()
    except ValueError:
        return LAST
