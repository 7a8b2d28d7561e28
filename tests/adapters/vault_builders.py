"""Stores and clients for tests of the Vault adapters."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tests.ports.fake_cluster import FakeCluster

from keywright.adapters.vault_client import Threads, VaultClient
from keywright.api.vaultstore import VaultStoreSpec
from keywright.keys import SecretValue
from keywright.ports.stores import Store

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["a_client", "a_cluster", "a_store"]

KUBERNETES = {"kubernetes": {"role": "keywright"}}
APP_ROLE = {"appRole": {"roleId": "role", "secretIdSecretRef": {"name": "vault", "key": "secret-id"}}}
TOKEN = {"tokenSecretRef": {"name": "vault", "key": "token"}}


def a_store(
    address: str, *, auth: Mapping[str, Any] = KUBERNETES, namespace: str | None = "search", **spec: Any
) -> Store:
    """A VaultStore, or a ClusterVaultStore where it has no namespace."""
    kind = "VaultStore" if namespace else "ClusterVaultStore"
    described = VaultStoreSpec.model_validate({"address": address, "auth": auth, **spec})
    return Store(kind, namespace, "vault", "uid-of-vault", 1, described)  # type: ignore[arg-type]


def a_cluster() -> FakeCluster:
    """With the Secrets that logins are made with."""
    cluster = FakeCluster(lambda: datetime.now(UTC))
    cluster.server.values["Secret", "search", "vault"] = {"secret-id": "the-secret-id", "token": "hvs.given"}
    return cluster


def a_client(store: Store, *, bundle: str | None = None, cluster: FakeCluster | None = None) -> VaultClient:
    """With threads of its own."""
    return VaultClient(
        store, SecretValue(bundle) if bundle else None, cluster or a_cluster(), Threads(), allow_insecure=True
    )
