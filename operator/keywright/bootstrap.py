"""Puts the operator together; the only reader of the clock and of randomness.

Knows every part by its constructor and nothing of how events arrive: wiring feeds `seen_*` and calls start and stop.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import string
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from keywright.adapters.kube_objects import KubeCluster
from keywright.adapters.kube_secret import SecretSink
from keywright.adapters.mistral import mistral_factory
from keywright.errors import Ambiguous, Retryable, Terminal
from keywright.keys import AttemptId, ResourceKey
from keywright.metrics import Metrics
from keywright.reconcile.engine import Engine, Settings

if TYPE_CHECKING:
    from keywright.adapters.kube import KubeApi
    from keywright.ports.cluster import Object

__all__ = ["GRACE", "Operator", "Options", "new_attempt_id"]

_log = logging.getLogger(__name__)

GRACE: Final = 25.0
"""Seconds that passes in flight have to finish after a SIGTERM: less than the pod's 30."""
_WORKERS: Final = 50
_LISTED: Final = 1.0
"""Seconds without another listed object after which a watch has listed all."""
_LISTED_NOT: Final = 5.0
"""Seconds until a list that failed is asked for again."""
_LIST_AGAIN: Final = 600.0
"""Seconds after which all is listed again anyhow: a watch that finds nothing left to list says nothing at all."""
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


class Operator:
    """Everything that runs, but for the watches."""

    def __init__(self, api: KubeApi, options: Options, cluster_id: str) -> None:
        """Wants a running event loop; makes no request."""
        self.api = api
        self.options = options
        self.cluster_id = cluster_id
        self.metrics = Metrics.create()
        self._listed = asyncio.Event()
        self._catching_up: asyncio.Task[None] | None = None
        self.cluster_scope = not options.namespaces
        self.cluster = KubeCluster(
            api, _now, options.namespaces or None, busy=lambda: self.engine.queue.in_flight > _WORKERS // 4
        )
        self.sink = SecretSink(api, options.namespaces or None)
        self.engine = Engine(
            cluster=self.cluster,
            sink=self.sink,
            factory=mistral_factory(allow_insecure=options.allow_insecure_issuers, on_request=self._requested),
            settings=Settings(
                cluster_id=cluster_id,
                cluster_scope=self.cluster_scope,
                min_interval=options.min_interval,
                late_window=options.late_window,
                workers=_WORKERS,
            ),
            clock=_now,
            new_attempt_id=new_attempt_id,
            metrics=self.metrics,
        )

    async def sync(self) -> list[ResourceKey]:
        """List all, so that absence is known. Returns the ApiKeys that this told something about.

        Raises Rejected where CRDs or rights are missing.
        """
        return [*await self.sink.sync(), *await self.cluster.sync()]

    def start(self) -> None:
        """Look at everything that was listed, and begin to work."""
        self.engine.start(self.cluster.issuers())
        self._catching_up = asyncio.create_task(self._catch_up(), name="catching-up")

    async def finish(self, grace: float = GRACE) -> bool:
        """Finish what is in flight, take nothing new. False where something had to be cut off."""
        if self._catching_up is not None:
            self._catching_up.cancel()
        clean = await self.engine.finish(grace)
        await self.cluster.drain(2.0)
        return clean

    async def close(self) -> None:
        """Give connections back, once nothing is in flight."""
        await self.engine.close()

    def seen_api_key(self, event_type: str | None, seen: Object) -> None:
        """A watch spoke of an ApiKey; `event_type` None: it listed it."""
        self._hear(event_type)
        if self.cluster.seen("ApiKey", event_type, seen):
            self.engine.api_key_changed(seen, deleted=event_type == "DELETED")

    def seen_issuer(self, kind: str, event_type: str | None, seen: Object) -> None:
        """A watch spoke of an issuer."""
        self._hear(event_type)
        ref = kind, seen["metadata"].get("namespace"), seen["metadata"]["name"]
        before = self.cluster.issuer(*ref)
        if self.cluster.seen(kind, event_type, seen):
            self.engine.issuer_changed(kind, seen, before, self.cluster.issuer(*ref))

    def seen_secret(self, event_type: str | None, seen: Object) -> None:
        """A watch spoke of a Secret of ours; its plaintext is forgotten at once."""
        self._hear(event_type)
        if self.sink.seen(event_type, seen):
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
