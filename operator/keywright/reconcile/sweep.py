"""What `keywright sweep` does: find strays at issuers with the caller's own rights, and revoke those that a person chose.

Decides nothing of what a stray is (planning/strays.py does). Asks each issuer first and reads what is written down afterwards: an
attempt is written down before its key can be listed, so a key that is being issued meanwhile is never taken for a stray.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from keywright.api.apikey import KeyIssuerIdentity, called
from keywright.errors import Ambiguous, KeywrightError, Rejected, Retryable, Terminal
from keywright.planning.strays import survey

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from keywright.keys import KeyId, ListedKey
    from keywright.planning.strays import Retained, Stray
    from keywright.ports.cluster import Cluster, Object
    from keywright.ports.issuer import Issuer
    from keywright.ports.sink import Sink
    from keywright.reconcile.directory import IssuerDirectory, Ref

__all__ = ["Findings", "Sweeper", "chosen"]


@dataclass(frozen=True, slots=True)
class Findings:
    """Each with the issuer that listed it; a key that several issuers of one organization list counts once.

    `failures`: issuers that could not be asked, and why. `stores`: what stands in them was not read, so that a key that was left there
    on purpose is among the strays.
    """

    strays: tuple[tuple[Ref, Stray], ...]
    retained: tuple[tuple[Ref, Retained], ...]
    failures: tuple[tuple[Ref, KeywrightError], ...]
    stores: tuple[Ref, ...]


def chosen(issuers: Iterable[Object], namespace: str, wanted: str | None) -> list[Ref]:
    """The issuers meant: `keyissuer/NAME`, `clusterkeyissuer/NAME`, or a bare name, the namespace's KeyIssuer before the other kind.

    None: the namespace's KeyIssuers and all ClusterKeyIssuers. Raises Rejected where there is none, with those that there are.
    """
    there = sorted(
        (issuer["kind"], issuer["metadata"].get("namespace"), issuer["metadata"]["name"])
        for issuer in issuers
        if issuer["metadata"].get("namespace") in (None, namespace)
    )
    if wanted is None:
        if not there:
            raise Rejected(
                f"there is no KeyIssuer in namespace {namespace} and no ClusterKeyIssuer; name another namespace with -n",
                reason="IssuerNotFound",
            )
        return there
    kind, _, name = wanted.rpartition("/")
    kinds = {
        "": ("KeyIssuer", "ClusterKeyIssuer"),
        "keyissuer": ("KeyIssuer",),
        "clusterkeyissuer": ("ClusterKeyIssuer",),
    }
    if kind.lower() not in kinds or not name:
        raise Rejected(
            f"--issuer {wanted!r} is none: write keyissuer/NAME, clusterkeyissuer/NAME, or NAME alone", reason="Usage"
        )
    for one in kinds[kind.lower()]:
        if found := [ref for ref in there if ref[0] == one and ref[2] == name]:
            return found
    names = ", ".join(called(ref[0], ref[2]) for ref in there) or "none"
    raise Rejected(
        f"there is no {wanted if kind else f'keyissuer/{name} or clusterkeyissuer/{name}'} to be seen from namespace {namespace}; "
        f"there are: {names}",
        reason="IssuerNotFound",
    )


class Sweeper:
    """Strays of one cluster id."""

    def __init__(
        self,
        *,
        cluster: Cluster,
        sink: Sink,
        directory: IssuerDirectory,
        cluster_id: str,
        reread: Callable[[], Awaitable[None]],
        told: Callable[[str], None],
    ) -> None:
        """`reread` lists ApiKeys and targets anew, so that `cluster` and `sink` know them; `told` hears what is being done."""
        self._cluster = cluster
        self._sink = sink
        self._directory = directory
        self._cluster_id = cluster_id
        self._reread = reread
        self._told = told

    async def look(self, refs: Sequence[Ref]) -> Findings:
        """List at each issuer, then compare with what is written down."""
        listings: list[tuple[Ref, Sequence[ListedKey]]] = []
        failures: list[tuple[Ref, KeywrightError]] = []
        for ref in refs:
            try:
                listings.append((ref, await self._listing(ref)))
            except (Terminal, Retryable, Ambiguous) as error:
                failures.append((ref, error))
        self._told("reading ApiKeys and Secrets")
        await self._reread()
        strays: dict[KeyId, tuple[Ref, Stray]] = {}
        retained: dict[KeyId, tuple[Ref, Retained]] = {}
        recorded, api_keys = self._sink.recorded(), list(self._cluster.api_keys())
        for ref, listed in listings:
            found = survey(listed, self._cluster_id, api_keys, recorded)
            for stray in found.strays:
                strays.setdefault(stray.key.key_id, (ref, stray))
            for kept in found.retained:
                retained.setdefault(kept.key.key_id, (ref, kept))
        stores = [
            (store["kind"], store["metadata"].get("namespace"), store["metadata"]["name"])
            for store in self._cluster.stores()
        ]
        return Findings(tuple(strays.values()), tuple(retained.values()), tuple(failures), tuple(stores))

    async def revoke(self, ref: Ref, key_id: KeyId) -> None:
        """Delete one key at the issuer that listed it. Raises what the issuer raises."""
        self._told(f"revoking key {key_id}")
        client = await self._client(ref)
        await client.revoke(key_id)

    async def _listing(self, ref: Ref) -> Sequence[ListedKey]:
        name = called(ref[0], ref[2])
        self._told(f"listing the keys of {name}")

        async def pace(read: int, failed: Retryable | None) -> None:
            if failed is not None:
                raise failed.with_traceback(None)
            self._told(f"listing the keys of {name}: {read} so far")

        client = await self._client(ref)
        return await client.list_keys(f"[kw/{self._cluster_id}/", pace=pace)

    async def _client(self, ref: Ref) -> Issuer:
        found = self._cluster.issuer(*ref)
        if found is None:
            raise Rejected(f"{called(ref[0], ref[2])} is gone", reason="IssuerNotFound")
        identity = KeyIssuerIdentity.model_validate({"kind": ref[0], "name": ref[2], "uid": found["metadata"]["uid"]})
        return await self._directory.client(identity, ref[1], ending=True)
