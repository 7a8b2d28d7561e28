"""One operator process: the real engine over ports of its own, which may stop at any await, for a while or for ever."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.ports.fake_cluster import FakeCluster, key_of
from tests.ports.fake_issuer import FakeIssuer
from tests.ports.fake_sink import FakeSink, Stored
from tests.ports.fake_workloads import FakeWorkloads
from tests.ports.faults import Faults

from keywright.errors import Ambiguous, Conflict, RateLimited, Rejected, Unavailable
from keywright.metrics import Metrics
from keywright.planning.places import in_vault
from keywright.ports.lease import Lease, Unshared
from keywright.reconcile.engine import Engine, Settings

if TYPE_CHECKING:
    from tests.simulation.history import Fault
    from tests.simulation.world import Site, World

    from keywright.api.keyissuer import KeyIssuerSpec
    from keywright.keys import ResourceKey, SecretValue
    from keywright.ports.cluster import Object
    from keywright.ports.issuer import Issuer

__all__ = ["CLUSTER_ID", "MIN_INTERVAL", "Process"]

CLUSTER_ID = "c1u5ter0"
_METRICS = Metrics.create()
"""Of all processes: nobody reads them here, and to make them takes a tenth of a history's time."""
MIN_INTERVAL = 300.0
LATE_WINDOW = 600.0


class Process(Faults):
    """Also the faults of its own ports: each boundary is one of `meet`."""

    def __init__(self, world: World, site: Site, slot: str) -> None:
        """`slot`: which replica it is; a dead process's slot is filled again."""
        super().__init__()
        self.world = world
        self.site = site
        self.slot = slot
        self.dead = False
        self.frozen_since = self.frozen_until = 0.0
        self.deaf_until = 0.0
        self.lease: Lease = Unshared() if world.history.operators == "two" else site.leadership.of(self)
        self.cluster = FakeCluster(site.clock, self, site.server)
        self.cluster.lagging = True  # what its watches tell arrives through `hear`
        self.sink = FakeSink(self, site.secrets)
        self.sink.lagging = True
        self.engine = Engine(
            cluster=self.cluster,
            sink=self.sink,
            workloads=FakeWorkloads(site.workloads, self, self.lease),
            factory=self._issuer,
            settings=Settings(
                cluster_id=CLUSTER_ID,
                cluster_scope=True,
                min_interval=MIN_INTERVAL,
                late_window=LATE_WINDOW,
                workers=3,
                issuer_workers=2,
            ),
            clock=site.clock,
            new_attempt_id=world.new_attempt_id,
            metrics=_METRICS,
        )
        site.server.watchers.append(self._told_of_object)
        site.secrets.watchers.append(self._told_of_secret)

    def boot(self) -> None:
        """List, and work; a replica of an elected pair works once it leads."""
        self.cluster.catch_up()
        self.sink.catch_up()
        if self.world.history.operators == "two":
            self.work()
        else:
            self.site.leadership.stand(self)

    def work(self) -> None:
        """Begin with everything that was listed."""
        self.engine.start([obj for (kind, _), obj in self.site.server.stored.items() if kind == "KeyIssuer"])

    def die(self) -> None:
        """Kill -9: nothing of it happens any more."""
        self.dead = True
        self.site.server.watchers.remove(self.cluster._watch)
        self.site.server.watchers.remove(self._told_of_object)
        self.site.secrets.watchers.remove(self.sink._watch)
        self.site.secrets.watchers.remove(self._told_of_secret)
        engine = self.engine
        for workers in (engine._workers, engine._issuer_workers, engine._hold_workers, engine._store_workers):
            for task in workers._tasks:
                task.cancel()

    def freeze(self, seconds: float) -> None:
        """SIGSTOP, and SIGCONT later; nothing but a lease makes a long stop safe."""
        if self.world.history.operators == "two":
            seconds = min(seconds, LATE_WINDOW - 100)
        now = self.world.time()
        if now >= self.frozen_until:
            self.frozen_since = now
        self.frozen_until = max(self.frozen_until, now + seconds)
        self.world.stalled_until = max(self.world.stalled_until, self.frozen_until)
        self.site.leadership.freezes(self, now + seconds)

    # Its boundaries.

    async def before(self, call: str) -> None:
        """A call was made; nothing has happened."""
        await self.meet(f"before {call}")

    async def after(self, call: str) -> None:
        """It happened; the caller does not know yet."""
        self.world.happened(self, call)
        await self.meet(f"after {call}")

    async def meet(self, point: str) -> None:
        """Let others go first; then perhaps something goes wrong."""
        self.world.check()
        await self.world.delay()
        if self.dead or self.frozen_until:  # of thousands of steps few are
            await self.awake()
        fault = self.world.next_fault(point)
        if fault is not None:
            self.world.say(f"{self.slot}: {point}: {fault.how} {fault.seconds or ''}")
            await self._suffer(fault)
        self.world.reachable(self, point)

    async def awake(self) -> None:
        """Return once it runs; never for one that is dead."""
        while (left := self.frozen_until - self.world.time()) > 0:  # noqa: ASYNC110 - frozen again meanwhile, for longer
            await asyncio.sleep(left)
        if self.dead:
            raise asyncio.CancelledError

    async def _suffer(self, fault: Fault) -> None:  # noqa: C901 - one branch a fault
        committed = fault.at.startswith("after")
        match fault.how:
            case "crash":
                self.world.kill(self, "crashed")
                raise asyncio.CancelledError
            case "freeze":
                self.freeze(fault.seconds)
                await self.awake()
            case "slow":
                alone = self.world.history.operators != "two"
                await asyncio.sleep(fault.seconds if alone else min(fault.seconds, LATE_WINDOW - 100))
                await self.awake()
            case "unavailable":
                raise Unavailable("no connection")
            case "lost" | "mangled":
                raise Ambiguous("no answer" if not committed else "no answer that could be understood")
            case "late":
                self.world.later(fault.seconds, self.world.commit_late)
                raise Ambiguous("late")
            case "rejected":
                reason = "IssuerRefused" if fault.at == "before create" else "TargetRefused"
                raise Rejected("refused", reason=reason)
            case "limited":
                raise RateLimited("wait", after=fault.seconds)
            case "conflict":
                raise Conflict("somebody else wrote first")
            case "deposed":
                self.site.leadership.depose()

    # What it is told.

    def _told_of_object(self, event: str, obj: Object) -> None:
        for delay in self.world.watch_delays(self):
            self.world.later(delay, lambda: self._hear_of_object(event, obj))

    def _told_of_secret(self, key: ResourceKey, there: Stored | None, version: int) -> None:
        for delay in [] if in_vault(key.name) else self.world.watch_delays(self):
            self.world.later(delay, lambda: self._hear_of_secret(key, there, version))

    def _hear_of_object(self, event: str, obj: Object) -> None:
        if self.dead:
            return
        kind = obj["kind"]
        before = None if kind == "ApiKey" else self.cluster.issuer(kind, *_ref(obj))
        if kind == "VaultStore":
            self.cluster.seen(event, obj)
            return
        if not self.cluster.seen(event, obj):
            return
        if kind == "ApiKey":
            self.engine.api_key_changed(obj, deleted=event == "DELETED")
        else:
            self.engine.issuer_changed(kind, obj, before, self.cluster.issuer(kind, *_ref(obj)))

    def _hear_of_secret(self, key: ResourceKey, there: Stored | None, version: int) -> None:
        if not self.dead and self.sink.seen(key, there, version):
            self.engine.target_changed(key.namespace, key.name)

    def relist(self) -> None:
        """After a gap, 410 or not: list anew, which tells of everything that is other than it was."""
        if self.dead:
            return
        for obj in self.cluster.api_keys():
            at = ("ApiKey", key_of(obj))
            if at not in self.site.server.stored:
                self._hear_of_object("DELETED", obj)
        for obj in list(self.site.server.stored.values()):
            self._hear_of_object("MODIFIED", obj)
        for key in {key for key in (*self.sink._seen, *self.site.secrets.stored) if not in_vault(key.name)}:
            there = self.site.secrets.stored.get(key)
            self._hear_of_secret(key, there, there.version if there else self.site.secrets.version)

    def _issuer(self, name: str, spec: KeyIssuerSpec, admin_key: SecretValue, ca_bundle: SecretValue | None) -> Issuer:
        return FakeIssuer(self.world.platform_of(spec), admin_key, self, self.lease)


def _ref(obj: Object) -> tuple[str, str]:
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]
