"""When: dates, jitter, daylight saving, what leaves no time."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.planning.builders import NOW, an_api_key

from keywright.api.apikey import Rotation
from keywright.keys import end_of_day, start_of_day
from keywright.planning import schedule

UNHURRIED = settings(deadline=None, max_examples=60)
"""Other processes of this machine may take their time."""
MOMENTS = st.integers(1_767_225_600, 1_893_456_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
UIDS = st.uuids().map(str)


@pytest.mark.parametrize(
    ("expiry", "now", "last_day"),
    [
        ({"validity": "90d"}, "2026-11-24T12:00:00Z", "2027-02-22"),
        ({"validity": "1d"}, "2026-11-24T23:59:59Z", "2026-11-25"),
        ({"validity": "1d"}, "2026-11-25T00:30:00+02:00", "2026-11-25"),
        ({"validity": "1d"}, "2028-02-28T12:00:00Z", "2028-02-29"),
        ({"date": "2027-01-31"}, "2026-11-24T12:00:00Z", "2027-01-31"),
        (None, "2026-11-24T12:00:00Z", None),
    ],
)
def test_the_day_that_is_asked_for(expiry: dict[str, str] | None, now: str, last_day: str | None):
    """The UTC date of issuance plus the validity, or the fixed date."""
    asked = schedule.expiration(an_api_key(expiry=expiry), datetime.fromisoformat(now))
    assert asked == (date.fromisoformat(last_day) if last_day else None)


@UNHURRIED
@given(issued=MOMENTS, days=st.integers(1, 400), uid=UIDS)
def test_a_renewal_is_ahead_of_the_last_day_and_behind_the_issuance(issued: datetime, days: int, uid: str):
    """Whatever jitter adds: never at once, never past the start of the last day, and in whole seconds."""
    issued = issued.replace(microsecond=0)
    last = issued.date() + timedelta(days=days)
    at = schedule.renewal_time(an_api_key(), issued, last, uid)
    assert at
    assert issued < at < end_of_day(last)
    assert at.microsecond == 0
    window = start_of_day(last) - issued
    if window >= timedelta(hours=1):
        third = issued + window * 2 / 3
        assert third - window / 10 - timedelta(seconds=1) <= at <= third


@UNHURRIED
@given(issued=MOMENTS, uid=UIDS)
def test_a_policy_of_one_day_makes_no_storm(issued: datetime, uid: str):
    """I12: a key that ends today is renewed in whole seconds at two thirds of what is left, not at once."""
    issued = issued.replace(microsecond=0)
    at = schedule.renewal_time(an_api_key(), issued, issued.date(), uid)
    assert at
    assert issued <= at <= end_of_day(issued.date())
    assert at.microsecond == 0


@pytest.mark.parametrize(
    ("before", "share"),
    [("15d", 75 / 90), ("50%", 0.5), ("89d", 2 / 3), ("95%", 2 / 3), ("400d", 2 / 3), (None, 2 / 3)],
)
def test_renew_before_counts_back_from_the_start_of_the_last_day(before: str | None, share: float):
    """One that leaves no time gives way to a third, and that can be said."""
    issued, last = datetime(2026, 1, 1, tzinfo=UTC), date(2026, 4, 1)
    spec = an_api_key(rotation={"renewBefore": before} if before else None)
    at = schedule.renewal_time(spec, issued, last, "uid")
    assert at
    latest = issued + timedelta(days=90) * share
    assert latest - timedelta(days=9) <= at <= latest
    assert schedule.renew_before_ignored(spec, issued, last) is (before in ("89d", "95%", "400d"))


def test_a_fixed_date_and_no_end_are_not_renewed_by_time():
    """Time alone replaces neither."""
    assert schedule.renewal_time(an_api_key(expiry={"date": "2027-01-31"}), NOW, date(2027, 1, 31), "u") is None
    assert schedule.renewal_time(an_api_key(expiry=None), NOW, None, "u") is None


@pytest.mark.parametrize(
    ("after", "at"),
    [
        ("2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z"),  # 02:30 does not exist on this night: at 03:00 local time
        ("2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z"),  # 02:30 comes twice: the first
        ("2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"),  # and not the second
        ("2026-07-01T00:30:00Z", "2026-07-02T00:30:00Z"),
    ],
)
def test_a_schedule_runs_once_per_nominal_time(after: str, at: str):
    """T2: daylight saving in Paris."""
    rotation = Rotation(schedule="30 2 * * *", time_zone="Europe/Paris")
    assert schedule.next_scheduled(rotation, datetime.fromisoformat(after)) == datetime.fromisoformat(at)


def test_a_leap_day_is_found():
    """T2: years ahead."""
    found = schedule.next_scheduled(Rotation(schedule="0 0 29 2 *"), NOW)
    assert found == datetime(2028, 2, 29, tzinfo=UTC)


@pytest.mark.parametrize("zone", ["Europe", "Europe/Atlantis", "posix/../x"])
def test_a_zone_that_is_none_is_a_sentence(zone: str):
    """And no exception, wherever the schedule is asked."""
    rotation = Rotation.model_construct(schedule="0 3 1 * *", time_zone=zone, overlap="48h")
    problem = schedule.schedule_problem(rotation, NOW, 300)
    assert problem
    assert "is no IANA time zone" in problem.text
    assert schedule.next_scheduled(rotation, NOW) is None


@pytest.mark.parametrize("text", ["61 * * * *", "0 0 30 2 *", "* * * * 9", "0 3 1 * "])
def test_a_schedule_that_is_none_is_a_sentence(text: str):
    """And no exception."""
    rotation = Rotation.model_construct(schedule=text, time_zone=None, overlap="48h")
    problem = schedule.schedule_problem(rotation, NOW, 300)
    assert problem
    assert not problem.dense
    assert schedule.next_scheduled(rotation, NOW) is None


@pytest.mark.parametrize(("failures", "seconds"), [(0, 10), (1, 10), (2, 20), (3, 3600), (50, 3600)])
def test_the_pause_grows_to_an_hour_and_no_further(failures: int, seconds: int):
    """After any number of failures."""
    assert schedule.backoff(failures) == timedelta(seconds=seconds)
