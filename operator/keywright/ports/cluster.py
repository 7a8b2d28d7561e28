"""The Kubernetes objects that keywright works on, less the Secrets it delivers into (ports/sink.py).

What a watch has said is known without asking; writes are guarded by resourceVersion and never repeated. Raises Conflict
(409), Rejected (other 4xx; a missing right names the verb), Unavailable (nothing happened), Ambiguous (nobody knows).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from keywright.api.apikey import FINALIZER

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from keywright.api.apikey import KeyIssuerIdentity
    from keywright.api.base import ConfigMapKeyRef, SecretKeyRef
    from keywright.keys import ResourceKey, SecretValue

__all__ = ["IN_USE", "Cluster", "EventNote", "Object", "finalizer_of"]

IN_USE: Final = "keywright.dev/in-use"
"""What keeps a deleted issuer until no ApiKey names it any more."""

Object = dict[str, Any]
"""A Kubernetes object as JSON."""


@dataclass(frozen=True, slots=True)
class EventNote:
    """An event to be written about an object."""

    about: Mapping[str, Any]
    type: Literal["Normal", "Warning"]
    reason: str
    message: str


def finalizer_of(seen: Object) -> str:
    """What keywright puts on an object of this kind."""
    return FINALIZER if seen["kind"] == "ApiKey" else IN_USE


class Cluster(Protocol):
    """The apiserver."""

    def api_key(self, key: ResourceKey) -> Object | None:
        """The ApiKey as last seen; None: not there."""
        ...

    def api_keys(self) -> Iterable[Object]:
        """All ApiKeys as last seen."""
        ...

    def claimants(self, namespace: str, place: str) -> Iterable[Object]:
        """The ApiKeys whose target is this place."""
        ...

    def users_of(self, identity: KeyIssuerIdentity, namespace: str | None) -> Iterable[ResourceKey]:
        """ApiKeys whose issuerRef names this issuer; `namespace`: a KeyIssuer's own, None for a ClusterKeyIssuer."""
        ...

    def count_users(self, identity: KeyIssuerIdentity, issuer_namespace: str | None, namespace: str) -> int:
        """How many ApiKeys of `namespace` name this issuer."""
        ...

    def dependents(self, kind: str, namespace: str | None, name: str) -> Iterable[Object]:
        """ApiKeys that name this issuer anywhere: as the wanted one, or as the maker of a key or of an attempt; re-created or not."""
        ...

    def issuer(self, kind: str, namespace: str | None, name: str) -> Object | None:
        """The issuer object as last seen; None: not there."""
        ...

    def store(self, kind: str, namespace: str | None, name: str) -> Object | None:
        """The VaultStore or ClusterVaultStore as last seen; None: not there."""
        ...

    def stores(self) -> Iterable[Object]:
        """All stores of both kinds as last seen."""
        ...

    async def token(self, namespace: str, account: str, audiences: Sequence[str]) -> SecretValue:
        """A short-lived token of a ServiceAccount, made out for these audiences. Raises Rejected(StoreRefused) where there is none."""
        ...

    async def refresh(self, key: ResourceKey) -> Object | None:
        """Read the ApiKey anew, after a Conflict."""
        ...

    async def annotate(self, key: ResourceKey, name: str, value: str, *, rehearse: bool) -> Object | None:
        """Set one annotation of an ApiKey, whoever else wrote meanwhile; None: not there. May be repeated.

        For what a person asks by a command; the operator annotates nothing. `rehearse`: nothing is written, and what would
        be refused is.
        """
        ...

    async def patch_status(self, seen: Object, status: Mapping[str, Any]) -> Object:
        """Replace the status, guarded by what was seen; works for ApiKeys and issuers. Returns what stands now."""
        ...

    async def add_finalizer(self, seen: Object) -> Object:
        """Put keywright's finalizer on, guarded; works for ApiKeys and issuers. Returns what stands now."""
        ...

    async def remove_finalizer(self, seen: Object) -> None:
        """Take keywright's finalizer off, guarded; an object that is gone counts as done."""
        ...

    async def read_value(
        self, kind: Literal["Secret", "ConfigMap"], namespace: str, ref: SecretKeyRef | ConfigMapKeyRef
    ) -> SecretValue | None:
        """One data key of one object, by name; None where object or key is missing."""
        ...

    async def namespace_labels(self, namespace: str) -> Mapping[str, str]:
        """The labels of a namespace, at most a minute old."""
        ...

    async def is_ending(self, namespace: str) -> bool:
        """Whether a namespace is being deleted, or gone; False where there is no right to know."""
        ...

    def note(self, event: EventNote) -> None:
        """Write an event in the background: never waits, never fails; the same words within an hour are written once."""
        ...
