"""The next status where something is to be said: conditions and what comes next. Pure: a situation in, a whole status out.

No status is computed but here and in transitions.py (where something has happened).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from keywright.api.apikey import called
from keywright.api.apikey_status import NextStep
from keywright.api.base import Condition
from keywright.api.reasons import Reason
from keywright.planning import rollouts, schedule
from keywright.planning.fit import difference, works
from keywright.planning.places import named
from keywright.planning.spans import exact

if TYPE_CHECKING:
    from datetime import datetime

    from keywright.api.apikey_status import ApiKeyStatus
    from keywright.planning.observed import Refusal
    from keywright.planning.situation import Situation

__all__ = [
    "Saying",
    "conditions",
    "failing",
    "next_step",
    "paused",
    "refused",
    "reported",
    "stalled",
    "steady",
    "unread",
]


class Saying(NamedTuple):
    """One condition to be."""

    type: Literal["Ready", "Reconciling", "Stalled"]
    status: Literal["True", "False"]
    reason: Reason
    message: str


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


def unread(s: Situation, refusal: Refusal) -> ApiKeyStatus:
    """The target cannot be read: nothing is known against the key in it, so that Ready keeps its truth until the key ends."""
    ready, ends = s.status.condition("Ready"), s.status.expires_at
    holds = s.status.key_id is not None and ready is not None and ready.status == "True" and not (ends and s.now > ends)
    message = f"The key is not known to have changed, but its target cannot be read: {refusal.message}"
    sayings = [
        Saying("Ready", "True" if holds else "False", refusal.reason, message if holds else refusal.message),
        Saying("Stalled" if refusal.stalled else "Reconciling", "True", refusal.reason, refusal.message),
    ]
    return reported(s, sayings, NextStep(action="Retry", reason=refusal.message))


def steady(s: Situation) -> ApiKeyStatus:
    """The key stands in its target and fits the spec, and nothing is to be done about it."""
    status, spec = s.status, s.spec
    problem = schedule.schedule_problem(spec.rotation, s.now, s.observed.min_interval)
    if problem is None:
        status = status.model_copy(update={"renewal_time": min((at for at, _, _ in _by_time(s)), default=None)})
        s = s.with_status(status)
    place = named(status.target.name if status.target else None)
    ends = f"works until {exact(status.expires_at)}" if status.expires_at else "never expires"
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
    if s.renewal_at and s.scheduled_at and status.expires_at and s.scheduled_at > status.expires_at:
        comes = s.scheduled_at.date()
        message += (
            f" rotation.schedule comes round on {comes}, after the key's last day: it is renewed before that as well."
        )
    end = schedule.fixed_end(spec)
    if end and status.expires_at and status.expires_at < end:
        message += f" The platform's policy ends it before spec.expiry.date {end.date()}, and time never renews it: rotate it in time."
    reason = Reason.SUSPENDED if spec.suspend else Reason.ISSUED
    if spec.suspend:
        message += " Suspended: it is not renewed or repaired until spec.suspend is false."
    ready = Saying("Ready", "True", reason, message)
    # The spec was edited while this key was under way: who waits for the new generation is not told that it is there.
    if not spec.suspend and (changed := difference(s)) is not None:
        text = f"{changed}: another key follows."
        return reported(
            s, [ready, Saying("Reconciling", "True", Reason.SPEC_CHANGED, text)], NextStep(action="Issue", reason=text)
        )
    return reported(s, [ready], next_step(s))


def stalled(s: Situation, status: ApiKeyStatus, reason: Reason, message: str) -> ApiKeyStatus:
    """The status, and beside it that a person must mend something: the key in the target works all the same."""
    others = [c for c in status.conditions if c.type != "Stalled"]
    [condition] = conditions(s, [Saying("Stalled", "True", reason, message)])
    return status.model_copy(update={"conditions": [*others, condition]})


def _over(s: Situation, end: datetime) -> ApiKeyStatus:
    """Time does not renew the key, and its last day is over all the same: the issuer's policy gave less than was asked."""
    issuer = called(s.status.issuer.kind, s.status.issuer.name) if s.status.issuer else "The platform"
    message = (
        f"{issuer} let the key work until {exact(end)} only, and spec.expiry.date is never renewed by time; annotate "
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
    """What comes first of all that is due some day; what is due and waits for others, before all."""
    if (waiting := rollouts.waiting(s)) is not None:
        return waiting
    status, spec = s.status, s.spec
    coming: list[tuple[datetime, str, str]] = [
        (p.revoke_at, "Revoke", f"The overlap of the older key {p.key_id} ends.") for p in status.previous
    ]
    if not spec.suspend:
        coming += _by_time(s)
    if (end := schedule.fixed_end(spec)) and end >= s.now:
        clamped = status.expires_at is not None and status.expires_at < end
        why = (
            "The platform's policy lets the key end before expiry.date."
            if clamped
            else "The key ends with spec.expiry.date, and time does not renew it."
        )
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


def reported(s: Situation, sayings: list[Saying], step: NextStep) -> ApiKeyStatus:
    """The status with these conditions and nothing else changed, but that a pause ends with the spec it was for.

    Times are whole seconds, as they are written: what is said must read back as the same.
    """
    generation, at = s.observed.subject.generation, step.at
    same_spec = s.status.observed_generation == generation
    return s.status.model_copy(
        update={
            "observed_generation": generation,
            "conditions": conditions(s, sayings),
            "schedule": s.schedule_in_force,
            "next": step.model_copy(update={"at": at.replace(microsecond=0)}) if at and at.microsecond else step,
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


def conditions(s: Situation, sayings: list[Saying]) -> list[Condition]:
    """As kstatus reads them: Reconciling and Stalled stand only while they are true."""
    return [_condition(s, saying, s.status.condition(saying.type)) for saying in sayings]


def _condition(s: Situation, saying: Saying, stands: Condition | None) -> Condition:
    """With the time of the one that stands, where its status does not change; that very one where nothing does."""
    generation = s.observed.subject.generation
    said = saying.status, saying.reason, saying.message, generation
    if stands and (stands.status, stands.reason, stands.message, stands.observed_generation) == said:
        return stands
    since = stands.last_transition_time if stands is not None and stands.status == saying.status else s.now
    return Condition(
        type=saying.type,
        status=saying.status,
        reason=saying.reason,
        message=saying.message,
        last_transition_time=since,
        observed_generation=generation,
    )
