"""The issuers and stores that ApiKeys use, as the apiserver has them, and what they say of themselves. Pure.

Neighbour: standing.py, which judges.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from keywright.api.apikey import called
from keywright.api.base import Condition
from keywright.api.reading import issuer_wanted, issuers_recorded

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Ref", "called_in", "counted_in", "ready_of", "ref_seen", "refs_named"]

Ref = tuple[str, str | None, str]
"""Kind, namespace (None: of a cluster kind) and name of an issuer or a store."""


def ref_seen(obj: Mapping[str, Any]) -> Ref:
    """Of an object that has its kind."""
    return obj["kind"], obj["metadata"].get("namespace"), obj["metadata"]["name"]


def called_in(ref: Ref) -> str:
    """As messages call it, with its namespace."""
    kind, namespace, name = ref
    return called(kind, name) + (f" in {namespace}" if namespace else "")


def refs_named(api_key: Mapping[str, Any]) -> frozenset[Ref]:
    """What an ApiKey needs: the issuer and the store of its spec, and the issuers at which it may have keys."""
    named = set(issuers_recorded(api_key))
    if (wanted := issuer_wanted(api_key)) is not None:
        named.add(wanted)
    vault = ((api_key.get("spec") or {}).get("target") or {}).get("vault") or {}
    if (ref := vault.get("storeRef") or {}).get("name"):
        named.add((ref.get("kind", "VaultStore"), ref["name"]))
    namespace = api_key["metadata"]["namespace"]
    return frozenset((kind, None if kind.startswith("Cluster") else namespace, name) for kind, name in named)


def ready_of(obj: Mapping[str, Any] | None) -> Condition | None:
    """What is said of an issuer or a store as it stands; None: nothing yet, or of an older spec alone."""
    if obj is None:
        return None
    status = obj.get("status") or {}
    if status.get("observedGeneration") != obj["metadata"].get("generation"):
        return None
    return next((Condition.model_validate(c) for c in status.get("conditions") or () if c["type"] == "Ready"), None)


def counted_in(obj: Mapping[str, Any] | None, name: str) -> int | None:
    """A number of an issuer's status; None where it has none."""
    count = ((obj or {}).get("status") or {}).get(name)
    return count if isinstance(count, int) else None
