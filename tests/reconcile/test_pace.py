"""Listings of many keys on virtual time, by the real adapter over a platform in memory: how many requests, and how far apart."""

from __future__ import annotations

import asyncio
import json
import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from tests.adapters.mistral_answers import a_key
from tests.ports.fake_cluster import FakeCluster
from tests.ports.fake_sink import FakeSink
from tests.ports.fake_workloads import FakeWorkloads, WorkloadStore
from yarl import URL

from keywright.adapters.httpclient import Answer
from keywright.adapters.mistral import MistralIssuer
from keywright.errors import Unavailable
from keywright.keys import AttemptId, ResourceKey
from keywright.metrics import Metrics
from keywright.reconcile.engine import Engine, Settings
from keywright.reconcile.pace import PassPace

if TYPE_CHECKING:
    from keywright.adapters.httpclient import Call
    from keywright.api.keyissuer import KeyIssuerSpec
    from keywright.keys import SecretValue
    from keywright.ports.issuer import Issuer

pytestmark = pytest.mark.looptime

START = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
MINUTES = 60.0


class Platform:
    """Keys, newest first, and what an HttpClient would bring of them; `churn` are created and deleted in each second."""

    def __init__(self, keys: int, churn: int = 0) -> None:
        self.keys = [self._key(i) for i in range(keys)]
        self.asked: list[float] = []
        self._churn = churn
        self._moved_at = 0.0
        self._random = random.Random(7)  # noqa: S311 -- a test's moves, to be had again

    def _key(self, i: int) -> dict[str, Any]:
        return a_key(f"00000000-0000-4000-8000-{i:012}", name=f"k {i} [kw/c1u5ter0/01234567/{i:08}]")

    async def send(self, call: Call) -> Answer:
        """One page of the list."""
        now = asyncio.get_running_loop().time()
        self._move(now)
        self.asked.append(now)
        offset, limit = int(call.url.query["offset"]), int(call.url.query["limit"])
        page = {"keys": self.keys[offset : offset + limit]}
        await asyncio.sleep(0.05)
        return Answer(200, json.dumps(page).encode())

    def _move(self, now: float) -> None:
        for _ in range(int((now - self._moved_at) * self._churn)):
            self.keys.insert(0, self._key(self._random.randrange(10**7, 10**8)))
            del self.keys[self._random.randrange(len(self.keys))]
        self._moved_at = now

    def quiet(self) -> None:
        """Never."""

    async def close(self) -> None:
        """Nothing to give back."""

    def factory(self, name: str, spec: KeyIssuerSpec, admin_key: SecretValue, _bundle: SecretValue | None) -> Issuer:
        """The real adapter over this."""
        assert spec.mistral
        admin = URL("https://platform/v1/admin")
        return MistralIssuer(name, spec.mistral, admin_key, admin=admin, models=admin, client=self)  # type: ignore[arg-type]


class Fleet:
    """An engine over issuers of one platform, on the loop's own time."""

    def __init__(self, platform: Platform, issuers: int = 1, **spec: Any) -> None:
        begun = asyncio.get_running_loop().time()
        clock = lambda: START + timedelta(seconds=asyncio.get_running_loop().time() - begun)  # noqa: E731 -- as short as it is
        self.cluster = FakeCluster(clock)
        self.cluster.values["Secret", "search", "admin"] = {"key": "admin"}
        mistral = {"user": "dev@example.com", "adminKeySecretRef": {"name": "admin", "key": "key"}}
        self.issuers = [
            self.cluster.create("KeyIssuer", ResourceKey("search", f"issuer-{i:03}"), {"mistral": mistral, **spec})
            for i in range(issuers)
        ]
        self.metrics = Metrics.create()
        self.engine = Engine(
            cluster=self.cluster,
            sink=FakeSink(),
            workloads=FakeWorkloads(WorkloadStore(clock)),
            factory=platform.factory,
            settings=Settings("c1u5ter0", cluster_scope=True, min_interval=300.0, late_window=600.0),
            clock=clock,
            new_attempt_id=lambda: AttemptId("aaaaaaaa"),
            metrics=self.metrics,
        )

    def status(self, i: int = 0) -> dict[str, Any]:
        """Of an issuer."""
        found = self.cluster.issuer("KeyIssuer", "search", f"issuer-{i:03}")
        assert found
        return found.get("status") or {}

    async def run(self, seconds: float) -> float:
        """From the start, for so long; returns the seconds that stopping took."""
        self.engine.start(self.issuers)
        loop = asyncio.get_running_loop()
        await asyncio.sleep(seconds)
        told = loop.time()
        assert await self.engine.finish(25.0)
        took = loop.time() - told
        await self.engine.close()
        return took


def busiest(times: list[float], within: float) -> int:
    """The most requests in any span of so many seconds."""
    return max(sum(1 for other in times if at <= other < at + within) for at in times)


async def test_ten_thousand_keys_are_one_pass_a_period_without_a_burst():
    """112 pages each five minutes, at most two a second, and nothing else is asked."""
    platform = Platform(10_000)
    fleet = Fleet(platform)
    await fleet.run(20 * MINUTES - 1)
    begun = platform.asked[0]
    periods = [sum(1 for at in platform.asked if p <= (at - begun) // 300 < p + 1) for p in range(4)]
    assert periods == [112] * 4
    assert busiest(platform.asked, 1.0) <= 5, "the first three pages come at once, and the last two"
    assert busiest(platform.asked, 10.0) <= 20
    assert fleet.status()["keys"] == 10_000


async def test_the_first_page_tells_that_the_admin_key_works():
    """Not the last one, a minute later."""
    fleet = Fleet(Platform(10_000))
    fleet.engine.start(fleet.issuers)
    await asyncio.sleep(0.5)
    assert fleet.status()["conditions"][0]["reason"] == "AdminKeyWorks"
    assert "keys" not in fleet.status()
    await fleet.engine.finish(1.0)
    await fleet.engine.close()


@pytest.mark.parametrize("churn", [10, 50, 200])
async def test_passes_come_to_their_end_while_keys_come_and_go_all_the_time(churn: int):
    """As many created and deleted in each second, all day long: no pass starves, none bursts."""
    platform = Platform(10_000, churn)
    fleet = Fleet(platform)
    await fleet.run(14 * MINUTES)
    assert fleet.status()["conditions"][0]["reason"] == "AdminKeyWorks"
    assert fleet.status()["keys"] > 5_000, "what was created since a pass began, it need not see"
    labels = {"kind": "KeyIssuer", "namespace": "search", "name": "issuer-000"}
    at = fleet.metrics.registry.get_sample_value("keywright_inventory_last_pass_timestamp_seconds", labels)
    assert at
    assert at > (START + timedelta(minutes=10)).timestamp(), "the third pass came to its end"
    assert len(platform.asked) <= 3 * 150


async def test_a_small_issuer_is_read_at_once():
    """250 keys: four pages within the second."""
    platform = Platform(250)
    fleet = Fleet(platform)
    await fleet.run(10)
    assert len(platform.asked) == 4
    assert platform.asked[-1] - platform.asked[0] < 1.5
    assert fleet.status()["keys"] == 250


async def test_many_issuers_are_not_looked_at_all_at_once_after_a_start():
    """Two hundred, each within ten seconds, some twenty a second; a slow one holds up none."""
    platform = Platform(5)
    fleet = Fleet(platform, 200)
    await fleet.run(12)
    assert len(platform.asked) == 200
    assert platform.asked[-1] - platform.asked[0] < 10
    assert busiest(platform.asked, 1.0) <= 25
    assert all(later - at < 0.2 for at, later in pairwise(platform.asked))


async def test_one_issuer_is_looked_at_at_once_after_a_start():
    """Nobody waits for a turn that nobody else wants."""
    platform = Platform(5)
    fleet = Fleet(platform)
    begun = asyncio.get_running_loop().time()
    await fleet.run(1)
    assert platform.asked[0] - begun < 0.01


async def test_a_pass_under_way_does_not_hold_up_the_shutdown():
    """It leaves nothing behind."""
    fleet = Fleet(Platform(10_000))
    assert await fleet.run(30) <= 1.0


async def test_a_pass_that_takes_longer_than_its_interval_leaves_a_rest():
    """Ten thousand keys each ten seconds: the requests of one pass do not follow those of the last without end."""
    platform = Platform(10_000)
    fleet = Fleet(platform, inventoryInterval="10s")
    await fleet.run(2 * MINUTES)
    rests = [later - at for at, later in pairwise(platform.asked) if later - at > 1]
    assert rests
    assert min(rests) >= 4.9


async def test_the_pages_of_a_pass_are_as_far_apart_as_its_interval_allows():
    """A second, or less where that would take more than a quarter of the interval; a failed page waits as long as it was told."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async def first() -> None:
        slept.append(-1)

    for expected, apart in ((4, 1.0), (112, 75 / 112)):
        slept.clear()
        pace = PassPace(interval=300.0, expected=expected, sleep=sleep, first=first)
        for _ in range(4):
            await pace(100, None)
        await pace(100, Unavailable("x", after=30.0))
        assert slept == [-1, apart, apart, 30.0]
        assert pace.pages == 5
