"""Puts together what a person's commands need, each with a connection of its own; with bootstrap.py the only reader of the clock."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from keywright.adapters.kube import KubeApi
from keywright.adapters.kube_ending import KubeEnding
from keywright.adapters.kube_inspection import KubeInspection
from keywright.adapters.kube_objects import KubeCluster
from keywright.adapters.mistral import mistral_factory
from keywright.adapters.vault_stores import VaultStores
from keywright.reconcile.doctor import Doctor
from keywright.reconcile.offering import Offering
from keywright.reconcile.revoke import Revoker
from keywright.reconcile.stores import StoreBook

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from typing import Any

    from keywright.bootstrap import Reach

__all__ = ["Consulting", "consulting", "offering", "revoking"]


class Consulting(NamedTuple):
    """A doctor, and the namespace of the caller's kubeconfig."""

    doctor: Doctor
    own_namespace: str


@asynccontextmanager
async def consulting(
    reach: Reach, manifests: Mapping[str, Sequence[Mapping[str, Any]]], told: Callable[[str], None]
) -> AsyncIterator[Consulting]:
    """What `keywright doctor` needs. `manifests`: the documents of each folder's rbac.yaml."""
    async with await KubeApi.connect(reach.kubeconfig, reach.context) as api:
        cluster = KubeCluster(api, _now)
        vaults = VaultStores(
            StoreBook(cluster, cluster_scope=True), cluster, allow_insecure=reach.allow_insecure_issuers
        )
        try:
            doctor = Doctor(
                inspection=KubeInspection(api, allow_insecure=reach.allow_insecure_issuers),
                cluster=cluster,
                factory=mistral_factory(allow_insecure=reach.allow_insecure_issuers),
                vault_health=vaults.health,
                manifests=manifests,
                clock=_now,
                told=told,
            )
            yield Consulting(doctor, api.login.namespace)
        finally:
            vaults.close()


@asynccontextmanager
async def offering(reach: Reach, told: Callable[[str], None]) -> AsyncIterator[tuple[Offering, str]]:
    """What `keywright workspaces` needs; and the namespace meant."""
    async with await KubeApi.connect(reach.kubeconfig, reach.context) as api:
        yield (
            Offering(
                inspection=KubeInspection(api, allow_insecure=reach.allow_insecure_issuers),
                cluster=KubeCluster(api, _now),
                factory=mistral_factory(allow_insecure=reach.allow_insecure_issuers),
                told=told,
            ),
            reach.namespace or api.login.namespace,
        )


@asynccontextmanager
async def revoking(reach: Reach) -> AsyncIterator[tuple[Revoker, str]]:
    """What `keywright revoke` needs; and the namespace meant."""
    async with await KubeApi.connect(reach.kubeconfig, reach.context) as api:
        monotonic = asyncio.get_running_loop().time
        yield (
            Revoker(ending=KubeEnding(api), monotonic=monotonic, sleep=asyncio.sleep),
            reach.namespace or api.login.namespace,
        )


def _now() -> datetime:
    return datetime.now(UTC)
