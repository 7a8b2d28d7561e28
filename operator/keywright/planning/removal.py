"""What ends: older keys when their overlap is over, and everything when the ApiKey is deleted.

Only what a written record of this ApiKey names is revoked, and never the key that stands in the target, read just before; on
deletion that rule ends. Pure.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from keywright.api.apikey import called
from keywright.api.apikey_status import NextStep
from keywright.api.reasons import Reason
from keywright.keys import KeyId, Tag
from keywright.planning import outcome, rollouts, schedule, transitions
from keywright.planning.observed import Fact, Present, Refusal
from keywright.planning.places import in_vault, named
from keywright.planning.recovery import RECHECK, late_keys, look_again, open_attempt
from keywright.planning.steps import (
    CleanTarget,
    Decision,
    Look,
    Note,
    PruneTarget,
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

__all__ = ["deletion", "irrevocable", "made_ours", "overlaps_over", "removed", "still_used", "was_compromised"]


def removed(s: Situation, place: str) -> str:
    """What is said of a place that is cleaned: an adopted one stays."""
    return (
        f"Took the key out of {named(place)}, which was adopted" if s.adopted_at(place) else f"Removed {named(place)}"
    )


def still_used(s: Situation) -> Decision | None:
    """Warn, once a day and key, where the issuer saw an older key used on a day after the one on which it was replaced."""
    used = s.observed.previous_used
    days = {
        KeyId(p.key_id): day
        for p in s.status.previous
        if (day := used.get(KeyId(p.key_id))) and p.replaced_at and day > (p.used_on or p.replaced_at.date())
    }
    if not days:
        return None
    texts = [
        f"The older key {p.key_id} was used on {days[KeyId(p.key_id)]}, after the day it was replaced: somebody has not moved over to the "
        f"key in {named(s.home)}, and fails once the older one is revoked, at {p.revoke_at:%Y-%m-%d %H:%M:%S} UTC."
        for p in s.status.previous
        if p.key_id in days
    ]
    notes = tuple(Note("Warning", Reason.OLD_KEY_IN_USE, text) for text in texts)
    return Decision(WriteStatus(transitions.still_used(s, days), "report"), Reason.OLD_KEY_IN_USE, texts[0], notes)


def was_compromised(s: Situation, key_id: str) -> bool:
    """Whether it is one of those that the current key replaced because they were said to be in somebody else's hands."""
    last = s.status.recent_issuances[-1].reason if s.status.recent_issuances else None
    return last == Reason.COMPROMISED and any(p.key_id == key_id for p in s.status.previous)


def overlaps_over(s: Situation) -> Decision | None:
    """Revoke each older key whose time has come, once the target holds the current one."""
    due = [p for p in s.status.previous if p.revoke_at <= s.now and not rollouts.holds(s, p)]
    if not due or s.observed.vanished:
        return None
    home = s.home
    pending = [p for p in due if p.key_id not in s.observed.revoked and p.key_id not in s.observed.failed_revocations]
    if pending:
        if home is not None and home not in s.observed.fresh:
            look = Look(Fact.TARGET, target=home)
            return Decision(look, Reason.REVOKED, "Reading the target before an older key is revoked.")
        record = s.record_at(home)
        if not s.key_stands and not _past_the_end(s):
            return None  # the chain of causes repairs the target first
        key = next((p for p in pending if record is None or p.key_id != record.key_id), None)
        if key is not None:
            why = "it was said to be compromised" if was_compromised(s, key.key_id) else "its overlap is over"
            late = rollouts.given_up(s, key)
            text = f"Revoked the older key {key.key_id}: {late or why}."
            note = Note("Warning" if late else "Normal", Reason.REVOKED, text)
            return Decision(RevokeKey(KeyId(key.key_id), key.issuer), Reason.REVOKED, text, (note,))
    gone = frozenset(KeyId(p.key_id) for p in due) & s.observed.revoked
    if (prune := _prune(s, gone)) is not None:
        return prune
    # A place is left with its last key, and is none where the current one is, or comes to.
    in_use = {home, s.place, *(p.target for p in s.status.previous if p.key_id not in gone)}
    left = [p for p in due if p.target and p.target not in in_use | s.observed.cleaned and p.key_id in gone]
    for entry in left:
        if entry.target and entry.target not in s.observed.unclean:
            text = f"Cleaned {named(entry.target)}: the key has moved to {named(home)}."
            return Decision(
                CleanTarget(entry.target, None),
                Reason.TARGET_CLEANED,
                f"{named(entry.target)} is no longer used.",
                (Note("Normal", Reason.TARGET_CLEANED, text),),
            )
    # What could not be cleaned stays written down with its key: else nobody would come back for it.
    gone -= {KeyId(p.key_id) for p in left} | s.observed.unpruned.keys()
    if gone:
        return Decision(
            WriteStatus(transitions.dropped(s, gone), "drop"),
            Reason.REVOKED,
            "Revoked keys leave the status.",
            _left_behind(s),
        )
    return None


def _prune(s: Situation, gone: frozenset[KeyId]) -> Decision | None:
    """In Vault older versions outlive a write: those that hold a dead key are destroyed, before the key leaves the status."""
    home = s.home
    done = s.observed.pruned | s.observed.unpruned.keys()
    for entry in s.status.previous:
        key_id = KeyId(entry.key_id)
        if home and in_vault(home) and key_id in gone - done and entry.target in (None, home):
            return Decision(PruneTarget(home, key_id), Reason.TARGET_CLEANED, f"Older versions of {named(home)} go.")
    return None


def _left_behind(s: Situation) -> tuple[Note, ...]:
    """What nobody of keywright can reach any more is named."""
    texts = [f"{named(name)} still holds what was delivered there: {why}" for name, why in s.observed.beyond.items()]
    return tuple(Note("Warning", Reason.TARGET_REFUSED, text) for text in texts)


def _past_the_end(s: Situation) -> bool:
    """Whether expiry.date is over, so that no target is repaired any more."""
    end = schedule.fixed_end(s.spec)
    return end is not None and s.now > end


def deletion(s: Situation) -> Decision:
    """Revoke, clean, release; with Retain the current key and the target stay, where the target can."""
    if not s.observed.subject.finalizer:
        return Decision(Wait(None), Reason.DELETING, "Nothing of keywright holds this ApiKey any more.")
    if (refusal := s.observed.unreadable) is not None:
        return (_revoke(s) if s.bound else None) or _unread(s, refusal)
    if isinstance(s.observed.listing, Refusal):
        # What is recorded by its id dies all the same; the rest waits, unless a person lets go of it.
        return _look_at_what_stays(s) or _revoke(s) or _unlisted(s, s.observed.listing)
    return (
        open_attempt(s)
        or late_keys(s)
        or _look_at_what_stays(s)
        or _revoke(s)
        or _wait_for_late_keys(s)
        or (None if s.bound else _prune(s, s.observed.revoked))
        or _clean(s)
        or _farewell(s)
    )


def _look_at_what_stays(s: Situation) -> Decision | None:
    """Under Retain: whether the key stands in its target, and whether that stays."""
    if s.bound or s.status.key_id is None or s.home is None:
        return None
    if s.home_ending is None:
        return Decision(Look(Fact.NAMESPACE), Reason.DELETING, "Looking whether the target can stay.")
    if s.home not in s.observed.fresh:
        return Decision(Look(Fact.TARGET, target=s.home), Reason.DELETING, "Reading the target.")
    return None


def _retained(s: Situation) -> bool:
    """Whether the current key stays alive: one that no target holds any more, or will, is nobody's, and would be left behind."""
    return not s.bound and s.key_stands and not s.home_ending and s.status.grant_lost_at is None


def _revoke(s: Situation) -> Decision | None:
    keys: list[tuple[KeyId, KeyIssuerIdentity]] = [(KeyId(p.key_id), p.issuer) for p in s.status.previous]
    if s.status.key_id and s.status.issuer and not _retained(s):
        keys.append((KeyId(s.status.key_id), s.status.issuer))
    failed = s.observed.failed_revocations
    for key_id, issuer in keys:
        if key_id not in s.observed.revoked and key_id not in failed:
            why = "its ApiKey is deleted"
            if key_id == s.status.key_id and not s.bound:
                why += f"; deletionPolicy: Retain has nothing to keep, since {named(s.home)} {_lost(s)}"
            text = f"Revoked key {key_id}: {why}."
            note = Note("Normal", Reason.REVOKED, text)
            # A namespace on its way out takes no event: the log has it too.
            return Decision(RevokeKey(key_id, issuer), Reason.DELETING, f"Revoking key {key_id}: {why}.", (note,))
    if not failed:
        return None
    if s.observed.subject.abandon:
        return _abandoned(s)
    gone = next((refusal for refusal in failed.values() if refusal.reason is Reason.ISSUER_CREDENTIALS_GONE), None)
    if gone:
        return _irrevocable(s, f"Key {', '.join(irrevocable(s))} cannot be revoked", gone)
    refusal = next(iter(failed.values()))
    message = f"Key {', '.join(sorted(failed))} cannot be revoked yet: {refusal.message}"
    if refusal.stalled:
        message += '. Where that cannot be mended, revoke it at the platform and annotate the ApiKey with keywright.dev/abandon: "true".'
    return _waiting(s, Reason.REVOCATION_FAILED, message, s.now + RECHECK, stalled=refusal.stalled)


def irrevocable(s: Situation) -> tuple[str, ...]:
    """What is to end and cannot, since its issuer's credentials are gone: keys by id, interrupted attempts by the tag of their keys."""
    refused = s.observed.failed_revocations.items()
    keys = sorted(key_id for key_id, refusal in refused if refusal.reason is Reason.ISSUER_CREDENTIALS_GONE)
    listing = s.observed.listing
    unlisted = isinstance(listing, Refusal) and listing.reason is Reason.ISSUER_CREDENTIALS_GONE
    return (*keys, *(_tags(s) if unlisted else ()))


def _irrevocable(s: Situation, what: str, refusal: Refusal) -> Decision:
    """Until a person acts: the issuer is gone, or its admin key, and this process never had it or was started since."""
    message = (
        f"{what}: {refusal.message}. A namespace that is being deleted takes nothing new: there, revoke the key at the platform, "
        'then annotate the ApiKey with keywright.dev/abandon: "true".'
    )
    return _waiting(s, Reason.ISSUER_CREDENTIALS_GONE, message, s.now + RECHECK, stalled=True)


def _unlisted(s: Situation, refusal: Refusal) -> Decision:
    """Keys of interrupted attempts cannot be looked for: the issuer cannot be asked, or the target not be fenced."""
    if s.observed.subject.abandon:
        return _abandoned(s)
    if refusal.reason is Reason.ISSUER_CREDENTIALS_GONE:
        return _irrevocable(
            s, f"Keys of interrupted attempts, {', '.join(irrevocable(s))}, cannot be looked for", refusal
        )
    message = f"Keys of interrupted attempts cannot be looked for yet: {refusal.message}"
    return _waiting(s, refusal.reason, message, look_again(s, refusal), stalled=refusal.stalled)


def _unread(s: Situation, refusal: Refusal) -> Decision:
    """What interrupted attempts have left in the target, or whether it keeps its key, cannot be looked up."""
    if s.observed.subject.abandon:
        return _abandoned(s)
    message = f"The target cannot be read: {refusal.message}"
    if refusal.stalled:
        message += ' Where that cannot be mended, annotate the ApiKey with keywright.dev/abandon: "true".'
    return _waiting(s, refusal.reason, message, look_again(s, refusal), stalled=refusal.stalled)


def _abandoned(s: Situation) -> Decision:
    """Let go by a person: what may be left is named, keys by id and interrupted attempts by their tag."""
    left = [*sorted(s.observed.failed_revocations), *_tags(s)]
    where = " and ".join(sorted({called(issuer.kind, issuer.name) for issuer in _issuers(s)}))
    text = f"Released by keywright.dev/abandon; these keys may still live at {where}: {', '.join(left)}."
    return Decision(ReleaseFinalizer(), Reason.ABANDONED, text, (Note("Warning", Reason.ABANDONED, text),))


def _tags(s: Situation) -> list[str]:
    """How the keys of interrupted attempts are known, if they made any."""
    attempts = [a.id for a in s.status.closed_attempts] + ([s.status.attempt.id] if s.status.attempt else [])
    return [f"any tagged {Tag.of(s.observed.cluster_id, s.observed.subject.uid, attempt)}" for attempt in attempts]


def _issuers(s: Situation) -> list[KeyIssuerIdentity]:
    """All that may hold keys of this ApiKey."""
    status = s.status
    issuers = [p.issuer for p in status.previous] + [c.issuer for c in status.closed_attempts]
    issuers += [status.attempt.issuer] if status.attempt else []
    return issuers + ([status.issuer] if status.issuer else [])


def _wait_for_late_keys(s: Situation) -> Decision | None:
    """A request that was cut off may still make a key: not before the window is over does the ApiKey go, after one last listing."""
    closed = s.status.closed_attempts
    if not closed:
        return None
    until = max(c.closed_at for c in closed) + timedelta(seconds=s.observed.late_window)
    if s.now < until:
        message = f"An interrupted request may still make a key: deletion waits until {until:%Y-%m-%d %H:%M:%S} UTC, then looks once more."
        return _waiting(s, Reason.WAITING_FOR_LATE_KEYS, message, until, stalled=False)
    for attempt in closed:
        if not s.searched(attempt.issuer):
            look = Look(Fact.LISTING, issuer=attempt.issuer, search=s.own_search)
            return Decision(look, Reason.DELETING, "Looking for keys that were made late.")
    return None


def _clean(s: Situation) -> Decision | None:
    """Every place that may hold something of this ApiKey goes under Revoke; under Retain the current key's stays, unbound."""
    stays = not s.bound and not s.home_ending and s.status.grant_lost_at is None
    kept = s.home if s.status.key_id and stays else None
    names = [p.target for p in s.status.previous] + [s.status.target.name if s.status.target else None]
    names += [c.target for c in s.status.closed_attempts if c.target]
    if names != [None] or s.status.closed_attempts or isinstance(s.target, Present):
        names.append(s.place)
    done = s.observed.cleaned | (s.observed.unclean.keys() if s.observed.subject.abandon else set())
    for name in dict.fromkeys(names):
        if name and name != kept and name not in done:
            if name in s.observed.unclean:
                message = f"{named(name)} cannot be removed yet: {s.observed.unclean[name]}"
                return _waiting(s, Reason.TARGET_REFUSED, message, s.now + RECHECK, stalled=True)
            cleaned = Decision(CleanTarget(name, None), Reason.TARGET_CLEANED, f"{named(name)} is cleaned.")
            return made_ours(s, name) or cleaned
    if kept is None:
        return None
    record = s.stripped or s.record_at(kept)
    if record is None or (s.laid_out_at(kept) and not s.stripped):
        return None
    if isinstance(s.observed.rehearsal, Refusal):
        message = f"{named(kept)} would go with its ApiKey, and cannot be unbound: {s.observed.rehearsal.message}"
        return _waiting(s, s.observed.rehearsal.reason, message, s.now + RECHECK, stalled=True)
    if s.undone_until(kept) is not None:
        return None  # somebody changes its looks back; what bound it is gone
    step = RewriteTarget(s.layout_at(kept), record)
    return Decision(step, Reason.RETAINED, f"{named(kept)} is no longer bound to its ApiKey.")


def made_ours(s: Situation, name: str) -> Decision | None:
    """What somebody took off a target says what is ours to remove: before that is cleaned, it gets it back."""
    if name != s.home or s.stripped is None or isinstance(s.observed.rehearsal, Refusal):
        return None
    step = RewriteTarget(s.layout_at(name), s.stripped)
    return Decision(step, Reason.TARGET_REWRITTEN, f"{named(name)} gets back what somebody took off it.")


def _farewell(s: Situation) -> Decision:
    """What stays alive is named a last time."""
    left = [
        Note(
            "Warning",
            Reason.STRAY_KEY,
            f"Key {', '.join(closed.in_use)} of an interrupted attempt stays alive at "
            f"{called(closed.issuer.kind, closed.issuer.name)}, since somebody uses it; keywright sweep shows it.",
        )
        for closed in s.status.closed_attempts
        if closed.in_use
    ]
    left += _left_behind(s)
    if not s.status.key_id or not _retained(s):
        text = left[0].message if left else "All keys are revoked."
        return Decision(ReleaseFinalizer(), Reason.DELETING, text, tuple(left))
    text = f"Key {s.status.key_id} stays alive in {named(s.home)}, as deletionPolicy: Retain says."
    return Decision(ReleaseFinalizer(), Reason.RETAINED, text, (*left, Note("Normal", Reason.RETAINED, text)))


def _lost(s: Situation) -> str:
    if s.status.grant_lost_at is not None:
        return "holds a key that no grant allows any more"
    return "goes with its namespace" if s.home_ending else "does not hold it any more"


def _waiting(s: Situation, reason: Reason, message: str, until: datetime, *, stalled: bool) -> Decision:
    sayings = [outcome.Saying("Ready", "False", reason if stalled else Reason.DELETING, message)]
    sayings.append(outcome.Saying("Stalled" if stalled else "Reconciling", "True", reason, message))
    at = until if reason is Reason.WAITING_FOR_LATE_KEYS else None
    status = outcome.reported(s, sayings, NextStep(action="Release", at=at, reason=message))
    if status != s.status:
        note = Note("Warning" if stalled else "Normal", reason, message)
        return Decision(WriteStatus(status, "report"), reason, message, (note,))
    return Decision(Wait(until), reason, message)
