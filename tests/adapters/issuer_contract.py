"""What every Issuer must do, real or simulated: functions over one Issuer and what is known of its platform.

Each law is a coroutine function in LAWS; it takes a Place that other laws may have used before, at the same time even.
"""

from __future__ import annotations

import asyncio
import secrets
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import pytest

from keywright.errors import Rejected
from keywright.keys import KeyId, ListedKey, SecretValue
from keywright.ports.issuer import IssuedKey, Issuer, KeyRequest

if TYPE_CHECKING:
    from keywright.errors import Retryable

__all__ = ["LAWS", "Law", "Place"]


@dataclass(frozen=True)
class Place:
    """An Issuer, the name of a workspace that it has and the e-mail address of a member."""

    issuer: Issuer
    workspace: str
    user: str

    async def request(self, name: str, days: int | None = 30) -> KeyRequest:
        """A request that the platform accepts."""
        workspace = next(one for one in await self.issuer.workspaces() if one.name == self.workspace)
        return KeyRequest(
            name=name,
            workspace_id=workspace.id,
            user_id=await self.issuer.user_id(self.user),
            expiration=None if days is None else datetime.now(UTC).date() + timedelta(days=days),
        )

    async def create(self, name: str, days: int | None = 30) -> IssuedKey:
        """A key of that name."""
        return await self.issuer.create(await self.request(name, days))


Law = Callable[[Place], Awaitable[None]]


def a_name() -> str:
    """A name that no other law uses, with a tag as keywright writes it."""
    return f"team é/search [kw/{secrets.token_hex(4)}/{secrets.token_hex(4)}/{secrets.token_hex(4)}]"


def named(keys: Sequence[ListedKey], name: str) -> list[ListedKey]:
    """Those of exactly this name: the platform's own filter is loose."""
    return [key for key in keys if key.name == name]


async def a_created_key_works_and_is_listed_once(place: Place) -> None:
    """A created key is accepted at once, and the list knows it as the answer said."""
    name = a_name()
    issued = await place.create(name)
    assert await place.issuer.check(issued.plaintext)
    [listed] = named(await place.issuer.list_keys(), name)
    workspace = next(one for one in await place.issuer.workspaces() if one.name == place.workspace)
    assert (listed.key_id, listed.masked, listed.expires_on) == (issued.key_id, issued.masked, issued.expires_on)
    assert listed.workspace_id == workspace.id
    assert issued.created_at is None or issued.created_at.tzinfo is not None


async def a_key_may_have_no_end(place: Place) -> None:
    """No expiration asked, none given: the answer says so and so does the list."""
    name = a_name()
    issued = await place.create(name, days=None)
    [listed] = named(await place.issuer.list_keys(name), name)
    assert (issued.expires_on, listed.expires_on) == (None, None)


async def the_masked_key_hides_the_plaintext(place: Place) -> None:
    """What goes into a status holds at most the ends of the key."""
    issued = await place.create(a_name())
    plaintext = issued.plaintext.reveal()
    assert plaintext not in issued.masked
    assert plaintext[4:-4] not in issued.masked
    assert plaintext not in repr(issued)


async def creating_twice_makes_two_keys(place: Place) -> None:
    """There is no idempotency key: the same request again is another key."""
    request = await place.request(a_name())
    first, second = await place.issuer.create(request), await place.issuer.create(request)
    assert first.key_id != second.key_id
    assert first.plaintext != second.plaintext
    assert {key.key_id for key in named(await place.issuer.list_keys(request.name), request.name)} == {
        first.key_id,
        second.key_id,
    }


async def a_name_filter_finds_by_tag(place: Place) -> None:
    """The beginning of a tag finds the key, another one does not."""
    name = a_name()
    issued = await place.create(name)
    tag = name[name.index("[kw/") :]
    assert [key.key_id for key in await place.issuer.list_keys(tag[:-9])] == [issued.key_id]
    assert list(await place.issuer.list_keys(f"[kw/{secrets.token_hex(4)}/")) == []


async def a_revoked_key_is_gone_and_refused(place: Place) -> None:
    """After revoke the key neither works nor is listed."""
    name = a_name()
    issued = await place.create(name)
    await place.issuer.revoke(issued.key_id)
    assert not await place.issuer.check(issued.plaintext)
    assert named(await place.issuer.list_keys(), name) == []


async def revoking_again_is_done_already(place: Place) -> None:
    """A key that is gone, or never was, counts as revoked."""
    issued = await place.create(a_name())
    await place.issuer.revoke(issued.key_id)
    await place.issuer.revoke(issued.key_id)
    await place.issuer.revoke(KeyId(str(uuid.uuid4())))


async def revoking_is_done_already_where_the_workspace_is_known(place: Place) -> None:
    """A key that is gone counts as revoked in the organization of its workspace, and nowhere else."""
    issued = await place.create(a_name())
    workspace = next(one for one in await place.issuer.workspaces() if one.name == place.workspace)
    await place.issuer.revoke(issued.key_id, workspace.id)
    await place.issuer.revoke(issued.key_id, workspace.id)
    with pytest.raises(Rejected) as refused:
        await place.issuer.revoke(issued.key_id, str(uuid.uuid4()))
    assert refused.value.reason == "WorkspaceNotFound"


async def revoking_one_leaves_the_others(place: Place) -> None:
    """Two keys of one name: only the one that is named dies."""
    request = await place.request(a_name())
    first, second = await place.issuer.create(request), await place.issuer.create(request)
    await place.issuer.revoke(first.key_id)
    assert await place.issuer.check(second.plaintext)


async def a_made_up_key_is_refused(place: Place) -> None:
    """A plaintext that the platform never gave is False, not an error."""
    assert not await place.issuer.check(SecretValue(secrets.token_hex(16)))


async def an_unknown_workspace_is_rejected(place: Place) -> None:
    """Rejected, and no key is made."""
    request = await place.request(a_name())
    unknown = KeyRequest(request.name, str(uuid.uuid4()), request.user_id, request.expiration)
    with pytest.raises(Rejected):
        await place.issuer.create(unknown)
    assert list(await place.issuer.list_keys(request.name)) == []


async def a_user_is_known_by_address_and_by_uuid(place: Place) -> None:
    """The address in any case and the uuid lead to the same uuid."""
    found = await place.issuer.user_id(place.user)
    assert await place.issuer.user_id(place.user.upper()) == found
    assert await place.issuer.user_id(found) == found


async def an_unknown_user_is_rejected_as_such(place: Place) -> None:
    """Neither a stranger's address nor a stranger's uuid, nor a part of a member's address, is a member."""
    for stranger in ("nobody@example.org", str(uuid.uuid4()), place.user[1:]):
        with pytest.raises(Rejected) as refused:
            await place.issuer.user_id(stranger)
        assert refused.value.reason == "UserNotFound"


async def more_keys_than_a_page_are_all_listed(place: Place) -> None:
    """Several pages, each key once, while others come and go."""
    request = await place.request(a_name())
    stay = [key.key_id for key in await asyncio.gather(*(place.issuer.create(request) for _ in range(130)))]
    leave = [key.key_id for key in await asyncio.gather(*(place.issuer.create(request) for _ in range(30)))]
    listed, *_ = await asyncio.gather(
        place.issuer.list_keys(request.name), *(place.issuer.revoke(key_id) for key_id in leave)
    )
    ids = [key.key_id for key in listed]
    assert len(set(ids)) == len(ids)
    assert set(stay) <= set(ids) <= {*stay, *leave}


async def a_list_read_slowly_is_as_complete(place: Place) -> None:
    """With a pace of the caller's, who creates and revokes keys meanwhile: those that stay are all there, each once."""
    request = await place.request(a_name())
    stay = [key.key_id for key in await asyncio.gather(*(place.issuer.create(request) for _ in range(210)))]
    asked: list[int] = []

    async def pace(read: int, failed: Retryable | None) -> None:
        assert failed is None
        asked.append(read)
        made = await asyncio.gather(*(place.issuer.create(request) for _ in range(15)))
        await asyncio.gather(*(place.issuer.revoke(key.key_id) for key in made[:10]))

    ids = [key.key_id for key in await place.issuer.list_keys(request.name, pace=pace)]
    assert asked
    assert asked == sorted(asked)
    assert len(set(ids)) == len(ids)
    assert set(stay) <= set(ids)


async def the_end_of_a_masked_key_finds_it_too(place: Place) -> None:
    """The last four characters, whatever its name."""
    issued = await place.create(a_name())
    assert issued.key_id in {key.key_id for key in await place.issuer.list_keys(issued.masked[-4:])}


LAWS: Final[tuple[Law, ...]] = (
    a_created_key_works_and_is_listed_once,
    a_key_may_have_no_end,
    the_masked_key_hides_the_plaintext,
    creating_twice_makes_two_keys,
    a_name_filter_finds_by_tag,
    a_revoked_key_is_gone_and_refused,
    revoking_again_is_done_already,
    revoking_is_done_already_where_the_workspace_is_known,
    revoking_one_leaves_the_others,
    a_made_up_key_is_refused,
    an_unknown_workspace_is_rejected,
    a_user_is_known_by_address_and_by_uuid,
    an_unknown_user_is_rejected_as_such,
    more_keys_than_a_page_are_all_listed,
    a_list_read_slowly_is_as_complete,
    the_end_of_a_masked_key_finds_it_too,
)
