"""What ends: older keys when their overlap is over, and everything when the ApiKey is deleted.

Only what a written record of this ApiKey names is revoked, and never the key that stands in the target, read just before; on
deletion that rule ends. Pure.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from keywright.api.apikey import NextStep
from keywright.api.reasons import Reason
from keywright.keys import KeyId
from keywright.planning import outcome
from keywright.planning.observed import Fact, Present, Refusal
from keywright.planning.recovery import RECHECK, late_keys, open_attempt
from keywright.planning.steps import (
    CleanTarget,
    Decision,
    Look,
    Note,
    ReleaseFinalizer,
    RevokeKey,
    RewriteTarget,
    Wait,
    WriteStatus,
)

if TYPE_CHECKING:
    from datetime import datetime

    from keywright.api.apikey import KeyIssuerIdentity
    from keywright.planning.situation import Situation

__all__ = ["deletion", "overlaps_over"]

_REVOKE_AGAIN: Final = timedelta(seconds=20)


def overlaps_over(s: Situation) -> Decision | None:
    """Revoke each older key whose time has come, once the target holds the current one."""
    due = [p for p in s.status.previous if p.revoke_at <= s.now]
    if not due:
        return None
    pending = [p for p in due if p.key_id not in s.observed.revoked and p.key_id not in s.observed.failed_revocations]
    if pending:
        if not s.observed.target_fresh:
            return Decision(Look(Fact.TARGET), Reason.REVOKED, "Reading the target before an older key is revoked.")
        if s.record is None or s.record.key_id != s.status.key_id:
            return None  # the chain of causes repairs the target first
        key = pending[0]
        text = f"Revoked the older key {key.key_id}: its overlap is over."
        return Decision(
            RevokeKey(KeyId(key.key_id), key.issuer),
            Reason.REVOKED,
            "The overlap of an older key is over.",
            (Note("Normal", Reason.REVOKED, text),),
        )
    gone = frozenset(KeyId(p.key_id) for p in due) & s.observed.revoked
    for entry in due:
        moved = entry.target is not None and (s.layout is None or entry.target != s.layout.name)
        if moved and entry.target and entry.key_id in gone and entry.target not in s.observed.cleaned:
            return Decision(
                CleanTarget(entry.target, None),
                Reason.TARGET_CLEANED,
                f"Secret {entry.target} is no longer used.",
                (
                    Note(
                        "Normal",
                        Reason.TARGET_CLEANED,
                        f"Removed Secret {entry.target}: the key has moved to Secret {s.layout.name if s.layout else ''}.",
                    ),
                ),
            )
    if gone:
        return Decision(WriteStatus(outcome.dropped(s, gone), "drop"), Reason.REVOKED, "Revoked keys leave the status.")
    return None


def deletion(s: Situation) -> Decision:
    """Revoke, clean, release; with Retain the current key and the target stay."""
    if not s.observed.subject.finalizer:
        return Decision(Wait(None), Reason.DELETING, "Nothing of keywright holds this ApiKey any more.")
    return (
        open_attempt(s)
        or late_keys(s)
        or _revoke(s)
        or _wait_for_late_keys(s)
        or _clean(s)
        or Decision(ReleaseFinalizer(), Reason.DELETING, "All keys are revoked.", _farewell(s))
    )


def _revoke(s: Situation) -> Decision | None:
    keys: list[tuple[KeyId, KeyIssuerIdentity]] = [(KeyId(p.key_id), p.issuer) for p in s.status.previous]
    if s.status.key_id and s.status.issuer and s.bound:
        keys.append((KeyId(s.status.key_id), s.status.issuer))
    failed = s.observed.failed_revocations
    for key_id, issuer in keys:
        if key_id not in s.observed.revoked and key_id not in failed:
            text = f"Revoked key {key_id}: its ApiKey is deleted."
            return Decision(
                RevokeKey(key_id, issuer), Reason.DELETING, "A key is revoked.", (Note("Normal", Reason.REVOKED, text),)
            )
    if not failed:
        return None
    left = ", ".join(sorted(failed))
    if s.observed.subject.abandon:
        text = f"Released by keywright.dev/abandon; these keys may still live at the issuer: {left}."
        return Decision(ReleaseFinalizer(), Reason.ABANDONED, text, (Note("Warning", Reason.ABANDONED, text),))
    message = f"Key {left} cannot be revoked yet: {next(iter(failed.values()))}"
    return _waiting(s, Reason.REVOCATION_FAILED, message, s.now + _REVOKE_AGAIN, stalled=True)


def _wait_for_late_keys(s: Situation) -> Decision | None:
    """A request that was cut off may still make a key: not before the window is over does the ApiKey go, after one last listing."""
    closed = s.status.closed_attempts
    if not closed:
        return None
    until = max(c.closed_at for c in closed) + timedelta(seconds=s.observed.late_window)
    if s.now < until:
        message = f"An interrupted request may still make a key: deletion waits until {until:%Y-%m-%d %H:%M:%S} UTC, then looks once more."
        return _waiting(s, Reason.WAITING_FOR_LATE_KEYS, message, until, stalled=False)
    if isinstance(s.observed.listing, Refusal):
        return _waiting(
            s,
            s.observed.listing.reason,
            s.observed.listing.message,
            s.now + RECHECK,
            stalled=s.observed.listing.stalled,
        )
    if not s.observed.listing_fresh:
        return Decision(Look(Fact.LISTING, closed[-1].issuer), Reason.DELETING, "Looking for keys that were made late.")
    return None


def _clean(s: Situation) -> Decision | None:
    """The target goes under Revoke; under Retain it stays, and is no longer bound to the ApiKey."""
    names = [p.target for p in s.status.previous if p.target]
    for name in names:
        if name not in s.observed.cleaned:
            return Decision(CleanTarget(name, None), Reason.TARGET_CLEANED, f"Secret {name} is removed.")
    touched = s.status.target is not None or s.status.closed_attempts or isinstance(s.observed.target, Present)
    if not touched or (s.layout and s.layout.name in s.observed.cleaned):
        return None
    if not s.observed.target_fresh:
        return Decision(Look(Fact.TARGET), Reason.DELETING, "Reading the target.")
    target = s.observed.target
    if not isinstance(target, Present) or target.owner_uid != s.observed.subject.uid or s.layout is None:
        return None
    if s.bound or target.record is None:
        return Decision(
            CleanTarget(s.layout.name, target.version), Reason.TARGET_CLEANED, f"Secret {s.layout.name} is removed."
        )
    if not s.laid_out and s.layout.name not in s.observed.cleaned:
        return Decision(
            RewriteTarget(s.layout), Reason.RETAINED, f"Secret {s.layout.name} is no longer bound to its ApiKey."
        )
    return None


def _farewell(s: Situation) -> tuple[Note, ...]:
    if s.bound or not s.status.key_id:
        return ()
    place = s.status.target.name if s.status.target else ""
    return (
        Note(
            "Normal",
            Reason.RETAINED,
            f"Key {s.status.key_id} stays alive in Secret {place}, as deletionPolicy: Retain says.",
        ),
    )


def _waiting(s: Situation, reason: Reason, message: str, until: datetime, *, stalled: bool) -> Decision:
    sayings = [outcome.Saying("Ready", "False", Reason.DELETING, message)]
    sayings.append(outcome.Saying("Stalled" if stalled else "Reconciling", "True", reason, message))
    at = until if reason is Reason.WAITING_FOR_LATE_KEYS else None
    status = outcome.reported(s, sayings, NextStep(action="Release", at=at, reason=message))
    if status != s.status:
        note = Note("Warning" if stalled else "Normal", reason, message)
        return Decision(WriteStatus(status, "report"), reason, message, (note,))
    return Decision(Wait(until), reason, message)
