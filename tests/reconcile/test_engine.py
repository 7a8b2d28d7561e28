"""What wakes an issuer's hold: whoever stops using it, by whatever hand, in virtual time."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from tests.ports.fake_cluster import FakeCluster
from tests.ports.fake_issuer import FakePlatform
from tests.ports.fake_sink import FakeSink
from tests.ports.fake_workloads import FakeWorkloads, WorkloadStore

from keywright.keys import AttemptId, ResourceKey
from keywright.metrics import Metrics
from keywright.ports.cluster import IN_USE
from keywright.reconcile.engine import Engine, Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from keywright.ports.cluster import Object

pytestmark = pytest.mark.looptime

KEY = ResourceKey("search", "pipeline")
BEGUN = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
SOON = 1.0
"""Seconds: promptly, not by the net of minutes."""


class Watched:
    """An engine over the fakes, and somebody whose deeds its watches show at once."""

    def __init__(self) -> None:
        loop, ids = asyncio.get_running_loop(), count(1)
        begun = loop.time()

        def clock() -> datetime:
            return BEGUN + timedelta(seconds=loop.time() - begun)

        self.cluster, self.platform, self.sink = FakeCluster(clock), FakePlatform(clock), FakeSink()
        self.cluster.values["Secret", "search", "admin"] = {"key": "admin"}
        for name in ("mistral", "eu"):
            spec = {"mistral": {"user": "dev@example.com", "adminKeySecretRef": {"name": "admin", "key": "key"}}}
            self.cluster.create("KeyIssuer", ResourceKey("search", name), spec)
        self._clock, self._ids = clock, ids
        self.engine = self.new_engine()

    def new_engine(self) -> Engine:
        """Of another process over the same world."""
        self.engine = Engine(
            cluster=self.cluster,
            sink=self.sink,
            workloads=FakeWorkloads(WorkloadStore(self._clock)),
            factory=self.platform.factory,
            settings=Settings(cluster_id="c1u5ter0", cluster_scope=True, min_interval=300.0, late_window=600.0),
            clock=self._clock,
            new_attempt_id=lambda: AttemptId(f"a{next(self._ids):07}"),
            metrics=Metrics.create(),
        )
        return self.engine

    def start(self) -> None:
        """Look at everything, and begin."""
        self.engine.start([obj for (kind, _), obj in self.cluster.stored.items() if kind == "KeyIssuer"])

    async def stop(self) -> None:
        """Finish."""
        assert await self.engine.finish(10.0)
        await self.engine.close()

    def apply(self, **spec: Any) -> None:
        """An ApiKey."""
        wanted = {
            "issuerRef": {"name": "mistral"},
            "workspace": "search-prod",
            "target": {"secret": {"name": "mistral-key"}},
        }
        self.engine.api_key_changed(self.cluster.create("ApiKey", KEY, {**wanted, **spec}), deleted=False)

    async def create(self, **spec: Any) -> None:
        """An ApiKey, and a while for it."""
        self.apply(**spec)
        await asyncio.sleep(SOON)

    async def edit(self, change: Callable[[Object], Any]) -> None:
        """Of the ApiKey, and a while for it."""
        self.engine.api_key_changed(self.cluster.edit("ApiKey", KEY, change), deleted=False)
        await asyncio.sleep(SOON)

    async def delete(self) -> None:
        """Of the ApiKey, and a while for it."""
        before = self.cluster.stored["ApiKey", KEY]
        self.cluster.delete("ApiKey", KEY)
        after = self.cluster.stored.get(("ApiKey", KEY))
        self.engine.api_key_changed(after or before, deleted=after is None)
        await asyncio.sleep(SOON)

    async def delete_issuer(self, name: str = "mistral") -> None:
        """And a while for it."""
        at = ("KeyIssuer", ResourceKey("search", name))
        before = self.cluster.stored[at]
        self.cluster.delete(*at)
        self.engine.issuer_changed("KeyIssuer", before, before, self.cluster.stored.get(at))
        await asyncio.sleep(SOON)

    def issuer(self, name: str = "mistral") -> Object | None:
        """As it stands."""
        return self.cluster.stored.get(("KeyIssuer", ResourceKey("search", name)))

    def is_held(self, name: str = "mistral") -> bool:
        """Whether it stands, and stays."""
        there = self.issuer(name)
        return there is not None and IN_USE in (there["metadata"].get("finalizers") or ())

    def is_settled(self) -> bool:
        """Whether the ApiKey has its key."""
        status = self.cluster.stored["ApiKey", KEY].get("status") or {}
        return bool(status.get("keyId"))


@pytest.fixture
async def world():
    """With an ApiKey that has its key."""
    world = Watched()
    world.start()
    world.apply()
    while not world.is_settled():  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0.01)  # in earnest: virtual time begins with the test
    assert world.is_held()
    yield world
    await world.stop()


async def test_a_deleted_issuer_goes_with_its_last_api_key(world: Watched):
    """Our own removal of the ApiKey's finalizer is no news to any watch: the issuer hears of it all the same."""
    await world.delete_issuer()
    assert world.is_held()
    await world.delete()
    assert world.issuer() is None
    assert world.platform.keys == {}


async def test_an_issuer_is_free_soon_after_its_last_api_key_has_gone(world: Watched):
    """So that it can be deleted without an operator."""
    await world.delete()
    assert world.issuer() is not None
    assert not world.is_held()


async def test_a_deleted_issuer_goes_when_the_overlap_of_its_last_key_is_over(world: Watched):
    """Dropped by a write of our own."""
    await world.edit(lambda obj: obj["spec"].update(issuerRef={"name": "eu"}, rotation={"overlap": "1h"}))
    await world.delete_issuer()
    assert world.is_held()
    assert world.is_held("eu")
    await asyncio.sleep(3600)
    assert world.issuer() is None
    assert len(world.platform.keys) == 1


async def test_a_deleted_issuer_goes_when_somebody_points_its_last_waiting_api_key_elsewhere(world: Watched):
    """One that never got a key: what it named before is remembered since its last pass."""
    await world.edit(lambda obj: obj["spec"].update(suspend=True))
    await world.delete_issuer("eu")
    assert world.issuer("eu") is None, "never used"
    await world.delete()
    await world.create(workspace="nowhere")
    world.cluster.edit(
        "KeyIssuer", ResourceKey("search", "mistral"), lambda obj: obj["metadata"].update(finalizers=[IN_USE])
    )
    await world.delete_issuer()
    assert world.is_held()
    await world.edit(lambda obj: obj["spec"].update(issuerRef={"name": "eu"}))
    assert world.issuer() is None


async def test_keys_of_an_older_version_get_their_issuers_held_at_the_start(world: Watched):
    """Nothing needs to happen to the ApiKeys."""
    world.cluster.edit("KeyIssuer", ResourceKey("search", "mistral"), lambda obj: obj["metadata"].update(finalizers=[]))
    passes = len(world.cluster.writes)
    world.engine.holds.add(("KeyIssuer", "search", "mistral"))
    await asyncio.sleep(SOON)
    assert world.is_held()
    assert world.cluster.writes[passes:] == ["hold"]


async def test_a_restored_api_key_has_its_issuer_held_again_soon(world: Watched):
    """A backup brings it back, status and all, after its issuer was let go: it may have keys there, though it asks for none."""
    kept = world.cluster.stored["ApiKey", KEY]
    await world.delete()
    assert not world.is_held()
    meta = {name: kept["metadata"][name] for name in ("annotations", "finalizers") if name in kept["metadata"]}
    made = world.cluster.create("ApiKey", KEY, kept["spec"] | {"suspend": True}, **meta)
    back = world.cluster.server.store(("ApiKey", KEY), {**made, "status": kept["status"]})
    world.engine.api_key_changed(back, deleted=False)
    await asyncio.sleep(SOON)
    assert world.is_held()


async def test_a_hanging_platform_does_not_keep_an_issuer_that_nobody_uses():
    """The inventory's workers may all wait for answers: the hold has workers of its own."""
    world = Watched()
    world.cluster.edit(
        "KeyIssuer", ResourceKey("search", "mistral"), lambda obj: obj["metadata"].update(finalizers=[IN_USE])
    )
    answer = asyncio.Event()

    class Hanging:
        async def list_keys(self, _name: str) -> list[Any]:
            await answer.wait()
            return []

        async def close(self) -> None:
            """Nothing to give back."""

    world.engine.directory._factory = lambda *_: Hanging()  # type: ignore[assignment]
    for number in range(10):
        world.cluster.create("KeyIssuer", ResourceKey("other", f"i{number}"), world.issuer("eu")["spec"])  # type: ignore[index]
        world.cluster.values["Secret", "other", "admin"] = {"key": "admin"}
    world.start()
    await asyncio.sleep(SOON)
    await world.delete_issuer()
    assert world.issuer() is None
    answer.set()
    await world.stop()


async def test_admin_keys_of_issuers_in_use_are_in_memory_at_once():
    """Started a moment before a namespace goes: the inventory comes to the last of many issuers much later, its Secret is gone by then."""
    world = Watched()
    world.start()
    await world.create()
    await world.stop()
    world.cluster.values["Secret", "other", "admin"] = {"key": "admin"}
    for number in range(100):
        world.cluster.create("KeyIssuer", ResourceKey("other", f"i{number}"), world.issuer("eu")["spec"])  # type: ignore[index]
    world.new_engine()
    issuers = [obj for (kind, _), obj in world.cluster.stored.items() if kind == "KeyIssuer"]
    world.engine.start(sorted(issuers, key=lambda obj: obj["metadata"]["name"] == "mistral"))
    await asyncio.sleep(SOON)
    del world.cluster.values["Secret", "search", "admin"]
    await asyncio.sleep(30)
    await world.delete_issuer()
    await world.delete()
    assert world.issuer() is None
    assert world.platform.keys == {}
    await world.stop()
