"""How a delivery looks as a Secret: bodies and patches, to be sent at once. Pure.

Must not keep a plaintext. Neighbours: kube_reading.py reads what is written here, and owns the names; kube_template.py renders;
kube_secret.py sends.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Final

from keywright.adapters.kube_reading import ADOPTABLE, ADOPTED, FENCE, FENCED, KIND, LAYOUT, MANAGED, PREFIX, base_of
from keywright.api.base import GROUP, VERSION
from keywright.planning.layout import is_bound, layout_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from keywright.adapters.kube_reading import Base
    from keywright.keys import KeyRecord
    from keywright.planning.layout import Owner
    from keywright.planning.observed import TargetLayout

__all__ = ["create_body", "fence_patch", "release_patch", "take_over_patch", "update_patch"]

_OPTIONAL: Final = ("expires-on", "handled-rotate", "handled-compromised")
"""Fields of a record that the next one may lack."""


def create_body(
    layout: TargetLayout, owner: Owner, record: KeyRecord | None, data: Mapping[str, bytes], mark: str | None = None
) -> dict[str, Any]:
    """A new Secret; without a record it is an empty one, fenced with `mark`."""
    metadata: dict[str, Any] = {
        "name": layout.name,
        "namespace": layout.namespace,
        "labels": _labels(layout),
        "annotations": _annotations(layout, owner, record) | ({FENCE: mark} if mark else {}),
    }
    if is_bound(layout, owner):
        metadata["ownerReferences"] = [_reference(owner)]
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata,
        "type": layout.type,
        "data": _encoded(data),
    }


def update_patch(
    base: Base, layout: TargetLayout, owner: Owner, record: KeyRecord, data: Mapping[str, bytes]
) -> dict[str, Any]:
    """A merge patch, guarded by the base's version: ours replaces ours, what others added stays."""
    labels, annotations = _labels(layout), _annotations(layout, owner, record)
    passing = (FENCE, FENCED, ADOPTED, *(PREFIX + name for name in _OPTIONAL))
    references = [_reference(owner)] if is_bound(layout, owner) else []
    return {
        "metadata": {
            "resourceVersion": base.version,
            "labels": _nulls(base.labels, labels) | labels,
            "annotations": _nulls((*base.annotations, *passing), annotations) | annotations,
            "ownerReferences": [*base.foreign_owners, *references],
        },
        "type": layout.type,
        "data": _nulls(base.data_keys, data) | _encoded(data),
    }


def fence_patch(version: str, mark: str) -> dict[str, Any]:
    """A merge patch that changes nothing but the fence, and always that."""
    return {"metadata": {"resourceVersion": version, "annotations": {FENCE: mark, FENCED: version}}}


def take_over_patch(version: str, owner: Owner, mark: str) -> dict[str, Any]:
    """A merge patch that makes somebody else's Secret ours and fences it. It says of no data key that it is ours: none is yet."""
    annotations = _named(owner) | {ADOPTED: "true", FENCE: mark, FENCED: version}
    return {
        "metadata": {"resourceVersion": version, "labels": {MANAGED: "true"}, "annotations": annotations},
    }


def release_patch(obj: Mapping[str, Any]) -> dict[str, Any]:
    """A merge patch that takes all of ours off an adopted Secret, and nothing else."""
    base, annotations = base_of(obj), obj["metadata"].get("annotations") or {}
    ours = [name for name in annotations if name.startswith(PREFIX) and name != ADOPTABLE]
    return {
        "metadata": {
            "resourceVersion": base.version,
            "labels": _nulls((MANAGED, *base.labels), {}),
            "annotations": _nulls((*base.annotations, *ours), {}),
            "ownerReferences": [*base.foreign_owners],
        },
        "data": _nulls(base.data_keys, {}),
    }


def _reference(owner: Owner) -> dict[str, Any]:
    """No controller, no blockOwnerDeletion: the finalizer orders a deletion, this only lets the Secret go with its owner."""
    return {"apiVersion": f"{GROUP}/{VERSION}", "kind": KIND, "name": owner.key.name, "uid": owner.uid}


def _labels(layout: TargetLayout) -> dict[str, str]:
    return {**layout.labels, MANAGED: "true"}


def _annotations(layout: TargetLayout, owner: Owner, record: KeyRecord | None) -> dict[str, str]:
    delivered = {PREFIX + name: value for name, value in record.to_strings().items()} if record else _named(owner)
    adopted = {ADOPTED: "true"} if layout.adopted else {}
    return {**layout.annotations, **delivered, **adopted, LAYOUT: layout_text(layout, owner)}


def _named(owner: Owner) -> dict[str, str]:
    """Whose it is, where nothing was delivered yet."""
    return {f"{PREFIX}apikey": str(owner.key), f"{PREFIX}apikey-uid": owner.uid, f"{PREFIX}cluster": owner.cluster}


def _encoded(data: Mapping[str, bytes]) -> dict[str, str]:
    return {key: base64.b64encode(value).decode() for key, value in data.items()}


def _nulls(ours: Iterable[str], wanted: Mapping[str, Any]) -> dict[str, Any]:
    return {name: None for name in ours if name not in wanted}
