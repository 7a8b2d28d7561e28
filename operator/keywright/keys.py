"""What a key is to keywright: its names, its tag at the issuer, its delivered record, and the plaintext that cannot print itself.

Pure. Neighbours: planning decides with these, ports carry them, adapters alone may call `SecretValue.reveal`.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Final, NamedTuple, NewType, NoReturn

from pydantic import BaseModel, ConfigDict

from keywright.api.apikey import KeyIssuerIdentity
from keywright.api.apikey_status import Handled

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "LABEL_LIMIT",
    "NAME_LIMIT",
    "AttemptId",
    "KeyId",
    "KeyRecord",
    "ListedKey",
    "ResourceKey",
    "SecretValue",
    "Tag",
    "Workspace",
    "default_label",
    "end_of_day",
    "start_of_day",
]

KeyId = NewType("KeyId", str)
"""The issuer's uuid of a key: no secret."""

AttemptId = NewType("AttemptId", str)
"""Eight random characters of [a-z0-9]."""

NAME_LIMIT: Final = 255
"""The longest name the issuer takes (its OpenAPI document: AdminCreateAPIKeyIN.name)."""

LABEL_LIMIT: Final = 220
"""The longest label: NAME_LIMIT less the longest tag, ` [kw/` + 8 + `/` + 8 + `/` + 8 + `]` = 32, rounded down."""

_MOST_REVISIONS: Final = 1 << 31
"""A counter that a status can hold: whoever edits it further does not stop the status from being written."""

_TAG: Final = re.compile(r" ?\[kw/(?P<cluster>[a-z0-9-]{1,8})/(?P<uid8>[0-9a-f-]{8})/(?P<attempt>[a-z0-9]{8})\]\Z")


class ResourceKey(NamedTuple):
    """A namespaced object's name: all that a queue item holds. A tuple, since it is hashed and compared wherever anything is looked up."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class SecretValue:
    """A plaintext that prints as stars and cannot be serialized; `.reveal()` is for adapters only."""

    __slots__ = ("__value",)

    def __init__(self, value: str) -> None:
        self.__value = value

    def reveal(self) -> str:
        """The plaintext. Only the write to the target, the check call and an admin key's header may ask."""
        return self.__value

    def digest(self) -> str:
        """SHA-256 in hex: 32 random characters cannot be guessed back from it."""
        return hashlib.sha256(self.__value.encode()).hexdigest()

    def __repr__(self) -> str:
        return "SecretValue(********)"

    __str__ = __repr__

    def __format__(self, _spec: str) -> str:
        return repr(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SecretValue) and self.digest() == other.digest()

    def __hash__(self) -> int:
        return hash(self.digest())

    def __reduce__(self) -> NoReturn:
        raise TypeError("a SecretValue cannot be serialized")


@dataclass(frozen=True, slots=True)
class Tag:
    """The suffix of a key's name at the issuer that says which attempt of which ApiKey of which cluster made it."""

    cluster: str
    uid8: str
    attempt: AttemptId

    @classmethod
    def of(cls, cluster: str, uid: str, attempt: str) -> Tag:
        """The tag of one attempt for the ApiKey with this uid."""
        return cls(cluster, uid[:8], AttemptId(attempt))

    @classmethod
    def parse(cls, name: str | None) -> Tag | None:
        """The tag at the END of a name, or None: a name with anything behind its tag was edited by somebody."""
        found = _TAG.search(name or "")
        return cls(found["cluster"], found["uid8"], AttemptId(found["attempt"])) if found else None

    def __str__(self) -> str:
        return f"[kw/{self.cluster}/{self.uid8}/{self.attempt}]"

    def name_for(self, label: str) -> str:
        """The key's whole name at the issuer."""
        return f"{label} {self}"

    @staticmethod
    def search(cluster: str, uid: str) -> str:
        """What all names of one ApiKey's keys contain: the issuer's filter takes any substring."""
        return f"[kw/{cluster}/{uid[:8]}/"


def default_label(namespace: str, name: str) -> str:
    """`<namespace>/<name>`, cut with a hash where it is too long."""
    label = f"{namespace}/{name}"
    if len(label) <= LABEL_LIMIT:
        return label
    digest = hashlib.sha256(label.encode()).hexdigest()[:8]
    return f"{label[: LABEL_LIMIT - 9]}~{digest}"


def start_of_day(day: date) -> datetime:
    """00:00:00 UTC of the day."""
    return datetime.combine(day, time.min, tzinfo=UTC)


def end_of_day(day: date) -> datetime:
    """23:59:59 UTC of the day: a key dated so works until then."""
    return datetime.combine(day, time(23, 59, 59), tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class ListedKey:
    """A live key as listed. `last_used` is a day; the last two are for people, and not every listing gives them."""

    key_id: KeyId
    name: str | None
    masked: str
    expires_on: date | None
    last_used: date | None
    workspace_id: str | None
    workspace_name: str | None = None
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Workspace:
    """A workspace that is not archived."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """The delivered record: what stands beside the plaintext in the target, so that a crash after the write loses nothing.

    `digest` is the plaintext's SHA-256, `expires_on` the issuer's own word. `expiry`, `workspace`, `label` are what was
    asked, as `status.issuedAs` keeps them.
    """

    key_id: KeyId
    attempt: AttemptId
    revision: int
    cluster: str
    owner: ResourceKey
    owner_uid: str
    issuer: KeyIssuerIdentity
    masked: str
    digest: str
    issued_at: datetime
    expires_on: date | None
    workspace_id: str
    workspace_name: str | None
    workspace: str
    label: str
    expiry: str | None
    handled: Handled

    def to_strings(self) -> dict[str, str]:
        """Flat strings, for annotations and for Vault's fields."""
        flat = {
            "key-id": self.key_id,
            "attempt": self.attempt,
            "revision": str(self.revision),
            "cluster": self.cluster,
            "apikey": str(self.owner),
            "apikey-uid": self.owner_uid,
            "issuer": f"{self.issuer.kind}/{self.issuer.name}/{self.issuer.uid}",
            "masked-key": self.masked,
            "digest": self.digest,
            "issued-at": self.issued_at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            "workspace-id": self.workspace_id,
            "issued-as": json.dumps(
                {"workspace": self.workspace, "label": self.label, "expiry": self.expiry, "name": self.workspace_name},
                separators=(",", ":"),
            ),
        }
        if self.expires_on:
            flat["expires-on"] = self.expires_on.isoformat()
        if self.handled.rotate is not None:
            flat["handled-rotate"] = self.handled.rotate
        if self.handled.compromised is not None:
            flat["handled-compromised"] = self.handled.compromised
        return flat

    @classmethod
    def from_strings(cls, flat: Mapping[str, str]) -> KeyRecord | None:
        """None where it is incomplete or malformed: then it is no record, and what stands there is not trusted."""
        try:
            kind, name, uid = flat["issuer"].split("/")
            namespace, owner = flat["apikey"].split("/")
            asked = _Asked.model_validate_json(flat["issued-as"])
            return cls(
                key_id=KeyId(flat["key-id"]),
                attempt=AttemptId(flat["attempt"]),
                revision=_revision(flat["revision"]),
                cluster=flat["cluster"],
                owner=ResourceKey(namespace, owner),
                owner_uid=flat["apikey-uid"],
                issuer=KeyIssuerIdentity.model_validate({"kind": kind, "name": name, "uid": uid}),
                masked=flat["masked-key"],
                digest=flat["digest"],
                issued_at=datetime.fromisoformat(flat["issued-at"]).astimezone(UTC),
                expires_on=date.fromisoformat(flat["expires-on"]) if "expires-on" in flat else None,
                workspace_id=flat["workspace-id"],
                workspace_name=asked.name,
                workspace=asked.workspace,
                label=asked.label,
                expiry=asked.expiry,
                handled=Handled(rotate=flat.get("handled-rotate"), compromised=flat.get("handled-compromised")),
            )
        except (KeyError, ValueError, TypeError, OverflowError):
            return None


class _Asked(BaseModel):
    """`issued-as`, which anybody with a right to the target may have edited."""

    model_config = ConfigDict(strict=True)

    workspace: str
    label: str
    expiry: str | None
    name: str | None


def _revision(text: str) -> int:
    revision = int(text)
    if not 0 <= revision < _MOST_REVISIONS:
        raise ValueError("no counter of ours")
    return revision
