"""Who may call what: admin keys, ordinary keys, none; and how often."""

from __future__ import annotations

import pytest

from keywright.sandbox.limiter import RateLimiter
from keywright.sandbox.plaintext import new_plaintext

ADMIN_PATHS = ["/v1/admin/api-keys", "/v1/admin/nothing", "/v1/admin", "/sandbox/policy"]


@pytest.mark.parametrize("path", ADMIN_PATHS)
async def test_the_admin_side_takes_an_admin_key_only(sandbox, path):
    """Without a key or with an unknown one 401; with a live ordinary key 403; what exists is not told before."""
    ordinary = (await sandbox.a_key())["key"]
    for key in (None, new_plaintext(), "", "\x00", sandbox.admin_key[:-1]):
        refused = await sandbox.call("GET", path, key=key)
        assert (refused.status, refused.headers["www-authenticate"]) == (401, "Bearer")
    assert (await sandbox.call("GET", path, key=ordinary)).status == 403


async def test_an_ordinary_key_may_change_nothing(sandbox):
    """Refused before anything happens."""
    made = await sandbox.a_key()
    path = f"/v1/admin/api-keys/{made['key_id']}"
    assert (await sandbox.call("DELETE", path, key=made["key"])).status == 403
    assert (await sandbox.call("PUT", "/sandbox/policy", {"max_validity_days": 1}, key=made["key"])).status == 403
    assert await sandbox.works(made["key"])


async def test_an_expired_key_is_as_unknown_to_the_admin_side(sandbox):
    """401, as for any other key that opens nothing."""
    made = await sandbox.a_key(expiration="2026-11-23")
    assert (await sandbox.call("GET", "/v1/admin/api-keys", key=made["key"])).status == 401


async def test_the_admin_key_is_no_ordinary_key(sandbox):
    """It opens the Admin API and nothing else."""
    assert not await sandbox.works(sandbox.admin_key)


@pytest.mark.parametrize(
    "header",
    [("x-api-key", "{}"), ("X-API-Key", " {} "), ("authorization", "Bearer {}"), ("Authorization", "bearer {}")],
)
async def test_a_key_comes_in_either_header(sandbox, header):
    """x-api-key, or Authorization: Bearer."""
    name, form = header
    sent = [(name, form.format(sandbox.admin_key))]
    assert (await sandbox.call("GET", "/v1/admin/users", key=None, headers=sent)).status == 200


@pytest.mark.parametrize("header", [("authorization", "Basic {}"), ("authorization", "{}"), ("cookie", "x-api-key={}")])
async def test_a_key_elsewhere_is_no_key(sandbox, header):
    """Another scheme or header does not open the door."""
    name, form = header
    sent = [(name, form.format(sandbox.admin_key))]
    assert (await sandbox.call("GET", "/v1/admin/users", key=None, headers=sent)).status == 401


async def test_a_key_works_through_the_end_of_its_last_day(sandbox):
    """Dated D, it lives until midnight UTC after D."""
    made = await sandbox.a_key(expiration="2026-11-24")
    sandbox.clock.now = sandbox.clock.now.replace(hour=23, minute=59, second=59, microsecond=999_999)
    assert await sandbox.works(made["key"])
    sandbox.clock.now = sandbox.clock.now.replace(day=25, hour=0, minute=0, second=0, microsecond=0)
    assert not await sandbox.works(made["key"])


async def test_an_unknown_key_and_none_are_401(sandbox):
    """What was never issued opens nothing."""
    assert not await sandbox.works(new_plaintext())
    assert (await sandbox.call("GET", "/v1/models", key=None)).status == 401


async def test_keys_of_an_archived_workspace_stop_working(sandbox):
    """They stay listed, to be deleted."""
    made = await sandbox.a_key(workspace="billing")
    assert (await sandbox.call("DELETE", f"/v1/admin/workspaces/{await sandbox.workspace('billing')}")).status == 204
    assert not await sandbox.works(made["key"])
    assert len((await sandbox.get("/v1/admin/api-keys"))["keys"]) == 1


async def test_no_limit_unless_asked(sandbox):
    """Requests are not counted by default."""
    assert {(await sandbox.call("GET", "/v1/admin/users")).status for _ in range(100)} == {200}


async def test_beyond_the_limit_is_429_with_retry_after(sandbox):
    """One second's requests pass, the next is told how long to wait; /sandbox is not counted."""
    assert (await sandbox.call("PUT", "/sandbox/rate-limit", {"per_second": 0.001})).status == 204
    assert (await sandbox.call("GET", "/v1/admin/users")).status == 200
    refused = await sandbox.call("GET", "/v1/models")
    assert refused.status == 429
    assert 990 <= int(refused.headers["retry-after"]) <= 1000
    assert (await sandbox.call("PUT", "/sandbox/rate-limit", {"per_second": None})).status == 204
    assert (await sandbox.call("GET", "/v1/admin/users")).status == 200


def test_the_bucket_fills_with_time():
    """Two a second: two at once, then one each half second, and never more than two saved up."""
    now = [0.0]
    limiter = RateLimiter(2, clock=lambda: now[0])
    assert [limiter.take() for _ in range(3)] == [None, None, 1]
    now[0] += 0.5
    assert [limiter.take() for _ in range(2)] == [None, 1]
    now[0] += 100
    assert [limiter.take() for _ in range(3)] == [None, None, 1]
