"""When: the mathematics of expiry, renewal, schedules and pauses.

Pure: `now` is an argument, jitter comes from the UID and the key's last day. Dates are the issuer's: a key dated D works
through the end of D (UTC); renewal counts back from the START of D, to be safe.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from keywright.api.durations import parse_days, parse_duration, renew_before_of
from keywright.keys import end_of_day, start_of_day

if TYPE_CHECKING:
    from keywright.api.apikey import ApiKeySpec, Rotation

__all__ = [
    "BACKOFF_FIRST",
    "BACKOFF_LONGEST",
    "BREAKER_AFTER",
    "Problem",
    "backoff",
    "expiration",
    "expiry_text",
    "fixed_end",
    "next_scheduled",
    "overlap_of",
    "renew_before_ignored",
    "renewal_time",
    "schedule_problem",
    "share_of",
]

BACKOFF_FIRST: Final = timedelta(seconds=10)
"""The pause after one attempt that delivered nothing; doubles with each further one."""
BACKOFF_LONGEST: Final = timedelta(hours=1)
"""The longest pause, and the circuit breaker's."""
BREAKER_AFTER: Final = 3
"""Attempts in a row without a delivery that open the circuit breaker."""
_MOST_OVERLAPPING: Final = 5
"""Scheduled rotations that one overlap may span: `previous` holds no more."""
_JITTER_SHARE: Final = 10
"""Renewals are spread over a tenth of the validity."""
_NO_SUCH_DAY: Final = "Bad day-of-month"
"""What cronsim says of a 32nd, and of a thirtieth of February."""
_MONTH: Final = 3
"""Of the five fields, counted from 0."""
_MINUTE: Final = timedelta(minutes=1)


def expiry_text(spec: ApiKeySpec) -> str | None:
    """What the spec asks, as `status.issuedAs.expiry` keeps it."""
    return (spec.expiry.validity or spec.expiry.date) if spec.expiry else None


def expiration(spec: ApiKeySpec, now: datetime) -> date | None:
    """The last day to ask the issuer for: the UTC date of issuance plus the validity, or the fixed date."""
    if not spec.expiry:
        return None
    if spec.expiry.validity:
        return now.astimezone(UTC).date() + timedelta(days=parse_days(spec.expiry.validity))
    return date.fromisoformat(spec.expiry.date) if spec.expiry.date else None


def fixed_end(spec: ApiKeySpec) -> datetime | None:
    """The end of expiry.date; None without one."""
    return end_of_day(date.fromisoformat(spec.expiry.date)) if spec.expiry and spec.expiry.date else None


def renewal_time(spec: ApiKeySpec, issued_at: datetime, expires_on: date | None, uid: str) -> datetime | None:
    """When time alone replaces the key: never for a key without an end or with a fixed date.

    A key that was to have no end and got one, by the issuer's policy, is renewed as one with a validity.

    A renewBefore that leaves no time (longer than the validity, or the issuer's policy gave less) gives way to the default, a
    third: a key is never due the moment that it is issued. A key that ends tomorrow or today is counted to the end of that day.
    """
    if expires_on is None or (spec.expiry and spec.expiry.date):
        return None
    # Other for each key: with one share for all times, keys that were made together fall into step, as all count to a midnight.
    share = share_of(f"{uid} {expires_on}")
    if _ends_at_once(issued_at, expires_on):
        life = end_of_day(expires_on) - issued_at
        return (issued_at + life * 2 / 3 - life / _JITTER_SHARE * share).replace(microsecond=0)
    window = start_of_day(expires_on) - issued_at
    asked = spec.rotation.renew_before if spec.rotation else None
    before = renew_before_of(asked, window) if asked else window / 3
    if before >= window * 9 / 10:
        before = window / 3
    jitter = min(window / _JITTER_SHARE, (window - before) / 2) * share
    return (issued_at + window - before - jitter).replace(microsecond=0)


def renew_before_ignored(spec: ApiKeySpec, issued_at: datetime, expires_on: date | None) -> bool:
    """Whether renewBefore left no time, so that the default stood in for it."""
    asked = spec.rotation.renew_before if spec.rotation else None
    if not asked or expires_on is None or (spec.expiry and spec.expiry.date):
        return False
    window = start_of_day(expires_on) - issued_at
    return _ends_at_once(issued_at, expires_on) or renew_before_of(asked, window) >= window * 9 / 10


def _ends_at_once(issued_at: datetime, expires_on: date) -> bool:
    """Whether the last day is the next one, or even this.

    Before it begins, another key would have the same last day, and the one after that, faster and faster: nothing is gained by a
    renewal before midnight. So what is left is counted to the END of the last day.
    """
    return expires_on <= issued_at.astimezone(UTC).date() + timedelta(days=1)


def next_scheduled(rotation: Rotation | None, after: datetime) -> datetime | None:
    """The first time of the schedule past `after`, in UTC; None without one that can be computed, or where it never comes again.

    Each time that the schedule names is one of the local clock, and runs once, with stars or without: one that the clock shows
    twice at its first coming, one that it never shows when the gap ends.
    """
    if not rotation or not rotation.schedule:
        return None
    walk = _walk(rotation, rotation.schedule, after)
    if isinstance(walk, str):
        return None
    # Within the second coming of an hour the next local times have run already.
    moments = (_moment(nominal, walk.zone) for nominal in walk.nominal)
    return next((at for at in moments if at > after), None)


class Problem(NamedTuple):
    """Why a schedule cannot be kept, for a user; `dense`: it can be computed, and is too much."""

    text: str
    dense: bool


def schedule_problem(rotation: Rotation | None, now: datetime, min_interval: float) -> Problem | None:
    """What is wrong where the schedule cannot be kept: malformed, never due, denser than the guards allow."""
    if not rotation or not rotation.schedule:
        return None
    walk = _walk(rotation, rotation.schedule, now)
    if isinstance(walk, str):
        return Problem(walk, dense=False)
    # By the local clock: what a night of daylight saving pushes together is for the storm guard, and nobody's mistake.
    coming = [nominal for nominal, _ in zip(walk.nominal, range(_MOST_OVERLAPPING + 1), strict=False)]
    if not coming:
        return Problem(
            f"spec.rotation.schedule {rotation.schedule!r} never comes round; write a date that exists.", dense=False
        )
    gaps = [later - earlier for earlier, later in pairwise(coming)]
    if gaps and (closest := min(gaps)) < timedelta(seconds=min_interval):
        return Problem(
            f"spec.rotation.schedule {rotation.schedule!r} asks for a key every {closest}, and the operator's --min-interval allows "
            f"one every {timedelta(seconds=min_interval)}; write a rarer schedule.",
            dense=True,
        )
    overlap = parse_duration(rotation.overlap)
    if len(coming) > _MOST_OVERLAPPING and overlap > coming[_MOST_OVERLAPPING] - coming[0]:
        return Problem(
            f"spec.rotation.overlap {rotation.overlap} spans more than {_MOST_OVERLAPPING} rotations of the schedule "
            f"{rotation.schedule!r} ({_MOST_OVERLAPPING} take {coming[_MOST_OVERLAPPING] - coming[0]}); write a shorter overlap or a "
            "rarer schedule.",
            dense=True,
        )
    return None


class _Walk(NamedTuple):
    """The times that a schedule names, without a zone, and the zone whose clock shows them."""

    nominal: CronSim
    zone: ZoneInfo


def _walk(rotation: Rotation, schedule: str, after: datetime) -> _Walk | str:
    """The times of a schedule past the local time of `after`, or a sentence where there are none.

    cronsim gets times without a zone: with one, it runs schedules with stars by elapsed time, and gives back times that are over
    where it begins in an hour that comes a second time.
    """
    try:
        zone = ZoneInfo(rotation.time_zone or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return f"spec.rotation.timeZone {rotation.time_zone!r} is no IANA time zone; write for example Europe/Paris."
    try:
        return _Walk(CronSim(schedule, after.astimezone(zone).replace(tzinfo=None)), zone)
    except CronSimError as error:
        if str(error) == _NO_SUCH_DAY and _names_no_date(schedule):
            return f"spec.rotation.schedule {schedule!r} never comes round; write a date that exists."
        return f"spec.rotation.schedule {schedule!r} is no cron expression of five fields ({error}); write for example 0 3 1 * *."


def _names_no_date(schedule: str) -> bool:
    """Whether it is refused for its months alone: they have no such day, as February has no thirtieth."""
    fields = schedule.split()
    try:
        CronSim(" ".join(["*" if i == _MONTH else fields[i] for i in range(len(fields))]), datetime(2000, 1, 1))  # noqa: DTZ001 - as above
    except CronSimError:
        return False
    return len(fields) > _MONTH and fields[_MONTH] != "*"


def _moment(nominal: datetime, zone: ZoneInfo) -> datetime:
    """When a local clock shows this time, in UTC: first, where it does so twice; at the end of the gap, where it never does."""
    while True:
        at = nominal.replace(tzinfo=zone, fold=0).astimezone(UTC)
        if at.astimezone(zone).replace(tzinfo=None) == nominal:
            return at
        nominal += _MINUTE


def overlap_of(spec: ApiKeySpec) -> timedelta:
    """How long an old key lives on."""
    return parse_duration(spec.rotation.overlap) if spec.rotation else timedelta(hours=48)


def backoff(failures: int) -> timedelta:
    """The pause after so many attempts in a row that delivered nothing."""
    if failures >= BREAKER_AFTER:
        return BACKOFF_LONGEST
    doublings: int = max(0, failures - 1)
    return min(BACKOFF_LONGEST, BACKOFF_FIRST * (1 << doublings))


def share_of(text: str) -> float:
    """A number in [0, 1), the same for the same text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) / 2**64
