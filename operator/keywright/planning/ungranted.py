"""A key whose grant was taken away, at an issuer that says onGrantLost: Revoke: said first, ended ten minutes later. Pure.

Taken away means that no grant names the namespace and the workspace any more. Limits that were tightened (maxValidity, requireExpiry,
maxKeys) stop renewals and end nothing; and an issuer, a namespace or a workspace that is missing or cannot be read says nothing of its
grants. Neighbour: preflight.py asks the grants before a key is made.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from keywright.api.apikey_status import NextStep
from keywright.api.reasons import Reason
from keywright.keys import KeyId
from keywright.planning import grants, outcome, transitions
from keywright.planning.observed import Fact, IssuerFacts, Refusal
from keywright.planning.places import named
from keywright.planning.recovery import look_again
from keywright.planning.removal import made_ours, removed
from keywright.planning.steps import CleanTarget, Decision, Look, Note, RevokeKey, Wait, WriteStatus

if TYPE_CHECKING:
    from datetime import datetime

    from keywright.api.apikey_status import ApiKeyStatus
    from keywright.planning.situation import Situation

__all__ = ["GRACE", "ungranted"]

GRACE: Final = timedelta(minutes=10)
"""From the event that says so to the end of the key: the interface promises it."""


def ungranted(s: Situation) -> Decision | None:
    """What to do about a lost grant; None where there is nothing."""
    status, facts = s.status, s.observed.maker
    if status.key_id is None or status.issuer is None:
        return None
    if not s.observed.revokes_ungranted:
        return _given_back(s)
    if facts is None:
        return Decision(Look(Fact.GRANT), Reason.GRANT_LOST, "Looking whether a grant still allows the key.")
    if isinstance(facts, Refusal):
        return _unsure(s, facts)
    if facts.identity.uid != status.issuer.uid:
        return None
    lost = grants.lost(facts.spec, grants.request_of(s, facts))
    if lost is None:
        return _given_back(s)
    since = status.grant_lost_at
    if since is not None and s.now >= since + GRACE:
        return _end(s, facts, lost)
    until = (since or s.now) + GRACE
    message = f"{lost.message}. The key is revoked at {until:%Y-%m-%d %H:%M:%S} UTC unless a grant allows it again."
    marked = s.with_status(status.model_copy(update={"grant_lost_at": (since or s.now).replace(microsecond=0)}))
    return _say(s, outcome.refused(marked, Reason.GRANT_LOST, message, stalled=True), message, until)


def _given_back(s: Situation) -> Decision | None:
    """In time: the key stays."""
    if s.status.grant_lost_at is None:
        return None
    text = "A grant allows the key again: it stays."
    status = outcome.steady(s.with_status(s.status.model_copy(update={"grant_lost_at": None})))
    return Decision(WriteStatus(status, "report"), Reason.GRANT_LOST, text, (Note("Normal", Reason.GRANT_LOST, text),))


def _unsure(s: Situation, refusal: Refusal) -> Decision | None:
    """What was lost is not forgotten, nothing ends on a guess, and Ready keeps telling what the target holds."""
    if s.status.grant_lost_at is None:
        return None
    message = f"The key's grant was lost, and whether one allows it by now cannot be seen: {refusal.message}. Until then it stays."
    status = outcome.refused(s, Reason.GRANT_LOST, message, stalled=True)
    return _say(s, status, message, look_again(s, refusal))


def _end(s: Situation, facts: IssuerFacts, lost: Refusal) -> Decision:
    """All keys of this issuer die, then their targets go, then the status forgets them; each may be repeated."""
    status, seen = s.status, s.observed
    older = [p for p in status.previous if p.issuer == status.issuer]
    keys = [KeyId(p.key_id) for p in older] + [KeyId(status.key_id or "")]
    why = f"{lost.message} (onGrantLost: Revoke)"
    for key_id in keys:
        if key_id in seen.failed_revocations:
            message = f"Key {key_id} is to end and cannot be revoked yet: {seen.failed_revocations[key_id].message}"
            return _unended(s, Reason.REVOCATION_FAILED, message, look_again(s, seen.failed_revocations[key_id]))
        if key_id not in seen.revoked:
            text = f"Revoked key {key_id}: {why}."
            return Decision(
                RevokeKey(key_id, facts.identity), Reason.GRANT_LOST, text, (Note("Warning", Reason.GRANT_LOST, text),)
            )
    for place in dict.fromkeys((s.home, *(p.target for p in older))):
        if place and place in seen.unclean:
            message = f"{named(place)} holds a revoked key and cannot be removed yet: {seen.unclean[place]}"
            return _unended(s, Reason.TARGET_REFUSED, message, s.now + GRACE / 10)
        if place and place not in seen.cleaned:
            text = f"{removed(s, place)}: its key was revoked."
            note = Note("Normal", Reason.TARGET_CLEANED, text)
            cleaned = Decision(CleanTarget(place, None), Reason.TARGET_CLEANED, text, (note,))
            return made_ours(s, place) or cleaned
    message = f"The key was revoked: {why}."
    after = transitions.ended(s, frozenset(keys))
    refused = outcome.refused(s.with_status(after), Reason.GRANT_LOST, message, stalled=True)
    return Decision(WriteStatus(refused, "drop"), Reason.GRANT_LOST, message)


def _unended(s: Situation, reason: Reason, message: str, until: datetime) -> Decision:
    sayings = [outcome.Saying("Ready", "False", Reason.GRANT_LOST, message)]
    sayings.append(outcome.Saying("Stalled", "True", reason, message))
    return _say(s, outcome.reported(s, sayings, NextStep(action="Revoke", reason=message)), message, until)


def _say(s: Situation, status: ApiKeyStatus, message: str, until: datetime) -> Decision:
    if status != s.status:
        notes = (Note("Warning", Reason.GRANT_LOST, message),)
        return Decision(WriteStatus(status, "report"), Reason.GRANT_LOST, message, notes)
    return Decision(Wait(until), Reason.GRANT_LOST, message)
