"""How a delivery looks in Vault, and what a path in Vault tells of a delivery. Pure.

Owns the fields and the custom metadata under keywright.dev/. A version holds the user's fields, four of the record for people to
read, and the rest of it in one. Must not keep a plaintext: what is read is turned into digests at once.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from keywright.adapters.kube_template import Texts
from keywright.errors import Rejected
from keywright.keys import KeyRecord, ResourceKey
from keywright.planning.layout import layout_text
from keywright.planning.observed import Absent, Foreign, Present

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keywright.keys import SecretValue
    from keywright.planning.layout import Owner
    from keywright.planning.observed import Sought, TargetLayout

__all__ = [
    "Held",
    "Seen",
    "custom_of",
    "emptied",
    "fenced",
    "find_plaintext",
    "foreign_fields",
    "has_record",
    "read_answer",
    "read_bare",
    "record_of",
    "seen_in",
    "version_data",
]

PREFIX: Final = "keywright.dev/"
RECORD: Final = f"{PREFIX}record"
"""The rest of the record, how it is laid out, and the fence: JSON, so that consumers that take every field meet few of ours."""
_PLAIN: Final = ("key-id", "attempt", "revision", "expires-on")
"""Of the record, in fields of their own."""
_CUSTOM: Final = ("apikey", "apikey-uid", "cluster")
"""Of the record, in the custom metadata: whose the path is."""
DRIFTED: Final = "drifted"
"""The layout digest of a path that does not look as its own record says."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What metadata alone tells of a path: as long as it stays the same, nobody has touched anything."""

    number: int
    created: str
    gone: bool
    custom: tuple[tuple[str, str], ...]

    @property
    def version(self) -> str:
        """Number and time: a path that was removed and made again begins with 1 again."""
        return f"{self.number}@{self.created}"


@dataclass(frozen=True, slots=True)
class Held:
    """A path of ours, as remembered: no data."""

    present: Present
    seen: Seen


def seen_in(metadata: Mapping[str, Any]) -> Seen:
    """From a data answer's metadata, or from the metadata of a whole path."""
    number = metadata.get("version", metadata.get("current_version", 0))
    versions = metadata.get("versions")
    one = versions.get(str(number)) if isinstance(versions, dict) else metadata
    one = one if isinstance(one, dict) else {}
    custom = metadata.get("custom_metadata") or {}
    return Seen(
        number=number if isinstance(number, int) else 0,
        created=str(one.get("created_time", "")),
        gone=bool(one.get("deletion_time")) or one.get("destroyed") is True,
        custom=tuple(sorted((str(k), str(v)) for k, v in custom.items())),
    )


def version_data(
    layout: TargetLayout,
    owner: Owner,
    record: KeyRecord | None,
    texts: Mapping[str, bytes],
    *,
    foreign: Mapping[str, Any],
    mark: str | None = None,
) -> dict[str, Any]:
    """A whole version; without a record it is an empty one, fenced with `mark`. `foreign`: what others keep there."""
    flat = _flat(owner) if record is None else record.to_strings()
    plain = {PREFIX + name: flat.pop(name) for name in _PLAIN if name in flat}
    rest = {**flat, "layout": layout_text(layout, owner), "fields": [*texts], **({"fence": mark} if mark else {})}
    ours = {name: text.decode() for name, text in texts.items()}
    return {**foreign, **ours, **plain, RECORD: json.dumps(rest, separators=(",", ":"))}


def fenced(data: Mapping[str, Any], owner: Owner, mark: str) -> dict[str, Any]:
    """The same version with a mark: plaintext and record stay."""
    rest = _rest(data) or {**_flat(owner), "fields": []}
    return {**data, RECORD: json.dumps({**rest, "fence": mark}, separators=(",", ":"))}


def emptied(data: Mapping[str, Any], *, tombstone: bool) -> dict[str, Any]:
    """What is left without us; as a tombstone our record stays for as long as it takes to remove the path."""
    left = foreign_fields(data)
    if tombstone:
        rest = {name: value for name, value in (_rest(data) or {}).items() if name in _CUSTOM}
        left[RECORD] = json.dumps({**rest, "fields": []}, separators=(",", ":"))
    return left


def foreign_fields(data: Mapping[str, Any] | None) -> dict[str, Any]:
    """What others keep at a path."""
    ours = set((_rest(data or {}) or {}).get("fields") or ())
    return {name: value for name, value in (data or {}).items() if not name.startswith(PREFIX) and name not in ours}


def has_record(data: Mapping[str, Any] | None) -> bool:
    """Whether a version says of itself that it is ours."""
    return _rest(data or {}) is not None


def custom_of(owner: Owner, before: Mapping[str, str] | None = None, *, ours: bool = True) -> dict[str, str]:
    """The custom metadata with ours in it, or without; what others keep there stays."""
    theirs = {name: value for name, value in (before or {}).items() if not name.startswith(PREFIX)}
    return {**theirs, **{PREFIX + name: value for name, value in _flat(owner).items()}} if ours else theirs


def record_of(data: Mapping[str, Any] | None) -> KeyRecord | None:
    """The delivered record of a version."""
    rest = _rest(data or {})
    if rest is None:
        return None
    plain = {name: value for name in _PLAIN if isinstance(value := (data or {}).get(PREFIX + name), str)}
    return KeyRecord.from_strings({**{k: v for k, v in rest.items() if isinstance(v, str)}, **plain})


def find_plaintext(
    data: Mapping[str, Any], record: KeyRecord, layout: TargetLayout | None = None
) -> SecretValue | None:
    """The plaintext with the digest of this record, wherever in a version it stands; None where it does not.

    Looked for in the texts that the version itself says it has, in those of `layout`, and alone in any field.
    """
    there = _bytes(data)
    shapes = [_texts(_rest(data) or {}, by) for by in (record_of(data), record)]
    shapes += [_laid_out(layout.key, layout.template, record)] if layout else []
    shapes += [_laid_out(name, None, record) for name in there if not name.startswith(PREFIX)]
    for texts in shapes:
        found = texts.recover(there, record.digest) if texts else None
        if found is not None and found.digest() == record.digest:
            return found
    return None


def read_answer(answer: Mapping[str, Any], cluster: str, sought: Sought | None = None) -> Held | Foreign:
    """What a path that holds something is to keywright of this cluster, and whether it holds what is sought."""
    data, seen = answer.get("data"), seen_in(answer["metadata"])
    data = data if isinstance(data, dict) else {}
    rest, custom = _rest(data), dict(seen.custom)
    owner = _owner(rest or {}) or _owner({name: custom.get(PREFIX + name) for name in _CUSTOM})
    if owner is None:
        what = "a path whose latest version somebody deleted" if seen.gone else "a path that keywright did not create"
        return Foreign(what, version=seen.version, digest=_sought_in(data, sought), mergeable=True)
    key, uid, made_by = owner
    if made_by != cluster:
        return Foreign(f"a path that keywright of another cluster ({made_by}) created for its ApiKey {key}")
    record = record_of(data)
    texts = _texts(rest, record) if rest else None
    plaintext = texts.recover(_bytes(data), record.digest if record else None) if texts else None
    intact = (
        rest is not None
        and texts is not None
        and plaintext is not None
        and (record is None or plaintext.digest() == record.digest)
        and texts.stand_in(_bytes(data), plaintext)
        and all(custom.get(PREFIX + name) == rest.get(name) for name in _CUSTOM)
    )
    fence = (rest or {}).get("fence")
    present = Present(
        owner=key,
        owner_uid=uid,
        version=seen.version,
        record=record,
        digest=_sought_in(data, sought) or (plaintext.digest() if plaintext else None),
        layout_digest=hashlib.sha256(rest["layout"].encode()).hexdigest() if rest and intact else DRIFTED,
        fence=fence if isinstance(fence, str) else None,
        data_keys=tuple(name for name in texts.keys if name in data) if texts else (),
    )
    return Held(present, seen)


def read_bare(metadata: Mapping[str, Any] | None, cluster: str) -> Absent | Foreign:
    """A path without any version: nothing, or somebody's metadata."""
    custom = dict(seen_in(metadata or {}).custom)
    owner = _owner({name: custom.get(PREFIX + name) for name in _CUSTOM})
    if metadata is None or (owner and owner[2] == cluster):
        return Absent()
    return Foreign("a path that keywright did not create, though it holds no version", mergeable=True)


def _sought_in(data: Mapping[str, Any], sought: Sought | None) -> str | None:
    """The digest of the plaintext that is sought, where it stands there."""
    if sought is None or sought.record is None or find_plaintext(data, sought.record, sought.layout) is None:
        return None
    return sought.record.digest


def _flat(owner: Owner) -> dict[str, str]:
    return {"apikey": str(owner.key), "apikey-uid": owner.uid, "cluster": owner.cluster}


def _owner(named: Mapping[str, Any]) -> tuple[ResourceKey, str, str] | None:
    whose, uid, cluster = (named.get(name) for name in _CUSTOM)
    if not (isinstance(whose, str) and isinstance(uid, str) and isinstance(cluster, str)):
        return None
    namespace, slash, name = whose.partition("/")
    return (ResourceKey(namespace, name), uid, cluster) if slash and namespace and name else None


def _rest(data: Mapping[str, Any]) -> dict[str, Any] | None:
    """The field that holds most of the record, which anybody may have edited."""
    text = data.get(RECORD)
    try:
        rest = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(rest, dict) or _owner(rest) is None:
        return None
    fields = rest.get("fields")
    return rest if isinstance(fields, list) and all(isinstance(name, str) for name in fields) else None


def _texts(rest: Mapping[str, Any], record: KeyRecord | None) -> Texts | None:
    """How this version's fields are laid out by its own record."""
    try:
        recorded = json.loads(rest.get("layout", ""))
        key, template = recorded["key"], recorded["template"]
        shaped = isinstance(key, str) and (
            template is None
            or (isinstance(template, dict) and all(isinstance(text, str) for text in template.values()))
        )
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return _laid_out(key, template, record) if shaped else None


def _laid_out(key: str, template: Mapping[str, str] | None, record: KeyRecord | None) -> Texts | None:
    try:
        return Texts(key, template, record)
    except Rejected:
        return None  # a template that needs a record, or that somebody edited


def _bytes(data: Mapping[str, Any]) -> dict[str, bytes]:
    return {name: value.encode() for name, value in data.items() if isinstance(value, str)}
