"""Query parameters: text in the address, read as the reference's types, no wider.

pydantic alone would take `limit=1_000`, `is_archived=on` or a date where a time belongs.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Annotated

from fastapi import Query
from pydantic import AfterValidator, BeforeValidator

from keywright.sandbox.store.database import instant
from keywright.sandbox.vocabulary import ACTOR_TYPES, API_ZONES, EVENT_TYPES, TARGET_TYPES
from keywright.sandbox.wire import UUID

__all__ = [
    "ActorTypes",
    "ApiZone",
    "Boolean",
    "EventTypes",
    "Id",
    "Instant",
    "Integer",
    "Month",
    "OptionalId",
    "Page",
    "TargetTypes",
    "Text",
    "Year",
]

_INTEGER = re.compile(r"-?[0-9]{1,4000}")
"""The interpreter itself refuses to read longer ones."""

_INSTANT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]([0-9]{2}:[0-9]{2}):([0-9]{2})(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_LEAP = 60
"""RFC 3339 has a second 60, datetime has none: it is read as the next minute."""

_FIRST = "0001-01-01T00:00:00.000000Z"
_LAST = "9999-12-31T23:59:59.999999Z"


def _integer(value: object) -> object:
    if isinstance(value, str):
        if not _INTEGER.fullmatch(value):
            raise ValueError("an integer is written in digits")
        return int(value)
    return value


def _boolean(value: object) -> object:
    if isinstance(value, str):
        if value.lower() not in {"true", "false"}:
            raise ValueError("a boolean is true or false")
        return value.lower() == "true"
    return value


def _instant(value: str) -> str:
    """The time in UTC, as the store writes it; what UTC puts outside the calendar becomes its first or last moment."""
    found = _INSTANT.fullmatch(value)
    if found is None:
        raise ValueError("a time is written YYYY-MM-DDTHH:MM:SS, then Z or an offset")
    day, minute, seconds, fraction, zone = found.groups()
    moment = datetime.fromisoformat(f"{day}T{minute}:00")
    if int(seconds) > _LEAP:
        raise ValueError("a minute has 60 seconds")
    try:
        moment += timedelta(seconds=int(seconds), microseconds=int(f"{fraction or '.0'}000000"[1:7]))
        return instant(moment.replace(tzinfo=_zone(zone)).astimezone(UTC))
    except OverflowError:
        return _FIRST if day.startswith("0001") else _LAST


def _zone(text: str) -> timezone:
    if text in {"Z", "z"}:
        return UTC
    hours, minutes = int(text[1:3]), int(text[4:6])
    if hours > 23 or minutes > 59:  # noqa: PLR2004 - a day's hours, an hour's minutes
        raise ValueError("an offset is less than a day")
    offset = timedelta(hours=hours, minutes=minutes)
    return timezone(-offset if text[0] == "-" else offset)


def _one_of(words: frozenset[str]) -> Callable[[str], str]:
    def check(value: str) -> str:
        if value not in words:
            raise ValueError("no such value; the API reference lists them")
        return value

    return check


def _pattern(expression: str, sentence: str) -> Callable[[str], str]:
    compiled = re.compile(expression)

    def check(value: str) -> str:
        if not compiled.fullmatch(value):
            raise ValueError(sentence)
        return value

    return check


def _positive(value: int) -> int:
    if value < 1:
        raise ValueError("it is 1 or more")
    return value


Text = str | None
Integer = Annotated[int, BeforeValidator(_integer)]
Page = Annotated[int, BeforeValidator(_integer), AfterValidator(_positive)]
Boolean = Annotated[bool, BeforeValidator(_boolean)]
Id = UUID
OptionalId = UUID | None
Instant = Annotated[str, AfterValidator(_instant)] | None
Month = Annotated[str, AfterValidator(_pattern("0?[1-9]|1[0-2]", "a month is 1 to 12"))] | None
Year = Annotated[str, AfterValidator(_pattern("[12][0-9]{3}", "a year is 1000 to 2999"))] | None
ApiZone = Annotated[str, AfterValidator(_one_of(API_ZONES))] | None
ActorTypes = Annotated[list[Annotated[str, AfterValidator(_one_of(ACTOR_TYPES))]] | None, Query()]
EventTypes = Annotated[list[Annotated[str, AfterValidator(_one_of(EVENT_TYPES))]] | None, Query()]
TargetTypes = Annotated[list[Annotated[str, AfterValidator(_one_of(TARGET_TYPES))]] | None, Query()]
