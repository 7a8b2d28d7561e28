"""Puts the operator together; the only reader of the clock and of randomness.

Knows every part by its constructor and nothing of how events arrive: wiring feeds `seen_*` and calls start and stop.
"""

from __future__ import annotations

import asyncio
import secrets
import string
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from keywright.adapters.kube_objects import KubeCluster
from keywright.adapters.kube_secret import SecretSink
from keywright.adapters.mistral import mistral_factory
from keywright.api.apikey import KeyIssuerIdentity
from keywright.keys import AttemptId, ResourceKey
from keywright.metrics import Metrics
from keywright.reconcile.directory import IssuerDirectory
from keywright.reconcile.execute import Executor
from keywright.reconcile.inventory import Inventory
from keywright.reconcile.observe import Observer
from keywright.reconcile.reconciler import Reconciler
from keywright.reconcile.worker import Workers
from keywright.reconcile.workqueue import WorkQueue

if TYPE_CHECKING:
    from datetime import timedelta

    from keywright.adapters.kube import KubeApi
    from keywright.ports.cluster import Object
    from keywright.reconcile.directory import Ref

__all__ = ["GRACE", "Operator", "Options", "new_attempt_id"]

GRACE: Final = 25.0
"""Seconds that passes in flight have to finish after a SIGTERM: less than the pod's 30."""
_WORKERS: Final = 50
_ISSUER_WORKERS: Final = 4
_TROUBLE_TOLD: Final = 5.0
"""Seconds after which an issuer that an ApiKey could not use is looked at itself: once, however many could not."""
_ALPHABET: Final = string.ascii_lowercase + string.digits


@dataclass(frozen=True, slots=True)
class Options:
    """What `keywright run` was asked for. `namespaces` empty: the whole cluster. Seconds for both times."""

    kubeconfig: str | None = None
    context: str | None = None
    namespaces: tuple[str, ...] = ()
    cluster_id: str | None = None
    min_interval: float = 300.0
    late_window: float = 600.0
    allow_insecure_issuers: bool = False


def new_attempt_id() -> AttemptId:
    """Eight random characters of [a-z0-9]: 41 bits, told apart within one ApiKey only."""
    return AttemptId("".join(secrets.choice(_ALPHABET) for _ in range(8)))


def _now() -> datetime:
    return datetime.now(UTC)


def _ref(kind: str, issuer: Object) -> Ref:
    return kind, issuer["metadata"].get("namespace"), issuer["metadata"]["name"]


def _version(issuer: Object | None) -> tuple[str, int] | None:
    """What an issuer is asked to be: its status does not count, which we write ourselves."""
    return (issuer["metadata"]["uid"], issuer["metadata"]["generation"]) if issuer else None


class Operator:
    """Everything that runs, but for the watches."""

    def __init__(self, api: KubeApi, options: Options, cluster_id: str) -> None:
        """Wants a running event loop; makes no request."""
        self.api = api
        self.options = options
        self.cluster_id = cluster_id
        self.metrics = Metrics.create()
        self.cluster_scope = not options.namespaces
        self.cluster = KubeCluster(
            api, _now, options.namespaces or None, busy=lambda: self.queue.in_flight > _WORKERS // 4
        )
        self.sink = SecretSink(api, options.namespaces or None)
        self.directory = IssuerDirectory(
            self.cluster,
            mistral_factory(allow_insecure=options.allow_insecure_issuers, on_request=self._requested),
            cluster_scope=self.cluster_scope,
            monotonic=asyncio.get_running_loop().time,
            troubled=lambda ref: self.issuers.add(ref, _TROUBLE_TOLD),
        )
        self.queue: WorkQueue[ResourceKey] = WorkQueue()
        self.issuers: WorkQueue[Ref] = WorkQueue()
        self.inventory = Inventory(
            cluster=self.cluster,
            sink=self.sink,
            directory=self.directory,
            cluster_id=cluster_id,
            clock=_now,
            wake=self.queue.add,
        )
        observer = Observer(
            cluster=self.cluster,
            sink=self.sink,
            directory=self.directory,
            inventory=self.inventory,
            cluster_id=cluster_id,
            min_interval=options.min_interval,
            late_window=options.late_window,
            new_attempt_id=new_attempt_id,
        )
        executor = Executor(
            cluster=self.cluster,
            sink=self.sink,
            directory=self.directory,
            observer=observer,
            clock=_now,
            sleep=asyncio.sleep,
        )
        self._reconciler = Reconciler(
            cluster=self.cluster, observer=observer, executor=executor, clock=_now, metrics=self.metrics
        )
        self._workers = Workers(self.queue, self._reconciler.reconcile, count=_WORKERS, metrics=self.metrics)
        self._issuer_workers = Workers(self.issuers, self._refresh, count=_ISSUER_WORKERS, metrics=self.metrics)
        self.metrics.queue_depth.set_function(lambda: self.queue.overdue()[0])
        self.metrics.queue_overdue_seconds.set_function(lambda: self.queue.overdue()[1])

    async def sync(self) -> None:
        """List once, so that absence is known before the first decision. Raises Rejected where CRDs or rights are missing."""
        await self.sink.sync()
        await self.cluster.sync()

    def start(self) -> None:
        """Look at everything that was listed, and begin to work."""
        for issuer in self.cluster.issuers():
            self.issuers.add(_ref(issuer["kind"], issuer))
        for seen in self.cluster.api_keys():
            self.queue.add(ResourceKey(seen["metadata"]["namespace"], seen["metadata"]["name"]))
        self._issuer_workers.start()
        self._workers.start()

    async def finish(self, grace: float = GRACE) -> bool:
        """Finish what is in flight, take nothing new. False where something had to be cut off."""
        clean = await asyncio.gather(self._workers.stop(grace), self._issuer_workers.stop(grace))
        await self.cluster.drain(2.0)
        return all(clean)

    async def close(self) -> None:
        """Give connections back, once nothing is in flight."""
        await self.directory.close()

    def seen_api_key(self, event_type: str | None, seen: Object) -> None:
        """A watch spoke of an ApiKey."""
        if self.cluster.seen("ApiKey", event_type, seen):
            meta = seen["metadata"]
            self.queue.add(ResourceKey(meta["namespace"], meta["name"]))
            if secret := ((seen.get("spec") or {}).get("target") or {}).get("secret"):
                self._wake_claimants(
                    meta["namespace"], secret["name"], but=meta["name"], only_if=event_type == "DELETED"
                )

    def seen_issuer(self, kind: str, event_type: str | None, seen: Object) -> None:
        """A watch spoke of an issuer: those that use it may have waited for this."""
        ref = _ref(kind, seen)
        before = self.cluster.issuer(*ref)
        if self.cluster.seen(kind, event_type, seen) and _version(before) != _version(self.cluster.issuer(*ref)):
            self.issuers.add(ref)
            identity = KeyIssuerIdentity.model_validate({"kind": kind, "name": ref[2], "uid": seen["metadata"]["uid"]})
            for key in self.cluster.users_of(identity, ref[1]):
                self.queue.add(key)

    def seen_secret(self, event_type: str | None, seen: Object) -> None:
        """A watch spoke of a Secret of ours; its plaintext is forgotten at once."""
        if self.sink.seen(event_type, seen):
            meta = seen["metadata"]
            self._wake_claimants(meta["namespace"], meta["name"])

    def _wake_claimants(self, namespace: str, secret: str, *, but: str | None = None, only_if: bool = True) -> None:
        if only_if:
            for claimant in self.cluster.claimants(namespace, secret):
                if claimant["metadata"]["name"] != but:
                    self.queue.add(ResourceKey(namespace, claimant["metadata"]["name"]))

    async def _refresh(self, ref: Ref) -> timedelta | None:
        return await self.inventory.refresh(ref)

    def _requested(self, operation: str, code: str, seconds: float) -> None:
        self.metrics.issuer_request_seconds.labels(operation, code).observe(seconds)
