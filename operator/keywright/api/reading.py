"""Objects as the apiserver hands them over, read into models; what cannot be read is one sentence for the user.

Accepts whatever the apiserver accepts under this version's crds/, and refuses what would be read wrongly under older ones.
Never takes something unreadable for something empty: an empty status would mean that no key was ever issued.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from keywright.api.apikey import ApiKeySpec
from keywright.api.apikey_status import ApiKeyStatus
from keywright.api.base import Kind
from keywright.api.keyissuer import KeyIssuerSpec
from keywright.api.reasons import Reason
from keywright.api.vaultstore import ClusterVaultStoreSpec, VaultStoreSpec
from keywright.errors import Rejected

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

__all__ = ["issuer_wanted", "issuers_recorded", "read_issuer_spec", "read_spec", "read_status", "read_store_spec"]

_Model = TypeVar("_Model", bound=Kind)


def read_spec(body: Mapping[str, Any]) -> ApiKeySpec:
    """The spec of an ApiKey; Rejected(InvalidSpec) with the first thing that is wrong with it."""
    spec = _read(ApiKeySpec, body, "spec")
    if (spec.target.secret is None) == (spec.target.vault is None):
        raise _rejected("spec.target: write exactly one of secret and vault")
    if spec.expiry and (spec.expiry.validity is None) == (spec.expiry.date is None):
        raise _rejected("spec.expiry: write exactly one of validity and date")
    return spec


def read_issuer_spec(body: Mapping[str, Any]) -> KeyIssuerSpec:
    """The spec of a KeyIssuer or ClusterKeyIssuer; Rejected(InvalidSpec) with the first thing that is wrong with it."""
    spec = _read(KeyIssuerSpec, body, "spec")
    if spec.mistral is None:
        raise _rejected("spec.mistral: write it, with user and adminKeySecretRef; there is no other kind of issuer")
    if body.get("kind") == "KeyIssuer":
        # The kind's own rule refuses it too, unless the object, or the CRD, is older than that: the operator may read any Secret.
        mistral, at = spec.mistral, (body.get("metadata") or {}).get("namespace")
        for ref in (mistral.admin_key_secret_ref, mistral.ca_bundle_secret_ref, mistral.ca_bundle_config_map_ref):
            if ref is not None and ref.namespace not in (None, at):
                raise _rejected("spec.mistral: remove the namespaces: a KeyIssuer reads its own namespace only")
    return spec


def read_store_spec(body: Mapping[str, Any]) -> VaultStoreSpec:
    """The spec of a VaultStore or ClusterVaultStore; Rejected(InvalidSpec) with the first thing that is wrong with it."""
    if body.get("kind") != "ClusterVaultStore":
        return _read(VaultStoreSpec, body, "spec")
    spec = _read(ClusterVaultStoreSpec, body, "spec")
    if "{namespace}" not in spec.prefix:
        raise _rejected("spec.prefix: write one that contains {namespace}, so that namespaces keep apart")
    return spec


def read_status(body: Mapping[str, Any]) -> ApiKeyStatus:
    """The status of an ApiKey, an absent one as one without fields; Rejected(InvalidSpec) where it cannot be read."""
    return _read(ApiKeyStatus, body, "status", absent={})


def issuer_wanted(body: Mapping[str, Any]) -> tuple[str, str] | None:
    """Kind and name of the issuer that an ApiKey's spec names; None where it lacks one, as an object older than the CRD's rules may."""
    ref = (body.get("spec") or {}).get("issuerRef") or {}
    return (ref.get("kind", "KeyIssuer"), ref["name"]) if "name" in ref else None


def issuers_recorded(body: Mapping[str, Any]) -> frozenset[tuple[str, str]]:
    """Kind and name of each issuer at which an ApiKey's status has a key, or an attempt that may have made one."""
    status = body.get("status") or {}
    entries = [status, status.get("attempt"), *(status.get("closedAttempts") or ()), *(status.get("previous") or ())]
    return frozenset((e["issuer"]["kind"], e["issuer"]["name"]) for e in entries if e and e.get("issuer"))


def _read(
    model: type[_Model], body: Mapping[str, Any], part: str, *, absent: Mapping[str, Any] | None = None
) -> _Model:
    found = body.get(part)
    if found is None:
        found = absent
    if not isinstance(found, Mapping):
        raise _rejected(
            f"{part}: write a mapping of fields" if found is not None else f"{part}: write it; it is required"
        )
    try:
        return model.model_validate(found)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        raise _rejected(_sentence(part, first)) from None


def _sentence(part: str, error: ErrorDetails) -> str:
    path = part + "".join(_step(step) for step in error["loc"])
    return f"{path}: write it; it is required" if error["type"] == "missing" else f"{path}: {error['msg']}"


def _step(step: int | str) -> str:
    """As the apiserver writes a path: a field after a dot, an index or a map's key in brackets."""
    return f".{step}" if isinstance(step, str) and step.isalnum() else f"[{step}]"


def _rejected(sentence: str) -> Rejected:
    return Rejected(sentence, reason=Reason.INVALID_SPEC)
