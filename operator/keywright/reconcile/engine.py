"""The engine: directory, inventory, queues and workers over three ports, whatever stands behind them.

Owns what wakes what: it is told of each change that a watch has shown, and puts names into queues. Decides nothing.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from keywright.keys import ResourceKey
from keywright.planning.places import place_seen
from keywright.reconcile.directory import IssuerDirectory
from keywright.reconcile.execute import Executor
from keywright.reconcile.holding import named_and_makers
from keywright.reconcile.inventory import Inventory
from keywright.reconcile.observe import Observer
from keywright.reconcile.reconciler import Reconciler
from keywright.reconcile.restarting import Restarter
from keywright.reconcile.stores import LookOver
from keywright.reconcile.urgency import urgency
from keywright.reconcile.usage import UsageReports
from keywright.reconcile.worker import Workers
from keywright.reconcile.workqueue import WorkQueue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime, timedelta

    from keywright.keys import AttemptId
    from keywright.metrics import Metrics
    from keywright.ports.cluster import Cluster, Object
    from keywright.ports.issuer import IssuerFactory
    from keywright.ports.sink import Sink
    from keywright.ports.workloads import Workloads
    from keywright.reconcile.directory import Ref

__all__ = ["Engine", "Settings"]

_TROUBLE_TOLD: Final = 5.0
"""Seconds after which an issuer that an ApiKey could not use is looked at itself: once, however many could not."""
_FIRST_APART: Final = 0.1
"""Seconds between the first looks at two issuers after the start."""
_FIRST_WITHIN: Final = 10.0
"""Seconds in which every issuer has been looked at, or its look begun: that tells whether its admin key works."""
_LISTING_ENDS: Final = 1.0
"""Seconds that a status of an issuer has to be written at shutdown."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the engine is told once. Seconds for all times."""

    cluster_id: str
    cluster_scope: bool
    min_interval: float
    late_window: float
    usage_interval: float | None = None
    """None: usage reports are not read."""
    workers: int = 50
    issuer_workers: int = 32
    """Tasks: a pass over many keys takes minutes, in which it mostly sleeps, and small issuers must not wait for that."""


class Engine:
    """One operator's mind: everything between the watches and the ports."""

    def __init__(
        self,
        *,
        cluster: Cluster,
        sink: Sink,
        workloads: Workloads,
        factory: IssuerFactory,
        settings: Settings,
        clock: Callable[[], datetime],
        new_attempt_id: Callable[[], AttemptId],
        metrics: Metrics,
    ) -> None:
        """Wants a running event loop; asks nothing. `clock` gives aware UTC, `new_attempt_id` a random id at each call."""
        self._cluster = cluster
        self.queue: WorkQueue[ResourceKey] = WorkQueue(
            lambda key: urgency(cluster.api_key(key), clock()), owner=attrgetter("namespace"), places=settings.workers
        )
        self.issuers: WorkQueue[Ref] = WorkQueue(owner=_owner, places=settings.issuer_workers)
        self.holds: WorkQueue[Ref] = WorkQueue(owner=_owner, places=settings.issuer_workers)
        self.stores: WorkQueue[Ref] = WorkQueue(owner=_owner, places=settings.issuer_workers)
        self.directory = IssuerDirectory(
            cluster,
            factory,
            cluster_scope=settings.cluster_scope,
            monotonic=asyncio.get_running_loop().time,
            troubled=self._trouble,
        )
        self.inventory = Inventory(
            cluster=cluster,
            sink=sink,
            directory=self.directory,
            cluster_id=settings.cluster_id,
            clock=clock,
            monotonic=asyncio.get_running_loop().time,
            sleep=asyncio.sleep,
            wake=self.queue.add,
            metrics=metrics,
        )
        self.look_over = LookOver(
            cluster=cluster,
            sink=sink,
            clock=clock,
            monotonic=asyncio.get_running_loop().time,
            sleep=asyncio.sleep,
            wake=self.queue.add,
        )
        restarter = Restarter(workloads)
        observer = Observer(
            cluster=cluster,
            sink=sink,
            directory=self.directory,
            inventory=self.inventory,
            restarter=restarter,
            cluster_id=settings.cluster_id,
            min_interval=settings.min_interval,
            late_window=settings.late_window,
            new_attempt_id=new_attempt_id,
        )
        executor = Executor(
            cluster=cluster,
            sink=sink,
            directory=self.directory,
            observer=observer,
            restarter=restarter,
            clock=clock,
            sleep=asyncio.sleep,
        )
        self._reconciler = Reconciler(
            cluster=cluster, observer=observer, executor=executor, clock=clock, metrics=metrics
        )
        self._named: dict[ResourceKey, frozenset[Ref]] = {}
        many = settings.issuer_workers
        self._workers = Workers(self.queue, self._reconcile, name="apikeys", count=settings.workers, metrics=metrics)
        self._issuer_workers = Workers(self.issuers, self._refresh, name="issuers", count=many, metrics=metrics)
        self._hold_workers = Workers(self.holds, self._hold, name="holds", count=many, metrics=metrics)
        self._store_workers = Workers(self.stores, self.look_over.refresh, name="stores", count=many, metrics=metrics)
        self._usage = UsageReports(
            cluster=cluster,
            directory=self.directory,
            metrics=metrics,
            monotonic=asyncio.get_running_loop().time,
            interval=settings.usage_interval,
        )
        self._metrics = metrics
        metrics.readings["queues"] = self._read_queues

    def start(self, issuers: Iterable[Object]) -> None:
        """Look at everything that was listed, and begin to work."""
        refs = [_ref(issuer["kind"], issuer) for issuer in issuers]
        for i, ref in enumerate(refs):
            self.issuers.add(ref, round(i * min(_FIRST_APART, _FIRST_WITHIN / len(refs)), 3))
            self.holds.add(ref)
        for i, store in enumerate(self._cluster.stores()):
            self.stores.add(_ref(store["kind"], store), round(i * _FIRST_APART, 3))
        for seen in self._cluster.api_keys():
            self.queue.add(ResourceKey(seen["metadata"]["namespace"], seen["metadata"]["name"]))
        for workers in (self._issuer_workers, self._hold_workers, self._store_workers, self._workers):
            workers.start()

    async def finish(self, grace: float) -> bool:
        """Finish what is in flight within `grace` seconds, take nothing new. False where something had to be cut off."""
        # A listing leaves nothing behind: nobody waits for one that is being read slowly.
        working = (self._workers.stop(grace), self._hold_workers.stop(grace))
        looking = [w.stop(min(grace, _LISTING_ENDS)) for w in (self._issuer_workers, self._store_workers)]
        clean = await asyncio.gather(*working, *looking)
        return all(clean[: len(working)])

    async def close(self) -> None:
        """Give connections back, once nothing is in flight."""
        await self.directory.close()

    # What has changed: told after the ports know it.

    def api_key_changed(self, seen: Object, *, deleted: bool) -> None:
        """An ApiKey is new, other, or gone; one that is gone leaves its target to others that claim it."""
        meta = seen["metadata"]
        self.queue.add(ResourceKey(meta["namespace"], meta["name"]))
        place = place_seen(seen)
        if deleted and place:
            self._wake_claimants(meta["namespace"], place, but=meta["name"])

    def issuer_changed(self, kind: str, seen: Object, before: Object | None, after: Object | None) -> None:
        """An issuer is new, other, or gone: those that use it may have waited for this."""
        if _version(before) == _version(after):
            return
        ref = _ref(kind, seen)
        self.issuers.add(ref)
        self.holds.add(ref)
        for user in self._cluster.dependents(*ref):
            self.queue.add(ResourceKey(user["metadata"]["namespace"], user["metadata"]["name"]))

    def store_changed(self, kind: str, seen: Object, before: Object | None, after: Object | None) -> None:
        """A store is new, other, or gone: those that deliver into it may have waited for this."""
        if _version(before) == _version(after):
            return
        ref = _ref(kind, seen)
        self.stores.add(ref)
        for key in self.look_over.users(ref):
            self.queue.add(key)

    def target_changed(self, namespace: str, place: str) -> None:
        """What stands at a place is new, other, or gone."""
        self._wake_claimants(namespace, place)

    def _wake_claimants(self, namespace: str, place: str, *, but: str | None = None) -> None:
        for claimant in self._cluster.claimants(namespace, place):
            if claimant["metadata"]["name"] != but:
                self.queue.add(ResourceKey(namespace, claimant["metadata"]["name"]))

    def _trouble(self, ref: Ref) -> None:
        self.inventory.doubt(ref)
        self.issuers.add(ref, _TROUBLE_TOLD)

    async def _reconcile(self, key: ResourceKey) -> timedelta | None:
        """One pass; an issuer that the ApiKey no longer names may have waited for that, one that it has keys at may not be held."""
        before = self._names(key)[0] | self._named.pop(key, frozenset())
        try:
            return await self._reconciler.reconcile(key)
        finally:
            after, makers = self._names(key)
            if after:
                self._named[key] = after
            for ref in sorted((before - after) | {ref for ref in makers if self._may_go(ref)}, key=str):
                self.holds.add(ref)

    def _names(self, key: ResourceKey) -> tuple[frozenset[Ref], frozenset[Ref]]:
        """All issuers that an ApiKey names, and those that made keys of it."""
        seen = self._cluster.api_key(key)
        return (frozenset(), frozenset()) if seen is None else named_and_makers(seen)

    def _may_go(self, ref: Ref) -> bool:
        found = self._cluster.issuer(*ref)
        return found is not None and not self.directory.holding.is_held(ref, found)

    def _read_queues(self) -> None:
        refs = (("issuers", self.issuers), ("holds", self.holds), ("stores", self.stores))
        for name, (depth, overdue) in (("apikeys", self.queue.overdue()), *((n, q.overdue()) for n, q in refs)):
            self._metrics.queue_depth.labels(name).set(depth)
            self._metrics.queue_overdue_seconds.labels(name).set(overdue)

    async def _refresh(self, ref: Ref) -> timedelta | None:
        due = await self.inventory.refresh(ref)
        report_due = await self._usage.refresh(ref)
        return due if due is None or report_due is None else min(due, report_due)

    async def _hold(self, ref: Ref) -> timedelta | None:
        """Not with the inventory, whose listing may hang: a namespace waits for this."""
        due = await self.directory.holding.look(ref)
        if (found := self._cluster.issuer(*ref)) is None:
            self.issuers.add(ref)  # what goes by our own hand is no news
        elif self.directory.holding.is_held(ref, found):
            await self.directory.remember(ref)  # the inventory takes its time at a start, and lists
        return due


def _ref(kind: str, issuer: Object) -> Ref:
    return kind, issuer["metadata"].get("namespace"), issuer["metadata"]["name"]


def _owner(ref: Ref) -> str | Ref:
    """Whose it is: its namespace's; each cluster-scoped one stands for itself."""
    return ref[1] or ref


def _version(issuer: Object | None) -> tuple[str, int] | None:
    """What an issuer is asked to be: its status does not count, which we write ourselves."""
    return (issuer["metadata"]["uid"], issuer["metadata"]["generation"]) if issuer else None
