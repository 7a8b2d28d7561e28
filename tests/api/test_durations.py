"""Durations, percentages and validities as users write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from keywright.api.durations import (
    Duration,
    DurationOrPercent,
    Timeout,
    Validity,
    parse_days,
    parse_duration,
    renew_before_of,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0s", timedelta()),
        ("30m", timedelta(minutes=30)),
        ("12h", timedelta(hours=12)),
        ("15d", timedelta(days=15)),
        ("1d12h", timedelta(hours=36)),
        ("1h30m10s", timedelta(hours=1, minutes=30, seconds=10)),
    ],
)
def test_a_duration_is_the_sum_of_its_parts(text: str, expected: timedelta):
    """Whole numbers with units, in any order."""
    assert parse_duration(text) == expected


@pytest.mark.parametrize("text", ["", "5", "d", "5 d", "1.5h", "-1h", "5w", "30m\n", "٣0m", "5H", "123456s"])
def test_what_is_no_duration_is_refused_with_how_to_write_one(text: str):
    """By the parser and by the field's type, with the same words."""
    with pytest.raises(ValueError, match="such as 30m, 12h or 15d"):
        parse_duration(text)
    with pytest.raises(ValidationError, match="such as 30m, 12h or 15d"):
        TypeAdapter(Duration).validate_python(text)


@given(st.from_regex(r"([0-9]{1,5}[smhd]){1,4}", fullmatch=True))
@settings(max_examples=50, deadline=None)
def test_every_duration_fits_the_calendar(text: str):
    """The longest duration added to or taken from a date of this millennium overflows nothing."""
    TypeAdapter(Duration).validate_python(text)
    assert datetime(2999, 12, 31, tzinfo=UTC) + parse_duration(text)
    assert datetime(2000, 1, 1, tzinfo=UTC) - parse_duration(text)


@pytest.mark.parametrize("text", ["1d", "90d", "9999d"])
def test_a_validity_is_whole_days(text: str):
    """From one day to 9999."""
    assert TypeAdapter(Validity).validate_python(text) == text
    assert parse_days(text) == int(text[:-1])


@pytest.mark.parametrize("text", ["0d", "090d", "12h", "24h", "1d12h", "10000d", "90", "90 d"])
def test_what_is_no_validity_is_refused(text: str):
    """The platform knows last days only, so that hours would say more than it can do."""
    with pytest.raises(ValidationError, match="whole days"):
        TypeAdapter(Validity).validate_python(text)


@pytest.mark.parametrize("text", ["0s", "0d", "1h"])
def test_parsing_days_refuses_none_and_parts(text: str):
    """A validity of no day, or of a part of one, is no validity."""
    with pytest.raises(ValueError, match="whole days"):
        parse_days(text)


@pytest.mark.parametrize("text", ["1s", "10s", "99s", "299s", "1m", "5m"])
def test_a_timeout_stays_below_five_minutes(text: str):
    """An interrupted request may still make a key for ten minutes: a deadline is well below."""
    assert parse_duration(TypeAdapter(Timeout).validate_python(text)) <= timedelta(minutes=5)


@pytest.mark.parametrize("text", ["0s", "300s", "6m", "10m", "1h", "1d", "010s"])
def test_a_timeout_of_nothing_or_too_long_is_refused(text: str):
    """Zero would fail every request."""
    with pytest.raises(ValidationError, match="from 1s to 5m"):
        TypeAdapter(Timeout).validate_python(text)


def test_a_percentage_is_one_of_the_validity():
    """33% of 90 days; a duration is itself."""
    assert renew_before_of("33%", timedelta(days=90)) == timedelta(days=90) * 33 / 100
    assert renew_before_of("15d", timedelta(days=90)) == timedelta(days=15)


@pytest.mark.parametrize("text", ["0%", "100%", "05%", "33", "33 %", "%"])
def test_what_is_no_percentage_is_refused(text: str):
    """From 1% to 99%."""
    with pytest.raises(ValidationError, match="percentage"):
        TypeAdapter(DurationOrPercent).validate_python(text)
