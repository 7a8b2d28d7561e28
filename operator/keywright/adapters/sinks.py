"""The port `Sink` for both kinds of target: each place goes to the adapter of its kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keywright.planning.places import in_vault

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping

    from keywright.keys import KeyId, KeyRecord, ResourceKey, SecretValue
    from keywright.planning.layout import Owner
    from keywright.planning.observed import Present, Sought, TargetLayout, TargetState
    from keywright.ports.sink import Delivery, Sink
    from keywright.ports.stores import Store

__all__ = ["TargetSink"]


class TargetSink:
    """Implements keywright.ports.sink.Sink."""

    def __init__(self, secrets: Sink, vault: Sink) -> None:
        """One adapter for each kind."""
        self._secrets = secrets
        self._vault = vault

    def _of(self, name: str) -> Sink:
        return self._vault if in_vault(name) else self._secrets

    def known(self, namespace: str, name: str) -> Present | None:
        """See the port."""
        return self._of(name).known(namespace, name)

    def recorded(self) -> Mapping[KeyId, ResourceKey]:
        """Of both kinds."""
        return {**self._vault.recorded(), **self._secrets.recorded()}

    async def moved(self, namespace: str, name: str) -> bool:
        """See the port."""
        return await self._of(name).moved(namespace, name)

    async def reach(self, store: Store, namespaces: Collection[str]) -> None:
        """Stores are Vault's."""
        await self._vault.reach(store, namespaces)

    async def read(self, namespace: str, name: str, sought: Sought | None = None) -> TargetState:
        """See the port."""
        return await self._of(name).read(namespace, name, sought)

    async def rehearse(self, layout: TargetLayout, owner: Owner, version: str | None) -> None:
        """See the port."""
        await self._of(layout.name).rehearse(layout, owner, version)

    async def deliver(self, delivery: Delivery, version: str | None) -> Present:
        """See the port."""
        return await self._of(delivery.layout.name).deliver(delivery, version)

    async def fence(self, layout: TargetLayout, owner: Owner, mark: str, version: str | None) -> Present:
        """See the port."""
        return await self._of(layout.name).fence(layout, owner, mark, version)

    async def rewrite(self, layout: TargetLayout, owner: Owner, record: KeyRecord, version: str) -> Present:
        """See the port."""
        return await self._of(layout.name).rewrite(layout, owner, record, version)

    async def prove(
        self, namespace: str, name: str, key_id: KeyId, check: Callable[[SecretValue], Awaitable[bool]]
    ) -> bool | None:
        """See the port."""
        return await self._of(name).prove(namespace, name, key_id, check)

    async def prune(self, namespace: str, name: str, key_id: KeyId) -> None:
        """See the port."""
        await self._of(name).prune(namespace, name, key_id)

    async def clean(self, namespace: str, name: str, version: str, *, adopted: bool) -> None:
        """See the port."""
        await self._of(name).clean(namespace, name, version, adopted=adopted)
