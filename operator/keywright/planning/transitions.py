"""The next status where something has happened: an attempt began, ended or delivered, a key is gone. Pure.

Neighbour: outcome.py, the next status where something is only to be said.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, Literal

from keywright.api.apikey_status import (
    Attempt,
    ClosedAttempt,
    Handled,
    Issuance,
    IssuedAs,
    NextStep,
    PendingRollout,
    PreviousKey,
    TargetStatus,
    WorkspaceStatus,
)
from keywright.api.reasons import Reason
from keywright.keys import KeyId, end_of_day
from keywright.planning import rollouts, schedule
from keywright.planning.outcome import Saying, conditions, failing, steady
from keywright.planning.places import in_vault

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime

    from keywright.api.apikey_status import ApiKeyStatus, ScheduleInForce
    from keywright.keys import AttemptId, KeyRecord
    from keywright.planning.observed import Failure
    from keywright.planning.situation import Situation

__all__ = [
    "CLOSED_KEPT",
    "CLOSED_LONGEST",
    "MOST_PREVIOUS",
    "closed",
    "dropped",
    "ended",
    "forgotten",
    "intended",
    "left_in_use",
    "rolled",
    "settled",
    "still_used",
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
            "schedule": s.schedule_in_force,
            "target": going_to,
            "next_attempt_at": None,
            "next": NextStep(action="Issue", reason=message),
            "conditions": conditions(s, sayings),
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
    revision = max(record.revision, status.revision)
    rollout = rollouts.begun(s, record, revision)
    previous = [p for p in status.previous if p.key_id != record.key_id]
    if status.key_id and status.key_id != record.key_id and status.issuer:
        overlap = timedelta(0) if at_once else schedule.overlap_of(s.spec)
        revoke_at = _not_before(now + overlap) if overlap else now
        if status.expires_at:
            revoke_at = min(revoke_at, max(now, status.expires_at))
        moved = s.home if s.moved else None
        waits = revoke_at + rollouts.LONGEST_WAIT if rollout and not at_once else None
        previous.append(
            PreviousKey(
                key_id=status.key_id,
                issuer=status.issuer,
                replaced_at=now,
                revoke_at=revoke_at,
                rollouts_until=waits,
                target=moved,
            )
        )
    ends_now = {"revoke_at": now, "rollouts_until": None}
    if leaked:
        previous = [p.model_copy(update=ends_now) for p in previous]
    for i in range(len(previous) - MOST_PREVIOUS):
        previous[i] = previous[i].model_copy(update=ends_now)
    closed_attempts = [c for c in status.closed_attempts if c.id != record.attempt]
    if attempt and not answered:
        closed_attempts.append(_closed_entry(s, attempt, "unseen"))
    recent = status.recent_issuances if adopted else [*status.recent_issuances, Issuance(at=now, reason=reason)]
    issued_at = record.issued_at
    after = status.model_copy(
        update={
            "revision": revision,
            "key_id": record.key_id,
            "issuer": record.issuer,
            "masked_key": record.masked,
            "workspace": WorkspaceStatus(id=record.workspace_id, name=record.workspace_name),
            "issued_as": IssuedAs(
                workspace=record.workspace,
                label=record.label,
                expiry=record.expiry,
                attempt=record.attempt,
                digest=record.digest,
            ),
            "issued_at": issued_at,
            "expires_at": end_of_day(record.expires_on) if record.expires_on else None,
            "schedule": _schedule(s, issued_at),
            "last_used": None if status.key_id != record.key_id else status.last_used,
            "previous": previous,
            "rollout": rollout,
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
            "schedule": s.schedule_in_force,
            "observed_generation": s.observed.subject.generation,
        }
    )
    return failing(s.with_status(after), reason, message, retry_at)


def dropped(s: Situation, gone: frozenset[KeyId]) -> ApiKeyStatus:
    """Revoked keys leave `previous`; the rest of the status is as it would be without them."""
    return _well(s, s.status.model_copy(update={"previous": [p for p in s.status.previous if p.key_id not in gone]}))


def rolled(s: Situation, left: list[PendingRollout]) -> ApiKeyStatus:
    """Of the rollout under way this is still pending; without anything it is over."""
    rollout = s.status.rollout.model_copy(update={"pending": left}) if s.status.rollout and left else None
    return _well(s, s.status.model_copy(update={"rollout": rollout}))


def _well(s: Situation, after: ApiKeyStatus) -> ApiKeyStatus:
    """The same, saying what is so now; where something else is said of the key, that stands."""
    ready = after.condition("Ready")
    if ready is None or ready.status != "True" or ready.reason not in (Reason.ISSUED, Reason.SUSPENDED):
        return after
    return steady(s.with_status(after))


def ended(s: Situation, gone: frozenset[KeyId]) -> ApiKeyStatus:
    """The current key was revoked, and these older ones: as before the first issuance, but for what is still to be looked after."""
    nothing = dict.fromkeys(
        (
            "key_id",
            "issuer",
            "masked_key",
            "workspace",
            "issued_as",
            "issued_at",
            "expires_at",
            "renewal_time",
            "last_used",
        )
    )
    previous = [p for p in s.status.previous if p.key_id not in gone]
    return s.status.model_copy(
        update={**nothing, "previous": previous, "target": None, "rollout": None, "grant_lost_at": None}
    )


def still_used(s: Situation, days: Mapping[KeyId, date]) -> ApiKeyStatus:
    """Older keys were used on these days, after they had been replaced."""
    previous = [p.model_copy(update={"used_on": days.get(KeyId(p.key_id), p.used_on)}) for p in s.status.previous]
    return s.status.model_copy(update={"previous": previous})


def forgotten(s: Situation, old: frozenset[AttemptId]) -> ApiKeyStatus:
    """Closed attempts past their day leave the status."""
    return s.status.model_copy(update={"closed_attempts": [c for c in s.status.closed_attempts if c.id not in old]})


def tidied(s: Situation, places: frozenset[str]) -> ApiKeyStatus:
    """Nothing of closed attempts stands at these places any more."""
    closed_attempts = [
        c.model_copy(update={"target": None}) if c.target in places else c for c in s.status.closed_attempts
    ]
    return s.status.model_copy(update={"closed_attempts": closed_attempts})


def _target(s: Situation) -> TargetStatus | None:
    layout = s.layout
    if layout is None:
        return None
    key = None if layout.template else layout.key
    kind: Literal["Secret", "Vault"] = "Vault" if in_vault(layout.name) else "Secret"
    return TargetStatus(kind=kind, name=layout.name, key=key, adopted=layout.adopted)


def _schedule(s: Situation, issued_at: datetime) -> ScheduleInForce | None:
    """The schedule counts from the new key on; one that was seen first since then, from there."""
    in_force = s.schedule_in_force
    return in_force and in_force.model_copy(update={"since": max(in_force.since, issued_at)})


def _closed_entry(s: Situation, attempt: Attempt, outcome: Literal["lost", "unseen", "failed"]) -> ClosedAttempt:
    return ClosedAttempt(
        id=attempt.id,
        closed_at=s.now,
        outcome=outcome,
        issuer=attempt.issuer,
        started_at=attempt.started_at,
        target=attempt.target or None,
    )


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
