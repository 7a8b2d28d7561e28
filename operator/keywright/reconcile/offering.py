"""What `keywright workspaces` does: ask issuers for their workspaces, with the caller's own rights to the admin key.

Decides nothing of what may be named (planning/offers.py does).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from keywright.api.apikey import called
from keywright.api.reading import read_issuer_spec
from keywright.errors import KeywrightError, Rejected, Unauthorized
from keywright.planning.grants import needs_namespace_labels
from keywright.planning.offers import offers
from keywright.reconcile.credentials import read_credentials
from keywright.reconcile.sweep import chosen

if TYPE_CHECKING:
    from collections.abc import Callable

    from keywright.api.keyissuer import KeyIssuerSpec
    from keywright.planning.offers import Offer
    from keywright.ports.cluster import Cluster, Object
    from keywright.ports.inspection import Inspection
    from keywright.ports.issuer import IssuerFactory
    from keywright.reconcile.credentials import Credentials
    from keywright.reconcile.directory import Ref

__all__ = ["Answered", "Offering"]


class Answered(NamedTuple):
    """One issuer's workspaces; or `error`, why they are not known."""

    issuer: Ref
    offers: list[Offer]
    error: KeywrightError | None = None


class Offering:
    """Asks on behalf of one namespace."""

    def __init__(
        self, *, inspection: Inspection, cluster: Cluster, factory: IssuerFactory, told: Callable[[str], None]
    ) -> None:
        """`told` hears what is being done."""
        self._inspection = inspection
        self._cluster = cluster
        self._factory = factory
        self._told = told

    async def look(self, namespace: str, wanted: str | None) -> list[Answered]:
        """`wanted`: an issuer as the user names it; None: all that the namespace can use. Raises Rejected where there is none."""
        self._told("reading issuers")
        found = [*await self._inspection.objects("KeyIssuer", namespace)]
        try:
            found += await self._inspection.objects("ClusterKeyIssuer", None)
        except Unauthorized:
            if wanted and wanted.lower().startswith("cluster"):
                raise
        by_ref: dict[Ref, Object] = {
            (one["kind"], one["metadata"].get("namespace"), one["metadata"]["name"]): one for one in found
        }
        refs = chosen(found, namespace, wanted)
        self._told(f"asking {', '.join(called(ref[0], ref[2]) for ref in refs)}")
        return list(await asyncio.gather(*(self._ask(ref, by_ref[ref], namespace) for ref in refs)))

    async def _ask(self, ref: Ref, found: Object, namespace: str) -> Answered:
        name = called(ref[0], ref[2])
        try:
            spec = read_issuer_spec(found)
            labels = await self._cluster.namespace_labels(namespace) if needs_namespace_labels(spec) else {}
            admin_key, bundle = await self._credentials(spec, name, ref[1] or "")
            client = self._factory(name, spec, admin_key, bundle)
            try:
                live, archived = await asyncio.gather(client.workspaces(), client.archived_workspaces())
            finally:
                await client.close()
        except KeywrightError as error:
            return Answered(ref, [], error)
        scoped = ref[0] == "ClusterKeyIssuer"
        return Answered(ref, offers(spec, namespace, labels, cluster_scoped=scoped, live=live, archived=archived))

    async def _credentials(self, spec: KeyIssuerSpec, name: str, namespace: str) -> Credentials:
        try:
            return await read_credentials(self._cluster, spec, name, namespace)
        except Unauthorized as error:
            ref = spec.mistral.admin_key_secret_ref if spec.mistral else None
            where = f" {ref.namespace or namespace}/{ref.name}" if ref else ""
            raise Rejected(
                f"you may not read the Secret{where} with its admin key, and only the platform knows the workspaces: ask for get on that "
                "Secret, or ask its owner which workspaces there are",
                reason=error.reason,
            ) from None
