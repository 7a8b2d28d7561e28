"""Which live keys at an issuer are nobody's (strays), and which were left on purpose (retained). Pure.

The inventory and `keywright sweep` both ask here, so that what one reports the other finds; planning/recovery.py asks whether a key
of an interrupted attempt is in use.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from keywright.keys import ResourceKey, Tag

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from keywright.keys import KeyId, ListedKey

__all__ = ["Retained", "Stray", "Survey", "in_use", "survey"]

_OWN_USE: Final = timedelta(minutes=10)
"""Within this time of writing its attempt down, keywright itself tries a new key, midnight or not."""


@dataclass(frozen=True, slots=True)
class Stray:
    """A live key with this cluster's tag that nothing written down names. `why`: a clause."""

    key: ListedKey
    tag: Tag
    why: str


@dataclass(frozen=True, slots=True)
class Retained:
    """A live key that no ApiKey names, and the delivered record in the Secret `place` does."""

    key: ListedKey
    tag: Tag
    place: ResourceKey


@dataclass(frozen=True, slots=True)
class Survey:
    """Of one listing. `tagged` counts all keys with this cluster's tag."""

    tagged: int
    strays: tuple[Stray, ...]
    retained: tuple[Retained, ...]


@dataclass(frozen=True, slots=True)
class _Owner:
    """An ApiKey by the start of its UID, and since when each of its attempts may have made a key."""

    key: ResourceKey
    has_key: bool
    attempts: Mapping[str, datetime | None]


def in_use(key: ListedKey, begun: datetime) -> bool:
    """Whether somebody has used a key after the UTC day on which the attempt that made it began: then somebody holds it.

    On that very day it may have been keywright itself, trying the new key.
    """
    return key.last_used is not None and key.last_used > (begun + _OWN_USE).astimezone(UTC).date()


def survey(
    listed: Iterable[ListedKey],
    cluster: str,
    api_keys: Iterable[Mapping[str, Any]],
    delivered: Mapping[KeyId, ResourceKey],
) -> Survey:
    """Compare a listing with what is written down SINCE: an attempt is written down before its key can be listed.

    `cluster` is the id in the tags, `api_keys` are all ApiKeys as JSON, `delivered` says which Secret's record names a key id.
    A key of a recorded attempt is no stray, since the planner looks after it, unless somebody uses it: then it is left alone.
    """
    named: set[str] = set()
    owners: dict[str, _Owner] = {}
    for seen in api_keys:
        status = seen.get("status") or {}
        named.update(filter(None, [status.get("keyId"), *(p.get("keyId") for p in status.get("previous") or ())]))
        meta = seen["metadata"]
        owners[meta["uid"][:8]] = _Owner(
            ResourceKey(meta["namespace"], meta["name"]), "keyId" in status, dict(_attempts(status))
        )
    tagged, strays, retained = 0, [], []
    for key in listed:
        tag = Tag.parse(key.name)
        if tag is None or tag.cluster != cluster:
            continue
        tagged += 1
        if key.key_id in named:
            continue
        if (place := delivered.get(key.key_id)) is not None:
            retained.append(Retained(key, tag, place))
        elif (why := _why(key, tag, owners.get(tag.uid8))) is not None:
            strays.append(Stray(key, tag, why))
    return Survey(tagged, tuple(strays), tuple(retained))


def _why(key: ListedKey, tag: Tag, owner: _Owner | None) -> str | None:
    """Why a key that nothing names is a stray; None where it is an attempt's."""
    if owner is None:
        return f"no ApiKey has a UID that begins with {tag.uid8}"
    if tag.attempt in owner.attempts:
        begun = owner.attempts[tag.attempt]
        if begun is None or not in_use(key, begun):
            return None
        return f"an interrupted attempt of ApiKey {owner.key} made it, and somebody uses it"
    if owner.has_key:
        return f"ApiKey {owner.key} names another key"
    return f"ApiKey {owner.key} knows nothing of attempt {tag.attempt}"


def _attempts(status: Mapping[str, Any]) -> Iterable[tuple[str, datetime | None]]:
    for attempt in (status.get("attempt"), *(status.get("closedAttempts") or ())):
        if attempt:
            yield attempt.get("id", ""), _begun(attempt)


def _begun(attempt: Mapping[str, Any]) -> datetime | None:
    """Closed attempts of older statuses say only when they were closed."""
    said = attempt.get("startedAt") or attempt.get("closedAt")
    try:
        return datetime.fromisoformat(said).astimezone(UTC) if said else None
    except ValueError:
        return None
