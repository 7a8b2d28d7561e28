"""Vaults as objects in the cluster: which one a place names, and who may use it.

What a watch has said is known without asking. Raises Rejected(StoreNotFound, StoreInvalid, ClusterScopeOff, StoreNotGranted).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from keywright.api.vaultstore import VaultStoreSpec
    from keywright.planning.places import StorePlace

__all__ = ["Store", "Stores"]


@dataclass(frozen=True, slots=True)
class Store:
    """One store as it is described. `namespace` None: a ClusterVaultStore."""

    kind: Literal["VaultStore", "ClusterVaultStore"]
    namespace: str | None
    name: str
    uid: str
    generation: int
    spec: VaultStoreSpec

    @property
    def called(self) -> str:
        """As messages call it."""
        return f"{self.kind.lower()}/{self.name}"


class Stores(Protocol):
    """The stores that places name."""

    def find(self, namespace: str, place: StorePlace, *, ending: bool = False) -> Store:
        """The store of a place, with the eyes of an ApiKey's namespace. `ending`: one that is gone, as it was last, will do."""
        ...

    async def admit(self, store: Store, namespace: str) -> None:
        """Raises Rejected(StoreNotGranted) where a ClusterVaultStore does not select this namespace."""
        ...
