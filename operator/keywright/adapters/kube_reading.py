"""What a Secret tells of a delivery, whatever others did to it meanwhile. Pure.

Owns the names of labels and annotations under keywright.dev/ on Secrets. Must not keep a plaintext: what is read is turned into
digests at once. Neighbours: kube_manifest.py writes what is read here; kube_template.py recovers; kube_secret.py asks.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from keywright.adapters.kube_template import Texts
from keywright.api.base import GROUP
from keywright.errors import Rejected
from keywright.keys import KeyRecord, ResourceKey, SecretValue
from keywright.planning.observed import Foreign, HandMade, Present

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from keywright.planning.observed import Sought, TargetLayout

__all__ = [
    "ADOPTABLE",
    "ADOPTED",
    "DRIFTED",
    "FENCE",
    "FENCED",
    "KIND",
    "LAYOUT",
    "MANAGED",
    "PREFIX",
    "Base",
    "Held",
    "base_of",
    "find_plaintext",
    "read_secret",
    "writer_of",
]

PREFIX: Final = f"{GROUP}/"
MANAGED: Final = f"{PREFIX}managed"
LAYOUT: Final = f"{PREFIX}layout"
FENCE: Final = f"{PREFIX}fence"
FENCED: Final = f"{PREFIX}fenced-version"
"""The version a fence was put on: it makes each fence a change, the same mark twice too, so that the version moves
on."""
ADOPTABLE: Final = f"{PREFIX}adoptable-by"
"""A user's own annotation: the ApiKey, by name, that may take this Secret over. Never written or removed by keywright."""
ADOPTED: Final = f"{PREFIX}adopted"
"""On a Secret that somebody else made, from its first fence or delivery on."""

DRIFTED: Final = "drifted"
"""The layout digest of a Secret that does not look as its own layout annotation says: no wanted digest equals it."""

KIND: Final = "ApiKey"

_OURSELVES: Final = "keywright"
"""Our name as a field manager: the first part of the User-Agent."""

_SHOWN: Final = 4
"""Characters of a key made by hand that are told."""
_LONG_ENOUGH: Final = 16
"""Characters of a key from which four give nothing away."""

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
class Base:
    """What a write goes over: at which version, and the names that the last delivery put on, to be taken off by the next."""

    version: str
    labels: tuple[str, ...]
    annotations: tuple[str, ...]
    data_keys: tuple[str, ...]
    foreign_owners: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Held:
    """A Secret of ours, as remembered: no data."""

    present: Present
    uid: str
    base: Base


def read_secret(obj: Mapping[str, Any], sought: Sought | None = None) -> Held | Foreign:
    """What a Secret is to keywright. The plaintext is recovered, digested and let go.

    Ours is what carries our annotations, with the label or without (a stripped label is a drift, to be mended), or,
    where those were stripped, the label and an ownerReference to an ApiKey. Of all else it is told whether it holds what is sought.
    """
    metadata = obj["metadata"]
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    owners = [reference for reference in metadata.get("ownerReferences") or () if _is_ours(reference)]
    named = _owner_of(annotations)
    if named is None and MANAGED in labels and owners:
        named = ResourceKey(metadata["namespace"], owners[0]["name"]), owners[0]["uid"]
    if named is None:
        return _foreign(obj, sought)
    record = _record_of(annotations)
    data = _data_of(obj)
    recorded = _recorded(annotations.get(LAYOUT))
    texts = _texts_of(recorded, record, data)
    plaintext = texts.recover(data, record.digest if record else None) if texts else None
    taken_over = recorded is not None and recorded.get("adopted") is True
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
        and (annotations.get(ADOPTED) == "true") == taken_over
    )
    base = base_of(obj)
    adopted = _adopted(annotations, named[0], known=recorded is not None, taken_over=taken_over)
    undelivered = adopted and record is None and recorded is None
    present = Present(
        owner=named[0],
        owner_uid=named[1],
        version=base.version,
        record=record,
        digest=_sought_in(obj, sought) or (plaintext.digest() if plaintext else None),
        layout_digest=hashlib.sha256(annotations[LAYOUT].encode()).hexdigest() if intact else DRIFTED,
        fence=annotations.get(FENCE),
        data_keys=base.data_keys,
        adopted=adopted,
        hand_made=_hand_made(data, sought) if undelivered else (),
    )
    return Held(present, metadata["uid"], base)


def base_of(obj: Mapping[str, Any]) -> Base:
    """What a write to this Secret goes over, whosever it is."""
    metadata = obj["metadata"]
    annotations = metadata.get("annotations") or {}
    recorded, data = _recorded(annotations.get(LAYOUT)), _data_of(obj)
    texts = _texts_of(recorded, _record_of(annotations), data)
    return Base(
        version=metadata["resourceVersion"],
        labels=tuple(recorded["labels"]) if recorded else (),
        annotations=tuple(recorded["annotations"]) if recorded else (),
        data_keys=tuple(key for key in texts.keys if key in data) if texts else (),
        foreign_owners=tuple(r for r in metadata.get("ownerReferences") or () if not _is_ours(r)),
    )


def find_plaintext(obj: Mapping[str, Any], record: KeyRecord, layout: TargetLayout | None = None) -> SecretValue | None:
    """The plaintext with the digest of this record, wherever in the Secret it stands; None where it does not.

    Looked for in the texts that the Secret itself says it has, in those of `layout`, and alone in any data key.
    """
    annotations = obj["metadata"].get("annotations") or {}
    recorded, data = _recorded(annotations.get(LAYOUT)), _data_of(obj)
    shapes = (
        [(recorded["key"], recorded["template"], by) for by in (_record_of(annotations), record)] if recorded else []
    )
    if layout is not None:
        shapes.append((layout.key, layout.template, record))
    for key, template, by in shapes:
        try:
            found = Texts(key, template, by).recover(data, record.digest)
        except Rejected:
            continue  # a template that needs a record, or that somebody edited
        if found is not None and found.digest() == record.digest:
            return found
    texts = _bare(record, data)
    return texts.recover(data, record.digest) if texts else None


def writer_of(obj: Mapping[str, Any], keys: Iterable[str]) -> str | None:
    """The field manager that last wrote one of these data keys, or else any data, and is not keywright; None: nobody is told of."""
    entries = [e for e in obj["metadata"].get("managedFields") or () if e.get("manager", _OURSELVES) != _OURSELVES]
    data = [(e, (e.get("fieldsV1") or {}).get("f:data")) for e in entries]
    ours = {f"f:{key}" for key in keys}
    for wanted in (
        [e for e, fields in data if ours & set(fields or ())],
        [e for e, fields in data if fields is not None],
    ):
        if wanted:
            return str(max(wanted, key=lambda e: str(e.get("time", "")))["manager"])
    return None


def _foreign(obj: Mapping[str, Any], sought: Sought | None) -> Foreign:
    metadata = obj["metadata"]
    annotations = metadata.get("annotations") or {}
    digest = None if _is_anothers(obj, sought) else _sought_in(obj, sought)
    return Foreign(
        whose="a Secret that lost the annotations keywright.dev/apikey and keywright.dev/apikey-uid"
        if MANAGED in (metadata.get("labels") or {})
        else "a Secret that keywright did not make",
        version=metadata["resourceVersion"],
        adoptable_by=annotations.get(ADOPTABLE),
        type=obj.get("type", "Opaque"),
        immutable=bool(obj.get("immutable")),
        digest=digest,
        hand_made=() if digest else _hand_made(_data_of(obj), sought),
    )


def _is_anothers(obj: Mapping[str, Any], sought: Sought | None) -> bool:
    """Whether what is left on a Secret names another ApiKey than the one whose plaintext is sought."""
    if sought is None or sought.record is None:
        return False
    owner = sought.record.owner
    said = (obj["metadata"].get("annotations") or {}).get(f"{PREFIX}apikey")
    references = [r for r in obj["metadata"].get("ownerReferences") or () if _is_ours(r)]
    return said not in (None, str(owner)) or any(r.get("name") != owner.name for r in references)


def _sought_in(obj: Mapping[str, Any], sought: Sought | None) -> str | None:
    """The digest of the plaintext that is sought, where it stands there."""
    if sought is None or sought.record is None or find_plaintext(obj, sought.record, sought.layout) is None:
        return None
    return sought.record.digest


def _hand_made(data: Mapping[str, bytes], sought: Sought | None) -> tuple[HandMade, ...]:
    """What stands under the data keys that a delivery would write."""
    if sought is None:
        return ()
    texts = sought.layout.template or {sought.layout.key: "${api_key}"}
    there = [(key, data[key], text == "${api_key}") for key, text in texts.items() if data.get(key)]
    return tuple(HandMade(key, _ending(value) if bare else None) for key, value, bare in there)


def _ending(value: bytes) -> str | None:
    """The last four characters of what looks like a key: one word, and long enough that they give nothing away."""
    word = value.strip()
    is_key = len(word) >= _LONG_ENOUGH and all(0x21 <= byte <= 0x7E for byte in word)  # noqa: PLR2004 - visible ASCII
    return word[-_SHOWN:].decode("ascii") if is_key else None


def _adopted(annotations: Mapping[str, str], owner: ResourceKey, *, known: bool, taken_over: bool) -> bool | None:
    """Whether somebody else made it; None where what would tell was stripped."""
    if taken_over or annotations.get(ADOPTED) == "true":
        return True
    if known:
        return False
    return True if annotations.get(ADOPTABLE) == owner.name else None


def _record_of(annotations: Mapping[str, str]) -> KeyRecord | None:
    return KeyRecord.from_strings({k.removeprefix(PREFIX): v for k, v in annotations.items() if k.startswith(PREFIX)})


def _data_of(obj: Mapping[str, Any]) -> dict[str, bytes]:
    """The data, decoded."""
    try:
        return {key: base64.b64decode(value or "") for key, value in (obj.get("data") or {}).items()}
    except binascii.Error:
        return {}


def _texts_of(recorded: dict[str, Any] | None, record: KeyRecord | None, data: Mapping[str, bytes]) -> Texts | None:
    """How a Secret's texts are laid out by its own annotation, or else the data keys that hold the bare plaintext."""
    try:
        if recorded:
            return Texts(recorded["key"], recorded["template"], record)
    except Rejected:
        return None  # A template that needs a record, and there is none; or somebody edited the annotation.
    return _bare(record, data) if record else None


def _bare(record: KeyRecord, data: Mapping[str, bytes]) -> Texts | None:
    bare = {key: "${api_key}" for key, value in data.items() if hashlib.sha256(value).hexdigest() == record.digest}
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
    return reference.get("kind") == KIND and str(reference.get("apiVersion", "")).startswith(PREFIX)


def _contains(there: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    return all(there.get(name) == value for name, value in wanted.items())
