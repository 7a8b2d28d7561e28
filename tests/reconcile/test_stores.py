"""Which store a place names, who may use it, and the look over what stands in it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.planning.builders import CLUSTER, KEY, UID, a_record
from tests.ports.fake_cluster import FakeCluster
from tests.ports.fake_sink import FakeSink

from keywright.errors import Rejected, Unavailable
from keywright.keys import ResourceKey, SecretValue
from keywright.planning.layout import Owner
from keywright.planning.observed import TargetLayout
from keywright.planning.places import StorePlace
from keywright.ports.sink import Delivery
from keywright.reconcile.stores import LookOver, StoreBook

VAULT = {"address": "https://vault:8200", "auth": {"kubernetes": {"role": "keywright"}}}
PLACE = StorePlace("VaultStore", "vault", "search/mistral")
SHARED = StorePlace("ClusterVaultStore", "vault", "search/mistral")


def a_cluster() -> FakeCluster:
    """Empty."""
    return FakeCluster(lambda: datetime(2026, 1, 1, tzinfo=UTC))


def add_store(cluster: FakeCluster, *, shared: bool = False, **spec: Any) -> None:
    """One called vault."""
    kind, namespace = ("ClusterVaultStore", "") if shared else ("VaultStore", "search")
    prefix = {"prefix": "{namespace}/"} if shared else {}
    made = cluster.create(kind, ResourceKey(namespace, "vault"), {**VAULT, **prefix, **spec})
    if shared:
        del made["metadata"]["namespace"]


def add_api_key(cluster: FakeCluster, name: str, path: str) -> None:
    """One that delivers into the store."""
    spec = {
        "issuerRef": {"name": "mistral"},
        "workspace": "w",
        "target": {"vault": {"storeRef": {"name": "vault"}, "path": path}},
    }
    cluster.create("ApiKey", ResourceKey("search", name), spec)


def test_a_store_is_found_in_the_namespace_or_the_cluster():
    """What is missing is named; a cluster's store is none to an operator of single namespaces."""
    cluster = a_cluster()
    book = StoreBook(cluster, cluster_scope=True)
    with pytest.raises(Rejected, match="there is no vaultstore/vault in namespace search") as caught:
        book.find("search", PLACE)
    assert caught.value.reason == "StoreNotFound"
    add_store(cluster)
    add_store(cluster, shared=True)
    assert book.find("search", PLACE).namespace == "search"
    assert book.find("search", SHARED).namespace is None
    with pytest.raises(Rejected, match="there is no vaultstore/vault in namespace billing"):
        book.find("billing", PLACE)
    with pytest.raises(Rejected, match="serves single namespaces") as caught:
        StoreBook(cluster, cluster_scope=False).find("search", SHARED)
    assert caught.value.reason == "ClusterScopeOff"


def test_a_store_that_is_gone_will_do_for_what_is_to_end():
    """As it was last: what stands there is still to be removed."""
    cluster = a_cluster()
    add_store(cluster)
    book = StoreBook(cluster, cluster_scope=True)
    kept = book.find("search", PLACE)
    cluster.delete("VaultStore", ResourceKey("search", "vault"))
    assert book.find("search", PLACE, ending=True) == kept
    with pytest.raises(Rejected):
        book.find("search", PLACE)


def test_a_cluster_store_whose_prefix_names_no_namespace_serves_nobody():
    """The CRD refuses it; an object older than its rules may have it all the same."""
    cluster = a_cluster()
    add_store(cluster, shared=True, prefix="shared/")
    with pytest.raises(Rejected, match=r"clustervaultstore/vault: spec\.prefix") as caught:
        StoreBook(cluster, cluster_scope=True).find("search", SHARED)
    assert caught.value.reason == "StoreInvalid"


@pytest.mark.parametrize(
    ("selection", "admitted"),
    [
        ({}, False),
        ({"namespaces": {"names": ["billing"]}}, False),
        ({"namespaces": {"names": ["search"]}}, True),
        ({"namespaces": {"selector": {"matchLabels": {"team": "search"}}}}, True),
        ({"namespaces": {"selector": {"matchLabels": {"team": "other"}}}}, False),
        ({"namespaces": {"selector": {}}}, True),
    ],
)
async def test_a_cluster_store_is_for_the_namespaces_that_it_selects(selection, admitted):
    """Nobody by default; by name, or by labels."""
    cluster = a_cluster()
    cluster.server.labels["search"] = {"team": "search"}
    add_store(cluster, shared=True, **selection)
    book = StoreBook(cluster, cluster_scope=True)
    store = book.find("search", SHARED)
    if admitted:
        await book.admit(store, "search")
    else:
        with pytest.raises(Rejected, match=r"names: \[search\]") as caught:
            await book.admit(store, "search")
        assert caught.value.reason == "StoreNotGranted"


class Looking:
    """A LookOver over fakes."""

    def __init__(self) -> None:
        self.cluster = a_cluster()
        self.sink = FakeSink()
        self.woken: list[ResourceKey] = []
        self.slept: list[float] = []
        self.over = LookOver(
            cluster=self.cluster,
            sink=self.sink,
            clock=lambda: datetime(2026, 1, 1, tzinfo=UTC),
            monotonic=lambda: sum(self.slept),
            sleep=self._sleep,
            wake=self.woken.append,
        )

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    async def deliver(self, name: str) -> None:
        """A key stands at this path."""
        layout = TargetLayout("search", f"VaultStore/vault/{name}", "api_key", None, {}, {}, "")
        plaintext = SecretValue("x" * 32)
        record = replace(a_record(f"key-{name}"), digest=plaintext.digest())
        await self.sink.deliver(Delivery(layout, Owner(KEY, UID, CLUSTER, bound=True), record, plaintext), None)

    def ready(self) -> dict[str, Any]:
        """The store's condition."""
        store = self.cluster.store("VaultStore", "search", "vault")
        assert store is not None
        return store["status"]["conditions"][0]


@pytest.fixture
async def looking():
    """A store with three paths, each of which holds a key."""
    made = Looking()
    add_store(made.cluster, checkInterval="60s")
    for name in ("a", "b", "c"):
        add_api_key(made.cluster, name, name)
        await made.deliver(name)
    return made


REF = ("VaultStore", "search", "vault")


async def test_nothing_moved_wakes_nobody(looking):
    """The status is written once, the paths are looked over apart, and again after the interval."""
    due = await looking.over.refresh(REF)
    assert looking.woken == []
    assert looking.ready()["reason"] == "StoreWorks"
    assert looking.slept == [1.0, 1.0]
    assert due == timedelta(seconds=58)
    writes = len(looking.cluster.writes)
    await looking.over.refresh(REF)
    assert len(looking.cluster.writes) == writes, "what has not changed is not written"


async def test_what_moved_is_known_no_more_and_wakes_its_api_key(looking):
    """Deleted, or written over: it is to be read."""
    looking.sink.remove(ResourceKey("search", "VaultStore/vault/a"))
    looking.sink.spoil(ResourceKey("search", "VaultStore/vault/c"))
    await looking.over.refresh(REF)
    assert looking.woken == [ResourceKey("search", "a"), ResourceKey("search", "c")]
    assert looking.sink.known("search", "VaultStore/vault/a") is None
    assert looking.sink.known("search", "VaultStore/vault/b") is not None
    looking.woken.clear()
    await looking.over.refresh(REF)
    assert looking.woken == []


async def test_a_vault_that_is_away_is_said_and_tried_again(looking):
    """Its paths are not looked over; nobody is woken for it."""
    looking.sink.faults.at(0, Unavailable("vaultstore/vault is sealed: unseal it"))
    assert await looking.over.refresh(REF) == timedelta(seconds=20)
    assert (looking.ready()["status"], looking.ready()["reason"]) == ("False", "StoreUnavailable")
    assert looking.woken == []
    await looking.over.refresh(REF)
    assert looking.ready()["status"] == "True"


async def test_a_store_that_is_gone_is_not_looked_at(looking):
    """It is not tried again either."""
    looking.cluster.delete("VaultStore", ResourceKey("search", "vault"))
    assert await looking.over.refresh(REF) is None
