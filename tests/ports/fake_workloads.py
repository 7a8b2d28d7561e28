"""The port Workloads in memory: workloads with an annotated pod template, whose rollouts take as long as somebody says."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from tests.ports.faults import Faults

from keywright.errors import Rejected, Unauthorized
from keywright.planning.observed import RolledOut, Rolling
from keywright.ports.lease import Unshared

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from keywright.api.apikey import RestartRef
    from keywright.ports.lease import Lease

__all__ = ["FakeWorkloads", "Workload", "WorkloadStore"]


@dataclass
class Workload:
    """One workload. `rolls`: the values that its template got, in order, each of which rolled its pods; `trouble`: what keeps it."""

    annotations: dict[str, str] = field(default_factory=dict)
    rolls: list[str] = field(default_factory=list)
    complete_at: datetime | None = None
    trouble: str | None = None


class WorkloadStore:
    """What stands in a cluster, by namespace and reference."""

    def __init__(self, clock: Callable[[], datetime], takes: Callable[[], timedelta | None] = lambda: None) -> None:
        """`takes`: how long the next rollout lasts; None: until somebody completes it."""
        self._clock = clock
        self.takes = takes
        self.stored: dict[tuple[str, RestartRef], Workload] = {}
        self.forbidden = False
        """Whether there is no right to them."""
        self.served = {"Deployment", "StatefulSet", "DaemonSet"}
        self.elsewhere: set[RestartRef] = set()
        """Those whose template is another object's."""

    def create(self, namespace: str, workload: RestartRef) -> Workload:
        """Somebody creates one, which runs."""
        made = self.stored[namespace, workload] = Workload(complete_at=self._clock())
        return made

    def annotate(self, there: Workload, annotation: str, value: str) -> None:
        """A write that changes nothing rolls nothing."""
        if there.annotations.get(annotation) == value:
            return
        there.annotations[annotation] = value
        there.rolls.append(value)
        lasts = self.takes()
        there.complete_at = None if lasts is None else self._clock() + lasts

    def mend(self) -> None:
        """There is the right to them, what hangs is complete, and from now on every rollout takes half a minute."""
        self.forbidden = False
        self.takes = lambda: timedelta(seconds=30)
        for there in self.stored.values():
            there.complete_at = there.complete_at or self._clock()

    def progress(self, there: Workload) -> RolledOut | Rolling:
        """By the clock."""
        over = there.complete_at is not None and there.complete_at <= self._clock()
        return RolledOut() if over else Rolling(there.trouble)


class FakeWorkloads:
    """Implements keywright.ports.workloads.Workloads over a store."""

    def __init__(self, store: WorkloadStore, faults: Faults | None = None, lease: Lease | None = None) -> None:
        """Counts what it is asked; asks the lease last."""
        self.store = store
        self._lease = lease or Unshared()
        self.faults = faults or Faults()
        self.reads = 0
        self.writes: list[RestartRef] = []

    async def restart(
        self, namespace: str, workload: RestartRef, annotation: str, value: str
    ) -> RolledOut | Rolling | None:
        """One write."""
        await self.faults.before("restart")
        self._lease.require(0.0)
        there = self._find(namespace, workload)
        if there is None:
            return None
        if workload in self.store.elsewhere:
            raise Rejected(
                "its pod template is that of deployment/other (spec.workloadRef)", reason="TemplateElsewhere"
            )
        self.store.annotate(there, annotation, value)
        self.writes.append(workload)
        await self.faults.after("restart")
        return self.store.progress(there)

    async def look(self, namespace: str, workload: RestartRef) -> RolledOut | Rolling | None:
        """One read."""
        await self.faults.before("look at rollout")
        self.reads += 1
        there = self._find(namespace, workload)
        return None if there is None else self.store.progress(there)

    def _find(self, namespace: str, workload: RestartRef) -> Workload | None:
        if self.store.forbidden:
            raise Unauthorized('cannot patch resource "deployments"', reason="Forbidden")
        if workload.kind not in self.store.served:
            raise Rejected("the server could not find the requested resource", reason="NotInstalled")
        return self.store.stored.get((namespace, workload))
