"""The next status, computed here and nowhere else. Pure: each function takes a situation and returns a whole status."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from keywright.api.apikey import called
from keywright.api.apikey_status import (
    Attempt,
    ClosedAttempt,
    Handled,
    Issuance,
    IssuedAs,
    NextStep,
    PreviousKey,
    TargetStatus,
    WorkspaceStatus,
)
from keywright.api.base import Condition
from keywright.api.reasons import Reason
from keywright.keys import end_of_day
from keywright.planning import schedule
from keywright.planning.fit import without_effect, works

if TYPE_CHECKING:
    from datetime import datetime

    from keywright.api.apikey_status import ApiKeyStatus
    from keywright.keys import AttemptId, KeyId, KeyRecord
    from keywright.planning.observed import Failure
    from keywright.planning.situation import Situation

__all__ = [
    "CLOSED_KEPT",
    "CLOSED_LONGEST",
    "MOST_PREVIOUS",
    "closed",
    "dropped",
    "intended",
    "left_in_use",
    "paused",
    "reported",
    "settled",
    "stalled",
    "steady",
    "tidied",
]

MOST_PREVIOUS: Final = 5
"""Older keys that may live at once; past that the oldest goes early."""
CLOSED_KEPT: Final = timedelta(hours=24)
"""How long a closed attempt is looked for at the issuer, and until a listing made after that does not show it."""
CLOSED_LONGEST: Final = timedelta(days=7)
"""No longer than that: the issuer is gone for good, or silent for a week. What lives on there is reported as a stray."""
_MOST_CLOSED: Final = 64
_MOST_IN_USE: Final = 8
_RECENT_KEPT: Final = 8


class Saying(NamedTuple):
    """One condition to be."""

    type: Literal["Ready", "Reconciling", "Stalled"]
    status: Literal["True", "False"]
    reason: Reason
    message: str


def intended(s: Situation, attempt: Attempt, reason: Reason, message: str) -> ApiKeyStatus:
    """The attempt is written down; the key in the target, if any, still works."""
    sayings = [Saying("Reconciling", "True", reason, message)]
    if (ready := s.status.condition("Ready")) is None or ready.status != "True":
        sayings.insert(0, Saying("Ready", "False", Reason.ISSUING, "A key is being issued."))
    else:
        sayings.insert(0, Saying("Ready", "True", Reason.of(ready.reason, Reason.ISSUED), ready.message))
    going_to = s.status.target if s.status.key_id else _target(s)
    return s.status.model_copy(
        update={
            "attempt": attempt,
            "target": going_to,
            "next_attempt_at": None,
            "next": NextStep(action="Issue", reason=message),
            "conditions": _conditions(s, sayings),
        }
    )


def settled(s: Situation, record: KeyRecord, *, adopted: bool) -> ApiKeyStatus:
    """The key of this record is the current one; the one before lives on for the overlap.

    Trigger values that are there at the first settle count as answered; later on, those that the delivery was made for.
    """
    status, now = s.status, s.now
    attempt = status.attempt
    answered = attempt is not None and attempt.id == record.attempt
    reason = Reason.of(attempt.reason, Reason.NOT_ISSUED) if attempt and answered else Reason.ADOPTED
    subject, before = s.observed.subject, status.handled
    if status.key_id is None:
        handled = Handled(rotate=subject.rotate, compromised=subject.compromised)
    else:
        handled = Handled(
            rotate=before.rotate if record.handled.rotate is None else record.handled.rotate,
            compromised=before.compromised if record.handled.compromised is None else record.handled.compromised,
        )
    leaked = status.key_id is not None and handled.compromised != before.compromised
    at_once = leaked or reason is Reason.KEY_GONE
    previous = [p for p in status.previous if p.key_id != record.key_id]
    if status.key_id and status.key_id != record.key_id and status.issuer:
        overlap = timedelta(0) if at_once else schedule.overlap_of(s.spec)
        revoke_at = _not_before(now + overlap) if overlap else now
        if status.expires_at:
            revoke_at = min(revoke_at, max(now, status.expires_at))
        moved = s.home if s.moved else None
        previous.append(PreviousKey(key_id=status.key_id, issuer=status.issuer, revoke_at=revoke_at, target=moved))
    if leaked:
        previous = [p.model_copy(update={"revoke_at": now}) for p in previous]
    for i in range(len(previous) - MOST_PREVIOUS):
        previous[i] = previous[i].model_copy(update={"revoke_at": now})
    closed_attempts = [c for c in status.closed_attempts if c.id != record.attempt]
    if attempt and not answered:
        closed_attempts.append(_closed_entry(s, attempt, "unseen"))
    recent = status.recent_issuances if adopted else [*status.recent_issuances, Issuance(at=now, reason=reason)]
    issued_at = record.issued_at
    after = status.model_copy(
        update={
            "revision": max(record.revision, status.revision),
            "key_id": record.key_id,
            "issuer": record.issuer,
            "masked_key": record.masked,
            "workspace": WorkspaceStatus(id=record.workspace_id, name=record.workspace_name),
            "issued_as": IssuedAs(workspace=record.workspace, label=record.label, expiry=record.expiry),
            "issued_at": issued_at,
            "expires_at": end_of_day(record.expires_on) if record.expires_on else None,
            "last_used": None if status.key_id != record.key_id else status.last_used,
            "previous": previous,
            "attempt": None,
            "closed_attempts": closed_attempts[-_MOST_CLOSED:],
            "handled": handled,
            "failures": 0,
            "next_attempt_at": None,
            "recent_issuances": recent[-_RECENT_KEPT:],
            "target": _target(s),
        }
    )
    return steady(s.with_status(after))


def closed(
    s: Situation, attempt: Attempt, outcome: Literal["lost", "unseen", "failed"] | None, failure: Failure | None
) -> ApiKeyStatus:
    """The attempt ended without a delivery. `outcome` None: surely no key was made, so none is watched for."""
    counts = failure is None or failure.counts
    failures = s.status.failures + (1 if counts else 0)
    pause = timedelta(seconds=failure.after) if failure and failure.after else schedule.backoff(failures)
    if failure and failure.after and counts:
        pause = max(pause, schedule.backoff(failures))
    reason = failure.reason if failure else Reason.ATTEMPT_LOST
    message = (
        failure.message
        if failure
        else "An attempt was interrupted and its key, if one was made, is revoked unless somebody uses it."
    )
    # Times are written in whole seconds: a shorter pause would be over as soon as it is read back.
    retry_at = s.now + max(pause, timedelta(seconds=1))
    watched = [*s.status.closed_attempts, _closed_entry(s, attempt, outcome)] if outcome else s.status.closed_attempts
    after = s.status.model_copy(
        update={
            "attempt": None,
            "closed_attempts": watched[-_MOST_CLOSED:],
            "failures": failures,
            "next_attempt_at": retry_at,
            "observed_generation": s.observed.subject.generation,
        }
    )
    return failing(s.with_status(after), reason, message, retry_at)


def failing(s: Situation, reason: Reason, message: str, retry_at: datetime) -> ApiKeyStatus:
    """Attempts fail; the next is at `retry_at`. Three in a row are a person's business."""
    if s.status.failures >= schedule.BREAKER_AFTER:
        message = (
            f"{s.status.failures} attempts in a row delivered nothing; trying once per hour. The last one: {message}"
        )
        sayings = _refused(s, reason, message, stalled=True)
    else:
        sayings = [*_refused(s, reason, message, stalled=False), Saying("Reconciling", "True", reason, message)]
    return reported(s, sayings, NextStep(action="Retry", at=retry_at, reason=message))


def paused(s: Situation, until: datetime) -> ApiKeyStatus:
    """The pause after a failed attempt lasts: what was said of it still stands, Ready by what is so now."""
    said = s.status.condition("Stalled") or s.status.condition("Reconciling")
    reason = Reason.of(said.reason, Reason.ISSUE_FAILED) if said else Reason.ISSUE_FAILED
    message = said.message if said else "The last attempt delivered nothing."
    stalled = said is not None and said.type == "Stalled"
    sayings = _refused(s, reason, message, stalled=stalled)
    if not stalled:
        sayings.append(Saying("Reconciling", "True", reason, message))
    return reported(s, sayings, NextStep(action="Retry", at=until, reason=message))


def refused(s: Situation, reason: Reason, message: str, *, stalled: bool) -> ApiKeyStatus:
    """Nothing was asked for, since it would have failed; looked at again by itself."""
    sayings = _refused(s, reason, message, stalled=stalled)
    if not stalled:
        sayings.append(Saying("Reconciling", "True", reason, message))
    return reported(s, sayings, NextStep(action="Retry", reason=message))


def steady(s: Situation) -> ApiKeyStatus:
    """The key stands in its target and fits the spec, and nothing is to be done about it."""
    status, spec = s.status, s.spec
    problem = schedule.schedule_problem(spec.rotation, s.now, s.observed.min_interval)
    if problem is None:
        status = status.model_copy(update={"renewal_time": min((at for at, _, _ in _by_time(s)), default=None)})
        s = s.with_status(status)
    place = f"Secret {status.target.name}" if status.target else "its target"
    ends = f"works until {_time(status.expires_at)}" if status.expires_at else "never expires"
    message = f"Key {status.masked_key} stands in {place} and {ends}."
    if status.expires_at and s.now > status.expires_at:
        return _over(s, status.expires_at)
    if problem is not None and not spec.suspend:
        return refused(
            s, Reason.SCHEDULE_TOO_DENSE if problem.dense else Reason.INVALID_SPEC, problem.text, stalled=True
        )
    if (
        status.issued_at
        and status.expires_at
        and schedule.renew_before_ignored(spec, status.issued_at, status.expires_at.date())
    ):
        message += (
            " rotation.renewBefore leaves no time before the key's last day: a third of its life stands in for it."
        )
    end = schedule.fixed_end(spec)
    if end and status.expires_at and status.expires_at < end:
        message += f" The platform's policy ends it before spec.expiry.date {end.date()}, and time never renews it: rotate it in time."
    reason = Reason.SUSPENDED if spec.suspend else Reason.ISSUED
    if spec.suspend:
        message += " Suspended: it is not renewed or repaired until spec.suspend is false."
    return reported(s, [Saying("Ready", "True", reason, message)], next_step(s))


def stalled(s: Situation, status: ApiKeyStatus, reason: Reason, message: str) -> ApiKeyStatus:
    """The status, and beside it that a person must mend something: the key in the target works all the same."""
    others = [c for c in status.conditions if c.type != "Stalled"]
    [condition] = _conditions(s, [Saying("Stalled", "True", reason, message)])
    return status.model_copy(update={"conditions": [*others, condition]})


def _over(s: Situation, end: datetime) -> ApiKeyStatus:
    """Time does not renew the key, and its last day is over all the same: the issuer's policy gave less than was asked."""
    issuer = called(s.status.issuer.kind, s.status.issuer.name) if s.status.issuer else "The platform"
    message = (
        f"{issuer} let the key work until {_time(end)} only, and spec.expiry.date is never renewed by time; annotate "
        "keywright.dev/rotate with a new value for another key, or write spec.expiry.validity."
    )
    sayings = [Saying("Ready", "False", Reason.EXPIRED, message), Saying("Stalled", "True", Reason.EXPIRED, message)]
    return reported(s, sayings, NextStep(action="None", reason=message))


def _by_time(s: Situation) -> list[tuple[datetime, str, str]]:
    """When time alone replaces the key, and why: before its last day, and by the schedule."""
    coming = (
        (s.renewal_at, "Renew", "The renewal time comes before the key's last day."),
        (s.scheduled_at, "Rotate", "rotation.schedule comes round."),
    )
    return [(at, action, why) for at, action, why in coming if at is not None]


def next_step(s: Situation) -> NextStep:
    """What comes first of all that is due some day."""
    status, spec = s.status, s.spec
    coming: list[tuple[datetime, str, str]] = [
        (p.revoke_at, "Revoke", f"The overlap of the older key {p.key_id} ends.") for p in status.previous
    ]
    if not spec.suspend:
        coming += _by_time(s)
    if (end := schedule.fixed_end(spec)) and end >= s.now:
        clamped = status.expires_at is not None and status.expires_at < end
        why = "The platform's policy lets the key end before expiry.date." if clamped else "expiry.date is over."
        coming.append((min(end, status.expires_at or end), "Expire", why))
    if not coming:
        return NextStep(
            action="None",
            reason="Suspended."
            if spec.suspend
            else "Neither expiry nor schedule is set: the key is never replaced by time.",
        )
    at, action, reason = min(coming)
    return NextStep(action=action, at=at, reason=reason)


def dropped(s: Situation, gone: frozenset[KeyId]) -> ApiKeyStatus:
    """Revoked keys leave `previous`; the rest of the status is as it would be without them."""
    after = s.status.model_copy(update={"previous": [p for p in s.status.previous if p.key_id not in gone]})
    ready = after.condition("Ready")
    if ready is None or ready.status != "True" or ready.reason not in (Reason.ISSUED, Reason.SUSPENDED):
        return after
    return steady(s.with_status(after))


def forgotten(s: Situation, old: frozenset[AttemptId]) -> ApiKeyStatus:
    """Closed attempts past their day leave the status."""
    return s.status.model_copy(update={"closed_attempts": [c for c in s.status.closed_attempts if c.id not in old]})


def tidied(s: Situation, places: frozenset[str]) -> ApiKeyStatus:
    """Nothing of closed attempts stands at these places any more."""
    closed_attempts = [
        c.model_copy(update={"target": None}) if c.target in places else c for c in s.status.closed_attempts
    ]
    return s.status.model_copy(update={"closed_attempts": closed_attempts})


def reported(s: Situation, sayings: list[Saying], step: NextStep) -> ApiKeyStatus:
    """The status with these conditions and nothing else changed, but that a pause ends with the spec it was for.

    Times are whole seconds, as they are written: what is said must read back as the same.
    """
    generation = s.observed.subject.generation
    same_spec = s.status.observed_generation == generation
    if fields := without_effect(s.spec):
        note = f" Without effect in this version: {', '.join(fields)}."
        sayings = [x._replace(message=x.message + note) if x.type == "Ready" else x for x in sayings]
    return s.status.model_copy(
        update={
            "observed_generation": generation,
            "conditions": _conditions(s, sayings),
            "next": step.model_copy(update={"at": step.at.replace(microsecond=0)}) if step.at else step,
            "next_attempt_at": s.status.next_attempt_at if same_spec else None,
        }
    )


def _refused(s: Situation, reason: Reason, message: str, *, stalled: bool) -> list[Saying]:
    """Ready tells whether the key in the target works all the same."""
    if works(s):
        sayings = [
            Saying("Ready", "True", Reason.RENEWAL_FAILING, f"The key still works. Its renewal fails: {message}")
        ]
    else:
        sayings = [Saying("Ready", "False", reason, message)]
    if stalled:
        sayings.append(Saying("Stalled", "True", reason, message))
    return sayings


def _target(s: Situation) -> TargetStatus | None:
    layout = s.layout
    if layout is None:
        return None
    return TargetStatus(kind="Secret", name=layout.name, key=None if layout.template else layout.key)


def _closed_entry(s: Situation, attempt: Attempt, outcome: Literal["lost", "unseen", "failed"]) -> ClosedAttempt:
    return ClosedAttempt(
        id=attempt.id,
        closed_at=s.now,
        outcome=outcome,
        issuer=attempt.issuer,
        started_at=attempt.started_at,
        target=attempt.target or None,
    )


def _conditions(s: Situation, sayings: list[Saying]) -> list[Condition]:
    """As kstatus reads them: Reconciling and Stalled stand only while they are true."""
    return [
        Condition(
            type=saying.type,
            status=saying.status,
            reason=saying.reason,
            message=saying.message,
            last_transition_time=s.now,
            observed_generation=s.observed.subject.generation,
        ).since(s.status.condition(saying.type))
        for saying in sayings
    ]


def left_in_use(s: Situation, attempt: AttemptId, keys: tuple[KeyId, ...]) -> ApiKeyStatus:
    """Keys of a closed attempt that somebody uses are remembered as told of."""
    closed_attempts = [
        c.model_copy(update={"in_use": list(keys[:_MOST_IN_USE])}) if c.id == attempt else c
        for c in s.status.closed_attempts
    ]
    return s.status.model_copy(update={"closed_attempts": closed_attempts})


def _not_before(at: datetime) -> datetime:
    """The next whole second: times are written without fractions, and one that was cut off would be over already."""
    return at if at.microsecond == 0 else at.replace(microsecond=0) + timedelta(seconds=1)


def _time(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S UTC")
