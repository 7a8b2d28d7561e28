"""The workloads that use a key, as far as keywright has to do with them: restarted by one annotation, looked at by name.

Never listed, never watched, and nothing of them is changed but that annotation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from keywright.api.apikey import RestartRef
    from keywright.planning.observed import RolledOut, Rolling

__all__ = ["Workloads"]


class Workloads(Protocol):
    """Deployments, StatefulSets, DaemonSets and Argo Rollouts.

    Both calls raise Unauthorized(Forbidden) where there is no right, Rejected(NotInstalled) where the cluster does not serve the kind,
    Unavailable, RateLimited or Conflict where nothing happened.
    """

    async def restart(
        self, namespace: str, workload: RestartRef, annotation: str, value: str
    ) -> RolledOut | Rolling | None:
        """Write the annotation into the pod template, and how far the rollout is that this begins; None: there is no such workload.

        May be repeated: one that carries the value already stays as it is. Raises Rejected(TemplateElsewhere) where the pod template is
        another object's, Rejected with another reason where the change is refused, Ambiguous where nobody knows.
        """
        ...

    async def look(self, namespace: str, workload: RestartRef) -> RolledOut | Rolling | None:
        """How far its rollout is, by the rules of `kubectl rollout status`; None: there is no such workload."""
        ...
