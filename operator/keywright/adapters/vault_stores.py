"""From a place to the Vault it lies in: one client for each store, made anew when its description or its CA bundle changes.

Owns the clients. Must not know what is written. Neighbours: reconcile/stores.py says which store a place names; vault_client.py.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from keywright.adapters.vault_client import Threads, VaultClient
from keywright.adapters.vault_paths import full_path
from keywright.errors import Rejected
from keywright.keys import ResourceKey
from keywright.planning.places import in_vault

if TYPE_CHECKING:
    from collections.abc import Collection

    from keywright.adapters.vault_client import OnRequest
    from keywright.keys import SecretValue
    from keywright.ports.cluster import Cluster
    from keywright.ports.stores import Store, Stores

__all__ = ["At", "VaultStores"]

_BUNDLE_FRESH: Final = 60.0
"""Seconds for which a CA bundle that was read is believed: its Secret may be renewed."""


@dataclass(frozen=True, slots=True)
class At:
    """A path in a Vault, with the client and the login for it."""

    key: ResourceKey
    """Namespace and place."""
    store: Store
    client: VaultClient
    identity: str
    path: str
    """Below the mount."""

    def below(self, part: str) -> str:
        """The API's path below one part of the engine, as a policy names it."""
        return f"{self.store.spec.mount}/{part}/{self.path}"


@dataclass(slots=True)
class _Entry:
    generation: int
    bundle: SecretValue | None
    read_at: float
    client: VaultClient


class VaultStores:
    """All stores in use."""

    def __init__(
        self, stores: Stores, cluster: Cluster, *, allow_insecure: bool, on_request: OnRequest | None = None
    ) -> None:
        """`allow_insecure`: plain http and loopback addresses are taken too. `on_request`: as Threads has it."""
        self._stores = stores
        self._cluster = cluster
        self._allow_insecure = allow_insecure
        self._threads = Threads(on_request)
        self._entries: dict[str, _Entry] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def at(self, namespace: str, name: str, *, ending: bool = False) -> At:
        """Where a place is. `ending`: a store that is gone will do, as it was last. Raises what there is no store or path for."""
        place = in_vault(name)
        if place is None:
            raise Rejected(f"{name} is no path in Vault", reason="InvalidSpec")
        store = self._stores.find(namespace, place, ending=ending)
        try:
            path = full_path(store.spec.prefix, namespace, place.path)
        except ValueError as error:
            raise Rejected(f"spec.target.vault.path {error}", reason="InvalidSpec") from None
        return At(ResourceKey(namespace, name), store, await self._client(store), _identity(store, namespace), path)

    async def admit(self, at: At) -> None:
        """Raises Rejected(StoreNotGranted) where the store is not for this namespace."""
        await self._stores.admit(at.store, at.key.namespace)

    async def reach(self, store: Store, namespaces: Collection[str]) -> None:
        """Ask whether Vault answers, and log in as who uses it, one of them; a cluster's store nobody uses is only asked."""
        client = await self._client(store)
        await client.health()
        users = [store.namespace] if store.namespace else sorted(namespaces)
        if users or store.spec.auth.kubernetes is None:
            await client.log_in(_identity(store, users[0] if users else ""))

    async def health(self, store: Store) -> None:
        """Ask whether Vault answers and is unsealed, without a login."""
        await (await self._client(store)).health()

    def close(self) -> None:
        """Give connections back, once nothing is in flight."""
        for entry in self._entries.values():
            entry.client.close()
        self._threads.close()

    async def _client(self, store: Store) -> VaultClient:
        async with self._locks[store.uid]:
            now = asyncio.get_running_loop().time()
            entry = self._entries.get(store.uid)
            if entry and entry.generation == store.generation and now - entry.read_at < _BUNDLE_FRESH:
                return entry.client
            bundle = await self._bundle(store)
            if entry and (entry.generation, entry.bundle) == (store.generation, bundle):
                entry.read_at = now
                return entry.client
            # In a thread: the system's certificates are read.
            client = await asyncio.to_thread(
                VaultClient, store, bundle, self._cluster, self._threads, allow_insecure=self._allow_insecure
            )
            if entry:
                entry.client.close()
            self._entries[store.uid] = _Entry(store.generation, bundle, now, client)
            return client

    async def _bundle(self, store: Store) -> SecretValue | None:
        spec = store.spec
        source = spec.ca_bundle_secret_ref or spec.ca_bundle_config_map_ref
        if source is None:
            return None
        kind: Literal["Secret", "ConfigMap"] = "Secret" if spec.ca_bundle_secret_ref else "ConfigMap"
        value = await self._cluster.read_value(kind, store.namespace or "", source)
        if value is None:
            where = f"{source.namespace or store.namespace}/{source.name}"
            raise Rejected(
                f"{store.called} has no CA bundle: {kind} {where} with data key {source.key} does not exist; create it",
                reason="StoreInvalid",
            )
        return value


def _identity(store: Store, namespace: str) -> str:
    """Who logs in: the namespace's own ServiceAccount, else the store itself."""
    return namespace if store.spec.auth.kubernetes is not None else ""
