"""How a delivery looks as a Secret, and what a Secret tells of a delivery. Pure.

Owns the labels and annotations under keywright.dev/ on Secrets. Must not keep a plaintext: what is read is turned into
digests at once. Neighbours: kube_template.py renders and recovers; kube_secret.py sends.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from keywright.adapters.kube_template import Texts
from keywright.api.base import GROUP, VERSION
from keywright.errors import Rejected
from keywright.keys import KeyRecord, ResourceKey
from keywright.planning.layout import layout_text
from keywright.planning.observed import Foreign, Present

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from keywright.planning.layout import Owner
    from keywright.planning.observed import TargetLayout

__all__ = ["DRIFTED", "Held", "create_body", "data_of", "fence_patch", "read_secret", "texts_of", "update_patch"]

PREFIX: Final = f"{GROUP}/"
MANAGED: Final = f"{PREFIX}managed"
LAYOUT: Final = f"{PREFIX}layout"
FENCE: Final = f"{PREFIX}fence"
FENCED: Final = f"{PREFIX}fenced-version"
"""The version a fence was put on: it makes each fence a change, the same mark twice too, so that the version moves
on."""

DRIFTED: Final = "drifted"
"""The layout digest of a Secret that does not look as its own layout annotation says: no wanted digest equals it."""

_OPTIONAL: Final = ("expires-on", "handled-rotate", "handled-compromised")
"""Fields of a record that the next one may lack."""

_KIND: Final = "ApiKey"

_SHAPE: Final[tuple[tuple[str, type | tuple[type, ...]], ...]] = (
    ("key", str),
    ("template", (dict, type(None))),
    ("labels", dict),
    ("annotations", dict),
    ("type", str),
    ("uid", str),
    ("bound", bool),
)
"""Of the layout annotation, which anybody may have edited."""


@dataclass(frozen=True, slots=True)
class Held:
    """A Secret of ours, as remembered: no data.

    The names are of what its last delivery put on, to be taken off by the next.
    """

    present: Present
    uid: str
    labels: tuple[str, ...]
    annotations: tuple[str, ...]
    foreign_owners: tuple[Mapping[str, Any], ...]


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
    if owner.bound:
        metadata["ownerReferences"] = [_reference(owner)]
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata,
        "type": layout.type,
        "data": _encoded(data),
    }


def update_patch(
    held: Held, layout: TargetLayout, owner: Owner, record: KeyRecord, data: Mapping[str, bytes]
) -> dict[str, Any]:
    """A merge patch, guarded by the held version: ours replaces ours, what others added stays."""
    labels, annotations = _labels(layout), _annotations(layout, owner, record)
    passing = (FENCE, FENCED, *(PREFIX + name for name in _OPTIONAL))
    return {
        "metadata": {
            "resourceVersion": held.present.version,
            "labels": _nulls(held.labels, labels) | labels,
            "annotations": _nulls((*held.annotations, *passing), annotations) | annotations,
            "ownerReferences": [*held.foreign_owners, *([_reference(owner)] if owner.bound else [])],
        },
        "type": layout.type,
        "data": _nulls(held.present.data_keys, data) | _encoded(data),
    }


def fence_patch(version: str, mark: str) -> dict[str, Any]:
    """A merge patch that changes nothing but the fence, and always that."""
    return {"metadata": {"resourceVersion": version, "annotations": {FENCE: mark, FENCED: version}}}


def read_secret(obj: Mapping[str, Any]) -> Held | Foreign:
    """What a Secret is to keywright. The plaintext is recovered, digested and let go.

    Ours is what carries our annotations, with the label or without (a stripped label is a drift, to be mended), or,
    where those were stripped, the label and an ownerReference to an ApiKey.
    """
    metadata = obj["metadata"]
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    references = metadata.get("ownerReferences") or ()
    owners = [reference for reference in references if _is_ours(reference)]
    named = _owner_of(annotations)
    if named is None and MANAGED in labels and owners:
        named = ResourceKey(metadata["namespace"], owners[0]["name"]), owners[0]["uid"]
    if named is None:
        return Foreign(
            "a Secret that lost the annotations keywright.dev/apikey and keywright.dev/apikey-uid"
            if MANAGED in labels
            else "a Secret that keywright did not make"
        )
    record = KeyRecord.from_strings({k.removeprefix(PREFIX): v for k, v in annotations.items() if k.startswith(PREFIX)})
    data = data_of(obj)
    recorded = _recorded(annotations.get(LAYOUT))
    texts = texts_of(obj, record, data)
    plaintext = texts.recover(data, record.digest if record else None) if texts else None
    intact = (
        recorded is not None
        and texts is not None
        and plaintext is not None
        and (record is None or plaintext.digest() == record.digest)
        and texts.stand_in(data, plaintext)
        and labels.get(MANAGED) == "true"
        and _contains(labels, recorded["labels"])
        and _contains(annotations, recorded["annotations"])
        and obj.get("type", "Opaque") == recorded["type"]
        and [owner["uid"] for owner in owners] == ([recorded["uid"]] if recorded["bound"] else [])
    )
    present = Present(
        owner=named[0],
        owner_uid=named[1],
        version=metadata["resourceVersion"],
        record=record,
        digest=plaintext.digest() if plaintext else None,
        layout_digest=hashlib.sha256(annotations[LAYOUT].encode()).hexdigest() if intact else DRIFTED,
        fence=annotations.get(FENCE),
        data_keys=tuple(key for key in texts.keys if key in data) if texts else (),
    )
    return Held(
        present=present,
        uid=metadata["uid"],
        labels=tuple(recorded["labels"]) if recorded else (),
        annotations=tuple(recorded["annotations"]) if recorded else (),
        foreign_owners=tuple(reference for reference in references if not _is_ours(reference)),
    )


def data_of(obj: Mapping[str, Any]) -> dict[str, bytes]:
    """The data, decoded."""
    try:
        return {key: base64.b64decode(value or "") for key, value in (obj.get("data") or {}).items()}
    except binascii.Error:
        return {}


def texts_of(obj: Mapping[str, Any], record: KeyRecord | None, data: Mapping[str, bytes]) -> Texts | None:
    """How this Secret's texts are laid out by its own annotation, or else the data keys that hold the bare plaintext."""
    recorded = _recorded((obj["metadata"].get("annotations") or {}).get(LAYOUT))
    try:
        if recorded:
            return Texts(recorded["key"], recorded["template"], record)
    except Rejected:
        return None  # A template that needs a record, and there is none; or somebody edited the annotation.
    bare = {
        key: "${api_key}"
        for key, value in data.items()
        if record and hashlib.sha256(value).hexdigest() == record.digest
    }
    return Texts("", bare, record) if bare else None


def _recorded(text: str | None) -> dict[str, Any] | None:
    """The layout annotation, if it has the shape that layout_text gives it."""
    try:
        recorded = json.loads(text or "")
    except (ValueError, RecursionError):
        return None
    if not isinstance(recorded, dict) or not all(isinstance(recorded.get(name), kind) for name, kind in _SHAPE):
        return None
    texts = (recorded["template"] or {}).values()
    return recorded if all(isinstance(text, str) for text in texts) else None


def _owner_of(annotations: Mapping[str, str]) -> tuple[ResourceKey, str] | None:
    namespace, slash, name = annotations.get(f"{PREFIX}apikey", "").partition("/")
    uid = annotations.get(f"{PREFIX}apikey-uid")
    return (ResourceKey(namespace, name), uid) if slash and namespace and name and uid else None


def _is_ours(reference: Mapping[str, Any]) -> bool:
    return reference.get("kind") == _KIND and str(reference.get("apiVersion", "")).startswith(PREFIX)


def _reference(owner: Owner) -> dict[str, Any]:
    """No controller, no blockOwnerDeletion: the finalizer orders a deletion, this only lets the Secret go with its owner."""
    return {"apiVersion": f"{GROUP}/{VERSION}", "kind": _KIND, "name": owner.key.name, "uid": owner.uid}


def _labels(layout: TargetLayout) -> dict[str, str]:
    return {**layout.labels, MANAGED: "true"}


def _annotations(layout: TargetLayout, owner: Owner, record: KeyRecord | None) -> dict[str, str]:
    delivered = (
        record.to_strings() if record else {"apikey": str(owner.key), "apikey-uid": owner.uid, "cluster": owner.cluster}
    )
    return {
        **layout.annotations,
        **{PREFIX + name: value for name, value in delivered.items()},
        LAYOUT: layout_text(layout, owner),
    }


def _encoded(data: Mapping[str, bytes]) -> dict[str, str]:
    return {key: base64.b64encode(value).decode() for key, value in data.items()}


def _nulls(ours: Iterable[str], wanted: Mapping[str, Any]) -> dict[str, Any]:
    return {name: None for name in ours if name not in wanted}


def _contains(there: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    return all(there.get(name) == value for name, value in wanted.items())
