"""API keys at the Admin API."""

from __future__ import annotations

import asyncio
import re
import uuid

import pytest


async def test_a_created_key_is_shown_once_and_then_masked(sandbox):
    """POST answers 32 letters and digits; the list has its first and last four characters and no plaintext."""
    made = await sandbox.a_key(name="Pipeline", expiration="2027-01-31")
    assert re.fullmatch(r"[A-Za-z0-9]{32}", made["key"])
    assert made["hidden_key"] == f"{made['key'][:4]}...{made['key'][-4:]}"
    assert made["expiration_date"] == "2027-01-31"
    [listed] = (await sandbox.get("/v1/admin/api-keys"))["keys"]
    assert listed == {
        **{name: value for name, value in made.items() if name != "key"},
        "key": None,
        "workspace_id": await sandbox.workspace(),
        "workspace_name": "search-prod",
        "created_by": "dev@example.com",
        "product": "API",
        "last_used": None,
        "can_delete": True,
    }


async def test_name_and_expiration_are_optional_and_may_be_null(sandbox):
    """A key needs a Workspace and a user only."""
    assert (await sandbox.a_key())["name"] is None
    made = await sandbox.a_key(name=None, expiration=None, unknown="ignored")
    assert made["name"] is made["expiration_date"] is None


async def test_names_need_not_differ(sandbox):
    """Two keys of one name are two keys."""
    first, second = await sandbox.a_key(name="twin"), await sandbox.a_key(name="twin")
    assert first["key_id"] != second["key_id"]
    assert first["key"] != second["key"]


async def test_a_deleted_key_is_gone_at_once(sandbox):
    """Neither listed nor working afterwards, and a second DELETE is a 404."""
    made = await sandbox.a_key()
    assert await sandbox.works(made["key"])
    deleted = await sandbox.call("DELETE", f"/v1/admin/api-keys/{made['key_id'].upper()}")
    assert (deleted.status, deleted.json) == (200, {"detail": "API key deleted successfully"})
    assert not await sandbox.works(made["key"])
    assert (await sandbox.get("/v1/admin/api-keys"))["keys"] == []
    assert (await sandbox.call("DELETE", f"/v1/admin/api-keys/{made['key_id']}")).status == 404


@pytest.mark.parametrize("field", ["workspace_uuid", "user_id"])
async def test_an_unknown_id_in_a_create_is_a_404(sandbox, field):
    """A Workspace or user that does not exist issues nothing."""
    body = {"workspace_uuid": await sandbox.workspace(), "user_id": await sandbox.user(), field: str(uuid.uuid4())}
    assert (await sandbox.call("POST", "/v1/admin/api-keys", body)).status == 404
    assert (await sandbox.get("/v1/admin/api-keys"))["keys"] == []


async def test_pages_cover_the_list_newest_first(sandbox):
    """Limit and offset cut one list; past its end there is nothing, below zero counts as zero."""
    made = [(await sandbox.a_key(name=f"no {number}"))["key_id"] for number in range(7)]

    async def page(**query):
        return [key["key_id"] for key in (await sandbox.get("/v1/admin/api-keys", **query))["keys"]]

    assert await page() == made[::-1]
    assert await page(limit=3) + await page(limit=3, offset=3) + await page(limit=3, offset=6) == made[::-1]
    assert await page(offset=7) == []
    assert await page(limit=0) == await page(limit=-1) == []
    assert await page(offset=-5, limit=10**30) == made[::-1]
    assert await page(offset=10**30) == []


async def test_the_default_limit_is_a_hundred(sandbox):
    """Without limit a list is cut as the reference says."""
    await asyncio.gather(*[sandbox.a_key() for _ in range(101)])
    assert len((await sandbox.get("/v1/admin/api-keys"))["keys"]) == 100


@pytest.mark.parametrize("searched", ["Café", "cafe", "CAFÉ", "afé p", "cafe\u0301"])
async def test_the_filter_ignores_case_and_accents(sandbox, searched):
    """Part of a name finds the key, however it is written."""
    await sandbox.a_key(name="billing")
    await sandbox.a_key(name="le Café Pipeline")
    found = (await sandbox.get("/v1/admin/api-keys", name=searched))["keys"]
    assert [key["name"] for key in found] == ["le Café Pipeline"]


async def test_the_filter_takes_the_last_four_characters(sandbox):
    """The end of the key itself finds it, in any case; three of its characters do not."""
    made = await sandbox.a_key(name="0")
    for searched in (made["key"][-4:], made["key"][-4:].swapcase()):
        found = (await sandbox.get("/v1/admin/api-keys", name=searched))["keys"]
        assert [key["key_id"] for key in found] == [made["key_id"]]
    assert (await sandbox.get("/v1/admin/api-keys", name=made["key"][-3:] + "#"))["keys"] == []
    assert (await sandbox.get("/v1/admin/api-keys", name=made["key"][-3:]))["keys"] == []


@pytest.mark.parametrize("searched", ["100%", "a_b", "\\", "'", "[kw/", "\x00"])
async def test_the_filter_has_no_wildcards(sandbox, searched):
    """What a database would take for a pattern is text."""
    await sandbox.a_key(name="anything else")
    await sandbox.a_key(name=f"<{searched}>")
    found = (await sandbox.get("/v1/admin/api-keys", name=searched))["keys"]
    assert [key["name"] for key in found] == [f"<{searched}>"]


async def test_an_expired_key_stays_listed_and_cannot_be_rotated(sandbox):
    """After its last day a key is there to be deleted, and its actions say why it cannot be rotated."""
    await sandbox.a_key(expiration="2026-11-24")
    [before] = (await sandbox.get("/v1/admin/api-keys"))["keys"]
    assert before["actions"]["rotate"] == {"status": "available"}
    sandbox.clock.now = sandbox.clock.now.replace(day=25)
    [after] = (await sandbox.get("/v1/admin/api-keys"))["keys"]
    assert after["actions"]["rotate"] == {"status": "unavailable", "reason": "key_expired"}
    assert after["actions"]["delete"] == {"status": "available"}


async def test_a_full_disk_refuses_and_loses_nothing(sandbox):
    """503 while nothing can be written, with all that was acknowledged still there; then it goes on."""
    made = await sandbox.a_key(name="before")
    body = {"workspace_uuid": await sandbox.workspace(), "user_id": await sandbox.user(), "name": "x" * 255}
    writer = sandbox.store._writer
    [pages] = writer.execute("PRAGMA page_count").fetchone()
    writer.execute(f"PRAGMA max_page_count = {pages}")
    answers = await asyncio.gather(*[sandbox.call("POST", "/v1/admin/api-keys", body) for _ in range(100)])
    assert 503 in {one.status for one in answers}
    kept = [one.json["key_id"] for one in answers if one.status == 200] + [made["key_id"]]
    listed = (await sandbox.get("/v1/admin/api-keys", limit=1000))["keys"]
    assert {key["key_id"] for key in listed} == set(kept)
    writer.execute(f"PRAGMA max_page_count = {pages + 1000}")
    assert await sandbox.works((await sandbox.a_key(name="after"))["key"])


async def test_many_creates_at_once_each_get_their_own_key(sandbox):
    """Commits are made in groups: every answer is for its own request, a refused one spoils no neighbour."""
    good = {"workspace_uuid": await sandbox.workspace(), "user_id": await sandbox.user()}
    bodies = [{**good, "name": f"no {n}"} if n % 3 else {**good, "user_id": str(uuid.uuid4())} for n in range(90)]
    answers = await asyncio.gather(*[sandbox.call("POST", "/v1/admin/api-keys", body) for body in bodies])
    assert [one.status for one in answers] == [200 if n % 3 else 404 for n in range(90)]
    assert [one.json["name"] for one in answers if one.status == 200] == [f"no {n}" for n in range(90) if n % 3]
    assert len((await sandbox.get("/v1/admin/api-keys"))["keys"]) == 60
