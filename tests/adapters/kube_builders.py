"""What tests of the Kubernetes adapters are made of: layouts, owners, records, objects."""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime
from typing import Any

from keywright.api.apikey import KeyIssuerIdentity
from keywright.api.apikey_status import Handled
from keywright.keys import AttemptId, KeyId, KeyRecord, ResourceKey, SecretValue
from keywright.planning.layout import Owner
from keywright.planning.observed import TargetLayout
from keywright.ports.sink import Delivery

UID = "5d5c5d17-1111-4222-8333-944444444444"
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def a_layout(namespace: str = "team", name: str = "search-key", **changes: Any) -> TargetLayout:
    """One bare data key, unless told otherwise."""
    wanted = {"key": "api-key", "template": None, "labels": {}, "annotations": {}, "type": "Opaque"} | changes
    return TargetLayout(namespace=namespace, name=name, **wanted)


def an_owner(namespace: str = "team", name: str = "search", *, uid: str = UID, bound: bool = True) -> Owner:
    """The ApiKey that all is for."""
    return Owner(ResourceKey(namespace, name), uid, "c0ffee00", bound)


def a_record(owner: Owner, plaintext: str, **changes: Any) -> KeyRecord:
    """What was delivered."""
    return KeyRecord(
        **{
            "key_id": KeyId("0e7f8f43-0000-4000-8000-000000000001"),
            "attempt": AttemptId("a1b2c3d4"),
            "revision": 1,
            "cluster": owner.cluster,
            "owner": owner.key,
            "owner_uid": owner.uid,
            "issuer": KeyIssuerIdentity(kind="KeyIssuer", name="mistral", uid="9e7f8f43-0000-4000-8000-000000000009"),
            "masked": f"{plaintext[:4]}...{plaintext[-4:]}",
            "digest": hashlib.sha256(plaintext.encode()).hexdigest(),
            "issued_at": NOW,
            "expires_on": date(2027, 1, 31),
            "workspace_id": "1f7f8f43-0000-4000-8000-000000000002",
            "workspace_name": "search-prod",
            "workspace": "search-prod",
            "label": "team/search",
            "expiry": "90d",
            "handled": Handled(rotate="1"),
        }
        | changes
    )


def a_delivery(layout: TargetLayout, owner: Owner, plaintext: str, **record: Any) -> Delivery:
    """The plaintext and its record, laid out."""
    return Delivery(layout, owner, a_record(owner, plaintext, **record), SecretValue(plaintext))


def an_api_key(
    namespace: str = "team",
    name: str = "search",
    *,
    target: str = "search-key",
    issuer: tuple[str, str] = ("KeyIssuer", "mistral"),
) -> dict[str, Any]:
    """An ApiKey as a user applies it."""
    return {
        "apiVersion": "keywright.dev/v1alpha1",
        "kind": "ApiKey",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {
            "issuerRef": {"kind": issuer[0], "name": issuer[1]},
            "workspace": "search-prod",
            "target": {"secret": {"name": target}},
        },
    }


def stored(obj: dict[str, Any], *, uid: str = UID, version: int = 1, **metadata: Any) -> dict[str, Any]:
    """An object as the apiserver gives it."""
    known = {"uid": uid, "resourceVersion": str(version)} | metadata
    return {**obj, "metadata": {**obj["metadata"], **known}}
