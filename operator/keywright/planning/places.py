"""A place that a key stands in, or stood in, as one word: what the status writes down. Here is how messages call it. Pure.

A Secret's word is its name; a path in Vault is `<store's kind>/<store's name>/<path>`, and a Secret's name has no slash.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keywright.api.apikey import Target

__all__ = ["StorePlace", "in_vault", "named", "place_of", "place_seen", "remedy"]


@dataclass(frozen=True, slots=True)
class StorePlace:
    """A path in a Vault, as the spec says it: below the store's mount and prefix."""

    kind: Literal["VaultStore", "ClusterVaultStore"]
    store: str
    path: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.store}/{self.path}"

    @property
    def called(self) -> str:
        """The store, as messages call it."""
        return f"{self.kind.lower()}/{self.store}"


def in_vault(place: str | None) -> StorePlace | None:
    """Where in which Vault a place is; None for a Secret."""
    match (place or "").split("/", 2):
        case ["VaultStore" | "ClusterVaultStore" as kind, store, path]:
            return StorePlace(kind, store, path)
        case _:
            return None


def place_of(target: Target) -> str:
    """The word for what a spec's target names."""
    if target.vault is not None:
        ref = target.vault.store_ref
        return str(StorePlace(ref.kind, ref.name, target.vault.path))
    return target.secret.name if target.secret else ""


def place_seen(api_key: Mapping[str, Any]) -> str | None:
    """The same of an ApiKey as JSON; None where it lacks one, as an object older than the CRD's rules may."""
    target = (api_key.get("spec") or {}).get("target") or {}
    secret, vault = target.get("secret") or {}, target.get("vault") or {}
    ref = vault.get("storeRef") or {}
    if "name" in ref and "path" in vault:
        return str(StorePlace(ref.get("kind", "VaultStore"), ref["name"], vault["path"]))
    return secret.get("name")


def named(place: str | None) -> str:
    """A place for a message; None: no place is known."""
    if (there := in_vault(place)) is not None:
        return f"Vault path {there.path} ({there.called})"
    return f"Secret {place}" if place else "its target"


def remedy(place: str | None) -> str:
    """The field to edit for another place."""
    return "spec.target.vault.path" if in_vault(place) else "spec.target.secret.name"
