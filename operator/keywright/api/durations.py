"""Durations and percentages as users write them: 30m, 12h, 15d, 1d12h, 33%.

Pure parsing; the YAML types that use it are in the kinds' modules.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Final

from pydantic import Field

__all__ = [
    "DURATION_PATTERN",
    "Duration",
    "DurationOrPercent",
    "Validity",
    "parse_days",
    "parse_duration",
    "renew_before_of",
]

DURATION_PATTERN: Final = r"^([0-9]{1,6}[smhd])+$"
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}

Duration = Annotated[str, Field(pattern=DURATION_PATTERN, max_length=32)]
DurationOrPercent = Annotated[str, Field(pattern=r"^(([0-9]{1,6}[smhd])+|[1-9][0-9]?%)$", max_length=32)]
Validity = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,3}d$", max_length=5)]


def parse_duration(text: str) -> timedelta:
    """`text` matches DURATION_PATTERN; ValueError with a sentence otherwise."""
    if not re.fullmatch(DURATION_PATTERN, text):
        raise ValueError(f"{text!r} is no duration: write whole numbers with s, m, h or d, such as 30m, 12h or 15d")
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
