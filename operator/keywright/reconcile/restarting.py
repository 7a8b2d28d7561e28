"""Restarting and looking at workloads, for the executor and the observer: every answer becomes a fact, none an error.

A workload that cannot be restarted must not hold up the key, whatever its reason: the planner says what becomes of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from keywright.errors import Ambiguous, Retryable, Terminal
from keywright.planning.observed import Unrolled

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from keywright.api.apikey import RestartRef
    from keywright.planning.observed import Observed, RolledOut, Rolling, RolloutState
    from keywright.planning.situation import Situation
    from keywright.planning.steps import RestartWorkload
    from keywright.ports.workloads import Workloads

__all__ = ["Restarter"]


class Restarter:
    """One for all ApiKeys."""

    def __init__(self, workloads: Workloads) -> None:
        """Asks nothing."""
        self._workloads = workloads

    async def restart(self, step: RestartWorkload, s: Situation) -> Observed:
        """Write the annotation; what is known of the workload then."""
        namespace = s.observed.subject.key.namespace
        state = await _known(self._workloads.restart(namespace, step.workload, step.annotation, step.value))
        return _with(s, step.workload, state)

    async def look(self, workload: RestartRef, s: Situation) -> Observed:
        """How far its rollout is."""
        state = await _known(self._workloads.look(s.observed.subject.key.namespace, workload))
        return _with(s, workload, state)


def _with(s: Situation, workload: RestartRef, state: RolloutState) -> Observed:
    return s.observed._replace(rollouts={**s.observed.rollouts, (s.status.key_id or "", workload): state})


async def _known(answer: Awaitable[RolledOut | Rolling | None]) -> RolloutState:
    try:
        return await answer or Unrolled("missing")
    except (Retryable, Ambiguous) as error:
        return Unrolled("unanswered", str(error))
    except Terminal as error:
        match error.reason:
            case "Forbidden":
                return Unrolled("forbidden", str(error))
            case "Unauthorized":
                return Unrolled("unanswered", str(error))
            case "NotInstalled":
                return Unrolled("not installed")
            case "TemplateElsewhere":
                return Unrolled("elsewhere", str(error))
            case _:
                return Unrolled("refused", str(error))
