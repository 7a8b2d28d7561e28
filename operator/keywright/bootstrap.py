"""Puts the operator and the commands together; the only reader of the clock and of randomness.

Knows every part by its constructor and nothing of how events arrive: wiring feeds `seen_*` and calls start and stop.
"""

from __future__ import annotations

import asyncio
import logging
import math
import re
import secrets
import socket
import string
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from keywright.adapters.kube import KubeApi
from keywright.adapters.kube_lease import KubeLease, longest_call, place_of
from keywright.adapters.kube_login import own_namespace
from keywright.adapters.kube_objects import KubeCluster
from keywright.adapters.kube_secret import SecretSink
from keywright.adapters.kube_workloads import KubeWorkloads
from keywright.adapters.mistral import mistral_factory
from keywright.adapters.sinks import TargetSink
from keywright.adapters.vault_sink import VaultSink
from keywright.adapters.vault_stores import VaultStores
from keywright.errors import Ambiguous, Rejected, Retryable, Terminal, Unauthorized
from keywright.keys import AttemptId, ResourceKey
from keywright.metrics import Metrics
from keywright.ports.lease import Unshared
from keywright.reconcile.directory import IssuerDirectory
from keywright.reconcile.engine import Engine, Settings
from keywright.reconcile.fleet import Fleet
from keywright.reconcile.rotate import Rotator
from keywright.reconcile.stores import StoreBook
from keywright.reconcile.sweep import Sweeper, chosen

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from keywright.adapters.kube_login import Login
    from keywright.ports.cluster import Object
    from keywright.reconcile.directory import Ref

__all__ = [
    "GRACE",
    "Operator",
    "Options",
    "Reach",
    "Sweep",
    "cluster_id_of",
    "lease_of",
    "new_attempt_id",
    "rotating",
    "sweeping",
    "valid_cluster_id",
]

_log = logging.getLogger(__name__)

GRACE: Final = 25.0
"""Seconds that passes in flight have to finish after a SIGTERM: less than the pod's 30."""
_WORKERS: Final = 64
"""Tasks: one namespace alone has 52 of them."""
_LISTED: Final = 1.0
"""Seconds without another listed object after which a watch has listed all."""
_LISTED_NOT: Final = 5.0
"""Seconds until a list that failed is asked for again."""
_LIST_AGAIN: Final = 600.0
"""Seconds after which all is listed again anyhow: a watch that finds nothing left to list says nothing at all."""
_ALPHABET: Final = string.ascii_lowercase + string.digits
_SINCE_BOOT: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""A lease runs on while the machine sleeps: only the first of the two counts that, and only Linux has it."""
_CLUSTER_ID: Final = re.compile(r"[a-z0-9-]{1,8}")


@dataclass(frozen=True, slots=True)
class Options:
    """What `keywright run` was asked for. `namespaces` empty: the whole cluster. Seconds for all times.

    `leader_elect` None: where it runs in the cluster.
    """

    kubeconfig: str | None = None
    context: str | None = None
    namespaces: tuple[str, ...] = ()
    cluster_id: str | None = None
    min_interval: float = 300.0
    late_window: float = 600.0
    allow_insecure_issuers: bool = False
    leader_elect: bool | None = None
    lease_duration: float = 15.0
    metrics_apikeys: int = 1000
    usage_interval: float | None = None


def new_attempt_id() -> AttemptId:
    """Eight random characters of [a-z0-9]: 41 bits, told apart within one ApiKey only."""
    return AttemptId("".join(secrets.choice(_ALPHABET) for _ in range(8)))


def lease_of(login: Login, options: Options) -> KubeLease | None:
    """The lease that this process competes for, on a connection of its own; None: it works without asking anybody."""
    if not (login.in_cluster if options.leader_elect is None else options.leader_elect):
        return None
    return KubeLease(
        KubeApi(login),
        place_of(options.namespaces, own_namespace() if login.in_cluster else None),
        identity=f"{socket.gethostname()}_{new_attempt_id()}",
        duration=options.lease_duration,
        clock=_since_boot,
        now=_now,
        sleep=asyncio.sleep,
    )


def valid_cluster_id(text: str) -> str:
    """The same text. Raises Rejected(Usage) where it cannot stand in a tag."""
    if not _CLUSTER_ID.fullmatch(text):
        raise Rejected(f"--cluster-id {text!r} must be 1 to 8 characters of a-z, 0-9 and -", reason="Usage")
    return text


async def cluster_id_of(api: KubeApi) -> str:
    """What tells a cluster's keys from others' at the issuer, unless somebody chose: the first 8 of kube-system's UID."""
    namespace = await api.request("GET", "/api/v1/namespaces/kube-system")
    return str(namespace["metadata"]["uid"])[:8]


def _now() -> datetime:
    return datetime.now(UTC)


def _since_boot() -> float:
    return time.clock_gettime(_SINCE_BOOT)


class Operator:
    """Everything that runs, but for the watches. Until it is started it takes in what they say, and does nothing."""

    def __init__(self, api: KubeApi, options: Options, cluster_id: str, lease: KubeLease | None) -> None:
        """Wants a running event loop; makes no request. `api` asks the same lease."""
        self.api = api
        self.options = options
        self.cluster_id = cluster_id
        self.metrics = Metrics.create()
        self._working = False
        self._listed = asyncio.Event()
        self._catching_up: asyncio.Task[None] | None = None
        self.cluster_scope = not options.namespaces
        self.cluster = KubeCluster(
            api, _now, options.namespaces or None, busy=lambda: self.engine.queue.in_flight > _WORKERS // 4
        )
        self.sink = SecretSink(api, options.namespaces or None)
        book = StoreBook(self.cluster, cluster_scope=self.cluster_scope)
        self.vaults = VaultStores(
            book, self.cluster, allow_insecure=options.allow_insecure_issuers, on_request=self._asked_vault
        )
        vault = VaultSink(self.vaults, cluster_id, lease or Unshared())
        self.engine = Engine(
            cluster=self.cluster,
            sink=TargetSink(self.sink, vault),
            workloads=KubeWorkloads(api),
            factory=mistral_factory(
                allow_insecure=options.allow_insecure_issuers,
                on_request=self._requested,
                lease=lease or Unshared(),
                longest_call=longest_call(options.lease_duration) if lease else math.inf,
            ),
            settings=Settings(
                cluster_id=cluster_id,
                cluster_scope=self.cluster_scope,
                min_interval=options.min_interval,
                late_window=options.late_window,
                usage_interval=options.usage_interval,
                workers=_WORKERS,
            ),
            clock=_now,
            new_attempt_id=new_attempt_id,
            metrics=self.metrics,
        )
        self._fleet = Fleet(
            api_keys=self.cluster.api_keys,
            issuers=self.cluster.issuers,
            stores=self.cluster.stores,
            strays=self.engine.inventory.strays,
            clock=_now,
            most_apikeys=options.metrics_apikeys,
        )
        self.metrics.registry.register(self._fleet)

    async def sync(self) -> list[ResourceKey]:
        """List all, so that absence is known. Returns the ApiKeys that this told something about.

        Raises Rejected where CRDs or rights are missing.
        """
        return [*await self.sink.sync(), *await self.cluster.sync()]

    def start(self) -> None:
        """Look at everything that was listed, and begin to work."""
        self._working = True
        self.metrics.leader.set(1)
        self.metrics.readings["fleet"] = self._fleet.read
        self.engine.start(self.cluster.issuers())
        self._catching_up = asyncio.create_task(self._catch_up(), name="catching-up")

    async def finish(self, grace: float = GRACE) -> bool:
        """Finish what is in flight, take nothing new. False where something had to be cut off."""
        if self._catching_up is not None:
            self._catching_up.cancel()
        clean = await self.engine.finish(grace)
        self.metrics.leader.set(0)
        await self.cluster.drain(2.0)
        return clean

    async def close(self) -> None:
        """Give connections back, once nothing is in flight."""
        await self.engine.close()
        self.vaults.close()

    def seen_api_key(self, event_type: str | None, seen: Object) -> None:
        """A watch spoke of an ApiKey; `event_type` None: it listed it."""
        self._hear(event_type)
        if self.cluster.seen("ApiKey", event_type, seen) and self._working:
            self.engine.api_key_changed(seen, deleted=event_type == "DELETED")

    def seen_issuer(self, kind: str, event_type: str | None, seen: Object) -> None:
        """A watch spoke of an issuer."""
        self._hear(event_type)
        ref = kind, seen["metadata"].get("namespace"), seen["metadata"]["name"]
        before = self.cluster.issuer(*ref)
        if self.cluster.seen(kind, event_type, seen) and self._working:
            self.engine.issuer_changed(kind, seen, before, self.cluster.issuer(*ref))

    def seen_store(self, kind: str, event_type: str | None, seen: Object) -> None:
        """A watch spoke of a store."""
        self._hear(event_type)
        ref = kind, seen["metadata"].get("namespace"), seen["metadata"]["name"]
        before = self.cluster.store(*ref)
        if self.cluster.seen(kind, event_type, seen) and self._working:
            self.engine.store_changed(kind, seen, before, self.cluster.store(*ref))

    def seen_secret(self, event_type: str | None, seen: Object) -> None:
        """A watch spoke of a Secret of ours; its plaintext is forgotten at once."""
        self._hear(event_type)
        if self.sink.seen(event_type, seen) and self._working:
            self.engine.target_changed(seen["metadata"]["namespace"], seen["metadata"]["name"])

    def _hear(self, event_type: str | None) -> None:
        if event_type is None:
            self._listed.set()

    async def _catch_up(self) -> None:
        """List again once a watch has listed, at its start or since it had lost the thread.

        What was deleted between the last that was seen and that list, no event tells of.
        """
        half = False
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._listed.wait(), _LIST_AGAIN)
            while self._listed.is_set():
                self._listed.clear()
                await asyncio.sleep(_LISTED)
            try:
                told = await self.sync()
            except (Retryable, Ambiguous, Terminal) as error:
                _log.info("listing again: %s", error)
                half = True
                self._listed.set()
                await asyncio.sleep(_LISTED_NOT)
                continue
            if half:  # whom the half of a list told something about is not known any more
                told = [ResourceKey(o["metadata"]["namespace"], o["metadata"]["name"]) for o in self.cluster.api_keys()]
                half = False
            for key in told:
                self.engine.queue.add(key)

    def _requested(self, operation: str, code: str, seconds: float) -> None:
        self.metrics.issuer_request_seconds.labels(operation, code).observe(seconds)

    def _asked_vault(self, operation: str, code: str, seconds: float) -> None:
        self.metrics.vault_request_seconds.labels(operation, code).observe(seconds)


@dataclass(frozen=True, slots=True)
class Reach:
    """Where a command looks, and as whom. `namespace` None: the kubeconfig's own; `cluster_id` None: this cluster's."""

    kubeconfig: str | None = None
    context: str | None = None
    namespace: str | None = None
    cluster_id: str | None = None
    allow_insecure_issuers: bool = False


@dataclass(frozen=True, slots=True)
class Sweep:
    """A sweeper, the issuers that it is about, and whether the caller may see the ApiKeys and Secrets of all namespaces."""

    sweeper: Sweeper
    issuers: list[Ref]
    cluster_id: str
    namespace: str
    whole: bool


@asynccontextmanager
async def sweeping(reach: Reach, issuer: str | None, told: Callable[[str], None]) -> AsyncIterator[Sweep]:
    """What `keywright sweep` needs, with connections of its own. `issuer`: as the user names it; None: all."""
    cluster_id = None if reach.cluster_id is None else valid_cluster_id(reach.cluster_id)
    told("connecting")
    async with await KubeApi.connect(reach.kubeconfig, reach.context) as api:
        namespace = reach.namespace or api.login.namespace
        cluster, sink, whole = KubeCluster(api, _now), SecretSink(api), True
        told("reading ApiKeys and Secrets")
        try:
            await _reread(cluster, sink)
        except Unauthorized as error:
            if error.reason != "Forbidden" or cluster_id is None:
                raise
            cluster, sink, whole = KubeCluster(api, _now, [namespace]), SecretSink(api, [namespace]), False
            await _reread(cluster, sink)
        cluster_id = cluster_id or await cluster_id_of(api)
        directory = IssuerDirectory(
            cluster,
            mistral_factory(allow_insecure=reach.allow_insecure_issuers),
            cluster_scope=True,
            monotonic=asyncio.get_running_loop().time,
            troubled=lambda _: None,
        )
        sweeper = Sweeper(
            cluster=cluster,
            sink=sink,
            directory=directory,
            cluster_id=cluster_id,
            reread=lambda: _reread(cluster, sink),
            told=told,
        )
        try:
            yield Sweep(sweeper, chosen(cluster.issuers(), namespace, issuer), cluster_id, namespace, whole)
        finally:
            await directory.close()


@asynccontextmanager
async def rotating(reach: Reach) -> AsyncIterator[tuple[Rotator, str]]:
    """What `keywright rotate` needs, with a connection of its own; and the namespace meant."""
    async with await KubeApi.connect(reach.kubeconfig, reach.context) as api:
        rotator = Rotator(
            cluster=KubeCluster(api, _now),
            clock=_now,
            monotonic=asyncio.get_running_loop().time,
            sleep=asyncio.sleep,
        )
        yield rotator, reach.namespace or api.login.namespace


async def _reread(cluster: KubeCluster, sink: SecretSink) -> None:
    await cluster.sync()
    await sink.sync()
