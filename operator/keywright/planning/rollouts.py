"""What rotation.restart has under way: which workloads are still to be restarted or waited for, and what that means for older keys.

A rollout is begun by the settling of a new key (`begun`), and over once nothing of it is pending. Pure; decides nothing.
Neighbours: restarts.py takes its steps, removal.py revokes what no longer waits, outcome.py says what does.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from keywright.api.apikey import called
from keywright.api.apikey_status import NextStep, PendingRollout, RolloutStatus

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from keywright.api.apikey_status import PreviousKey
    from keywright.keys import KeyRecord
    from keywright.planning.situation import Situation

__all__ = [
    "LONGEST_WAIT",
    "active",
    "annotation_of",
    "begun",
    "given_up",
    "holds",
    "listed",
    "pending",
    "sooner",
    "waited_for",
    "waiting",
]

LONGEST_WAIT: Final = timedelta(hours=24)
"""How long past its overlap an older key waits for rollouts at most, and how long a workload that does not answer is asked again."""
_POLL: Final = timedelta(seconds=15)
"""Between two looks at a rollout at least."""
_POLL_WAITING: Final = timedelta(minutes=1)
"""Between two looks at most while an overlap is over: so much longer than needed may an older key live."""
_POLL_SELDOM: Final = timedelta(minutes=5)
"""The same while no overlap is over, and nothing waits."""
_POLL_SHARE: Final = 4
"""A rollout is looked at again after a quarter of the time that it has taken: what takes long is not about to be complete."""
_PREFIX: Final = "restart.keywright.dev/"
_NAME_LIMIT: Final = 63
"""Characters of an annotation key behind its prefix, as Kubernetes has it."""


def annotation_of(apikey: str) -> str:
    """The annotation of a pod template that names the key of this ApiKey: one each, so that several may restart one workload."""
    if len(apikey) <= _NAME_LIMIT:
        return _PREFIX + apikey
    digest = hashlib.sha256(apikey.encode()).hexdigest()[:12]
    return f"{_PREFIX}{apikey[: _NAME_LIMIT - 13].rstrip('.-')}-{digest}"


def begun(s: Situation, record: KeyRecord, revision: int) -> RolloutStatus | None:
    """The rollout that the settling of this record begins; the one under way where it settles the same key again; None: there is none.

    A key that stood in the target before this ApiKey asked for any, a retained one, is nothing new to those who use it.
    """
    status = s.status
    if record.key_id == status.key_id:
        return status.rollout
    made_here = {c.id for c in status.closed_attempts} | ({status.attempt.id} if status.attempt else set())
    workloads = (s.spec.rotation.restart if s.spec.rotation else None) or []
    if not workloads or record.attempt not in made_here:
        return None
    entries = [PendingRollout(kind=w.kind, name=w.name) for w in workloads]
    return RolloutStatus(revision=revision, since=s.now, pending=entries)


def pending(s: Situation) -> list[PendingRollout]:
    """What is still to be restarted or waited for; a workload that the spec names no more is neither."""
    if s.status.rollout is None:
        return []
    wanted = {(w.kind, w.name) for w in (s.spec.rotation.restart if s.spec.rotation else None) or ()}
    return [entry for entry in s.status.rollout.pending if (entry.kind, entry.name) in wanted]


def active(s: Situation) -> bool:
    """Whether workloads may be restarted: not into a target that does not hold the current key; that is repaired first."""
    return s.status.rollout is not None and s.key_stands


def holds(s: Situation, key: PreviousKey) -> bool:
    """Whether an older key waits for rollouts, whatever its overlap says."""
    return key.rollouts_until is not None and s.now < key.rollouts_until and active(s) and bool(pending(s))


def waited_for(s: Situation) -> bool:
    """Whether any older key still has to do with how far the rollouts are."""
    return any(p.rollouts_until is not None and s.now < p.rollouts_until for p in s.status.previous)


def waiting(s: Situation) -> NextStep | None:
    """What is said while the overlap of an older key is over and it waits; None where none does."""
    held = [(p.rollouts_until, p.key_id) for p in s.status.previous if p.revoke_at <= s.now and holds(s, p)]
    if not held:
        return None
    until, key_id = min((until, key_id) for until, key_id in held if until is not None)
    entries = pending(s)
    reason = (
        f"The overlap of the older key {key_id} is over. It is revoked once the rollout of {listed(entries)} is complete, and at "
        f"{until:%Y-%m-%d %H:%M:%S} UTC at the latest."
    )
    reason += "".join(f" {called(e.kind, e.name)} {e.trouble}." for e in entries if e.trouble)
    return NextStep(action="Revoke", at=until, reason=reason)


def given_up(s: Situation, key: PreviousKey) -> str | None:
    """What is said where an older key has waited for long enough; None where it need not wait any more."""
    if key.rollouts_until is None or s.now < key.rollouts_until or not pending(s):
        return None
    hours = LONGEST_WAIT // timedelta(hours=1)
    return f"its overlap is over, and it has waited {hours} hours for the rollout of {listed(pending(s))}, which is not complete"


def sooner(s: Situation, until: datetime | None) -> datetime | None:
    """The earlier of a time and the next look at the rollouts; only while there is one to look at."""
    if not active(s) or not pending(s):
        return until
    lasted = s.now - s.status.rollout.since if s.status.rollout else timedelta(0)
    again = s.now + max(_POLL, min(lasted / _POLL_SHARE, _POLL_WAITING if waiting(s) else _POLL_SELDOM))
    return again if until is None else min(until, again)


def listed(entries: Iterable[PendingRollout]) -> str:
    """Workloads for a message."""
    names = [called(entry.kind, entry.name) for entry in entries]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
