"""Stores as ApiKeys name them, and the look over what stands in them: Vault has no watch.

Owns which store a place names, who may use it, what its status says, and when its paths are looked over. Must not read what stands
at a path: a look at its version tells whether the ApiKey has to.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from pydantic import ValidationError

from keywright.api.base import Condition
from keywright.api.durations import parse_duration
from keywright.api.reading import read_store_spec
from keywright.api.reasons import Reason
from keywright.api.vaultstore import VaultStoreStatus
from keywright.errors import Ambiguous, Rejected, Retryable, Terminal
from keywright.keys import ResourceKey
from keywright.planning import grants
from keywright.planning.places import in_vault, place_seen
from keywright.ports.stores import Store
from keywright.reconcile.account import tell_condition
from keywright.reconcile.observe import store_refusal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping
    from datetime import datetime

    from keywright.planning.observed import Refusal
    from keywright.planning.places import StorePlace
    from keywright.ports.cluster import Cluster, Object
    from keywright.ports.sink import Sink
    from keywright.reconcile.holding import Ref

__all__ = ["LookOver", "StoreBook", "read_store"]

_FAILED_AGAIN: Final = 20.0
"""Seconds until a store that cannot be used is tried again."""
_SLOWEST: Final = 1.0
"""Seconds between two looks at most: an edit of the store waits for the look-over to end."""


def read_store(found: Object) -> Store:
    """The store that an object describes. Raises Rejected(StoreInvalid)."""
    meta = found["metadata"]
    try:
        spec = read_store_spec(found)
    except Rejected as error:
        called = f"{found['kind'].lower()}/{meta['name']}"
        raise Rejected(f"{called}: {error}", reason=Reason.STORE_INVALID) from None
    return Store(found["kind"], meta.get("namespace"), meta["name"], meta["uid"], meta.get("generation", 0), spec)


class StoreBook:
    """Implements keywright.ports.stores.Stores."""

    def __init__(self, cluster: Cluster, *, cluster_scope: bool) -> None:
        """`cluster_scope` False: the operator runs for single namespaces and serves no cluster kinds."""
        self._cluster = cluster
        self._cluster_scope = cluster_scope
        self._last: dict[Ref, Store] = {}

    def find(self, namespace: str, place: StorePlace, *, ending: bool = False) -> Store:
        """The store of a place. `ending`: one that is gone, as it was last, will do: what stands there is still to be removed."""
        if place.kind == "ClusterVaultStore" and not self._cluster_scope:
            raise Rejected(
                f"{place.called}: this operator serves single namespaces and no cluster kinds; write a VaultStore",
                reason=Reason.CLUSTER_SCOPE_OFF,
            )
        ref: Ref = (place.kind, None if place.kind == "ClusterVaultStore" else namespace, place.store)
        found = self._cluster.store(*ref)
        if found is not None:
            store = self._last[ref] = read_store(found)
            return store
        if ending and ref in self._last:
            return self._last[ref]
        where = f" in namespace {namespace}" if ref[1] else ""
        raise Rejected(
            f"there is no {place.called}{where}: create it, or write another spec.target.vault.storeRef",
            reason=Reason.STORE_NOT_FOUND,
        )

    async def admit(self, store: Store, namespace: str) -> None:
        """Raises Rejected(StoreNotGranted) where a ClusterVaultStore does not select this namespace."""
        if store.namespace is not None:
            return
        selection = store.spec.namespaces
        by_label = selection is not None and selection.selector is not None
        labels: Mapping[str, str] = await self._cluster.namespace_labels(namespace) if by_label else {}
        if not grants.selected(selection, namespace, labels):
            raise Rejected(
                f"{store.called} is not for namespace {namespace}; ask its owner for spec.namespaces.names: [{namespace}]",
                reason=Reason.STORE_NOT_GRANTED,
            )


class _User(NamedTuple):
    """An ApiKey and a place that it has in the store."""

    key: ResourceKey
    place: str


class LookOver:
    """Looks over one store after another."""

    def __init__(
        self,
        *,
        cluster: Cluster,
        sink: Sink,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
        wake: Callable[[ResourceKey], None],
    ) -> None:
        """`clock` gives aware UTC, `monotonic` and `sleep` have seconds; `wake` hears of each ApiKey whose path has moved."""
        self._cluster = cluster
        self._sink = sink
        self._clock = clock
        self._monotonic = monotonic
        self._sleep = sleep
        self._wake = wake

    def users(self, ref: Ref) -> list[ResourceKey]:
        """The ApiKeys that name a store."""
        return list(dict.fromkeys(user.key for user in self._users(ref)))

    async def refresh(self, ref: Ref) -> timedelta | None:
        """One look over all paths of a store; returns when the next is due, None where the store is gone."""
        found = self._cluster.store(*ref)
        if found is None:
            return None
        begun = self._monotonic()
        users = self._users(ref)
        try:
            store = read_store(found)
            await self._sink.reach(store, {user.key.namespace for user in users})
        except (Retryable, Terminal, Ambiguous) as error:
            await self._say(found, store_refusal(error))
            return timedelta(seconds=_FAILED_AGAIN)
        await self._say(found, None)
        interval = parse_duration(store.spec.check_interval).total_seconds()
        for i, user in enumerate(users):
            if i:
                await self._sleep(min(_SLOWEST, interval / 2 / len(users)))
            if not await self._look(user):
                return timedelta(seconds=_FAILED_AGAIN)
        return timedelta(seconds=max(interval - (self._monotonic() - begun), 1.0))

    async def _look(self, user: _User) -> bool:
        """False where Vault is away, so that there is no use in going on."""
        try:
            if await self._sink.moved(user.key.namespace, user.place):
                self._wake(user.key)
        except Terminal:
            self._wake(user.key)  # a path that may not be read any more: its ApiKey says so
        except (Retryable, Ambiguous):
            return False
        return True

    def _users(self, ref: Ref) -> list[_User]:
        found = []
        for seen in self._cluster.api_keys():
            meta = seen["metadata"]
            if ref[1] not in (None, meta["namespace"]):
                continue
            for place in dict.fromkeys(_places(seen)):
                there = in_vault(place)
                if place and there and (there.kind, there.store) == (ref[0], ref[2]):
                    found.append(_User(ResourceKey(meta["namespace"], meta["name"]), place))
        return found

    async def _say(self, found: Object, refusal: Refusal | None) -> None:
        """Write the store's status where it changed."""
        generation = found["metadata"].get("generation")
        try:
            before = VaultStoreStatus.model_validate(found.get("status") or {})
        except ValidationError:
            before = VaultStoreStatus()
        condition = Condition(
            type="Ready",
            status="False" if refusal else "True",
            reason=refusal.reason if refusal else Reason.STORE_WORKS,
            message=refusal.message if refusal else "Vault answers, and lets keywright in.",
            last_transition_time=self._clock(),
            observed_generation=generation,
        ).since(next((c for c in before.conditions if c.type == "Ready"), None))
        after = VaultStoreStatus(observed_generation=generation, conditions=[condition])
        if after != before:
            with suppress(Retryable):  # somebody edits the store, or the apiserver is away: the next look says it
                await self._cluster.patch_status(found, after.to_dict())
                tell_condition(found, before.conditions, after.conditions)


def _places(seen: Object) -> Iterable[str | None]:
    """Where the key is to stand, and where it stands."""
    return place_seen(seen), ((seen.get("status") or {}).get("target") or {}).get("name")
