"""What one ApiKey is doing or waiting for, until when, and what would change that: in sentences. Pure.

Serves `keywright why` and `keywright status NAME`. Says what the operator has said, in a person's order, and adds what only a reader
of spec and status together sees. Neighbour: standing.py, which judges.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from keywright.api.apikey import called
from keywright.api.reasons import EXPLANATIONS, REMEDIES, Reason
from keywright.planning import rollouts
from keywright.planning.places import named, place_of
from keywright.planning.spans import exact, relative, span
from keywright.planning.standing import notices, sentence, state_of, trouble_of, trouble_of_used

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from keywright.api.report import OperatorReport
    from keywright.planning.standing import Seen

__all__ = ["why"]

_LOOKS_AGAIN: Final = "It is looked at again every 20 s: once that is mended, it goes on by itself."
_REPEATED: Final = frozenset({"Retry", "Revoke", "Release"})
_TRIGGERS: Final = {
    "keywright.dev/rotate": "rotate",
    "keywright.dev/compromised": "compromised",
}


def why(seen: Seen, used: Iterable[Mapping[str, Any]], operator: OperatorReport, now: datetime) -> list[str]:
    """`used`: the issuer and the store that it names, as far as they are there and may be read."""
    said = [_holds(seen, now), *_doing(seen, operator, now), *_asked(seen), *_next(seen, now), *_older(seen, now)]
    said += [notice.message for notice in notices(seen, now) if notice.reason is not Reason.ENDS_SOON]
    for attempt in seen.status.closed_attempts:
        if attempt.in_use:
            keys = ", ".join(attempt.in_use)
            said.append(f"An interrupted attempt left key {keys}, and somebody uses it. {REMEDIES[Reason.STRAY_KEY]}")
    for obj in used:
        trouble = trouble_of_used(obj)
        if trouble is not None:
            own = trouble.message.removeprefix(f"{called(obj['kind'], obj['metadata']['name'])}: ")
            said += [] if any(own in sentence_ for sentence_ in said) else [trouble.message]
    return said


def _holds(seen: Seen, now: datetime) -> str:
    """Where its key is, and for how long it works."""
    status, spec = seen.status, seen.spec
    if status.key_id is None:
        place = place_of(spec.target) if spec else None
        return f"No key stands in {named(place)}."
    place = named(status.target.name if status.target else None)
    key = f"Key {status.masked_key or status.key_id}"
    if status.expires_at is None:
        return f"{key} was delivered into {place} and never expires."
    if status.expires_at < now:
        return f"{key} in {place} ended {exact(status.expires_at)} ({relative(status.expires_at, now)})."
    works = "works" if seen.ready else "is valid"
    return f"{key} was delivered into {place} and {works} until {exact(status.expires_at)} ({relative(status.expires_at, now)})."


def _doing(seen: Seen, operator: OperatorReport, now: datetime) -> list[str]:
    """What it does or waits for, and what would change that."""
    trouble, status = trouble_of(seen, now), seen.status
    if trouble is not None and trouble.reason is Reason.NOT_OBSERVED:
        holder = f" {operator.holder} holds the Lease {operator.lease}." if operator.state == "Working" else ""
        return [f"No operator seems to work on it. {trouble.message}{holder}", REMEDIES[Reason.NOT_OBSERVED]]
    if trouble is not None:
        lasts = f", for {span(now - trouble.since)}" if trouble.since and trouble.since < now else ""
        what = "A person must act" if trouble.severity == "NeedsPerson" else "Something failed, and is tried again"
        return [
            f"{what} ({trouble.reason}{lasts}): {trouble.message}",
            f"What to do: {REMEDIES[trouble.reason]}",
            _again(seen, now),
        ]
    if status.attempt is not None:
        attempt = status.attempt
        reason = Reason.of(attempt.reason, Reason.ISSUING)
        issuer = called(attempt.issuer.kind, attempt.issuer.name)
        begun = relative(attempt.started_at, now)
        return [
            f"A key is being issued at {issuer} into {named(attempt.target)}, begun {begun}: {EXPLANATIONS[reason]}"
        ]
    said = next((c for kind in ("Reconciling", "Ready") if (c := status.condition(kind)) is not None), None)
    if said is None:
        return ["No operator has looked at it yet; that takes a second."]
    reason, message = Reason.of(said.reason, Reason.WAITING), sentence(said.message)
    if state_of(seen, now) == "Ready":
        return [text] if (text := _beyond_first(message)) else []
    remedy = "" if REMEDIES[reason].startswith("Nothing.") else f" {REMEDIES[reason]}"
    return [f"{message} ({reason}){remedy}"]


def _beyond_first(message: str) -> str:
    """What Ready says besides where the key stands."""
    _, found, rest = message.partition(" UTC.") if " UTC." in message else message.partition("expires.")
    return rest.strip() if found else ""


def _again(seen: Seen, now: datetime) -> str:
    """When it is tried again."""
    at = seen.status.next_attempt_at or (seen.status.next.at if seen.status.next else None)
    if at is not None and at > now:
        return f"It is tried again {exact(at)} ({relative(at, now)}); an edit of the spec ends the pause."
    step = seen.status.next
    return _LOOKS_AGAIN if step and step.action in _REPEATED else "An edit of its spec is answered at once."


def _asked(seen: Seen) -> list[str]:
    """Triggers that nobody has answered; a value that is there before the first key counts as answered by that."""
    if seen.status.key_id is None:
        return []
    handled = seen.status.handled
    open_ones = [
        name for name, field in _TRIGGERS.items() if seen.asked.get(name) not in (None, getattr(handled, field))
    ]
    wait = "once spec.suspend is false" if seen.spec and seen.spec.suspend else "as soon as nothing is in the way"
    return [f"{name} asks for a rotation that is not answered yet: it is, {wait}." for name in open_ones]


def _next(seen: Seen, now: datetime) -> list[str]:
    """What comes next by time, and what would move it."""
    step = seen.status.next
    if step is None or seen.deleted_at is not None:
        return []
    when = f"{exact(step.at)} ({relative(step.at, now)})" if step.at else ""
    by_hand = f"To replace the key now: keywright rotate {seen.name} -n {seen.namespace}."
    match step.action:
        case "Renew" if when:
            return [
                f"Next: it is renewed {when}; spec.expiry.validity and spec.rotation.renewBefore move that. {by_hand}"
            ]
        case "Rotate" if when:
            return [f"Next: spec.rotation.schedule comes round {when}. {by_hand}"]
        case "Expire" if when:
            clamped = f" {step.reason}" if step.reason.startswith("The platform") else ""
            return [f"Next: it ends {when}, and time does not renew it.{clamped} {REMEDIES[Reason.ENDS_SOON]}"]
        case "Revoke" if (renewed := seen.status.renewal_time) and seen.ready:
            return [f"It is renewed {exact(renewed)} ({relative(renewed, now)}). {by_hand}"]
        case "Issue" if when:
            return [f"Next: a key is issued {when}."]
        case "None" if seen.ready and not (seen.spec and seen.spec.suspend):
            return [f"Nothing is due: {sentence(step.reason)} {by_hand}"]
        case _:
            return []


def _older(seen: Seen, now: datetime) -> list[str]:
    """Older keys, until when each lives, and what they wait for."""
    status = seen.status
    said = []
    for key in status.previous:
        late = key.revoke_at <= now
        if late and key.rollouts_until and status.rollout and now < key.rollouts_until:
            waits = f"waits for the rollout of {rollouts.listed(status.rollout.pending)}, until {exact(key.rollouts_until)} at the latest"
            said.append(f"Older key {key.key_id} {waits}.")
        elif late:
            said.append(f"Older key {key.key_id} was to be revoked {relative(key.revoke_at, now)}.")
        else:
            said.append(
                f"Older key {key.key_id} works until {exact(key.revoke_at)} ({relative(key.revoke_at, now)}) and is revoked then; "
                f"keywright rotate {seen.name} -n {seen.namespace} --compromised ends all older keys at once, with a new one."
            )
    pending = status.rollout.pending if status.rollout else []
    return said + [f"{called(e.kind, e.name)} is not rolled: it {e.trouble}." for e in pending if e.trouble]
