"""The arithmetic of time against slow and obvious references: whatever the validity, the schedule, the zone and the clock."""

from __future__ import annotations

import calendar
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.planning.builders import NOW, an_api_key
from tests.planning.lives import DAY, Fields, Life, ran

from keywright.api.apikey import ApiKeySpec, Rotation
from keywright.api.apikey_status import Issuance
from keywright.api.reasons import Reason
from keywright.planning import rules, schedule

UNHURRIED = settings(deadline=None, max_examples=150)
"""Other processes of this machine may take their time."""
SECOND = timedelta(seconds=1)
ZONES = (
    "UTC", "Europe/Paris", "America/New_York", "America/St_Johns", "America/Santiago", "Australia/Lord_Howe",
    "Asia/Kathmandu", "Pacific/Apia", "Pacific/Chatham", "Africa/Cairo", "Africa/Casablanca", "Antarctica/Troll",
)  # fmt: skip
MOMENTS = st.integers(1_767_225_600, 1_893_456_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
UIDS = st.uuids().map(str)


@cache
def changes(zone: str) -> list[datetime]:
    """The hours in which a zone's clock is set, from 2026 to 2029."""
    there, at = ZoneInfo(zone), datetime(2026, 1, 1, tzinfo=UTC)
    found = []
    while at.year < 2030:
        if at.astimezone(there).utcoffset() != (at + DAY).astimezone(there).utcoffset():
            hours = (at + timedelta(hours=i) for i in range(25))
            found += [
                h for h in hours if h.astimezone(there).utcoffset() != (h + DAY / 24).astimezone(there).utcoffset()
            ]
        at += DAY
    return found


def _any(text: str, low: int, high: int) -> tuple[str, frozenset[int]]:
    """A field and the numbers that it means; a list, a star or a step."""
    star, _, step = text.partition("/")
    if star == "*":
        return text, frozenset(range(low, high + 1, int(step or 1)))
    return text, frozenset(int(part) for part in text.split(","))


@st.composite
def expressions(draw: st.DrawFn) -> Fields:
    """Five fields of all sorts, by the rule of cron that a star among the two kinds of days makes both count."""
    minute, minutes = _any(draw(st.sampled_from(["0", "30", "15,45", "*/30", "*/20", "59", "1,2"])), 0, 59)
    hour, hours = _any(draw(st.sampled_from(["0", "1", "2", "3", "2,3", "23", "*", "*/2", "0,1,2"])), 0, 23)
    day = draw(st.sampled_from(["*", "*", "*", "1", "29", "30,31", "L"]))
    month, months = _any(draw(st.sampled_from(["*", "*", "*", "2", "3,4,10,11", "*/3"])), 1, 12)
    weekday = draw(st.sampled_from(["*", "*", "*", "0", "7", "SUN", "5,6"]))
    numbers = {"SUN": {7}, "0": {7}, "7": {7}, "5,6": {5, 6}, "*": set(range(1, 8))}[weekday]

    def on(at: date) -> bool:
        last = calendar.monthrange(at.year, at.month)[1]
        by_month = at.day == last if day == "L" else day == "*" or at.day in map(int, day.split(","))
        by_week = at.isoweekday() in numbers
        both = day == "*" or weekday == "*"
        return at.month in months and ((by_month and by_week) if both else (by_month or by_week))

    return Fields(f"{minute} {hour} {day} {month} {weekday}", minutes, hours, on)


@st.composite
def nights(draw: st.DrawFn) -> tuple[str, datetime]:
    """A zone and a moment, mostly about when its clock is set."""
    zone = draw(st.sampled_from(ZONES))
    if not changes(zone) or draw(st.integers(0, 4)) == 0:
        return zone, draw(MOMENTS)
    near = draw(st.sampled_from([(-3 * 86_400, 2 * 86_400), (-3_600, 7_200)]))
    return zone, draw(st.sampled_from(changes(zone))) + timedelta(seconds=draw(st.integers(*near)))


@UNHURRIED
@given(fields=expressions(), night=nights())
def test_a_schedule_is_what_a_walk_from_minute_to_minute_finds(fields: Fields, night: tuple[str, datetime]):
    """The next six runs from any moment on, and none where the calendar has no such day."""
    zone, after = night
    slow = ran(fields, zone, after, after + timedelta(days=30 * 366))
    rotation = Rotation(schedule=fields.text, time_zone=zone)
    at = after
    for _ in range(6):
        expected = next(slow, None)
        found = schedule.next_scheduled(rotation, at)
        assert found == expected, f"{fields.text} in {zone} after {at.astimezone(ZoneInfo(zone))}"
        if found is None:
            break
        at = found


@UNHURRIED
@given(fields=expressions(), night=nights(), steps=st.lists(st.integers(0, 7200), max_size=12))
def test_no_run_is_given_out_twice_wherever_a_key_is_issued(
    fields: Fields, night: tuple[str, datetime], steps: list[int]
):
    """Keys issued some seconds or hours after each run: all runs are ahead, in order, and none is one that was had."""
    zone, at = night
    rotation, had = Rotation(schedule=fields.text, time_zone=zone), set()
    for late in steps:
        run = schedule.next_scheduled(rotation, at)
        if run is None:
            break
        assert run > at
        nominal = run.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
        assert nominal not in had
        had.add(nominal)
        at = run + late * SECOND


def days_to(issued: datetime, last: date) -> timedelta:
    """From the issuance to the start of the last day, counted day by day."""
    midnight, found = issued.date(), timedelta()
    while midnight < last:
        midnight, found = midnight + DAY, found + DAY
    into_the_day = timedelta(hours=issued.hour, minutes=issued.minute, seconds=issued.second)
    return found - into_the_day


@UNHURRIED
@given(
    issued=MOMENTS,
    days=st.integers(2, 3650),
    asked=st.one_of(
        st.none(),
        st.integers(1, 99).map(lambda p: f"{p}%"),
        st.integers(1, 4000).map(lambda d: f"{d}d"),
        st.integers(1, 99_999).map(lambda m: f"{m}m"),
        st.integers(1, 500).map(lambda h: f"{h}h30m"),
    ),
    uid=UIDS,
)
@example(issued=NOW, days=90, asked="90%", uid="u")
@example(issued=NOW, days=90, asked="89%", uid="u")
@example(issued=NOW, days=2, asked="0m1s".removeprefix("0m"), uid="u")
def test_a_renewal_is_never_later_than_asked_and_earlier_by_a_tenth_at_most(
    issued: datetime, days: int, asked: str | None, uid: str
):
    """By counting days: back from the start of the last one; what was asked for, or a third where that leaves no time."""
    last = issued.date() + days * DAY
    window = days_to(issued, last)
    third = window / 3
    if asked is None:
        before = third
    elif asked.endswith("%"):
        before = window * int(asked[:-1]) / 100
    else:
        units = {"d": DAY, "h": timedelta(hours=1), "m": timedelta(minutes=1), "s": SECOND}
        number, parts = "", timedelta()
        for letter in asked:
            if letter in units:
                parts, number = parts + int(number) * units[letter], ""
            else:
                number += letter
        before = parts
    leaves_no_time = before > window - window / 10 - timedelta(microseconds=1)
    spec = an_api_key(expiry={"validity": f"{days}d"}, rotation={"renewBefore": asked} if asked else None)
    at = schedule.renewal_time(spec, issued, last, uid)
    assert at
    assert schedule.renew_before_ignored(spec, issued, last) is (asked is not None and leaves_no_time)
    latest = issued + window - (third if leaves_no_time else before)
    assert latest - days * DAY / 10 - SECOND <= at <= latest
    assert at > issued
    assert at == schedule.renewal_time(spec, issued, last, uid), "the same for the same UID"


@UNHURRIED
@given(issued=MOMENTS, days=st.integers(1, 400), asked=st.sampled_from([None, "10%", "50%", "80%", "12h"]))
def test_keys_that_were_issued_together_are_spread(issued: datetime, days: int, asked: str | None):
    """Five hundred UIDs: each tenth of the time that jitter may take gets some, and none more than a few times its share."""
    last = schedule.expiration(an_api_key(expiry={"validity": f"{days}d"}), issued)
    spec = an_api_key(expiry={"validity": f"{days}d"}, rotation={"renewBefore": asked} if asked else None)
    times = [schedule.renewal_time(spec, issued, last, f"uid-{i}") for i in range(500)]
    first, end = min(t for t in times if t), max(t for t in times if t)
    tenths = [0] * 10
    for at in times:
        assert at
        tenths[min(9, int((at - first) / (end - first) * 10))] += 1
    assert min(tenths) > 20
    assert max(tenths) < 90


POLICIES = st.sampled_from([None, None, 0, 1, 2, 5])
"""Days that the platform's policy leaves to a key; 0: today."""
SCHEDULES = st.sampled_from([None, None, None, "0 3 * * *", "0 3 1 * *", "30 2 * * SUN", "0 3 29 2 *", "0 */6 * * *"])


@st.composite
def specs(draw: st.DrawFn) -> ApiKeySpec:
    """What time alone replaces."""
    rotation = {
        "renewBefore": draw(
            st.sampled_from([None, "1h", "12h", "1d", "5d", "15d", "400d", "1%", "33%", "50%", "89%", "99%"])
        ),
        "schedule": draw(SCHEDULES),
        "overlap": draw(st.sampled_from(["0s", "1h", "20h"])),
    }
    rotation["timeZone"] = draw(st.sampled_from(ZONES)) if rotation["schedule"] else None
    expiry = draw(st.sampled_from([None, *(f"{d}d" for d in (1, 2, 3, 5, 7, 10, 30, 90, 365))]))
    return an_api_key(
        expiry={"validity": expiry} if expiry else None,
        rotation={name: value for name, value in rotation.items() if value is not None},
    )


@settings(deadline=None, max_examples=50)
@given(spec=specs(), policy=POLICIES, born=MOMENTS, uid=UIDS)
@example(spec=an_api_key(expiry={"validity": "1d"}), policy=None, born=NOW, uid="u")
@example(spec=an_api_key(expiry={"validity": "30d"}, rotation={"renewBefore": "10d"}), policy=0, born=NOW, uid="u")
@example(spec=an_api_key(expiry={"validity": "90d"}, rotation={"renewBefore": "15d"}), policy=5, born=NOW, uid="u")
@example(
    spec=an_api_key(expiry={"validity": "10d"}, rotation={"schedule": "0 3 1 * *"}), policy=None, born=NOW, uid="u"
)
def test_rotated_when_due_and_planned_again_there_is_no_storm(
    spec: ApiKeySpec, policy: int | None, born: datetime, uid: str
):
    """For some weeks, by the whole planner: no key expires unreplaced, none is due as it is issued, few come in a day."""
    latest = None if policy is None else lambda now: now.date() + policy * DAY
    life = Life(spec, born.replace(microsecond=0), uid=uid, policy=latest)
    end = born + 15 * DAY
    now = life.live(born, end)
    assert now >= end
    for (earlier, _), (later, _) in pairwise(life.issued):
        assert later - earlier >= timedelta(minutes=5), "the storm guard"
    by_time = [at for at, reason in life.issued if reason != Reason.SCHEDULED]
    busiest = max(sum(at <= other < at + DAY for other in by_time) for at in by_time)
    ends_today = policy == 0
    # 89% of a day or more leaves 11%, of which jitter may take half: 1.3 hours.
    assert busiest <= 19, "also where almost all of two days is asked for, or a policy lets no key live past today"
    if not ends_today and (spec.rotation is None or spec.rotation.renew_before is None):
        assert len(by_time) <= 1 + 1.6 * 15, "a key of a day is replaced about once a day"
    scheduled = [at for at, reason in life.issued if reason == Reason.SCHEDULED]
    days = {at.date() for at in scheduled}
    if spec.rotation and spec.rotation.schedule and "*/6" not in spec.rotation.schedule:
        assert len(days) == len(scheduled)
    assert Reason.EXPIRED not in {reason for _, reason in life.issued} or ends_today


@UNHURRIED
@given(spec=specs(), born=MOMENTS, back=st.integers(1, 400 * 86_400), uid=UIDS)
def test_a_clock_that_goes_back_asks_for_nothing(spec: ApiKeySpec, born: datetime, back: int, uid: str):
    """By a second or by a year, after some rotations: the key is left alone, and replaced no later than its last day all the same."""
    life = Life(spec, born.replace(microsecond=0), uid=uid)
    now = life.live(born, born + 6 * DAY)
    count = len(life.issued)
    earlier = now - back * SECOND
    due = life.due(earlier)
    assert due is None or due > earlier
    assert rules.cause(life.at(earlier)) is None
    life.live(earlier, earlier + timedelta(seconds=30))
    assert len(life.issued) in (count, count + (1 if due and due <= earlier + timedelta(seconds=31) else 0))


@UNHURRIED
@given(
    ago=st.lists(st.integers(-900, 1800), max_size=8),
    reasons=st.lists(
        st.sampled_from([Reason.SPEC_CHANGED, Reason.RENEWAL_DUE, Reason.TRIGGERED]), min_size=8, max_size=8
    ),
    why=st.sampled_from([Reason.SPEC_CHANGED, Reason.RENEWAL_DUE, Reason.TARGET_MISSING]),
)
def test_the_storm_guard_is_what_counting_finds(ago: list[int], reasons: list[Reason], why: Reason):
    """Second by second: issuances of the last five minutes, those of a clock ahead included, are one, or three for edits."""
    recent = [
        Issuance(at=NOW - timedelta(seconds=s), reason=r)
        for s, r in zip(sorted(ago, reverse=True), reasons, strict=False)
    ]
    life = Life(an_api_key(), NOW)
    life.status = life.status.model_copy(update={"recent_issuances": recent})
    counted = [i.at for i in recent if why is not Reason.SPEC_CHANGED or i.reason == Reason.SPEC_CHANGED]
    allowed = 3 if why is Reason.SPEC_CHANGED else 1

    def free(now: datetime) -> bool:
        return sum(abs(now - at) < timedelta(seconds=300) for at in counted) < allowed

    until = rules.held_until(life.at(NOW), rules.Cause(why, ""))
    assert (until is None) is free(NOW)
    if until is not None:
        assert NOW < until <= NOW + timedelta(seconds=600)
        again = rules.held_until(life.at(until), rules.Cause(why, ""))
        assert again is None or again > until, "it moves on"
