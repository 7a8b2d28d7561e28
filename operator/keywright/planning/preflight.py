"""Everything that must hold before a key is asked for: a key is never issued that cannot be delivered.

A chain of small pure functions, first hit wins; each returns a Refusal, a Fact that has to be looked up first, or None.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from keywright.api.reasons import Reason
from keywright.planning import grants, schedule
from keywright.planning.observed import Fact, Foreign, Present, Refusal
from keywright.planning.places import in_vault, named, remedy

if TYPE_CHECKING:
    from collections.abc import Callable

    from keywright.planning.situation import Situation

__all__ = ["MOST_LIVE_KEYS", "preflight"]

MOST_LIVE_KEYS: Final = 8
"""Recorded live keys (current, previous) that one ApiKey may have."""

Check = Refusal | Fact | None


def expiry_ahead(s: Situation) -> Check:
    """A fixed date must not be over."""
    end = schedule.fixed_end(s.spec)
    if end is not None and s.now > end:
        return Refusal(
            Reason.EXPIRY_IN_PAST, f"spec.expiry.date {end.date()} is over; write a date from today on, or a validity."
        )
    return None


def schedule_kept(s: Situation) -> Check:
    """The schedule can be computed, and kept."""
    problem = schedule.schedule_problem(s.spec.rotation, s.now, s.observed.min_interval)
    if problem is None:
        return None
    return Refusal(Reason.SCHEDULE_TOO_DENSE if problem.dense else Reason.INVALID_SPEC, problem.text)


def target_unclaimed(s: Situation) -> Check:
    """Two ApiKeys for one target: the older has it."""
    if s.observed.rival is None:
        return None
    return Refusal(
        Reason.TARGET_CONFLICT,
        f"ApiKey {s.observed.rival} already has the target {named(s.place)}; write another {remedy(s.place)}.",
    )


def issuer_ready(s: Situation) -> Check:
    """The issuer answers, and knows workspace and user."""
    if s.observed.issuer is None:
        return Fact.ISSUER
    return s.observed.issuer if isinstance(s.observed.issuer, Refusal) else None


def granted(s: Situation) -> Check:
    """A grant allows it."""
    facts = s.observed.issuer
    if facts is None or isinstance(facts, Refusal):
        return facts
    return grants.refused(facts.spec, grants.request_of(s, facts))


def few_enough_keys(s: Situation) -> Check:
    """Not ever more live keys."""
    live = len(s.status.previous) + (s.status.key_id is not None)
    if live < MOST_LIVE_KEYS:
        return None
    return Refusal(
        Reason.TOO_MANY_KEYS,
        f"{live} live keys are recorded for this ApiKey, the most is {MOST_LIVE_KEYS}; wait until the overlap ends, or shorten "
        "rotation.overlap.",
    )


def target_free(s: Situation) -> Check:
    """The target is free, ours or to be adopted; an unknown one is found out by the rehearsal of its creation."""
    target = s.target
    if isinstance(target, Foreign):
        return _foreign(s, target)
    if isinstance(target, Present) and target.adopted and target.record is None and not s.target_fresh:
        return Fact.TARGET  # a read alone tells whose key is about to be replaced
    if isinstance(target, Present) and not s.is_mine(target):
        if s.observed.owner_exists:
            return Refusal(
                Reason.TARGET_CONFLICT,
                f"{named(s.place)} belongs to ApiKey {target.owner}; write another {remedy(s.place)}.",
            )
        return Refusal(
            Reason.TARGET_FOREIGN,
            f"{named(s.place)} was left by the ApiKey {target.owner}, which is gone; delete it, "
            f"or write another {remedy(s.place)}.",
        )
    return None


def _foreign(s: Situation, target: Foreign) -> Refusal | None:
    """A Secret of somebody else's: both the spec and an annotation on it must say that it may be taken over, and it must be fit."""
    place, me = named(s.place), s.observed.subject.key
    if in_vault(s.place):
        merge = "set spec.target.vault.merge to true, so that what others keep there stays"
        return Refusal(
            Reason.TARGET_FOREIGN, f"{place} is {target.whose}; write another {remedy(s.place)}, or {merge}."
        )
    another = "write another spec.target.secret.name, or delete that Secret if nobody needs it"
    if not s.may_adopt(s.place):
        steps = [] if s.spec.target.secret and s.spec.target.secret.adopt else ["write spec.target.secret.adopt: true"]
        if target.adoptable_by != me.name:
            overwrite = " --overwrite" if target.adoptable_by else ""
            command = (
                f"kubectl annotate secret {s.place} -n {me.namespace} keywright.dev/adoptable-by={me.name}{overwrite}"
            )
            steps.append(f"run {command}")
        return Refusal(
            Reason.TARGET_FOREIGN,
            f"{place} is {target.whose}; {another}. To have it taken over, {' and '.join(steps)}.",
        )
    if target.immutable:
        return Refusal(
            Reason.TARGET_REFUSED,
            f"{place} is immutable and cannot take a key: make it anew without immutable, or {another}.",
        )
    wanted = s.layout_at(s.place or "").type
    if target.type != wanted:
        return Refusal(
            Reason.TARGET_REFUSED,
            f"{place} is of the type {target.type}, spec.target.secret.type says {wanted}, and Kubernetes cannot change a Secret's type: "
            f"{another}; or delete this ApiKey and apply it with that type, unless it is one under kubernetes.io/ or helm.sh/.",
        )
    return None


def target_accepts(s: Situation) -> Check:
    """Where the target is new, or the last write failed, the very write is rehearsed: quota, admission and size speak up first.

    Vault may be away or sealed, and its policies change without a word: there it is asked each time.
    """
    target = s.target
    proven = (
        isinstance(target, Present)
        and target.record is not None
        and s.status.failures == 0
        and s.laid_out_at(s.place)
        and not in_vault(s.place)
    )
    if proven or s.observed.rehearsal is True:
        return None
    if s.observed.rehearsal is None:
        return Fact.REHEARSAL
    return s.observed.rehearsal


_CHAIN: Final[tuple[Callable[[Situation], Check], ...]] = (
    expiry_ahead,
    schedule_kept,
    target_unclaimed,
    issuer_ready,
    granted,
    few_enough_keys,
    target_free,
    target_accepts,
)


def preflight(s: Situation) -> Check:
    """The first thing that stands in the way; None where a key may be asked for."""
    return next((found for check in _CHAIN if (found := check(s)) is not None), None)
