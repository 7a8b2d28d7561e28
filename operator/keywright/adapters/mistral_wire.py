"""What Mistral's Admin API sends, as far as keywright reads it, and the order in which pages are read.

Pure: shapes and decisions, no network. Lenient to fields it does not know, strict in those it relies on. mistral.py
asks.
"""

from __future__ import annotations

import re
from collections import defaultdict
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WrapValidator

from keywright.keys import KeyId, ListedKey, SecretValue
from keywright.ports.issuer import Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

__all__ = [
    "PAGE",
    "CreatedKey",
    "KeyPage",
    "Member",
    "NextPage",
    "PagesShiftError",
    "UsageReport",
    "UserPage",
    "Wire",
    "WorkspacePage",
    "every_key",
    "parse",
    "refusal",
]

PAGE: Final = 100
"""Keys, workspaces or users asked for at once: the reference's own default for keys."""

_OVERLAP: Final = 10
"""Keys that each page shares with the one before. A page no longer than this ends the list: it holds only what was read
already, or no platform cuts pages so short. So a platform that gives fewer than PAGE at once loses nothing either."""

_PATIENCE: Final = 32
"""Pages in a row that may bring little new or have to be read again: a list that is left alone for as long as that takes comes to
its end, one that moves on faster than it is read does not."""

_LISTABLE: Final = 200_000
"""Keys of one listing; a list that goes on beyond is no list."""

_PLAINTEXT: Final = re.compile(r"[!-~]{8,512}")
"""The reference gives 32 of [A-Za-z0-9]; what matters is that it fits into a header and is not empty."""

_MASKED: Final = re.compile(r"\w{0,8}[.*\u2022\u2026]{1,32}\w{0,8}")
_KEYLIKE: Final = re.compile(r"[A-Za-z0-9]{20,}")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]+")
_DETAIL_LIMIT: Final = 200
"""Characters of a refusal's own words in a message."""


def _conceal(value: object) -> SecretValue:
    if not isinstance(value, str) or not _PLAINTEXT.fullmatch(value):
        raise ValueError("no usable plaintext")
    return SecretValue(value)


def _mask(value: str) -> str:
    """The platform's masked key, unless it masks too little: it goes into the status."""
    return value if _MASKED.fullmatch(value) else "****"


def _aware(value: datetime) -> datetime:
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _or_none(value: Any, read: Callable[[Any], Any]) -> Any:
    try:
        return read(value)
    except ValidationError:
        return None


_Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{8,64}$")]
"""Looser than a uuid, yet always one plain segment of a path."""

_Masked = Annotated[str, AfterValidator(_mask)]

_Lenient = WrapValidator(_or_none)
"""For what is only shown: a list is not refused for it."""


class Wire(BaseModel):
    """What came over the wire."""

    # Without hidden inputs a ValidationError prints what it could not read, which may be a key.
    model_config = ConfigDict(
        strict=True, frozen=True, extra="ignore", hide_input_in_errors=True, arbitrary_types_allowed=True
    )


class CreatedKey(Wire):
    """APIKeyOUT. An absent expiration_date is not the same as null: nobody would know when the key ends."""

    key_id: _Id
    key: Annotated[SecretValue, BeforeValidator(_conceal)]
    hidden_key: _Masked = "****"
    expiration_date: date | None
    created_at: Annotated[datetime, AfterValidator(_aware)] | None = None


class _Key(Wire):
    """APIKeyExtendedOUT."""

    key_id: _Id
    name: str | None
    hidden_key: _Masked = "****"
    expiration_date: date | None
    last_used: date | None = None
    workspace_id: str | None = None
    workspace_name: Annotated[str | None, _Lenient] = None
    # What passes through Python on its way is no JSON any more, in which a strict model takes a text for a time.
    created_at: Annotated[Annotated[datetime, Field(strict=False)] | None, _Lenient] = None


class KeyPage(Wire):
    """APIKeysExtendedOUT."""

    keys: list[_Key]

    def listed(self) -> list[ListedKey]:
        """The port's words for it."""
        return [
            ListedKey(
                key_id=KeyId(key.key_id),
                name=key.name,
                masked=key.hidden_key,
                expires_on=key.expiration_date,
                last_used=key.last_used,
                workspace_id=key.workspace_id,
                workspace_name=key.workspace_name,
                created_at=_aware(key.created_at) if key.created_at else None,
            )
            for key in self.keys
        ]


class _Workspace(Wire):
    uuid: _Id
    name: str


class WorkspacePage(Wire):
    """WorkspacesOut."""

    total: int
    items: list[_Workspace]


class Member(Wire):
    """AdminUserOUT, AdminOrganizationMemberOUT."""

    uuid: _Id
    email: str | None = None


class _Invitation(Wire):
    email: str


class UserPage(Wire):
    """OrganizationAdminUsersOUT."""

    members: list[Member]
    invites: list[_Invitation]


class _Models(Wire):
    """BasicModelUsageDataJSON: by model and measure, what was used each day; the reference leaves an entry's fields open."""

    models: dict[str, dict[str, list[dict[str, Any]]]] = Field(default_factory=dict)


class UsageReport(Wire):
    """UsageOUTJSON, less fine_tuning, which is no key's consumption."""

    completion: _Models = _Models()
    ocr: _Models = _Models()
    connectors: _Models = _Models()
    audio: _Models = _Models()
    audio_characters: _Models = _Models()
    chat: _Models = _Models()
    libraries_api: dict[str, _Models] = Field(default_factory=dict)
    vibe_code: dict[str, _Models] = Field(default_factory=dict)

    def used(self) -> list[Usage]:
        """The port's words for it; an entry without a workspace or a number is passed over."""
        basic = ("completion", "ocr", "connectors", "audio", "audio_characters", "chat")
        categories: list[tuple[str, _Models]] = [(name, getattr(self, name)) for name in basic]
        categories += [(f"libraries_api_{name}", part) for name, part in self.libraries_api.items()]
        categories += [(f"vibe_code_{name}", part) for name, part in self.vibe_code.items()]
        sums: dict[tuple[str, str, str], float] = defaultdict(float)
        for category, part in categories:
            for measures in part.models.values():
                for measure, entries in measures.items():
                    for entry in entries:
                        workspace, value = entry.get("workspace_id"), entry.get("value")
                        if isinstance(workspace, str) and isinstance(value, int | float):
                            sums[workspace, category, measure] += value
        return [Usage(*of, amount) for of, amount in sums.items()]


class _Complaint(Wire):
    loc: list[str | int] = Field(default_factory=list)
    msg: str


class _Refusal(Wire):
    """HTTPValidationError, and the two plainer shapes that the platform's gateways use."""

    detail: list[_Complaint] | str | None = None
    message: str | None = None


_Shape = TypeVar("_Shape", bound=Wire)


def parse(shape: type[_Shape], body: bytes) -> _Shape | None:
    """The body read as `shape`, or None; never an exception, since that would know the body."""
    try:
        return shape.model_validate_json(body)
    except ValidationError:
        return None


def refusal(body: bytes) -> str:
    """Why a request was refused, in the platform's words as far as they can be shown: one line, nothing key-like."""
    read = parse(_Refusal, body)
    if read is None:
        return ""
    if isinstance(read.detail, list):
        # Never `input` or `ctx`: they echo what was sent.
        said = "; ".join(f"{'.'.join(str(part) for part in one.loc)}: {one.msg}" for one in read.detail[:5])
    else:
        said = read.detail or read.message or ""
    plain = _KEYLIKE.sub("[...]", _CONTROL.sub(" ", said)).strip()
    return plain if len(plain) <= _DETAIL_LIMIT else f"{plain[: _DETAIL_LIMIT - 3]}..."


class PagesShiftError(Exception):
    """The list changes faster than it can be read."""


class NextPage(NamedTuple):
    """Where to read on. `read`: keys found so far; `at_once`: waiting would only let the list move on, or the end is near."""

    offset: int
    read: int
    at_once: bool


def every_key() -> Generator[NextPage, Sequence[ListedKey], list[ListedKey]]:
    """What to read next: yields offsets, is sent their pages, returns each key once.

    Holds for any order that the platform keeps between two pages. What has been read always covers the list from its
    start to the furthest key read. A page that begins with a key already read continues it without a gap, whatever was
    created or deleted meanwhile. One that does not is thrown away, and an earlier one read, at once, so that the list moves
    on by little meanwhile: deletions moved it under the offset, or so much was created before it that the offset itself is
    among new keys. Where that leads back to the start, the rest is read without pauses. So it comes to its end while others
    create and delete all the time. Raises PagesShiftError where they do so faster than pages can be read.
    """
    found: dict[KeyId, ListedKey] = {}
    wanted = NextPage(0, 0, at_once=True)
    overlap, back, patience, longest, hurried = _OVERLAP, _OVERLAP, _PATIENCE, 0, False
    while True:
        page = yield wanted
        follows = bool(page) and page[0].key_id in found
        if wanted.offset == 0 or follows:
            known = len(found)
            found.update((key.key_id, key) for key in page)
            if len(page) <= _OVERLAP:
                return list(found.values())
            fresh, longest = len(found) - known, max(longest, len(page))
            hurried = hurried or (known > 0 and not follows)
            much = 2 * fresh >= len(page) and (follows or not known)
            at_once = hurried or not much or len(page) < longest
            # The next pause lets the list move on by as much as the last one did, or so.
            shift = overlap - (len(page) - fresh) if follows else 0
            overlap = _OVERLAP if at_once else min(max(_OVERLAP, 2 * shift), longest * 9 // 10)
            wanted = NextPage(wanted.offset + len(page) - overlap, len(found), at_once)
            back, patience = overlap, _PATIENCE if much else patience - 1
        else:
            wanted = NextPage(max(0, wanted.offset - back), len(found), at_once=True)
            overlap, back, patience = overlap + back, 2 * back, patience - 1
        if patience < 0 or len(found) > _LISTABLE:
            raise PagesShiftError
