"""ApiKeys by what they name: their target and their issuers. No I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from keywright.api.reading import issuer_wanted, issuers_recorded
from keywright.keys import ResourceKey
from keywright.planning.places import place_seen

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["ApiKeyIndex"]

_Ref = tuple[str, str, str]
"""Kind, namespace ("" for a cluster-scoped one), name."""


class _Names(NamedTuple):
    """What one ApiKey is found by."""

    key: ResourceKey
    target: tuple[str, str] | None
    """Namespace and place."""
    issuer: _Ref | None
    """The wanted one."""
    makers: frozenset[_Ref]
    """Others that made keys of it, or may have."""


class ApiKeyIndex:
    """Kept beside the store: every object that enters it is added, every one that leaves it removed."""

    def __init__(self) -> None:
        self._by_target: dict[tuple[str, str], dict[ResourceKey, None]] = {}
        self._by_issuer: dict[_Ref, dict[str, dict[ResourceKey, None]]] = {}
        self._by_maker: dict[_Ref, dict[ResourceKey, None]] = {}

    def replace(self, old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> None:
        """One object changed from `old` to `new`; None: it was not, or is not any more."""
        before, after = _names(old), _names(new)
        if before == after:
            return
        if before:
            self._forget(before)
        if after:
            key = after.key
            if after.target:
                self._by_target.setdefault(after.target, {})[key] = None
            if after.issuer:
                self._by_issuer.setdefault(after.issuer, {}).setdefault(key.namespace, {})[key] = None
            for maker in after.makers:
                self._by_maker.setdefault(maker, {})[key] = None

    def of_target(self, namespace: str, place: str) -> list[ResourceKey]:
        """Whose target this place is."""
        return list(self._by_target.get((namespace, place), ()))

    def of_issuer(self, kind: str, namespace: str | None, name: str) -> Iterator[ResourceKey]:
        """Whose issuerRef names this issuer."""
        users = self._by_issuer.get((kind, namespace or "", name), {})
        return iter([key for keys in users.values() for key in keys])

    def of_maker(self, kind: str, namespace: str | None, name: str) -> Iterable[ResourceKey]:
        """Whose issuerRef names another one, and whose keys or attempts this one."""
        return list(self._by_maker.get((kind, namespace or "", name), ()))

    def count(self, kind: str, issuer_namespace: str | None, name: str, namespace: str) -> int:
        """How many ApiKeys of one namespace name this issuer."""
        return len(self._by_issuer.get((kind, issuer_namespace or "", name), {}).get(namespace, ()))

    def _forget(self, names: _Names) -> None:
        if names.target:
            _drop(self._by_target, names.target, names.key)
        if names.issuer:
            namespaces = self._by_issuer[names.issuer]
            _drop(namespaces, names.key.namespace, names.key)
            if not namespaces:
                del self._by_issuer[names.issuer]
        for maker in names.makers:
            _drop(self._by_maker, maker, names.key)


def _drop(index: dict[Any, dict[ResourceKey, None]], at: Any, key: ResourceKey) -> None:
    bucket = index[at]
    del bucket[key]
    if not bucket:
        del index[at]


def _names(obj: Mapping[str, Any] | None) -> _Names | None:
    """What an object is found by. The CRD guarantees shapes; an object older than its rules may lack any."""
    if obj is None:
        return None
    metadata = obj["metadata"]
    namespace, place = metadata["namespace"], place_seen(obj)

    def at(named: tuple[str, str]) -> _Ref:
        kind, name = named
        return kind, "" if kind == "ClusterKeyIssuer" else namespace, name

    wanted = issuer_wanted(obj)
    issuer = at(wanted) if wanted else None
    return _Names(
        ResourceKey(namespace, metadata["name"]),
        (namespace, place) if place else None,
        issuer,
        frozenset(map(at, issuers_recorded(obj))) - {issuer},
    )
