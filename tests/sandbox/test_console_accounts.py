"""Usage, audit log and expiration policy in the console."""

from __future__ import annotations

import re

from keywright.sandbox.store import policy


async def use(sandbox, key, times):
    """Call the platform with a key."""
    for _ in range(times):
        assert (await sandbox.call("GET", "/v1/models", key=key["key"])).status == 200


async def test_usage_is_counted_per_workspace(sandbox, visitor):
    """By day and month, of one Workspace; the organization's view adds them up and names each."""
    mine, other = await sandbox.a_key(), await sandbox.a_key(workspace="billing")
    await use(sandbox, mine, 3)
    await use(sandbox, other, 1)
    sandbox.clock.now = sandbox.clock.now.replace(day=25)
    await use(sandbox, mine, 2)
    await visitor.sign_in()
    page = await visitor.get(f"/workspaces/{await sandbox.workspace()}/usage")
    assert "Usage in 2026-11" in page.text
    assert "5 requests with this workspace's keys" in page.text
    assert "2026-11-24 3" in page.text
    assert "2026-11-25 2" in page.text
    heights = [float(height) for height in re.findall(r"<rect[^>]* height=\"([\d.]+)\"", page.html)]
    assert (len(heights), max(heights), heights[23], heights[24], heights[0]) == (30, 98.0, 98.0, 65.3, 0.0)
    everything = (await visitor.get("/organization/usage")).text
    assert "6 requests with keys of all workspaces" in everything
    assert "Default 0 search-prod 5 billing 1" in everything


async def test_usage_goes_back_by_month_and_not_ahead(sandbox, visitor):
    """A month before is linked; the one that has not begun is not."""
    path = f"/workspaces/{await sandbox.workspace()}/usage"
    page = await visitor.get(path)
    assert f"{path}?month=2026-10" in page.links
    assert f"{path}?month=2026-12" not in page.links
    before = await visitor.get(f"{path}?month=2026-10")
    assert f"{path}?month=2026-11" in before.links
    assert "0 requests" in before.text
    for month in ("2026-13", "11/2026", "0001-01", "9999-12", "x", ""):
        assert (await visitor.get(f"{path}?month={month}")).status == 422


async def test_requests_of_an_archived_workspace_still_count(sandbox, visitor):
    """It is named where it had some."""
    await use(sandbox, await sandbox.a_key(workspace="billing"), 1)
    for name in ("billing", "search-prod"):
        assert (await sandbox.call("DELETE", f"/v1/admin/workspaces/{await sandbox.workspace(name)}")).status == 204
    assert "By workspace Workspace Requests Default 0 billing 1" in (await visitor.get("/organization/usage")).text
    first = (await visitor.get("/")).text
    assert "billing" not in first


async def test_the_audit_log_shows_what_became_of_keys(sandbox, visitor):
    """Newest first, with the time, the event, what is left of the key, its name and its workspace."""
    assert "There is no event here." in (await visitor.get("/organization/audit-log")).text
    made = await sandbox.a_key(name="Pipeline integration")
    sandbox.clock.now = sandbox.clock.now.replace(hour=13)
    await sandbox.call("DELETE", f"/v1/admin/api-keys/{made['key_id']}")
    text = (await visitor.get("/organization/audit-log")).text
    masked = made["hidden_key"]
    assert (
        f"2026-11-24 13:00:00 UTC api_key.delete {masked} Pipeline integration search-prod "
        f"2026-11-24 12:00:00 UTC api_key.create {masked} Pipeline integration search-prod"
    ) in text


async def test_a_long_audit_log_goes_on(sandbox, visitor):
    """A hundred events, then the older ones."""
    for number in range(101):
        sandbox.clock.now = sandbox.clock.now.replace(microsecond=number)
        await sandbox.a_key(name=f"key {number:03}")
    first = await visitor.get("/organization/audit-log")
    assert "key 000" not in first.text
    [older] = [link for link in first.links if "before=" in link]
    second = await visitor.get(older)
    assert "key 000" in second.text
    assert "key 001" not in second.text


async def test_the_policy_is_set_changed_and_taken_away(sandbox, visitor):
    """It clamps keys of the API from then on, and says that those that exist keep their dates."""
    page = await visitor.get("/organization/policy")
    form = page.form("/policy")
    assert form.fields["days"] == ""
    page = await visitor.send(form, days="90")
    assert "New keys are valid for 90 days at most. Keys that exist keep their dates." in page.text
    assert page.form("/policy").fields["days"] == "90"
    assert (await sandbox.a_key())["expiration_date"] == "2027-02-22"
    page = await visitor.send(form, days="")
    assert "There is no policy now" in page.text
    assert (await sandbox.a_key())["expiration_date"] is None


async def test_a_policy_that_is_no_number_of_days_is_refused(sandbox, visitor):
    """The bounds are the API's; what held before holds."""
    sandbox.store.write_at_once(policy.set_for_organization, 90)
    form = (await visitor.get("/organization/policy")).form("/policy")
    for days in ("0", "-1", "1.5", "x", "36501", "999999999", "9" * 5000, "\uff11\uff12"):
        page = await visitor.send(form, days=days)
        assert page.status == 422, days
        assert "Write a whole number of days" in page.text
    assert (await visitor.get("/organization/policy")).form("/policy").fields["days"] == "90"
