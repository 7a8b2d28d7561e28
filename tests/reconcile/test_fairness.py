"""U5 without a machine's noise: the whole engine, in virtual time, beside a namespace whose issuers never answer."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from tests.ports.fake_cluster import FakeCluster
from tests.ports.fake_issuer import FakeIssuer, FakePlatform
from tests.ports.fake_sink import FakeSink
from tests.ports.fake_workloads import FakeWorkloads, WorkloadStore

from keywright.errors import Unavailable
from keywright.keys import AttemptId, ResourceKey
from keywright.metrics import Metrics
from keywright.reconcile.engine import Engine, Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from keywright.api.keyissuer import KeyIssuerSpec
    from keywright.keys import SecretValue

pytestmark = pytest.mark.looptime

BEGUN = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
MANY = 1_000
DEADLINE = 10.0
"""Seconds until a request to the silent platform is given up."""


class Silent(FakeIssuer):
    """Never answers."""

    async def user_id(self, user: str) -> str:
        """Not this either."""
        await asyncio.sleep(DEADLINE)
        raise Unavailable(f"it left a question after {user} unanswered")

    async def list_keys(self, *_args: Any, **_named: Any) -> Any:
        """Nor this."""
        await asyncio.sleep(DEADLINE)
        raise Unavailable("it left a question after its keys unanswered")


class Neighbours:
    """An engine, one namespace after another that is well, and the one that is not."""

    def __init__(self) -> None:
        loop, ids = asyncio.get_running_loop(), count(1)
        begun = loop.time()

        def clock() -> datetime:
            return BEGUN + timedelta(seconds=loop.time() - begun)

        self.cluster, self.platform = FakeCluster(clock), FakePlatform(clock)
        self.engine = Engine(
            cluster=self.cluster,
            sink=FakeSink(),
            workloads=FakeWorkloads(WorkloadStore(clock)),
            factory=self._issuer,
            settings=Settings(cluster_id="c1u5ter0", cluster_scope=True, min_interval=300.0, late_window=600.0),
            clock=clock,
            new_attempt_id=lambda: AttemptId(f"a{next(ids):07}"),
            metrics=Metrics.create(),
        )
        self.engine.start([])

    def _issuer(self, _name: str, spec: KeyIssuerSpec, key: SecretValue, _bundle: SecretValue | None) -> FakeIssuer:
        assert spec.mistral
        return Silent(self.platform, key) if "silent" in spec.mistral.url else FakeIssuer(self.platform, key)

    def create_issuer(self, namespace: str, name: str, url: str) -> None:
        """With the admin key of its namespace."""
        self.cluster.values["Secret", namespace, "admin"] = {"key": "admin"}
        ref = {"name": "admin", "key": "key"}
        spec = {"mistral": {"url": url, "user": "dev@example.com", "adminKeySecretRef": ref}}
        made = self.cluster.create("KeyIssuer", ResourceKey(namespace, name), spec)
        self.engine.issuer_changed("KeyIssuer", made, None, made)

    def create(self, key: ResourceKey, issuer: str, **annotations: str) -> None:
        """An ApiKey that its watch shows at once."""
        spec = {"issuerRef": {"name": issuer}, "workspace": "search-prod", "target": {"secret": {"name": key.name}}}
        made = self.cluster.create("ApiKey", key, spec, annotations=annotations)
        self.engine.api_key_changed(made, deleted=False)

    async def first_key(self, namespace: str) -> float:
        """Seconds from a namespace's first ApiKey to its key."""
        loop, key = asyncio.get_running_loop(), ResourceKey(namespace, "first")
        self.create_issuer(namespace, "mistral", "https://well.example")
        begun = loop.time()
        self.create(key, "mistral")
        async with asyncio.timeout(300):
            while not (self.cluster.stored["ApiKey", key].get("status") or {}).get("keyId"):  # noqa: ASYNC110 -- nobody tells
                await asyncio.sleep(0.05)
        return loop.time() - begun


@pytest.mark.parametrize(
    "issuer", [lambda _: "silent", lambda i: f"silent-{i % 100}"], ids=["one issuer", "a hundred issuers"]
)
async def test_a_namespace_whose_issuers_never_answer_delays_nobody_else(issuer: Callable[[int], str]):
    """Its thousand ApiKeys have all workers that nobody wants, and no more; other namespaces come while they wait and wait again."""
    world = Neighbours()
    for name in sorted({issuer(i) for i in range(MANY)}):
        world.create_issuer("noisy", name, "https://silent.example")
    for i in range(MANY):
        world.create(ResourceKey("noisy", f"broken-{i}"), issuer(i))
    late = []
    for i in range(15):
        await asyncio.sleep(1.7)
        late.append(await world.first_key(f"quiet-{i}"))
    assert max(late) < 0.5, late
    await world.engine.finish(20.0)
    await world.engine.close()
