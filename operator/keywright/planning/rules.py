"""Why a key is (re-)issued: a chain of small pure functions, first hit wins. Nothing else re-issues.

Each rule reads as a line of the protocol and returns a Cause, or None where it does not apply. Rules about the target trust
a known target only: where it is unknown they stay silent, and plan.py has it looked at before.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from keywright.api.apikey import called
from keywright.api.reasons import Reason
from keywright.planning import fit
from keywright.planning.observed import Absent, Foreign, Present
from keywright.planning.places import named

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from keywright.planning.situation import Situation

__all__ = ["CHAIN", "Cause", "answered_at_once", "cause", "held_until", "paused_until"]

_TRIGGERS_TOGETHER: Final = timedelta(seconds=5)
"""Trigger values that arrive this soon after a triggered delivery ask for what was just done."""
_SPEC_CHANGES_PER_INTERVAL: Final = 3
_LONGEST_PAUSE: Final = timedelta(days=1)
"""An issuer may ask for longer than our own hour; past a day the clock is to blame."""


class Cause(NamedTuple):
    """Why, in a word and in a sentence."""

    reason: Reason
    message: str


def not_issued(s: Situation) -> Cause | None:
    """No key was delivered yet."""
    return Cause(Reason.NOT_ISSUED, "No key has been delivered yet.") if s.status.key_id is None else None


def compromised(s: Situation) -> Cause | None:
    """Somebody says that the key leaked: ahead of all else but the first issuance."""
    asked = s.observed.subject.compromised
    if asked is None or asked == s.status.handled.compromised:
        return None
    return Cause(Reason.COMPROMISED, "keywright.dev/compromised got a new value: all older keys are revoked at once.")


def target_missing(s: Situation) -> Cause | None:
    """The target is gone, and the plaintext with it; somebody else may have made another in its place."""
    if not isinstance(s.target, Absent | Foreign) or s.moved or s.stripped:
        return None
    return Cause(Reason.TARGET_MISSING, f"{named(s.place)} is gone, and the plaintext with it.")


def target_drifted(s: Situation) -> Cause | None:
    """What stands there is not what was delivered, and the plaintext is lost: else it is only written anew (plan.py)."""
    if s.target is None or s.moved or s.stripped:
        return None
    if s.record is None or s.record.key_id != s.status.key_id:
        by = s.target.changed_by if isinstance(s.target, Present) else None
        who = f"The field manager {by}" if by else "Somebody"
        return Cause(Reason.TARGET_DRIFTED, f"{who} changed the key or its record in {named(s.place)}.")
    return None


def key_gone(s: Situation) -> Cause | None:
    """The issuer does not know the key any more, seen twice."""
    if not s.observed.key_gone:
        return None
    issuer = called(s.status.issuer.kind, s.status.issuer.name) if s.status.issuer else "The platform"
    return Cause(Reason.KEY_GONE, f"{issuer} no longer lists the key: somebody revoked it there.")


def spec_changed(s: Situation) -> Cause | None:
    """The spec asks for another key than this."""
    changed = fit.difference(s)
    return Cause(Reason.SPEC_CHANGED, f"{changed}.") if changed else None


def triggered(s: Situation) -> Cause | None:
    """Somebody asks for a rotation now."""
    asked = s.observed.subject.rotate
    if asked is None or asked == s.status.handled.rotate:
        return None
    return Cause(Reason.TRIGGERED, "keywright.dev/rotate got a new value.")


def scheduled(s: Situation) -> Cause | None:
    """The schedule came round since the key was issued: one missed time is made up once."""
    at = s.scheduled_at
    return Cause(Reason.SCHEDULED, "rotation.schedule came round.") if at and at <= s.now else None


def renewal_due(s: Situation) -> Cause | None:
    """The renewal time has come."""
    at = s.renewal_at
    return Cause(Reason.RENEWAL_DUE, "The renewal time has come.") if at and at <= s.now else None


def expired(s: Situation) -> Cause | None:
    """The key's last day is over, and no fixed date says that this is the end."""
    at = s.status.expires_at
    if at is None or s.now <= at or (s.spec.expiry and s.spec.expiry.date):
        return None
    return Cause(Reason.EXPIRED, "The key's last day is over.")


CHAIN: Final[tuple[Callable[[Situation], Cause | None], ...]] = (
    not_issued,
    compromised,
    target_missing,
    target_drifted,
    key_gone,
    spec_changed,
    triggered,
    scheduled,
    renewal_due,
    expired,
)


def cause(s: Situation) -> Cause | None:
    """Why a key is to be issued now; None where the current one is right."""
    return next((found for rule in CHAIN if (found := rule(s))), None)


def answered_at_once(s: Situation, why: Cause) -> bool:
    """A trigger that arrives within seconds of a triggered delivery: ten values in a second ask for one rotation."""
    last = s.status.recent_issuances[-1] if s.status.recent_issuances else None
    return (
        why.reason is Reason.TRIGGERED
        and last is not None
        and last.reason == Reason.TRIGGERED
        and timedelta(0) <= s.now - last.at < _TRIGGERS_TOGETHER
    )


def held_until(s: Situation, why: Cause) -> datetime | None:
    """The storm guard and the pause after failures: no issuance for this cause before then; None: now.

    A trigger passes the guard, whatever else is due as well; a spec edited since the last failure passes the pause. Times further
    ahead than any pause reaches are those of a clock that went back since.
    """
    status = s.status
    until: list[datetime] = []
    if (at := paused_until(s)) is not None:
        until.append(at)
    if why.reason is Reason.COMPROMISED or triggered(s) is not None:
        return max(until, default=None)
    interval = timedelta(seconds=s.observed.min_interval)
    recent = [i for i in status.recent_issuances if abs(s.now - i.at) < interval]
    allowed = 1
    if why.reason is Reason.SPEC_CHANGED:
        allowed, recent = _SPEC_CHANGES_PER_INTERVAL, [i for i in recent if i.reason == Reason.SPEC_CHANGED]
    if len(recent) >= allowed:
        until.append(recent[-allowed].at + interval)
    return max(until, default=None)


def paused_until(s: Situation) -> datetime | None:
    """The end of the pause after failures, while it lasts."""
    at = s.status.next_attempt_at
    if at is None or s.status.observed_generation != s.observed.subject.generation:
        return None
    return at if s.now < at <= s.now + _LONGEST_PAUSE else None
