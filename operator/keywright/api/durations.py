"""Durations and percentages as users write them: 30m, 12h, 15d, 1d12h, 33%.

Pure parsing; the YAML types that use it are in the kinds' modules.
"""

from __future__ import annotations

import re
from datetime import timedelta
from functools import lru_cache
from typing import Annotated, Final

from pydantic import Field

from keywright.api.base import Cel, Matches

__all__ = [
    "DURATION_PATTERN",
    "Duration",
    "DurationOrPercent",
    "Interval",
    "Timeout",
    "Validity",
    "parse_days",
    "parse_duration",
    "renew_before_of",
]

_PARTS: Final = r"([0-9]{1,5}[smhd]){1,4}"
"""Up to four parts of five digits: the longest, 1,095 years, still adds to today's date."""
DURATION_PATTERN: Final = rf"^{_PARTS}$"
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_HOW_TO_WRITE: Final = "write whole numbers with s, m, h or d, such as 30m, 12h or 15d"

Duration = Annotated[str, Field(max_length=24), Matches(DURATION_PATTERN, _HOW_TO_WRITE)]
Interval = Annotated[Duration, Cel("self.matches('[1-9]')", "write a time longer than zero, such as 5m")]
"""A pause between two looks: zero would be a busy loop."""
Timeout = Annotated[
    str,
    Field(max_length=4),
    Matches(r"^([1-9][0-9]?s|[12][0-9]{2}s|[1-5]m)$", "write seconds or minutes, from 1s to 5m, such as 10s"),
]
"""A request's deadline: well below the ten minutes for which an interrupted request may still make a key."""
DurationOrPercent = Annotated[
    str,
    Field(max_length=24),
    Matches(rf"^({_PARTS}|[1-9][0-9]?%)$", 'write a duration such as 30m, 12h or 15d, or a percentage such as "33%"'),
]
Validity = Annotated[
    str, Field(max_length=24), Matches(r"^[1-9][0-9]{0,3}d$", "write whole days from 1d to 9999d, such as 90d")
]


@lru_cache(maxsize=1024)
def parse_duration(text: str) -> timedelta:
    """`text` matches DURATION_PATTERN; ValueError with a sentence otherwise."""
    if not re.fullmatch(DURATION_PATTERN, text):
        raise ValueError(f"{text!r} is no duration: {_HOW_TO_WRITE}")
    return sum(
        (timedelta(**{_UNITS[unit]: int(number)}) for number, unit in re.findall(r"([0-9]+)([smhd])", text)),
        timedelta(),
    )


def parse_days(text: str) -> int:
    """Whole days of a validity such as 90d."""
    duration = parse_duration(text)
    if duration % timedelta(days=1) or not duration:
        raise ValueError(f"{text!r} is no validity: write whole days, such as 90d")
    return duration.days


def renew_before_of(text: str, validity: timedelta) -> timedelta:
    """A renewBefore as a span of time: a percentage is one of `validity`."""
    return validity * int(text[:-1]) / 100 if text.endswith("%") else parse_duration(text)
