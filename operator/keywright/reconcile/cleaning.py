"""What ends at a target: all that is ours, or what older versions still hold of a dead key. The executor's hand for it.

Decides nothing; a store that cannot be asked is told of, one that will never be reached again has nothing to clean.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from keywright.errors import Ambiguous, RateLimited, Rejected, Retryable, Terminal, Unavailable
from keywright.planning.observed import Absent, Present, Refusal, Sought
from keywright.planning.places import in_vault
from keywright.reconcile.freshness import require_unchanged
from keywright.reconcile.observe import beyond_reach, with_target, without_target

if TYPE_CHECKING:
    from keywright.planning.observed import Observed, TargetState
    from keywright.planning.situation import Situation
    from keywright.planning.steps import CleanTarget, PruneTarget
    from keywright.ports.cluster import Cluster, Object
    from keywright.ports.sink import Sink

__all__ = ["Cleaner"]


class Cleaner:
    """Takes CleanTarget and PruneTarget."""

    def __init__(self, cluster: Cluster, sink: Sink) -> None:
        """The executor's own."""
        self._cluster = cluster
        self._sink = sink

    async def clean(self, step: CleanTarget, s: Situation, seen: Object) -> Observed:
        """A store that cannot be asked is told of; one that will never be reached again has nothing to clean.

        Raises Conflict where another writer may have delivered there since `seen` was read: all is read again.
        """
        try:
            observed, version = await self._found(step, s)
        except (Terminal, Unavailable, RateLimited) as error:
            return await self._left(error, step, s)
        if version is None:
            return observed
        if _may_live(observed.targets.get(step.name), s):
            await require_unchanged(self._cluster, seen, "a place was about to be cleaned")
        try:
            return await self._cleaned(step, replace(s, observed=observed), version)
        except (Terminal, Unavailable, RateLimited) as error:
            return await self._left(error, step, replace(s, observed=observed))

    async def prune(self, step: PruneTarget, s: Situation) -> Observed:
        """Older versions of a target lose a dead key; where that fails it is told."""
        observed = s.observed
        try:
            await self._sink.prune(observed.subject.key.namespace, step.name, step.key_id)
        except (Terminal, Retryable, Ambiguous) as error:
            if not await beyond_reach(error, s, self._cluster):
                return observed._replace(unpruned={**observed.unpruned, step.key_id: str(error)})
        return observed._replace(pruned=observed.pruned | {step.key_id})

    async def _left(self, error: Terminal | Unavailable | RateLimited, step: CleanTarget, s: Situation) -> Observed:
        """What a store's error means to the place that was to be cleaned; one of a Secret's ends the pass."""
        if not in_vault(step.name):
            raise error
        observed = s.observed
        if await beyond_reach(error, s, self._cluster):
            beyond = {**observed.beyond, step.name: str(error)}
            return observed._replace(beyond=beyond, cleaned=observed.cleaned | {step.name})
        return observed._replace(unclean={**observed.unclean, step.name: str(error)})

    async def _found(self, step: CleanTarget, s: Situation) -> tuple[Observed, str | None]:
        """What stands there, and the version of it that may be cleaned; a target that is not ours (any more) is left alone."""
        observed = s.observed
        if step.version is not None:
            return observed, step.version
        sought = Sought(s.layout_at(step.name), s.delivered)
        target = await self._sink.read(observed.subject.key.namespace, step.name, sought)
        observed = with_target(observed, step.name, target)
        s = replace(s, observed=observed)
        if isinstance(target, Present) and _belongs(target, s):
            return observed, target.version
        if step.name == s.home and s.stripped and not isinstance(observed.rehearsal, Refusal):
            return observed, None  # ours all the same, and made so first
        return observed._replace(cleaned=observed.cleaned | {step.name}), None

    async def _cleaned(self, step: CleanTarget, s: Situation, version: str) -> Observed:
        observed, adopted = s.observed, s.adopted_at(step.name)
        try:
            await self._sink.clean(observed.subject.key.namespace, step.name, version, adopted=adopted)
        except Rejected as error:
            return observed._replace(unclean={**observed.unclean, step.name: str(error)})
        observed = without_target(observed, step.name) if adopted else with_target(observed, step.name, Absent())
        return observed._replace(cleaned=observed.cleaned | {step.name})


def _may_live(target: TargetState | None, s: Situation) -> bool:
    """Whether it holds a key that this pass has not ended itself: another writer may have delivered it since the ApiKey was read.

    The target is read first: what is delivered after that has another version.
    """
    return isinstance(target, Present) and target.record is not None and target.record.key_id not in s.observed.revoked


def _belongs(target: Present, s: Situation) -> bool:
    """Made for this very ApiKey, or taken over by it: a namesake's that was never adopted is left."""
    if target.owner_uid == s.observed.subject.uid:
        return True
    return s.is_mine(target) and target.record is not None and target.record.key_id == s.status.key_id
