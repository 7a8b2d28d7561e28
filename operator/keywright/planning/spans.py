"""Times as the apiserver writes them, and as people say them: in 12 d, 3 h ago. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

__all__ = ["exact", "moment", "relative", "span"]

_UNITS: Final = (
    ("y", timedelta(days=365), 2),
    ("d", timedelta(days=1), 2),
    ("h", timedelta(hours=1), 2),
    ("min", timedelta(minutes=1), 2),
)
"""Each with how many of it there must be: 36 h says more than 1 d."""


def moment(text: str) -> datetime:
    """A time of the apiserver's."""
    return datetime.fromisoformat(text).astimezone(UTC)


def span(time: timedelta) -> str:
    """Its length in the largest unit that fits twice, rounded down: 2 y, 12 d, 36 h, 90 min, 45 s."""
    length = abs(time)
    for unit, one, least in _UNITS:
        if length >= one * least:
            return f"{length // one} {unit}"
    return f"{length // timedelta(seconds=1)} s"


def relative(at: datetime, now: datetime) -> str:
    """Seen from `now`: in 12 d, 3 h ago, now."""
    if abs(at - now) < timedelta(seconds=1):
        return "now"
    return f"in {span(at - now)}" if at > now else f"{span(at - now)} ago"


def exact(at: datetime) -> str:
    """The time itself, in UTC, as keywright's messages write it."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
