"""The planner: one ApiKey's situation in, one step out. `plan(x) == plan(x)`; what is due stays due until it is done."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from keywright.api.apikey import called
from keywright.api.apikey_status import Attempt, Handled, NextStep
from keywright.api.reasons import Reason
from keywright.keys import AttemptId, Tag
from keywright.planning import fit, outcome, rollouts, rules, schedule, transitions
from keywright.planning.observed import Fact, IssuerFacts, Present, Refusal
from keywright.planning.places import named
from keywright.planning.preflight import preflight
from keywright.planning.recovery import RECHECK, late_keys, look_again, open_attempt, settle
from keywright.planning.removal import deletion, overlaps_over, removed, still_used
from keywright.planning.repair import lay_out, other_writer, restore
from keywright.planning.restarts import restart
from keywright.planning.situation import Situation
from keywright.planning.steps import (
    AddFinalizer,
    CleanTarget,
    Decision,
    HoldIssuer,
    Look,
    Note,
    Wait,
    WriteStatus,
)
from keywright.planning.ungranted import ungranted
from keywright.planning.unreadable import doubted, unreadable

if TYPE_CHECKING:
    from datetime import datetime

    from keywright.api.apikey import ApiKeySpec
    from keywright.api.apikey_status import ApiKeyStatus
    from keywright.planning.observed import Observed
    from keywright.planning.rules import Cause

__all__ = ["plan"]


def plan(spec: ApiKeySpec, status: ApiKeyStatus, observed: Observed, now: datetime) -> Decision:
    """The next step. An open attempt comes first, then what is overdue to end, then what is missing, then what is to be said."""
    s = Situation(spec, status, observed, now)
    if observed.subject.deleting:
        return deletion(s)
    return (
        (_keep_finalizer(s) if s.observed.unreadable else None)
        or unreadable(s)
        or open_attempt(s)
        or (late_keys(s) if s.status.closed_attempts else None)
        or _known_target(s)
        or still_used(s)
        or overlaps_over(s)
        or ungranted(s)
        or restart(s)
        or _keep_finalizer(s)
        or _after_the_end(s)
        or restore(s)
        or _issue(s)
        or lay_out(s)
        or _tidy(s)
        or _forget(s)
        or _rest(s)
    )


def _known_target(s: Situation) -> Decision | None:
    """A delivered key is judged by its target: one that no watch has shown, or that looks wrong, is read before it is believed."""
    if s.status.key_id is None or s.target_fresh:
        return None
    if s.target is None or s.record is None or s.record.key_id != s.status.key_id or doubted(s):
        return Decision(Look(Fact.TARGET, target=s.place), Reason.TARGET_DRIFTED, "Reading the target.")
    return None


def _keep_finalizer(s: Situation) -> Decision | None:
    """A recorded key is never without the finalizer, also where somebody took it off."""
    if s.observed.subject.finalizer or (s.status.key_id is None and not s.status.previous):
        return None
    return Decision(AddFinalizer(), Reason.ISSUED, "The finalizer makes sure that the key is revoked on deletion.")


def _after_the_end(s: Situation) -> Decision | None:
    """Past expiry.date nothing is issued any more; the target stays or is cleaned."""
    end = schedule.fixed_end(s.spec)
    if end is None or s.now <= end or s.status.key_id is None:
        return None
    target, place = s.target, s.place
    clean = s.spec.expiry is not None and s.spec.expiry.after_end == "Clean"
    if (
        clean
        and isinstance(target, Present)
        and s.is_mine(target)
        and target.record
        and place
        and place not in s.observed.cleaned
        and place not in s.observed.unclean
    ):
        text = f"{removed(s, place)}: spec.expiry.date is over."
        note = Note("Normal", Reason.TARGET_CLEANED, text)
        return Decision(CleanTarget(place, target.version), Reason.EXPIRED, text, (note,))
    message = f"spec.expiry.date {end.date()} is over; write a later date, or delete this ApiKey."
    if s.status.expires_at and s.now <= s.status.expires_at:
        message += f" Its key works until {s.status.expires_at:%Y-%m-%d %H:%M:%S} UTC unless you do."
    until = _next_due(s)
    if why := s.observed.unclean.get(place or ""):
        message += f" {named(place)} cannot be removed yet: {why}"
        until = s.now + RECHECK
    sayings = [
        outcome.Saying("Ready", "False", Reason.EXPIRED, message),
        outcome.Saying("Stalled", "True", Reason.EXPIRED, message),
    ]
    status = outcome.reported(s, sayings, NextStep(action="None", reason=message))
    return _say(s, status, Reason.EXPIRED, message, until)


def _issue(s: Situation) -> Decision | None:
    why = rules.cause(s)
    if why is None:
        return None
    if s.spec.suspend:
        return _suspended(s, why)
    if rules.answered_at_once(s, why):
        handled = s.status.handled.model_copy(update={"rotate": s.observed.subject.rotate})
        return Decision(
            WriteStatus(s.status.model_copy(update={"handled": handled}), "report"), why.reason, "Just rotated."
        )
    until = rules.held_until(s, why)
    if until is not None:
        return _held(s, why, until)
    if s.observed.vanished and rules.triggered(s) is None and rules.compromised(s) is None:
        message = _vanished(s)
        status = outcome.refused(s, Reason.KEYS_VANISHED, message, stalled=True)
        return _say(s, status, Reason.KEYS_VANISHED, message, s.now + RECHECK, warn=True)
    obstacle = preflight(s)
    if isinstance(obstacle, Fact):
        return Decision(Look(obstacle, target=s.place), why.reason, why.message)
    if isinstance(obstacle, Refusal):
        status = outcome.refused(s, obstacle.reason, obstacle.message, stalled=obstacle.stalled)
        return _say(s, status, obstacle.reason, obstacle.message, look_again(s, obstacle), warn=True)
    if (adopted := _adopt(s, why)) is not None:
        return adopted
    return _bind(s, why.reason, why.message) or _leave(s) or _intend(s, why)


def _bind(s: Situation, reason: Reason, message: str) -> Decision | None:
    """Before there is a key: neither the ApiKey nor the issuer goes until it is revoked."""
    if not s.observed.subject.finalizer:
        return Decision(AddFinalizer(), reason, message)
    if isinstance(s.observed.issuer, IssuerFacts) and not s.observed.issuer.held:
        return Decision(HoldIssuer(s.observed.issuer.identity), reason, message)
    return None


def _leave(s: Situation) -> Decision | None:
    """A place that was fenced and never got a key, and that the spec has left since."""
    left = s.status.target.name if s.status.target and s.status.key_id is None else None
    if left is None or left == s.place or left in s.observed.cleaned or left in s.observed.unclean:
        return None
    return Decision(CleanTarget(left, None), Reason.TARGET_CLEANED, f"{named(left)} never got a key.")


def _adopt(s: Situation, why: Cause) -> Decision | None:
    """A key that was delivered for an ApiKey of this name, and lives, and fits, is taken over: no second one is made."""
    record, facts = s.record, s.observed.issuer
    if (
        why.reason is not Reason.NOT_ISSUED
        or record is None
        or record.cluster != s.observed.cluster_id
        or not isinstance(facts, IssuerFacts)
    ):
        return None
    fitting = (record.workspace_id, record.expiry, record.issuer.kind, record.issuer.name) == (
        facts.workspace.id,
        schedule.expiry_text(s.spec),
        facts.identity.kind,
        facts.identity.name,
    )
    if not fitting:
        return None
    search = Tag.search(record.cluster, record.owner_uid)  # a re-created ApiKey looks for its predecessor's key
    if isinstance(s.observed.listing, Refusal):
        refusal = s.observed.listing
        status = outcome.refused(s, refusal.reason, refusal.message, stalled=refusal.stalled)
        return _say(s, status, refusal.reason, refusal.message, look_again(s, refusal))
    if not s.searched(facts.identity, search):
        look = Look(Fact.LISTING, issuer=facts.identity, search=search)
        return Decision(look, Reason.ADOPTED, "Looking whether the key in the target still lives.")
    if not s.target_fresh:
        return Decision(Look(Fact.TARGET, target=s.place), Reason.ADOPTED, "Reading the target.")
    if record.key_id not in {key.key_id for key in s.listed}:
        return None
    # The issuer may have been re-created since, under its name: it has just listed the key.
    return _bind(s, Reason.ADOPTED, "A delivered key is taken over.") or settle(
        s, replace(record, issuer=facts.identity), adopted=True
    )


def _intend(s: Situation, why: Cause) -> Decision:
    """Write the attempt down before anything is asked for."""
    facts, subject = s.observed.issuer, s.observed.subject
    if not isinstance(facts, IssuerFacts):
        return Decision(Look(Fact.ISSUER), why.reason, why.message)
    if s.target is None or s.target_is_foreign:
        return Decision(Look(Fact.TARGET, target=s.place), why.reason, why.message)
    attempt = Attempt(
        id=AttemptId(s.observed.next_attempt),
        started_at=s.now,
        reason=why.reason,
        generation=subject.generation,
        issuer=facts.identity,
        target=s.place or "",
        handled=Handled(rotate=subject.rotate, compromised=subject.compromised),
    )
    step = WriteStatus(transitions.intended(s, attempt, why.reason, why.message), "intent")
    return Decision(step, why.reason, why.message, _displaced(s))


def _displaced(s: Situation) -> tuple[Note, ...]:
    """A key that was retained, and does not fit: nothing names it once the new one stands in its place.

    It is said and not revoked: who may edit the Secret may have written any key's id into its record.
    """
    record = s.record
    if s.status.key_id is not None or record is None:
        return ()
    text = (
        f"Key {record.key_id}, which an earlier ApiKey of this name left in {named(s.place)}, does not fit the spec and is replaced; "
        "it stays alive at the platform: revoke it there, unless somebody still uses it."
    )
    return (Note("Warning", Reason.RETAINED, text),)


def _held(s: Situation, why: Cause, until: datetime) -> Decision:
    """The storm guard, or the pause after failures: say what waits and until when."""
    if rules.paused_until(s) == until:
        return _say(s, outcome.paused(s, until), why.reason, why.message, until)
    bound = "three keys for edits of the spec" if why.reason is Reason.SPEC_CHANGED else "one key"
    message = (
        f"{why.message} It waits until {until:%Y-%m-%d %H:%M:%S} UTC: {bound} in {s.observed.min_interval:g} s at most. "
        "Annotate keywright.dev/rotate with a new value for a key now."
    )
    if (other := other_writer(s, why)) is not None:
        message = f"{other} {message}"
        sayings = [outcome.Saying("Ready", "False", why.reason, message)]
        sayings.append(outcome.Saying("Stalled", "True", why.reason, message))
        status = outcome.reported(s, sayings, NextStep(action="Issue", at=until, reason=message))
        return _say(s, status, why.reason, message, until, warn=True)
    ready_now = fit.works(s)
    sayings = [
        outcome.Saying("Ready", "True" if ready_now else "False", Reason.ISSUED if ready_now else why.reason, message),
        outcome.Saying("Reconciling", "True", why.reason, message),
    ]
    status = outcome.reported(s, sayings, NextStep(action="Issue", at=until, reason=message))
    return _say(s, status, why.reason, message, until)


def _suspended(s: Situation, why: Cause) -> Decision:
    """Nothing is issued; what would be is said."""
    message = f"Suspended: {why.message} A key is issued once spec.suspend is false."
    works = fit.works(s)
    sayings = [outcome.Saying("Ready", "True" if works else "False", Reason.SUSPENDED, message)]
    status = outcome.reported(s, sayings, NextStep(action="None", reason=message))
    return _say(s, status, Reason.SUSPENDED, message, _next_due(s))


def _tidy(s: Situation) -> Decision | None:
    """A place that the spec has left while an attempt was to deliver there: what it left behind, a fence or a dead key, goes.

    Not before no interrupted request can deliver any more.
    """
    in_use = {s.home, s.place, *(p.target for p in s.status.previous)}
    window = timedelta(seconds=s.observed.late_window)
    left = {c.target for c in s.status.closed_attempts if c.target and s.now >= c.closed_at + window} - in_use
    for place in sorted(left - s.observed.cleaned - s.observed.unclean.keys()):
        return Decision(CleanTarget(place, None), Reason.TARGET_CLEANED, f"{named(place)} never got a key of use.")
    if done := frozenset(left & s.observed.cleaned):
        return Decision(
            WriteStatus(transitions.tidied(s, done), "drop"), Reason.TARGET_CLEANED, "A left place is clean."
        )
    return None


def _forget(s: Situation) -> Decision | None:
    """Closed attempts are watched for a day, and until it is known that nothing is left of them: an issuer may be away for longer."""
    left = {s.attempt_of(key) for key in s.listed if key.key_id not in s.observed.revoked}
    left |= {s.record.attempt} if s.record else set()
    old = frozenset(
        AttemptId(c.id)
        for c in s.status.closed_attempts
        if s.now - c.closed_at > transitions.CLOSED_LONGEST
        or (
            s.observed.looked.get(c.issuer.uid, c.closed_at) - c.closed_at > transitions.CLOSED_KEPT
            and AttemptId(c.id) not in left
        )
    )
    if not old:
        return None
    return Decision(
        WriteStatus(transitions.forgotten(s, old), "drop"), Reason.WAITING, "Old attempts leave the status."
    )


def _rest(s: Situation) -> Decision:
    """All is well: say so if it is not said yet, then wait for what comes next."""
    used = s.observed.last_used or s.status.last_used
    status = outcome.steady(s).model_copy(update={"last_used": used})
    if (trouble := _unended(s)) is not None:
        reason, message = trouble
        at = status.next.at if status.next and status.next.action == "Revoke" else None
        status = status.model_copy(update={"next": NextStep(action="Revoke", at=at, reason=message)})
        if reason is Reason.ISSUER_CREDENTIALS_GONE:
            status = outcome.stalled(s, status, reason, message)
        return _say(s, status, reason, message, s.now + RECHECK, warn=True)
    if s.observed.vanished and s.status.key_id:
        message = _vanished(s)
        status = outcome.stalled(s, status, Reason.KEYS_VANISHED, message)
        return _say(s, status, Reason.KEYS_VANISHED, message, _next_due(s), warn=True)
    return _say(s, status, Reason.ISSUED, "The key stands in its target.", _next_due(s))


def _vanished(s: Situation) -> str:
    issuer = called(s.spec.issuer_ref.kind, s.spec.issuer_ref.name)
    return (
        f"{issuer} lists none of the keys that it should: is its admin key of another organization? Until that is mended nothing is "
        f"issued or revoked there; the status of {issuer} says what to do."
    )


def _unended(s: Situation) -> tuple[Reason, str] | None:
    """What was to end, and could not."""
    failed = s.observed.failed_revocations
    gone = {key_id: why for key_id, why in failed.items() if why.reason is Reason.ISSUER_CREDENTIALS_GONE}
    if gone:
        why = next(iter(gone.values())).message
        return Reason.ISSUER_CREDENTIALS_GONE, f"Key {', '.join(sorted(gone))} cannot be revoked: {why}"
    for key_id, refusal in failed.items():
        return Reason.REVOCATION_FAILED, f"Key {key_id} cannot be revoked yet: {refusal.message}"
    for key_id, trouble in s.observed.unpruned.items():
        text = f"Older versions of {named(s.home)} still hold the revoked key {key_id}: {trouble}"
        return Reason.TARGET_REFUSED, text
    for name, trouble in s.observed.unclean.items():
        return Reason.TARGET_REFUSED, f"{named(name)} is no longer used and cannot be removed yet: {trouble}"
    return None


def _next_due(s: Situation) -> datetime | None:
    """What is overdue and cannot be done now is looked at again after a while, not at once."""
    step = outcome.next_step(s)
    times = [step.at] if step.at else []
    times += [c.closed_at + transitions.CLOSED_KEPT + timedelta(seconds=1) for c in s.status.closed_attempts]
    window = timedelta(seconds=s.observed.late_window)
    times += [c.closed_at + window for c in s.status.closed_attempts if c.target and c.target not in (s.home, s.place)]
    again = s.undone_until(s.place) if s.place and (s.stripped or not s.laid_out_at(s.place)) else None
    times += [again] if again else []
    times += [s.status.expires_at] if s.status.expires_at and s.status.expires_at > s.now else []
    return min((at if at > s.now else s.now + RECHECK for at in times), default=None)


def _say(
    s: Situation, status: ApiKeyStatus, reason: Reason, message: str, until: datetime | None, *, warn: bool = False
) -> Decision:
    """Write the status where it differs; else wait, whatever for: not past the end of an overlap, nor of the key."""
    if status != s.status:
        notes = (Note("Warning", reason, message),) if warn else ()
        return Decision(WriteStatus(status, "report"), reason, message, notes)
    ends = [p.revoke_at for p in s.status.previous] + ([s.status.expires_at] if s.status.expires_at else [])
    until = min((at for at in (until, *ends) if at is not None and (at is until or at > s.now)), default=None)
    return Decision(Wait(rollouts.sooner(s, until)), reason, message)
