"""A place in a real Vault for the laws of sinks: a store with a mount of its own, and somebody else's hands in it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tests.planning.builders import CLUSTER
from tests.ports.fake_cluster import FakeCluster

from keywright.adapters.vault_sink import VaultSink
from keywright.adapters.vault_stores import VaultStores
from keywright.keys import ResourceKey
from keywright.ports.lease import Unshared
from keywright.reconcile.stores import StoreBook

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.vaults import Vault

    from keywright.adapters.vault_client import OnRequest


NAMESPACE = "search"


@dataclass
class RealVault:
    """A VaultSink, and the root token as somebody else."""

    port: VaultSink
    vault: Vault
    cluster: FakeCluster
    stores: VaultStores
    mount: str
    namespace: str = NAMESPACE
    owner: str = "mistral"
    hand: str = ""
    owner_uid: str = "0bad0bad-0000-4000-8000-000000000000"

    def path(self, name: str) -> str:
        """Below the mount."""
        return f"{self.namespace}/{name.split('/', 2)[2]}"

    async def make_foreign(
        self,
        name: str,
        texts: Mapping[str, str] = MappingProxyType({"api-key": "theirs"}),
        adoptable_by: str | None = None,
    ) -> None:
        """By hand; nothing in Vault is given away by an annotation."""
        assert adoptable_by is None
        self.vault.put(self.path(name), dict(texts), self.mount)

    async def strip(self, name: str) -> None:
        """Its own fields alone, and no custom metadata."""
        path, texts = self.path(name), dict(await self.texts(name))
        self.vault.remove(path, self.mount)
        self.vault.put(path, texts, self.mount)

    async def strip_annotations(self, name: str) -> None:
        """Our fields go, the custom metadata stays."""
        self.vault.put(self.path(name), dict(await self.texts(name)), self.mount)

    async def spoil(self, name: str, key: str) -> None:
        """By hand."""
        self.vault.patch(self.path(name), {key: "spoilt"}, self.mount)

    async def remove(self, name: str) -> None:
        """All of it."""
        self.vault.remove(self.path(name), self.mount)

    async def texts(self, name: str) -> Mapping[str, str]:
        """As a consumer reads them, but for our own fields."""
        data = self.vault.data(self.path(name), self.mount) or {}
        return {key: value for key, value in data.items() if not key.startswith("keywright.dev/")}


def a_place(
    vault: Vault,
    *,
    mount: str | None = None,
    policy: str | None = None,
    on_request: OnRequest | None = None,
    **spec: Any,
) -> RealVault:
    """A store with a mount of its own, and a token that may do what keywright needs below the namespace's prefix, and no more."""
    mount = mount or vault.a_mount()
    if policy is None:
        vault.allow(mount, f"{NAMESPACE}/", mount=mount)
    cluster = FakeCluster(lambda: datetime.now(UTC))
    cluster.server.values["Secret", NAMESPACE, "vault"] = {"token": vault.a_token(policy or mount)}
    described = {
        "address": vault.address,
        "mount": mount,
        "prefix": "{namespace}/",
        "auth": {"tokenSecretRef": {"name": "vault", "key": "token"}},
        **spec,
    }
    cluster.create("VaultStore", ResourceKey(NAMESPACE, "vault"), described)
    stores = VaultStores(StoreBook(cluster, cluster_scope=True), cluster, allow_insecure=True, on_request=on_request)
    return RealVault(VaultSink(stores, CLUSTER, Unshared()), vault, cluster, stores, mount)
