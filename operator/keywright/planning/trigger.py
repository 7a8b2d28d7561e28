"""A rotation that a person asks for: what would happen, what is in the way, and how far it is. Pure.

Reads what the public interface promises, spec and status, and nothing that only the operator knows: it serves commands.
Neighbours: rules.py answers a trigger; reconcile/rotate.py asks, and looks until it is answered.
"""

from __future__ import annotations

from datetime import timedelta
from enum import Enum, StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from keywright.planning import schedule
from keywright.planning.places import named
from keywright.planning.spans import exact
from keywright.planning.standing import sentence
from keywright.planning.transitions import MOST_PREVIOUS

if TYPE_CHECKING:
    from datetime import datetime

    from keywright.api.apikey import ApiKeySpec
    from keywright.api.apikey_status import ApiKeyStatus, Handled
    from keywright.planning.observed import Subject

__all__ = ["Answer", "Request", "Standing", "State", "Trigger", "answer", "hindrance", "prospect"]

_LOOKED: Final = timedelta(seconds=5)
"""After so long an operator that runs has looked: what stood in the way before stands there still."""
_SILENT: Final = timedelta(seconds=15)
"""After so long without any change there may be no operator."""


class Trigger(StrEnum):
    """What is asked for."""

    ROTATE = "rotate"
    COMPROMISED = "compromised"

    @property
    def annotation(self) -> str:
        """Any new value of it asks."""
        return f"keywright.dev/{self}"

    def among(self, values: Handled | Subject) -> str | None:
        """Its value, of those that were answered or that stand there."""
        return values.rotate if self is Trigger.ROTATE else values.compromised


class Standing(NamedTuple):
    """An ApiKey as the apiserver has it."""

    subject: Subject
    spec: ApiKeySpec
    status: ApiKeyStatus

    @property
    def place(self) -> str:
        """Where its key is, or is to be, for a message."""
        secret = self.spec.target.secret
        return named(self.status.target.name if self.status.target else secret.name if secret else None)


class Request(NamedTuple):
    """What was asked for, and how the ApiKey stood just before."""

    trigger: Trigger
    value: str
    before: Standing


class State(Enum):
    """How far an answer is."""

    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"
    """A person must do something first, or it is over."""


class Answer(NamedTuple):
    """How far it is, and a sentence."""

    state: State
    message: str


def prospect(trigger: Trigger, standing: Standing, now: datetime) -> str:
    """What comes of it, in a sentence: which key ends when."""
    spec, status = standing.spec, standing.status
    if status.key_id is None:
        return f"No key has been delivered yet: the first one, into {standing.place}, answers this."
    new = f"A new key goes into {standing.place}"
    current, older = f"the current one, {status.masked_key or status.key_id},", len(status.previous)
    if trigger is Trigger.COMPROMISED:
        more = f" and {_counted(older)}" if older else ""
        return f"{new}; then {current}{more} {'are' if older else 'is'} revoked at once."
    overlap = spec.rotation.overlap if spec.rotation else "48h"
    span = schedule.overlap_of(spec)
    ends = min(now + span, status.expires_at or now + span)
    if span and spec.rotation and spec.rotation.restart:
        fate = f"works on until {exact(ends)} and until the workloads are rolled (rotation.overlap {overlap})"
    elif span:
        fate = f"works on until {exact(ends)} (rotation.overlap {overlap})"
    else:
        fate = f"is revoked at once (rotation.overlap {overlap}): whoever still holds it then fails"
    text = f"{new}; {current} {fate}."
    if older >= MOST_PREVIOUS:
        first = status.previous[0].key_id
        return (
            f"{text} Key {first}, the oldest of {_counted(older)}, is revoked at once: more do not live side by side."
        )
    if older:
        return f"{text} {_counted(older).capitalize()} {'keep' if older > 1 else 'keeps'} the time given before."
    return text


def hindrance(standing: Standing, now: datetime) -> str | None:
    """What is in the way as far as the ApiKey itself tells; None: nothing."""
    status = standing.status
    if standing.spec.suspend:
        return "It is suspended: nothing is issued until spec.suspend is false."
    stalled = status.condition("Stalled")
    if stalled is not None and stalled.status == "True":
        return sentence(stalled.message)
    if status.next_attempt_at is not None and status.next_attempt_at > now:
        why = f": {status.next.reason}" if status.next else ""
        return sentence(f"The pause after a failed attempt lasts until {exact(status.next_attempt_at)}{why}")
    return None


def answer(request: Request, standing: Standing, waited: timedelta, now: datetime) -> Answer:
    """How far a request is, `waited` after it was made."""
    status, subject = standing.status, standing.subject
    if subject.uid != request.before.subject.uid:
        return Answer(State.FAILED, "It was deleted and created again meanwhile: the new one has a key of its own.")
    if subject.deleting:
        return Answer(State.FAILED, "It is being deleted, and its keys are revoked.")
    if status.attempt is not None:
        return Answer(State.WAITING, _waiting_for(standing, "A new key is being issued."))
    handled, asked = request.trigger.among(status.handled), request.trigger.among(subject)
    # Somebody else may have asked since: one rotation answers both.
    if handled == request.value or (asked is not None and handled == asked):
        return _answered(request, standing)
    if asked is None:
        return Answer(
            State.FAILED,
            f"Somebody took {request.trigger.annotation} off before it was answered. Ask again; where a tool removes what is not in "
            "Git, write the annotation there.",
        )
    return _unanswered(request, standing, waited, now)


def _answered(request: Request, standing: Standing) -> Answer:
    """The new key is delivered; older ones may still be on their way out."""
    status, before = standing.status, request.before.status
    ready = status.condition("Ready")
    if ready is None or ready.status != "True":
        return Answer(State.WAITING, _waiting_for(standing, "The new key is delivered."))
    if request.trigger is Trigger.COMPROMISED:
        old = {before.key_id, *(p.key_id for p in before.previous)} - {status.key_id}
        left = [p.key_id for p in status.previous if p.key_id in old]
        if left:
            if (stalled := status.condition("Stalled")) is not None and stalled.status == "True":
                return Answer(State.FAILED, sentence(stalled.message))
            revoking = status.next.reason if status.next and status.next.action == "Revoke" else ""
            return Answer(State.WAITING, sentence(revoking or f"Revoking key {', '.join(left)}"))
    stands = f"Key {status.masked_key} stands in {standing.place}"
    if status.key_id == before.key_id:
        return Answer(State.DONE, f"{stands}. It was made seconds before this was asked, and answers it too.")
    if before.key_id is None:
        return Answer(State.DONE, f"{stands}, the first one.")
    old_one = f"the one before, {before.masked_key},"
    until = next((p.revoke_at for p in status.previous if p.key_id == before.key_id), None)
    if request.trigger is Trigger.COMPROMISED:
        older = len(before.previous)
        more = f" and {_counted(older)}" if older else ""
        return Answer(State.DONE, f"{stands}; {old_one}{more} {'are' if older else 'is'} revoked.")
    return Answer(State.DONE, f"{stands}; {old_one} {f'works until {exact(until)}' if until else 'is revoked'}.")


def _unanswered(request: Request, standing: Standing, waited: timedelta, now: datetime) -> Answer:
    """What holds it."""
    status = standing.status
    changed = status != request.before.status
    if standing.spec.suspend:
        return Answer(
            State.FAILED,
            "It is suspended: nothing is issued. The request stands, and is answered once spec.suspend is false.",
        )
    stalled = status.condition("Stalled")
    if stalled is not None and stalled.status == "True" and (changed or waited >= _LOOKED):
        return Answer(
            State.FAILED, f"{sentence(stalled.message)} The request stands, and is answered once that is mended."
        )
    if not changed and waited >= _SILENT and hindrance(standing, now) is None:
        return Answer(
            State.WAITING,
            f"No operator has answered for {waited.seconds} s: look whether it runs, "
            "for example with kubectl -n keywright-system get deployment keywright.",
        )
    return Answer(State.WAITING, _waiting_for(standing, "Asked for."))


def _waiting_for(standing: Standing, otherwise: str) -> str:
    """What the status says of the wait: a retry or a pause before all else."""
    status = standing.status
    if status.next is not None and status.next.action == "Retry":
        at = f" Tried again at {exact(status.next.at)}." if status.next.at else ""
        return f"{sentence(status.next.reason)}{at}"
    reconciling = status.condition("Reconciling")
    return sentence(reconciling.message) if status.attempt is None and reconciling is not None else otherwise


def _counted(older: int) -> str:
    return "one older key" if older == 1 else f"{older} older keys"
