"""What an issuer's client is made with, read from where its spec says: the admin key, and a CA bundle where one is named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from keywright.api.reasons import Reason
from keywright.errors import Rejected

if TYPE_CHECKING:
    from keywright.api.keyissuer import KeyIssuerSpec
    from keywright.keys import SecretValue
    from keywright.ports.cluster import Cluster

__all__ = ["Credentials", "Missing", "read_credentials"]

Credentials = tuple["SecretValue", "SecretValue | None"]
"""The admin key; the CA bundle, None where none is named."""


class Missing(Rejected):
    """What it takes to use an issuer is not there: the issuer itself, its admin key, or its CA bundle."""


async def read_credentials(cluster: Cluster, spec: KeyIssuerSpec, issuer: str, namespace: str) -> Credentials:
    """As they stand now. `issuer`: what messages call it; `namespace`: where a KeyIssuer's references lead.

    Raises Missing, and what reading raises.
    """
    mistral = spec.mistral
    if mistral is None:
        raise Rejected(f"{issuer} names no kind of issuer; write spec.mistral", reason=Reason.ISSUER_INVALID)
    admin = await cluster.read_value("Secret", namespace, mistral.admin_key_secret_ref)
    if admin is None:
        where = mistral.admin_key_secret_ref
        raise Missing(
            f"{issuer} has no admin key: Secret {where.namespace or namespace}/{where.name} with data key {where.key} "
            "does not exist; create it",
            reason=Reason.ADMIN_KEY_MISSING,
        )
    bundle = None
    source = mistral.ca_bundle_secret_ref or mistral.ca_bundle_config_map_ref
    if source is not None:
        kind: Literal["Secret", "ConfigMap"] = "Secret" if mistral.ca_bundle_secret_ref else "ConfigMap"
        bundle = await cluster.read_value(kind, namespace, source)
        if bundle is None:
            raise Missing(
                f"{issuer} has no CA bundle: {kind} {source.namespace or namespace}/{source.name} with data key {source.key} "
                "does not exist; create it",
                reason=Reason.ISSUER_INVALID,
            )
    return admin, bundle
