"""One pass: observe once, plan, take one step, plan again, until there is nothing to do before some time.

Level, not edge: the only input is a name. Decides nothing itself.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Literal

from pydantic import ValidationError

from keywright.api.base import Condition
from keywright.api.reasons import Reason
from keywright.errors import Ambiguous, Conflict, Rejected
from keywright.keys import ResourceKey
from keywright.planning.plan import plan
from keywright.planning.situation import Situation
from keywright.planning.steps import (
    RestartWorkload,
    RevokeKey,
    Wait,
    WriteStatus,
)
from keywright.ports.cluster import EventNote
from keywright.reconcile.account import Account
from keywright.reconcile.contest import Contest
from keywright.reconcile.freshness import require_unchanged

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from keywright.metrics import Metrics
    from keywright.planning.steps import Decision
    from keywright.ports.cluster import Cluster, Object
    from keywright.reconcile.execute import Executor
    from keywright.reconcile.observe import Observer

__all__ = ["Reconciler"]

_log = logging.getLogger(__name__)

_MOST_STEPS: Final = 64
"""No decision needs so many: a planner that does not come to rest is stopped, and said."""
_MOST_CONFLICTS: Final = 5
"""Writes of others in a row that one pass reads again for, before it lets other names go first."""
_LATER: Final = timedelta(seconds=20)
"""An ApiKey that cannot be read comes back by its next edit; this is for the rest, such as a newer CRD."""
_RESTLESS: Final = timedelta(minutes=1)
"""The pause of an ApiKey whose planner does not come to rest."""
_SOONEST: Final = timedelta(seconds=1)
"""No name comes back sooner by time alone: whatever a planner says, that is no busy loop."""


class Reconciler:
    """Brings one ApiKey after another to rest."""

    def __init__(
        self,
        *,
        cluster: Cluster,
        observer: Observer,
        executor: Executor,
        clock: Callable[[], datetime],
        metrics: Metrics,
    ) -> None:
        """`clock` gives aware UTC."""
        self._cluster = cluster
        self._observer = observer
        self._executor = executor
        self._clock = clock
        self._account = Account(metrics)
        self._contest = Contest(clock)

    async def reconcile(self, key: ResourceKey) -> timedelta | None:
        """Returns after how long the name is due again; None: when something changes. Raises what the apiserver's ports raise."""
        seen = self._cluster.api_key(key)
        for _ in range(_MOST_CONFLICTS):
            if seen is None:
                self._gone(key)
                return None
            try:
                return await self._to_rest(seen)
            except (Conflict, Ambiguous) as error:
                _log.debug("reading again: %s", error, extra={"apikey": str(key)})
                seen = await self._cluster.refresh(key)
        return _SOONEST

    async def _to_rest(self, seen: Object) -> timedelta | None:
        try:
            spec, status, observed = self._observer.begin(seen)
        except Rejected as error:
            return await self._unreadable(seen, error)
        for _ in range(_MOST_STEPS):
            situation = Situation(spec, status, observed, self._clock())
            decision = plan(spec, status, observed, situation.now)
            step = decision.step
            if isinstance(step, Wait):
                self._account.at_rest(decision, situation)
                self._tell(seen, decision)
                return max(_SOONEST, step.until - self._clock()) if step.until else None
            key, before = observed.subject.key, seen.get("status") or {}
            if isinstance(step, RevokeKey | RestartWorkload):
                await self._up_to_date(seen)
            if (
                isinstance(step, WriteStatus)
                and step.purpose == "report"
                and (pause := self._contest.pause(key, before))
            ):
                return max(_SOONEST, pause)
            taken = await self._executor.take(step, situation, seen)
            if isinstance(step, WriteStatus):
                self._contest.written(key, before, taken.seen.get("status") or {})
            if taken.done:
                self._tell(taken.seen, decision)
            self._account.taken(decision, situation, taken.observed, done=taken.done)
            if taken.gone:
                self._gone(key)
                return None
            observed = taken.observed
            if taken.seen is not seen:
                seen = taken.seen
                spec, status, observed = self._observer.again(seen, observed, spec)
        _log.error("no rest after %d steps", _MOST_STEPS, extra={"apikey": str(observed.subject.key)})
        return _RESTLESS

    def _gone(self, key: ResourceKey) -> None:
        self._account.gone(key)
        self._contest.forget(key)

    async def _up_to_date(self, seen: Object) -> None:
        """Nothing guards a revocation or a restart but this read: raises Conflict where the ApiKey is another by now."""
        await require_unchanged(self._cluster, seen, "a key was about to be revoked, or a workload to be restarted")

    async def _unreadable(self, seen: Object, error: Rejected) -> timedelta:
        """Spec or status cannot be read: say so, touch nothing else."""
        generation = seen["metadata"].get("generation")
        types: tuple[tuple[str, Literal["True", "False"]], ...] = (("Ready", "False"), ("Stalled", "True"))
        conditions = [
            Condition(
                type=of_type,
                status=value,
                reason=Reason.INVALID_SPEC,
                message=str(error),
                last_transition_time=self._clock(),
                observed_generation=generation,
            )
            .since(_condition(seen, of_type))
            .to_dict()
            for of_type, value in types
        ]
        status = {**(seen.get("status") or {}), "observedGeneration": generation, "conditions": conditions}
        key, before = ResourceKey(seen["metadata"]["namespace"], seen["metadata"]["name"]), seen.get("status") or {}
        if status != before and self._contest.pause(key, before) is None:
            stands = await self._cluster.patch_status(seen, status)
            self._contest.written(key, before, stands.get("status") or {})
            _log.info("%s", error, extra={"apikey": str(key), "reason": str(Reason.INVALID_SPEC)})
        return _LATER

    def _tell(self, seen: Object, decision: Decision) -> None:
        for note in decision.notes:
            self._cluster.note(EventNote(about=seen, type=note.type, reason=note.reason, message=note.message))


def _condition(seen: Object, of_type: str) -> Condition | None:
    """As it stands, where it can be read: the rest of the status may be past reading."""
    for found in (seen.get("status") or {}).get("conditions") or ():
        if found.get("type") == of_type:
            with suppress(ValidationError):
                return Condition.model_validate(found)
    return None
