"""The fakes keep to the contracts that the real adapters keep to."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest
from tests.adapters.issuer_contract import LAWS, Law, Place
from tests.ports.cluster_contract import ClusterContract
from tests.ports.fake_cluster import FakeCluster
from tests.ports.fake_issuer import FakeIssuer, FakePlatform
from tests.ports.fake_sink import FakeSink
from tests.ports.fake_workloads import FakeWorkloads, WorkloadStore
from tests.ports.sink_contract import SinkContract
from tests.ports.workloads_contract import WorkloadsContract

from keywright.keys import ResourceKey, SecretValue

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keywright.api.apikey import RestartRef
    from keywright.ports.cluster import Cluster, Object
    from keywright.ports.issuer import Issuer, IssuerFactory
    from keywright.ports.sink import Sink
    from keywright.ports.workloads import Workloads


def clock() -> datetime:
    """The real one: the issuer's contract asks for days from today."""
    return datetime.now(UTC)


class ClusterInMemory:
    """A FakeCluster with somebody else's hands."""

    namespace = "search"

    def __init__(self) -> None:
        self.port = FakeCluster(clock)

    async def create(self, kind: str, name: str, spec: Mapping[str, Any]) -> Object:
        """Seen at once."""
        return self.port.create(kind, ResourceKey(self.namespace, name), spec)

    async def annotate(self, seen: Object, name: str, value: str) -> None:
        """Not seen."""
        self.port.lagging = True
        self.port.edit(
            seen["kind"],
            ResourceKey(self.namespace, seen["metadata"]["name"]),
            lambda obj: obj["metadata"].setdefault("annotations", {}).update({name: value}),
        )

    async def delete(self, seen: Object) -> Object | None:
        """Seen at once."""
        at = (seen["kind"], ResourceKey(self.namespace, seen["metadata"]["name"]))
        self.port.delete(*at)
        return self.port.stored.get(at)

    async def create_secret(self, name: str, data: Mapping[str, str]) -> None:
        """By name and data key."""
        self.port.values["Secret", self.namespace, name] = dict(data)


class TestFakeCluster(ClusterContract):
    """In memory."""

    @pytest.fixture
    def place(self) -> ClusterInMemory:
        """A new one for each law."""
        return ClusterInMemory()


class SinkInMemory:
    """A FakeSink with somebody else's hands."""

    namespace = "search"
    owner = "pipeline"
    owner_uid = "uid-1"
    hand = "somebody"

    def __init__(self) -> None:
        self.port = FakeSink()
        self.port.lagging = True

    async def make_foreign(
        self,
        name: str,
        texts: Mapping[str, str] = MappingProxyType({"api-key": "theirs"}),
        adoptable_by: str | None = None,
    ) -> None:
        """Not seen."""
        self.port.put_foreign(
            ResourceKey(self.namespace, name), plaintext=None, texts=dict(texts), adoptable_by=adoptable_by
        )

    async def strip(self, name: str) -> None:
        """Not seen."""
        self.port.strip(ResourceKey(self.namespace, name))

    async def strip_annotations(self, name: str) -> None:
        """Not seen."""
        key = ResourceKey(self.namespace, name)
        bare = replace(self.port.stored[key], record={}, layout_digest="drifted", fence=None, adopted=None)
        self.port.put_back(key, bare)

    async def spoil(self, name: str, key: str) -> None:
        """Not seen."""
        self.port.spoil(ResourceKey(self.namespace, name))

    async def remove(self, name: str) -> None:
        """Not seen."""
        self.port.remove(ResourceKey(self.namespace, name))

    async def texts(self, name: str) -> Mapping[str, str]:
        """As stored."""
        there = self.port.stored[ResourceKey(self.namespace, name)]
        return there.texts | there.others


class TestFakeSink(SinkContract):
    """In memory."""

    @pytest.fixture
    def place(self) -> SinkInMemory:
        """A new one for each law."""
        return SinkInMemory()


class WorkloadsInMemory:
    """FakeWorkloads with somebody else's hands."""

    namespace = "search"

    def __init__(self) -> None:
        self.store = WorkloadStore(clock)
        self.port = FakeWorkloads(self.store)

    async def create(self, workload: RestartRef) -> None:
        """Running."""
        self.store.create(self.namespace, workload)

    async def complete(self, workload: RestartRef) -> None:
        """Now."""
        self.store.stored[self.namespace, workload].complete_at = clock()

    async def annotations(self, workload: RestartRef) -> Mapping[str, str]:
        """As stored."""
        return dict(self.store.stored[self.namespace, workload].annotations)

    async def rolls(self, workload: RestartRef) -> int:
        """As counted."""
        return len(self.store.stored[self.namespace, workload].rolls)

    async def without_rights(self) -> FakeWorkloads:
        """From now on."""
        self.store.forbidden = True
        return self.port


class TestFakeWorkloads(WorkloadsContract):
    """In memory."""

    @pytest.fixture
    def place(self) -> WorkloadsInMemory:
        """A new one for each law."""
        return WorkloadsInMemory()


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
async def test_fake_issuer(law: Law):
    """The issuer's laws, in memory."""
    issuer = FakeIssuer(FakePlatform(clock), SecretValue("admin"))
    await law(Place(issuer, "search-prod", "dev@example.com"))


def test_the_fakes_have_the_ports_shapes():
    """For mypy as much as for pytest: a port that grows makes this line fail."""
    cluster: Cluster = FakeCluster(clock)
    sink: Sink = FakeSink()
    workloads: Workloads = FakeWorkloads(WorkloadStore(clock))
    platform = FakePlatform(clock)
    issuer: Issuer = FakeIssuer(platform, SecretValue("admin"))
    factory: IssuerFactory = platform.factory
    assert all((cluster, sink, workloads, issuer, factory))
