"""What ends at a target: all that is ours, or what older versions still hold of a dead key. The executor's hand for it.

Decides nothing; a store that cannot be asked is told of, one that will never be reached again has nothing to clean.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from keywright.errors import Ambiguous, RateLimited, Rejected, Retryable, Terminal, Unavailable
from keywright.planning.observed import Absent, Present, Refusal, Sought
from keywright.planning.places import in_vault
from keywright.reconcile.observe import beyond_reach, with_target, without_target

if TYPE_CHECKING:
    from keywright.planning.observed import Observed
    from keywright.planning.situation import Situation
    from keywright.planning.steps import CleanTarget, PruneTarget
    from keywright.ports.cluster import Cluster
    from keywright.ports.sink import Sink

__all__ = ["Cleaner"]


class Cleaner:
    """Takes CleanTarget and PruneTarget."""

    def __init__(self, cluster: Cluster, sink: Sink) -> None:
        """The executor's own."""
        self._cluster = cluster
        self._sink = sink

    async def clean(self, step: CleanTarget, s: Situation) -> Observed:
        """A store that cannot be asked is told of; one that will never be reached again has nothing to clean."""
        try:
            return await self._cleaned(step, s)
        except (Terminal, Unavailable, RateLimited) as error:
            if not in_vault(step.name):
                raise
            observed = s.observed
            if await beyond_reach(error, s, self._cluster):
                beyond = {**observed.beyond, step.name: str(error)}
                return replace(observed, beyond=beyond, cleaned=observed.cleaned | {step.name})
            return replace(observed, unclean={**observed.unclean, step.name: str(error)})

    async def prune(self, step: PruneTarget, s: Situation) -> Observed:
        """Older versions of a target lose a dead key; where that fails it is told."""
        observed = s.observed
        try:
            await self._sink.prune(observed.subject.key.namespace, step.name, step.key_id)
        except (Terminal, Retryable, Ambiguous) as error:
            if not await beyond_reach(error, s, self._cluster):
                return replace(observed, unpruned={**observed.unpruned, step.key_id: str(error)})
        return replace(observed, pruned=observed.pruned | {step.key_id})

    async def _cleaned(self, step: CleanTarget, s: Situation) -> Observed:
        """A target that is not ours (any more) is left alone."""
        observed, namespace = s.observed, s.observed.subject.key.namespace
        version = step.version
        if version is None:
            sought = Sought(s.layout_at(step.name), s.delivered)
            target = await self._sink.read(namespace, step.name, sought)
            observed = with_target(observed, step.name, target)
            s = replace(s, observed=observed)
            if isinstance(target, Present) and _belongs(target, s):
                version = target.version
            elif step.name == s.home and s.stripped and not isinstance(observed.rehearsal, Refusal):
                return observed  # ours all the same, and made so first
        if version is not None:
            adopted = s.adopted_at(step.name)
            try:
                await self._sink.clean(namespace, step.name, version, adopted=adopted)
            except Rejected as error:
                return replace(observed, unclean={**observed.unclean, step.name: str(error)})
            observed = without_target(observed, step.name) if adopted else with_target(observed, step.name, Absent())
        return replace(observed, cleaned=observed.cleaned | {step.name})


def _belongs(target: Present, s: Situation) -> bool:
    """Made for this very ApiKey, or taken over by it: a namesake's that was never adopted is left."""
    if target.owner_uid == s.observed.subject.uid:
        return True
    return s.is_mine(target) and target.record is not None and target.record.key_id == s.status.key_id
