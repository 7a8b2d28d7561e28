"""Keys that live for years: the planner's own arithmetic, a delivery for each time that it is due, and a slow calendar beside it.

The calendar (`ran`) knows nothing of cron libraries: it looks at the local clock each minute.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import count
from typing import TYPE_CHECKING, NamedTuple
from zoneinfo import ZoneInfo

from tests.planning.builders import (
    CLUSTER,
    KEY,
    a_layout,
    a_record,
    a_subject,
    a_target,
    all_known,
    an_attempt,
    observed,
)

from keywright.api.apikey_status import ApiKeyStatus
from keywright.api.reasons import Reason
from keywright.planning import rules, schedule, transitions
from keywright.planning.layout import Owner, layout_digest_of
from keywright.planning.plan import plan
from keywright.planning.situation import Situation
from keywright.planning.steps import RevokeKey, Wait, WriteStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from keywright.api.apikey import ApiKeySpec

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)


class Fields(NamedTuple):
    """A cron expression, and what it means: the minutes and hours, and the days by a question."""

    text: str
    minutes: frozenset[int]
    hours: frozenset[int]
    on: Callable[[date], bool]


@lru_cache(maxsize=4096)
def _clock_of(day: date, zone: str) -> tuple[tuple[datetime, datetime], ...]:
    """Each minute of a day of UTC, and what the local clock shows then."""
    begins, there = datetime.combine(day, time(), UTC), ZoneInfo(zone)
    minutes = (begins + i * MINUTE for i in range(24 * 60))
    return tuple((at, at.astimezone(there).replace(tzinfo=None)) for at in minutes)


def ran(fields: Fields, zone: str, after: datetime, until: datetime) -> Iterator[datetime]:
    """Every run past `after`: for each local time that is named, the first minute at which the clock shows it, or has passed it."""
    day, last = (after - 2 * DAY).astimezone(UTC).date(), after
    while day < (until + 2 * DAY).date():
        if fields.on(day):
            clock = iter(entry for i in range(-1, 4) for entry in _clock_of(day + i * DAY, zone))
            at, shown = next(clock)
            for minute_of_day in range(24 * 60):
                hour, minute = divmod(minute_of_day, 60)
                if hour not in fields.hours or minute not in fields.minutes:
                    continue
                while shown < datetime.combine(day, time(hour, minute)):
                    at, shown = next(clock)
                if last < at <= until:
                    yield at
                    last = at
        day += DAY


class Life:
    """One ApiKey whose key is delivered two seconds after it is due; `policy` may cut its last day."""

    def __init__(
        self,
        spec: ApiKeySpec,
        born: datetime,
        *,
        uid: str = "u",
        policy: Callable[[datetime], date] | None = None,
    ) -> None:
        self.spec = spec
        self.uid = uid
        self.status = ApiKeyStatus()
        self.issued: list[tuple[datetime, str]] = []
        self._policy = policy
        self._numbers = count(1)
        self._subject = a_subject(uid=uid)
        self._looks = layout_digest_of(a_layout(spec), Owner(KEY, uid, CLUSTER, spec.deletion_policy == "Revoke"))
        self.deliver(born, Reason.NOT_ISSUED)

    def deliver(self, now: datetime, reason: str) -> None:
        """A key is issued and settled now, in whole seconds."""
        number = next(self._numbers)
        ends = schedule.expiration(self.spec, now)
        if self._policy:
            latest = self._policy(now)
            ends = min(ends or latest, latest)
        self._record = a_record(
            f"key-{number}",
            f"a{number:07}",
            owner_uid=self.uid,
            revision=number,
            issued_at=now,
            expires_on=ends,
            expiry=schedule.expiry_text(self.spec),
        )
        attempt = an_attempt(self._record.attempt, started_at=now, reason=reason)
        seen = observed()._replace(subject=self._subject)
        begun = Situation(self.spec, self.status, seen, now)
        begun = begun.with_status(transitions.intended(begun, attempt, Reason.of(reason, Reason.NOT_ISSUED), "Due."))
        self.status = transitions.settled(begun, self._record, adopted=False)
        self.issued.append((now, reason))

    def at(self, now: datetime) -> Situation:
        """As a pass finds it that knows all."""
        target = a_target(self._record, self.spec, owner_uid=self.uid, layout_digest=self._looks)
        return Situation(self.spec, self.status, all_known(target, subject=self._subject), now)

    def due(self, now: datetime) -> datetime | None:
        """When time replaces the key."""
        s = self.at(now)
        return min((at for at in (s.renewal_at, s.scheduled_at) if at), default=None)

    def run(self, until: datetime) -> None:
        """By the rules' own arithmetic alone: each time that the key is due it is replaced."""
        now = self.issued[-1][0]
        while (due := self.due(now)) is not None and due < until:
            now = max(now, due) + timedelta(seconds=2)
            why = rules.cause(self.at(now))
            assert why is not None, "what is due stays due"
            self.deliver(now, why.reason)

    def live(self, now: datetime, until: datetime) -> datetime:
        """By the whole planner, from wait to wait; returns when it waits for what comes after `until`."""
        revoked: frozenset[str] = frozenset()
        steps, most = 0, 200 * ((until - now) / DAY + 1)
        while now < until:
            steps += 1
            assert steps < most, f"a hot loop at {now}: {self.status.to_dict()}"
            s = self.at(now)
            seen = s.observed._replace(revoked=revoked)
            step = plan(self.spec, self.status, seen, now).step
            match step:
                case WriteStatus(purpose="intent", status=status):
                    assert status.attempt
                    now += timedelta(seconds=2)
                    self.deliver(now.replace(microsecond=0), status.attempt.reason)
                case WriteStatus(status=status):
                    self.status = status
                case RevokeKey(key_id=key_id):
                    revoked |= {key_id}
                case Wait(until=at):
                    now = max(at, now + timedelta(seconds=1)) if at else until
                case _:
                    raise AssertionError(f"time alone asks for {step}")
        return now
