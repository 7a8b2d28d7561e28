"""ApiKeys, issuers and Leases as the apiserver has them, for what commands say; each with what a test does not care about filled in."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from tests.planning.builders import NOW

from keywright.planning.fleet import Read
from keywright.planning.leases import Lease
from keywright.planning.standing import Seen
from keywright.planning.used import Ref, ref_seen

Object = dict[str, Any]
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
IDENTITY = {"kind": "KeyIssuer", "name": "mistral", "uid": "issuer-1"}


def stamp(at: datetime) -> str:
    """As Kubernetes writes a time."""
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def condition(of_type: str, value: str, reason: str, message: str, since: datetime = NOW - HOUR) -> Object:
    """One entry of status.conditions."""
    return {
        "type": of_type,
        "status": value,
        "reason": reason,
        "message": message,
        "lastTransitionTime": stamp(since),
        "observedGeneration": 1,
    }


def an_object(
    name: str = "search", *, status: Object | None = None, spec: Object | None = None, **metadata: Any
) -> Object:
    """An ApiKey made two days ago, by default settled: Ready, a key for 85 days, renewed in 55."""
    settled = {
        "observedGeneration": 1,
        "revision": 1,
        "keyId": f"key-of-{name}",
        "maskedKey": "abcd...wxyz",
        "issuer": IDENTITY,
        "workspace": {"id": "11111111-1111-4111-8111-111111111111", "name": "search-prod"},
        "issuedAt": stamp(NOW - 5 * DAY),
        "expiresAt": stamp(NOW + 85 * DAY),
        "renewalTime": stamp(NOW + 55 * DAY),
        "target": {"kind": "Secret", "name": f"{name}-key", "key": "api-key"},
        "next": {
            "action": "Renew",
            "at": stamp(NOW + 55 * DAY),
            "reason": "The renewal time comes before the key's last day.",
        },
        "conditions": [
            condition(
                "Ready",
                "True",
                "Issued",
                f"Key abcd...wxyz stands in Secret {name}-key and works until 2027-02-17 12:00:00 UTC.",
            )
        ],
    }
    return {
        "apiVersion": "keywright.dev/v1alpha1",
        "kind": "ApiKey",
        "metadata": {
            "namespace": "prod",
            "name": name,
            "uid": f"uid-of-{name}",
            "generation": 1,
            "resourceVersion": "7",
            "creationTimestamp": stamp(NOW - 2 * DAY),
            "finalizers": ["keywright.dev/revoke"],
        }
        | metadata,
        "spec": {
            "issuerRef": {"name": "mistral"},
            "workspace": "search-prod",
            "expiry": {"validity": "90d"},
            "target": {"secret": {"name": f"{name}-key"}},
        }
        | (spec or {}),
        "status": {k: v for k, v in (settled | (status or {})).items() if v is not None},
    }


NOTHING = dict.fromkeys(
    (
        "keyId",
        "maskedKey",
        "issuer",
        "workspace",
        "issuedAt",
        "expiresAt",
        "renewalTime",
        "target",
        "next",
        "conditions",
        "revision",
    )
)
"""Of a settled status, what is not there before the first key."""


def stalled(reason: str, message: str, *, works: bool = False, since: datetime = NOW - HOUR) -> Object:
    """The status where a person must act; `works`: the key in the target does all the same."""
    ready = (
        condition("Ready", "True", "RenewalFailing", f"The key still works. Its renewal fails: {message}")
        if works
        else condition("Ready", "False", reason, message, since)
    )
    conditions = [ready, condition("Stalled", "True", reason, message, since)]
    return (NOTHING if not works else {}) | {"next": {"action": "Retry", "reason": message}, "conditions": conditions}


def retried(reason: str, message: str, at: datetime | None = None) -> Object:
    """The status where something failed and is tried again; the key in the target works."""
    conditions = [
        condition("Ready", "True", "RenewalFailing", f"The key still works. Its renewal fails: {message}"),
        condition("Reconciling", "True", reason, message),
    ]
    step = {"action": "Retry", "reason": message} | ({"at": stamp(at)} if at else {})
    return {"next": step, "conditions": conditions} | ({"nextAttemptAt": stamp(at)} if at else {})


def an_issuer(
    reason: str = "AdminKeyWorks", message: str = "The platform accepts the admin key.", **status: Any
) -> Object:
    """keyissuer/mistral of the same namespace."""
    value = "True" if reason == "AdminKeyWorks" else "False"
    return {
        "kind": "KeyIssuer",
        "metadata": {"namespace": "prod", "name": "mistral", "uid": "issuer-1"},
        "spec": {"mistral": {"adminKeySecretRef": {"name": "mistral-admin", "key": "admin-key"}}},
        "status": {"conditions": [condition("Ready", value, reason, message)], **status},
    }


def a_lease(ago: timedelta = timedelta(seconds=2), holder: str = "keywright-0") -> Lease:
    """Of the operator for the whole cluster, renewed so long ago."""
    return Lease.of(
        {
            "metadata": {"namespace": "keywright-system", "name": "keywright"},
            "spec": {
                "holderIdentity": holder,
                "leaseDurationSeconds": 15,
                "renewTime": f"{NOW - ago:%Y-%m-%dT%H:%M:%S.%fZ}",
            },
        }
    )


def read(*objects: Object, used: tuple[Object, ...] = (), leases: tuple[Lease, ...] = (), **changes: Any) -> Read:
    """What a command has read in namespace prod."""
    refs: dict[Ref, Object] = {ref_seen(o): o for o in used}
    return Read("prod", [Seen.of(obj) for obj in objects], refs, leases or (a_lease(),), **changes)
