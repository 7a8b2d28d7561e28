"""A target that cannot be read now: the store is away, sealed, or lets nobody in. Pure.

Nothing is known against the key that stands there, and nothing is decided without having looked. Neighbour: preflight.py, which
finds the same before a key is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from keywright.api.reasons import Reason
from keywright.planning import outcome
from keywright.planning.places import in_vault
from keywright.planning.recovery import look_again
from keywright.planning.steps import Decision, Note, RevokeKey, Wait, WriteStatus

if TYPE_CHECKING:
    from keywright.planning.situation import Situation

__all__ = ["doubted", "unreadable"]

_REASONS: Final = (
    *(Reason.STORE_UNAVAILABLE, Reason.STORE_REFUSED, Reason.STORE_NOT_FOUND),
    *(Reason.STORE_NOT_GRANTED, Reason.STORE_INVALID, Reason.TARGET_REFUSED),
)
"""Why a read may fail, of a key that is Ready all the same."""


def unreadable(s: Situation) -> Decision | None:
    """Say so and look again; before that, what surely was not delivered is revoked. None: all that was looked for was read."""
    refusal = s.observed.unreadable
    if refusal is None:
        return None
    if (refused := _undelivered(s)) is not None:
        return refused
    status = outcome.unread(s, refusal)
    if status != s.status:
        note = Note("Warning", refusal.reason, refusal.message)
        return Decision(WriteStatus(status, "report"), refusal.reason, refusal.message, (note,))
    return Decision(Wait(look_again(s, refusal)), refusal.reason, refusal.message)


def doubted(s: Situation) -> bool:
    """Whether it stands written that a path in Vault cannot be read, or holds no key: what is remembered of it takes none of that back.

    Else two who know nothing of each other, of whom one has read it and one remembers it, write against each other without end.
    """
    ready = s.status.condition("Ready")
    return in_vault(s.place) is not None and ready is not None and (ready.status != "True" or ready.reason in _REASONS)


def _undelivered(s: Situation) -> Decision | None:
    """The key of this very pass: every write of it got a definite refusal, so the target need not be read to know that it lacks it."""
    failure, closed = s.observed.failure, s.status.closed_attempts
    if failure is None or not failure.settled or failure.key_id is None or s.status.attempt or not closed:
        return None
    if failure.key_id in {*s.observed.revoked, *s.observed.failed_revocations, s.status.key_id}:
        return None
    text = f"Key {failure.key_id} could not be delivered and was revoked."
    note = Note("Warning", Reason.LATE_KEY_REVOKED, text)
    return Decision(RevokeKey(failure.key_id, closed[-1].issuer), Reason.LATE_KEY_REVOKED, text, (note,))
