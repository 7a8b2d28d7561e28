"""ApiKeys by what they name: their Secret and their issuer. No I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from keywright.keys import ResourceKey

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["ApiKeyIndex"]


class ApiKeyIndex:
    """Kept beside the store: every object that enters it is added, every one that leaves it removed."""

    def __init__(self) -> None:
        self._by_secret: dict[tuple[str, str], dict[ResourceKey, None]] = {}
        self._by_issuer: dict[tuple[str, str, str], dict[str, dict[ResourceKey, None]]] = {}

    def replace(self, old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> None:
        """One object changed from `old` to `new`; None: it was not, or is not any more."""
        before, after = _names(old), _names(new)
        if before == after:
            return
        if before:
            self._forget(*before)
        if after:
            key, secret, issuer = after
            if secret:
                self._by_secret.setdefault(secret, {})[key] = None
            if issuer:
                self._by_issuer.setdefault(issuer, {}).setdefault(key.namespace, {})[key] = None

    def of_secret(self, namespace: str, name: str) -> list[ResourceKey]:
        """Whose target this Secret is."""
        return list(self._by_secret.get((namespace, name), ()))

    def of_issuer(self, kind: str, namespace: str | None, name: str) -> Iterator[ResourceKey]:
        """Whose issuerRef names this issuer."""
        users = self._by_issuer.get((kind, namespace or "", name), {})
        return iter([key for keys in users.values() for key in keys])

    def count(self, kind: str, issuer_namespace: str | None, name: str, namespace: str) -> int:
        """How many ApiKeys of one namespace name this issuer."""
        return len(self._by_issuer.get((kind, issuer_namespace or "", name), {}).get(namespace, ()))

    def _forget(self, key: ResourceKey, secret: tuple[str, str] | None, issuer: tuple[str, str, str] | None) -> None:
        if secret:
            _drop(self._by_secret, secret, key)
        if issuer:
            namespaces = self._by_issuer[issuer]
            _drop(namespaces, key.namespace, key)
            if not namespaces:
                del self._by_issuer[issuer]


def _drop(index: dict[Any, dict[ResourceKey, None]], at: Any, key: ResourceKey) -> None:
    bucket = index[at]
    del bucket[key]
    if not bucket:
        del index[at]


def _names(
    obj: Mapping[str, Any] | None,
) -> tuple[ResourceKey, tuple[str, str] | None, tuple[str, str, str] | None] | None:
    """What an object is found by. The CRD guarantees shapes; an object older than its rules may lack any."""
    if obj is None:
        return None
    metadata, spec = obj["metadata"], obj.get("spec") or {}
    namespace = metadata["namespace"]
    target = (spec.get("target") or {}).get("secret") or {}
    ref = spec.get("issuerRef") or {}
    kind = ref.get("kind", "KeyIssuer")
    return (
        ResourceKey(namespace, metadata["name"]),
        (namespace, target["name"]) if "name" in target else None,
        (kind, "" if kind == "ClusterKeyIssuer" else namespace, ref["name"]) if "name" in ref else None,
    )
