"""A whole world in memory with a clock of its own: apiserver, Secrets, platform, and operators that come and go over it."""

from __future__ import annotations

import itertools
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.ports.fake_cluster import FakeCluster
from tests.ports.fake_issuer import FakePlatform
from tests.ports.fake_sink import FakeSink
from tests.ports.fake_workloads import FakeWorkloads, Workload, WorkloadStore
from tests.ports.faults import Faults

from keywright.api.apikey import RestartRef
from keywright.api.apikey_status import ApiKeyStatus
from keywright.errors import KeywrightError
from keywright.keys import AttemptId, KeyRecord, ResourceKey, Tag
from keywright.metrics import Metrics
from keywright.reconcile.directory import IssuerDirectory
from keywright.reconcile.execute import Executor
from keywright.reconcile.inventory import Inventory
from keywright.reconcile.observe import Observer
from keywright.reconcile.reconciler import Reconciler
from keywright.reconcile.restarting import Restarter

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from keywright.ports.cluster import Object

KEY = ResourceKey("search", "pipeline")
SECRET = ResourceKey("search", "mistral-key")
CLUSTER_ID = "c1u5ter0"
DAY = timedelta(days=1)


def drive(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run what never waits for anything real to its end, here and now: how one process overtakes another within its call."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("the fakes do not wait")


@dataclass
class Process:
    """One operator: what it remembers goes with it."""

    reconciler: Reconciler
    inventory: Inventory
    directory: IssuerDirectory
    metrics: Metrics


class World:
    """Everything outside of the operator, and the operator that runs now."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 24, 12, 0, 0, 654321, tzinfo=UTC)
        self.faults = Faults()
        self.cluster = FakeCluster(lambda: self.now, self.faults)
        self.sink = FakeSink(self.faults)
        self.cluster.collect = self.sink.collect
        self.workloads = FakeWorkloads(WorkloadStore(lambda: self.now), self.faults)
        self.platform = FakePlatform(lambda: self.now, self.faults)
        self.min_interval = 300.0
        self.woken: set[ResourceKey] = set()
        self.troubled: set[tuple[str, str | None, str]] = set()
        self.excused = False
        """Somebody outside broke it: I2 is not asked for."""
        self._ids = itertools.count(1)
        self.process = self.start()
        self.create_issuer("mistral")
        self.cluster.values["Secret", "search", "admin"] = {"key": "admin"}

    def start(self) -> Process:
        """A new operator over the same world; the one before is gone or frozen."""
        clock = self.clock
        metrics = Metrics.create()
        directory = IssuerDirectory(
            self.cluster,
            self.platform.factory,
            cluster_scope=True,
            monotonic=lambda: self.now.timestamp(),  # noqa: PLW0108 -- the method of one moment would stand still
            troubled=self.troubled.add,
        )
        inventory = Inventory(
            cluster=self.cluster,
            sink=self.sink,
            directory=directory,
            cluster_id=CLUSTER_ID,
            clock=clock,
            monotonic=lambda: self.now.timestamp(),  # noqa: PLW0108 -- as above
            sleep=self.sleep,
            wake=self.woken.add,
            metrics=metrics,
        )
        restarter = Restarter(self.workloads)
        observer = Observer(
            cluster=self.cluster,
            sink=self.sink,
            directory=directory,
            inventory=inventory,
            restarter=restarter,
            cluster_id=CLUSTER_ID,
            min_interval=self.min_interval,
            late_window=600.0,
            new_attempt_id=lambda: AttemptId(f"a{next(self._ids):07}"),
        )
        executor = Executor(
            cluster=self.cluster,
            sink=self.sink,
            directory=directory,
            observer=observer,
            restarter=restarter,
            clock=clock,
            sleep=self.sleep,
        )
        reconciler = Reconciler(
            cluster=self.cluster, observer=observer, executor=executor, clock=clock, metrics=metrics
        )
        self.process = Process(reconciler, inventory, directory, metrics)
        return self.process

    def clock(self) -> datetime:
        """Each look at the clock takes a moment."""
        self.now += timedelta(milliseconds=3)
        return self.now

    def i2(self, _call: str = "") -> None:
        """I2, to be asked at every boundary: once there was a key in the Secret, there is one that works."""
        there = self.sink.stored.get(SECRET)
        obj = self.cluster.stored.get(("ApiKey", KEY))
        deleting = obj is None or "deletionTimestamp" in obj["metadata"]
        if self.status().key_id and not deleting and not self.excused:
            assert there
            assert self.platform.accepts(there.plaintext), "the Secret holds a dead key"

    async def sleep(self, seconds: float) -> None:
        """The executor's pauses."""
        self.now += timedelta(seconds=seconds)

    # What people do.

    def create_issuer(self, name: str) -> Object:
        """A KeyIssuer of the namespace search."""
        spec = {"mistral": {"user": "dev@example.com", "adminKeySecretRef": {"name": "admin", "key": "key"}}}
        return self.cluster.create("KeyIssuer", ResourceKey("search", name), spec)

    def delete_issuer(self, name: str = "mistral", *, by_force: bool = False) -> None:
        """Kubectl delete; by force, somebody takes its finalizers off as well."""
        at = ("KeyIssuer", ResourceKey("search", name))
        self.cluster.delete(*at)
        if by_force and at in self.cluster.stored:
            self.cluster.edit(*at, lambda obj: obj["metadata"].update(finalizers=[]))

    def create(self, key: ResourceKey = KEY, annotations: dict[str, str] | None = None, **spec: Any) -> Object:
        """An ApiKey, for 90 days unless told otherwise; None takes a field away."""
        fields = {
            "issuerRef": {"name": "mistral"},
            "workspace": "search-prod",
            "expiry": {"validity": "90d"},
            "target": {"secret": {"name": SECRET.name}},
            **spec,
        }
        fields = {name: value for name, value in fields.items() if value is not None}
        return self.cluster.create("ApiKey", key, fields, annotations=annotations or {})

    def create_workload(self, name: str = "web", kind: Any = "Deployment") -> Workload:
        """One that runs."""
        return self.workloads.store.create(KEY.namespace, RestartRef(kind=kind, name=name))

    def edit(self, key: ResourceKey = KEY, **spec: Any) -> None:
        """Fields of the spec."""
        self.cluster.edit("ApiKey", key, lambda obj: obj["spec"].update(spec))

    def annotate(self, key: ResourceKey = KEY, **values: str) -> None:
        """Annotations under keywright.dev/."""
        named = {f"keywright.dev/{name}": value for name, value in values.items()}
        self.cluster.edit("ApiKey", key, lambda obj: obj["metadata"]["annotations"].update(named))

    def delete(self, key: ResourceKey = KEY) -> None:
        """Kubectl delete."""
        self.cluster.delete("ApiKey", key)

    # What happens by itself.

    async def settle(self, key: ResourceKey = KEY, *, within: timedelta = timedelta(minutes=2)) -> timedelta | None:
        """Reconcile until nothing is due within a time; returns when something is. Issuers are held and let go as the engine does it."""
        due = await self._settle(key, within)
        await self.hold_over()
        return due

    async def hold_over(self) -> None:
        """A look at each issuer's finalizer, as its worker makes it: an error is a retry."""
        for kind, at in [at for at in self.cluster.stored if at[0] != "ApiKey"]:
            with suppress(KeywrightError):
                await self.process.directory.holding.look((kind, at.namespace or None, at.name))

    async def _settle(self, key: ResourceKey, within: timedelta) -> timedelta | None:
        end = self.now + within
        for _ in range(200):
            due = await self.pass_over(key)
            if due is None or self.now + due > end:
                return due
            self.now += due
        raise AssertionError(f"no rest: {self.status(key).to_dict()}")

    async def pass_over(self, key: ResourceKey = KEY) -> timedelta | None:
        """One pass, as a worker makes it: an error is a retry."""
        try:
            return await self.process.reconciler.reconcile(key)
        except KeywrightError:
            return timedelta(seconds=5)

    async def look_over(self, name: str = "mistral") -> timedelta | None:
        """What of the inventory is due now, a second look included, and those that it wakes; returns when the next is."""
        ref = ("KeyIssuer", "search", name)
        due = await self.process.inventory.refresh(ref)
        if due is not None and due < timedelta(minutes=1):
            self.now += due
            due = await self.process.inventory.refresh(ref)
        await self.hold_over()
        while self.woken:
            await self.settle(self.woken.pop())
        return due

    async def quieten(self, key: ResourceKey = KEY, *, hours: float = 0.5) -> None:
        """The faults are over: time passes, with an inventory pass each five minutes, until all is said and done."""
        self.faults.calm()
        self.cluster.catch_up()
        self.sink.catch_up()
        end = self.now + timedelta(hours=hours)
        while self.now < end:
            self.platform.commit_late()
            await self.look_over()
            due = await self.settle(key, within=timedelta(minutes=4))
            step = min(timedelta(minutes=5), due or timedelta(minutes=5))
            self.now += max(step, timedelta(minutes=4))

    # What can be seen.

    def status(self, key: ResourceKey = KEY) -> ApiKeyStatus:
        """As it stands at the apiserver."""
        obj = self.cluster.stored.get(("ApiKey", key)) or {}
        return ApiKeyStatus.model_validate(obj.get("status") or {})

    def says(self, key: ResourceKey = KEY) -> tuple[str, str, str]:
        """Ready's status, reason and message."""
        ready = self.status(key).condition("Ready")
        assert ready
        return ready.status, ready.reason, ready.message

    def holds(self, secret: ResourceKey = SECRET) -> str | None:
        """The plaintext in a Secret."""
        there = self.sink.stored.get(secret)
        return there.plaintext if there else None

    def record(self, secret: ResourceKey = SECRET) -> KeyRecord | None:
        """The record in a Secret."""
        there = self.sink.stored.get(secret)
        return KeyRecord.from_strings(there.record) if there else None

    def live(self) -> set[str]:
        """Live keys at the platform with this cluster's tag."""
        return {key_id for key_id, name in self.platform.names().items() if Tag.parse(name)}

    def named(self) -> set[str]:
        """The keys that some status names."""
        found: set[str] = set()
        for kind, key in self.cluster.stored:
            if kind == "ApiKey":
                status = self.status(key)
                found |= {status.key_id} if status.key_id else set()
                found |= {p.key_id for p in status.previous}
        return found

    # The invariants, once quiet.

    def one_key(self, key: ResourceKey = KEY, secret: ResourceKey = SECRET) -> None:
        """I1, I2, I4: what lives is what the status names; the Secret holds the current key and it works; nothing is open."""
        status = self.status(key)
        assert self.live() == self.named(), (self.live(), self.named())
        record = self.record(secret)
        assert record
        assert record.key_id == status.key_id
        assert self.platform.accepts(self.holds(secret))
        assert status.attempt is None
        assert self.says(key)[0] == "True", self.says(key)

    def nothing_left(self) -> None:
        """I1 after a deletion: no key, no Secret, no ApiKey."""
        assert self.live() == set()
        assert not any(there.owner for there in self.sink.stored.values())
        assert not any(kind == "ApiKey" for kind, _ in self.cluster.stored)


async def a_settled_world(**spec: object) -> World:
    """One ApiKey, issued ten minutes ago."""
    world = World()
    world.create(**spec)
    await world.settle()
    world.one_key()
    world.now += timedelta(minutes=10)
    return world
