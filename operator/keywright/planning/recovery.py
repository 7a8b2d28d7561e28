"""An open attempt: carried on by the pass that wrote it down, or found after a crash, a time-out, or by a new leader.

Closing one has an order that matters: fence the target, record, then revoke. Late keys of closed attempts are revoked
whenever a listing shows them, but for those that somebody uses. Pure; the table is the protocol's.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from keywright.api.apikey import called
from keywright.api.reasons import Reason
from keywright.keys import AttemptId
from keywright.planning import outcome, schedule, transitions
from keywright.planning.observed import Absent, Fact, Foreign, IssuerFacts, Present, Refusal
from keywright.planning.places import named
from keywright.planning.steps import Decision, FenceTarget, IssueAndDeliver, Look, Note, RevokeKey, Wait, WriteStatus
from keywright.planning.strays import in_use

if TYPE_CHECKING:
    from datetime import datetime

    from keywright.api.apikey import KeyIssuerIdentity
    from keywright.api.apikey_status import Attempt, ClosedAttempt
    from keywright.keys import KeyId, KeyRecord
    from keywright.planning.observed import Failure, TargetState
    from keywright.planning.situation import Situation

__all__ = ["RECHECK", "late_keys", "look_again", "open_attempt", "settle", "told"]

RECHECK: Final = timedelta(seconds=20)
"""How soon something that was refused is looked at again: within the promised 30 s, with room for shared answers' age."""


_SPREAD: Final = timedelta(seconds=5)
"""Over so much time ApiKeys come back to an issuer that had asked for a pause."""


def look_again(s: Situation, refusal: Refusal) -> datetime:
    """When to look whether a refusal still holds: not before the other side wants to be asked, and then not all at once."""
    if refusal.reason is Reason.ISSUER_RATE_LIMITED and refusal.after is not None:
        return s.now + timedelta(seconds=refusal.after) + _SPREAD * schedule.share_of(s.observed.subject.uid)
    return s.now + max(RECHECK, timedelta(seconds=refusal.after or 0))


def open_attempt(s: Situation) -> Decision | None:
    """What to do about `status.attempt`; None where there is none."""
    attempt = s.status.attempt
    if attempt is None:
        return None
    if attempt.id == s.observed.fresh_attempt:
        return _carry_on(s, attempt)
    record = s.record
    if record and record.attempt == attempt.id == s.observed.delivered:
        return settle(s, record, adopted=False)
    failure = s.observed.failure
    if failure and not failure.maybe_committed:
        return _close(s, attempt, None, failure)
    if failure and failure.settled and failure.key_id:
        return _close(s, attempt, "failed", failure)
    return _recover(s, attempt)


def late_keys(s: Situation) -> Decision | None:
    """Listed keys of closed attempts are revoked, unless the target holds one: then it was delivered after all.

    On deletion nothing of the target is kept, but with Retain. One that somebody uses is nobody's to revoke: a clone of this cluster,
    restored from the same backup, may hold it. It is told of once, and stays.
    """
    watched = {c.id: c for c in s.status.closed_attempts}
    failure = s.observed.failure
    late = [(key, closed) for key in s.listed if (closed := watched.get(s.attempt_of(key) or "")) is not None]
    used = {key.key_id: closed for key, closed in late if in_use(key, closed.begun)}
    if failure and failure.key_id:
        used.pop(failure.key_id, None)  # this very pass made it, and knows that nobody got it
    found: list[tuple[KeyId, KeyIssuerIdentity]] = [
        (key.key_id, closed.issuer) for key, closed in late if not (key.key_id in used and closed.in_use)
    ]
    if failure and failure.key_id and s.status.closed_attempts and s.status.attempt is None:
        found.append((failure.key_id, s.status.closed_attempts[-1].issuer))
    due = [(key_id, issuer) for key_id, issuer in found if key_id not in s.observed.revoked | {s.status.key_id}]
    due = [(key_id, issuer) for key_id, issuer in due if key_id not in s.observed.failed_revocations]
    if not due:
        return None
    places = [name for name in dict.fromkeys((s.place, s.home)) if name]
    for name in places:
        if name not in s.observed.fresh:
            look = Look(Fact.TARGET, target=name)
            return Decision(look, Reason.RECOVERING, "Reading the target before a key is revoked.")
    ending = s.observed.subject.deleting and s.bound
    record = None if ending else s.record
    held = set() if ending else {there.key_id for name in places if (there := s.record_at(name))}
    if record and record.attempt in watched and record.key_id in {k.key_id for k in s.listed}:
        return settle(s, record, adopted=True)
    for key_id, issuer in due:
        if key_id not in held and key_id in used:
            return _leave(s, used[key_id], tuple(k for k, closed in used.items() if closed is used[key_id]))
        if key_id not in held:
            text = f"Key {key_id} of an interrupted attempt turned up and was revoked; nobody held it."
            return Decision(
                RevokeKey(key_id, issuer),
                Reason.LATE_KEY_REVOKED,
                "A key of an interrupted attempt is revoked.",
                (Note("Warning", Reason.LATE_KEY_REVOKED, text),),
            )
    return None


def _leave(s: Situation, closed: ClosedAttempt, keys: tuple[KeyId, ...]) -> Decision:
    """Told once, which the status remembers."""
    text = (
        f"Key {', '.join(keys)} of an interrupted attempt is in use and stays alive at {called(closed.issuer.kind, closed.issuer.name)}: "
        "another cluster restored from the same backup may hold it. Where nobody should, revoke it with keywright sweep --revoke."
    )
    status = transitions.left_in_use(s, AttemptId(closed.id), keys)
    return Decision(WriteStatus(status, "report"), Reason.STRAY_KEY, text, (Note("Warning", Reason.STRAY_KEY, text),))


def settle(s: Situation, record: KeyRecord, *, adopted: bool) -> Decision:
    """The one status write after a delivery."""
    status = transitions.settled(s, record, adopted=adopted)
    verb = "Adopted" if adopted else "Issued"
    text = f"{verb} key {record.masked} ({record.key_id}), revision {status.revision}, in {named(s.place)}"
    text += f"; it works until {record.expires_on} (UTC)." if record.expires_on else "; it never expires."
    notes = [Note("Normal", Reason.ADOPTED if adopted else Reason.ISSUED, text)]
    attempt = s.status.attempt
    asked = schedule.expiration(s.spec, record.issued_at)
    # Midnight may have passed between the decision and the issuance.
    expected = {asked, schedule.expiration(s.spec, attempt.started_at) if attempt else asked}
    if not adopted and record.expiry == schedule.expiry_text(s.spec) and record.expires_on not in expected:
        given = f"{record.expires_on}" if record.expires_on else "no end"
        notes.append(
            Note(
                "Warning",
                Reason.EXPIRY_CLAMPED,
                f"{called(record.issuer.kind, record.issuer.name)} gave the key {given} where {asked or 'no end'} was asked: its policy "
                "allows no other.",
            )
        )
    if s.status.key_id is None and status.expires_at is None and not (s.spec.rotation and s.spec.rotation.schedule):
        notes.append(
            Note(
                "Warning",
                Reason.NEVER_ROTATES,
                "Neither expiry nor schedule is set; the platform advises spec.expiry.validity, such as 90d.",
            )
        )
    if s.status.key_id is not None and status.previous and status.handled.compromised != s.status.handled.compromised:
        older = ", ".join(p.key_id for p in status.previous)
        text = (
            f"Said to be compromised by keywright.dev/compromised: a new key is delivered, and {older} is revoked now."
        )
        notes.append(Note("Warning", Reason.COMPROMISED, text))
    if len(status.previous) > transitions.MOST_PREVIOUS:
        notes.append(
            Note(
                "Warning",
                Reason.OVERLAP_FULL,
                f"More than {transitions.MOST_PREVIOUS} older keys overlap; the oldest is revoked now.",
            )
        )
    return Decision(WriteStatus(status, "settle"), Reason.ADOPTED if adopted else Reason.ISSUED, text, tuple(notes))


def _carry_on(s: Situation, attempt: Attempt) -> Decision:
    """The pass that wrote the intent has posted nothing yet."""
    facts, layout, target = s.observed.issuer, s.layout, s.target
    if (
        s.observed.subject.deleting
        or not isinstance(facts, IssuerFacts)
        or layout is None
        or target is None
        or (isinstance(target, Foreign) and not s.may_adopt(s.place))
    ):
        after = s.status.model_copy(update={"attempt": None})
        return Decision(WriteStatus(after, "close"), Reason.ISSUING, "Nothing was asked for: the world changed.")
    step = IssueAndDeliver(
        attempt=attempt,
        label=s.label,
        workspace_id=facts.workspace.id,
        workspace_name=facts.workspace.name,
        workspace=s.spec.workspace,
        user_id=facts.user_id,
        expiration=schedule.expiration(s.spec, s.now),
        expiry=schedule.expiry_text(s.spec),
        revision=s.status.revision + 1,
        layout=layout,
        version=s.target_version,
        check=facts.spec.check_new_keys,
    )
    reason = Reason.of(attempt.reason, Reason.NOT_ISSUED)
    return Decision(step, reason, "A key is asked for and delivered.", _replaced(s, target))


def _replaced(s: Situation, target: TargetState) -> tuple[Note, ...]:
    """A key that somebody made by hand goes out of the Secret with this delivery: it lives on, and is not ours to revoke."""
    if isinstance(target, Absent):
        return ()
    return tuple(
        Note(
            "Warning",
            Reason.HAND_MADE_REPLACED,
            f"{named(s.place)} was adopted; {f'the key ending in …{value.ending}' if value.ending else 'the value'} that stood under "
            f"{value.key} was replaced. keywright did not make it and does not revoke it: once nobody uses it, revoke it at the platform.",
        )
        for value in target.hand_made
    )


def _recover(s: Situation, attempt: Attempt) -> Decision:
    """Nobody holds the plaintext any more: list, read the target, then the table."""
    if isinstance(s.observed.listing, Refusal):
        return _held(s, s.observed.listing)
    if not s.searched(attempt.issuer):
        look = Look(Fact.LISTING, issuer=attempt.issuer, search=s.own_search)
        return Decision(
            look,
            Reason.RECOVERING,
            f"Listing this ApiKey's keys at {called(attempt.issuer.kind, attempt.issuer.name)}.",
        )
    if not s.target_fresh:
        return Decision(Look(Fact.TARGET, target=s.place), Reason.RECOVERING, "Reading the target.")
    record, listed = s.record, {key.key_id for key in s.listed}
    if record and record.key_id in listed and record.attempt == attempt.id:
        return settle(s, record, adopted=False)
    if (fence := _fence(s, attempt)) is not None:
        return fence
    if record and record.key_id in listed and record.attempt in {c.id for c in s.status.closed_attempts}:
        return settle(s, record, adopted=True)
    made = any(s.attempt_of(key) == attempt.id for key in s.listed)
    return _close(s, attempt, "lost" if made else "unseen", s.observed.failure)


def _fence(s: Situation, attempt: Attempt) -> Decision | None:
    """Touch the target once, so that a process that still holds that plaintext cannot deliver it.

    One that is to be adopted becomes ours by it. None is made for a deleted ApiKey (a late delivery is cleaned with it, and a namespace
    on its way out takes nothing new), nor at a place that the spec has left (nobody waits for a key there).
    """
    target, layout = s.target, s.layout
    if layout is None or s.target_is_foreign:
        return None
    if isinstance(target, Present) and target.fence == attempt.id:
        return None
    if isinstance(target, Absent) and (s.observed.subject.deleting or s.place != s.wanted_place):
        return None
    return Decision(
        FenceTarget(attempt, layout, s.target_version),
        Reason.RECOVERING,
        "Fencing the target against an interrupted delivery.",
    )


def _close(s: Situation, attempt: Attempt, result: str | None, failure: Failure | None) -> Decision:
    match result:
        case "lost" | "unseen" | "failed" as known:
            status = transitions.closed(s, attempt, known, failure)
        case _:
            status = transitions.closed(s, attempt, None, failure)
    reason = failure.reason if failure else Reason.ATTEMPT_LOST
    message = (
        failure.message
        if failure
        else f"Attempt {attempt.id} was interrupted; a key it may have made is revoked unless somebody uses it."
    )
    return Decision(WriteStatus(status, "close"), reason, message, (Note("Warning", reason, message),))


def _held(s: Situation, refusal: Refusal) -> Decision:
    """The issuer cannot be asked now: say so, and look again."""
    return told(
        s,
        refusal,
        f"An attempt was interrupted, and what became of it cannot be found out yet: {refusal.message}",
    )


def told(s: Situation, refusal: Refusal, message: str) -> Decision:
    """A refusal is said once, in the status and by an event, and looked at again."""
    status = outcome.refused(s, refusal.reason, message, stalled=refusal.stalled)
    if status != s.status:
        return Decision(
            WriteStatus(status, "report"), refusal.reason, message, (Note("Warning", refusal.reason, message),)
        )
    return Decision(Wait(look_again(s, refusal)), refusal.reason, message)
