"""Expiration policies: the longest validity of new keys."""

from __future__ import annotations

import pytest

from keywright.sandbox.store import policy

TODAY = "2026-11-24"
IN_30_DAYS = "2026-12-24"
IN_90_DAYS = "2027-02-22"


async def test_without_a_policy_a_key_may_last_forever(sandbox):
    """Off by default: what was asked is what is given."""
    assert (await sandbox.a_key())["expiration_date"] is None
    assert (await sandbox.a_key(expiration="9999-12-31"))["expiration_date"] == "9999-12-31"


@pytest.mark.parametrize(
    ("organization", "workspace", "asked", "given"),
    [
        (90, None, None, IN_90_DAYS),
        (90, None, "2027-02-23", IN_90_DAYS),
        (90, None, IN_90_DAYS, IN_90_DAYS),
        (90, None, TODAY, TODAY),
        (None, 30, "2030-01-01", IN_30_DAYS),
        (90, 30, None, IN_30_DAYS),
        (30, 90, None, IN_30_DAYS),
    ],
)
async def test_a_create_beyond_the_policy_gets_the_latest_date_allowed(sandbox, organization, workspace, asked, given):
    """The request succeeds all the same; of two policies the shorter one holds."""
    sandbox.store.write_at_once(policy.set_for_organization, organization)
    sandbox.store.write_at_once(policy.set_for_workspace, await sandbox.workspace(), workspace)
    assert (await sandbox.a_key(expiration=asked))["expiration_date"] == given


async def test_a_workspace_policy_is_its_own(sandbox):
    """Another Workspace keeps the organization's."""
    sandbox.store.write_at_once(policy.set_for_workspace, await sandbox.workspace("billing"), 30)
    assert (await sandbox.a_key(workspace="search-prod"))["expiration_date"] is None
    assert (await sandbox.a_key(workspace="billing"))["expiration_date"] == IN_30_DAYS


async def test_a_policy_changes_no_key_that_exists(sandbox):
    """Only creation looks at it."""
    made = await sandbox.a_key(expiration="2030-01-01")
    sandbox.store.write_at_once(policy.set_for_organization, 1)
    [listed] = (await sandbox.get("/v1/admin/api-keys"))["keys"]
    assert listed["expiration_date"] == made["expiration_date"] == "2030-01-01"


async def test_policies_are_set_over_http_with_the_admin_key(sandbox):
    """/sandbox stands for the console: organization, Workspace, and null takes a policy away."""
    workspace = await sandbox.workspace()

    async def put(path, days):
        return (await sandbox.call("PUT", f"/sandbox/{path}", {"max_validity_days": days})).status

    assert await put("policy", 90) == await put(f"workspaces/{workspace}/policy", 30) == 204
    assert (await sandbox.a_key())["expiration_date"] == IN_30_DAYS
    assert await put(f"workspaces/{workspace}/policy", None) == 204
    assert (await sandbox.a_key())["expiration_date"] == IN_90_DAYS
    assert await put("policy", None) == 204
    assert (await sandbox.a_key())["expiration_date"] is None
    assert await put("policy", 0) == await put("policy", "1") == await put("policy", 10**30) == 422
    assert await put(f"workspaces/{await sandbox.user()}/policy", 1) == 404
