"""From objects as the apiserver gives them to observations of a life. Pure; the one place that sees a Secret's data.

Reads what the public interface promises: the spec, the status, and the annotations of a delivered Secret.
"""

from __future__ import annotations

import base64
import hashlib
import re
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final

from keywright.demo.life import Delivered, Standing
from keywright.keys import ResourceKey, SecretValue

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["MANAGED", "key_of", "plaintext_in", "read_api_key", "read_secret"]

_PREFIX: Final = "keywright.dev/"
MANAGED: Final = f"{_PREFIX}managed=true"
"""The label selector of Secrets that keywright delivered."""

_TRIGGERS: Final = (f"{_PREFIX}rotate", f"{_PREFIX}compromised")
_KEYLIKE: Final = re.compile(r"(?=([A-Za-z0-9]{32}))")
"""A platform key is 32 letters and digits; a template may put anything around it, letters too."""


def key_of(obj: Mapping[str, Any]) -> ResourceKey:
    """Namespace and name."""
    return ResourceKey(obj["metadata"]["namespace"], obj["metadata"]["name"])


def read_api_key(obj: Mapping[str, Any], now: datetime) -> Standing:
    """An ApiKey's own account of itself."""
    spec, status = obj["spec"], obj.get("status") or {}
    conditions = {condition["type"]: condition for condition in status.get("conditions") or ()}
    ready, stalled = conditions.get("Ready", {}), conditions.get("Stalled", {})
    telling = stalled if stalled.get("status") == "True" else ready
    annotations = obj["metadata"].get("annotations") or {}
    return Standing(
        wanted=f"in workspace {spec['workspace']}, {_valid(spec.get('expiry') or {})}",
        ready=ready.get("status") == "True",
        reason=telling.get("reason", ""),
        message=telling.get("message", ""),
        stalled=stalled.get("status") == "True",
        deleting="deletionTimestamp" in obj["metadata"],
        retains=spec.get("deletionPolicy") == "Retain",
        key_id=status.get("keyId"),
        previous={
            previous["keyId"]: (datetime.fromisoformat(previous["revokeAt"]) - now).total_seconds()
            for previous in status.get("previous") or ()
        },
        triggers=tuple(annotations.get(trigger) for trigger in _TRIGGERS),
    )


def read_secret(obj: Mapping[str, Any]) -> tuple[ResourceKey, Delivered] | None:
    """Whose key a Secret holds, and which; None where nothing has been delivered into it."""
    record = obj["metadata"].get("annotations") or {}
    try:
        namespace, _, name = record[f"{_PREFIX}apikey"].partition("/")
        delivered = Delivered(
            key_id=record[f"{_PREFIX}key-id"],
            masked=record[f"{_PREFIX}masked-key"],
            secret=obj["metadata"]["name"],
            data_keys=tuple(obj.get("data") or ()),
            expires_on=_day(record.get(f"{_PREFIX}expires-on")),
            kind=obj.get("kind") or "Secret",
        )
    except KeyError:
        return None
    return ResourceKey(namespace, name), delivered


def plaintext_in(obj: Mapping[str, Any]) -> SecretValue | None:
    """The key that the Secret's record speaks of, recognized by its SHA-256; None where it is not there."""
    digest = (obj["metadata"].get("annotations") or {}).get(f"{_PREFIX}digest")
    for encoded in (obj.get("data") or {}).values():
        for found in _KEYLIKE.findall(base64.b64decode(encoded).decode("utf-8", "replace")):
            if hashlib.sha256(found.encode()).hexdigest() == digest:
                return SecretValue(found)
    return None


def _valid(expiry: Mapping[str, str]) -> str:
    if validity := expiry.get("validity"):
        return f"for {validity.removesuffix('d')} days"
    return f"until {expiry['date']}" if "date" in expiry else "without an end"


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None
