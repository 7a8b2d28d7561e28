"""When: dates, jitter, daylight saving, what leaves no time."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

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
    """Whatever jitter adds: never at once, never past the start of the last day (its end, where that is tomorrow), in whole seconds."""
    issued = issued.replace(microsecond=0)
    last = issued.date() + timedelta(days=days)
    at = schedule.renewal_time(an_api_key(), issued, last, uid)
    assert at
    assert issued < at < end_of_day(last)
    assert at.microsecond == 0
    window = start_of_day(last) - issued
    if days > 1:
        third = issued + window * 2 / 3
        assert third - window / 10 - timedelta(seconds=1) <= at <= third


@UNHURRIED
@given(issued=MOMENTS, uid=UIDS)
def test_a_policy_of_one_day_makes_no_storm(issued: datetime, uid: str):
    """I12: a key that ends today is renewed in whole seconds at about two thirds of what is left, not at once."""
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
    ("zone", "expression", "after", "runs"),
    [
        pytest.param(zone, expression, after, runs, id=sentence)
        for sentence, zone, expression, after, runs in [
            ("half past two does not exist, and runs as three begins", "Europe/Paris", "30 2 * * *",
             "2026-03-28T12:00:00Z", ["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]),
            ("half past two comes twice, and runs at its first coming", "Europe/Paris", "30 2 * * *",
             "2026-10-24T12:00:00Z", ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]),
            ("a key issued between the two has had it", "Europe/Paris", "30 2 * * *",
             "2026-10-25T00:30:05Z", ["2026-10-26T01:30:00Z"]),
            ("a key issued in the second hour, before its half past two, has had it", "Europe/Paris", "30 2 * * *",
             "2026-10-25T01:15:00Z", ["2026-10-26T01:30:00Z"]),
            ("stars are no exception: the second hour is silent", "Europe/Paris", "*/30 * * * *",
             "2026-10-24T23:45:00Z", ["2026-10-25T00:00:00Z", "2026-10-25T00:30:00Z", "2026-10-25T02:00:00Z"]),
            ("nor in the second hour itself", "Europe/Paris", "*/30 * * * *",
             "2026-10-25T01:05:00Z", ["2026-10-25T02:00:00Z", "2026-10-25T02:30:00Z"]),
            ("times with stars in the gap run as it ends, together with its end", "Europe/Paris", "*/30 * * * *",
             "2026-03-29T00:15:00Z", ["2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z"]),
            ("also where only the gap has them", "Europe/Paris", "*/30 2 * * *",
             "2026-03-28T12:00:00Z", ["2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z"]),
            ("two and three are one as three begins", "Europe/Paris", "0 2,3 * * *",
             "2026-03-28T12:00:00Z", ["2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z", "2026-03-30T01:00:00Z"]),
            ("two comes twice, three once", "Europe/Paris", "0 2,3 * * *",
             "2026-10-24T12:00:00Z", ["2026-10-25T00:00:00Z", "2026-10-25T02:00:00Z", "2026-10-26T01:00:00Z"]),
            ("a gap of half an hour", "Australia/Lord_Howe", "15 2 * * *",
             "2026-10-03T12:00:00Z", ["2026-10-03T15:30:00Z", "2026-10-04T15:15:00Z"]),
            ("half an hour that comes twice", "Australia/Lord_Howe", "45 1 * * *",
             "2026-04-04T12:00:00Z", ["2026-04-04T14:45:00Z", "2026-04-05T15:15:00Z"]),
            ("an offset of three quarters", "Asia/Kathmandu", "0 3 1 * *",
             "2026-11-24T12:00:00Z", ["2026-11-30T21:15:00Z", "2026-12-31T21:15:00Z"]),
            ("a day that a country skipped runs as the next begins", "Pacific/Apia", "0 3 30 12 *",
             "2011-12-01T00:00:00Z", ["2011-12-30T10:00:00Z", "2012-12-29T13:00:00Z"]),
            ("midnight that does not exist", "Africa/Cairo", "0 0 * * *",
             "2026-04-23T12:00:00Z", ["2026-04-23T22:00:00Z", "2026-04-24T21:00:00Z"]),
            ("the leap day, four years apart, in a zone", "Europe/Paris", "0 3 29 2 *",
             "2026-11-24T12:00:00Z", ["2028-02-29T02:00:00Z", "2032-02-29T02:00:00Z"]),
            ("the leap day, eight years apart around a century that has none", "UTC", "0 3 29 2 *",
             "2096-03-01T00:00:00Z", ["2104-02-29T03:00:00Z"]),
        ]
    ],
)  # fmt: skip
def test_a_schedule_runs_once_per_nominal_time(zone: str, expression: str, after: str, runs: list[str]):
    """T2: each time that it names is one of the local clock, and runs once, whatever the clock does that night."""
    rotation = Rotation(schedule=expression, time_zone=zone)
    at: datetime | None = datetime.fromisoformat(after)
    for run in runs:
        assert at
        at = schedule.next_scheduled(rotation, at)
        assert at == datetime.fromisoformat(run)


@pytest.mark.parametrize("now", ["2026-03-29T00:30:00Z", "2026-10-24T12:00:00Z"])
def test_a_night_of_daylight_saving_makes_no_schedule_too_dense(now: str):
    """02:01 and 03:01 are a minute apart on one night of the year: the storm guard parts them, and nobody is to act."""
    rotation = Rotation(schedule="1 2,3 * * *", time_zone="Europe/Paris", overlap="1h")
    assert schedule.schedule_problem(rotation, datetime.fromisoformat(now), 300) is None


def test_zone_data_that_changed_costs_one_rotation_at_most():
    """T2: a country that gives summer time up moves the next times, and those that have run do not run again and again."""
    old, new = ZoneInfo("Europe/Paris"), ZoneInfo("Africa/Algiers")
    ran = schedule.next_scheduled(Rotation(schedule="0 3 * * *", time_zone=old.key), datetime(2026, 7, 1, tzinfo=UTC))
    assert ran == datetime(2026, 7, 1, 1, tzinfo=UTC)
    after = Rotation(schedule="0 3 * * *", time_zone=new.key)
    times = [ran]
    for _ in range(3):
        found = schedule.next_scheduled(after, times[-1])
        assert found
        times.append(found)
    assert [t.astimezone(new).hour for t in times[1:]] == [3, 3, 3]
    assert [(b - a).days for a, b in pairwise(times[1:])] == [1, 1]


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


@pytest.mark.parametrize("text", ["0 3 30 2 *", "0 0 31 4,6 *"])
def test_a_date_that_no_calendar_has_is_said_to_be_one(text: str):
    """It is a cron expression, and never comes round."""
    problem = schedule.schedule_problem(Rotation.model_validate({"schedule": text}), NOW, 300)
    assert problem == schedule.Problem(
        f"spec.rotation.schedule {text!r} never comes round; write a date that exists.", dense=False
    )


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
