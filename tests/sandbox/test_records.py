"""What is remembered of use and change: last_used, usage, audit log; and what never is: a plaintext."""

from __future__ import annotations

from datetime import timedelta

import pytest


async def test_last_used_is_the_day_of_the_last_use(sandbox):
    """Null before, then a UTC date that moves with each use and with nothing else."""
    key = (await sandbox.a_key())["key"]

    async def last_used():
        return (await sandbox.get("/v1/admin/api-keys"))["keys"][0]["last_used"]

    assert await last_used() is None
    await sandbox.get("/v1/models", key=key)
    assert await last_used() == "2026-11-24"
    sandbox.clock.now += timedelta(days=3)
    assert await last_used() == "2026-11-24"
    await sandbox.get("/v1/users/me/workspaces", key=key)
    assert await last_used() == "2026-11-27"


async def test_usage_counts_requests_by_workspace_and_month(sandbox):
    """Each use of a key counts for its Workspace, on its day; what is refused does not count."""
    search, billing = await sandbox.a_key(), await sandbox.a_key(workspace="billing")
    for key in (search, search, billing):
        await sandbox.get("/v1/models", key=key["key"])
    await sandbox.call("GET", "/v1/models", key=search["key"][::-1])

    async def counted(**query):
        used = await sandbox.get("/v1/admin/usage", **query)
        return {
            one["workspace_id"]: one["value"]
            for one in used["completion"]["models"].get("sandbox", {}).get("requests", [])
        }

    assert await counted() == {await sandbox.workspace(): 2, await sandbox.workspace("billing"): 1}
    assert await counted(workspace_id=await sandbox.workspace("billing")) == {await sandbox.workspace("billing"): 1}
    assert await counted(month="11", year="2026") == await counted(api_zone="global") == await counted()
    assert await counted(month="10") == await counted(year="2025") == await counted(api_zone="us") == {}
    unknown = await sandbox.call("GET", "/v1/admin/usage", query=[("workspace_id", await sandbox.user())])
    assert unknown.status == 404


async def test_usage_names_its_period(sandbox):
    """First and last moment of the month, and the months beside it as far as they have begun."""
    this = await sandbox.get("/v1/admin/usage")
    assert (this["start_date"], this["end_date"]) == ("2026-11-01T00:00:00.000000Z", "2026-11-30T23:59:59.999999Z")
    assert (this["previous_month"], this["next_month"], this["currency"]) == ("2026-10", None, "EUR")
    past = await sandbox.get("/v1/admin/usage", month="1", year="2026")
    assert (past["previous_month"], past["next_month"]) == ("2025-12", "2026-02")


async def test_the_audit_log_tells_of_each_key(sandbox):
    """One event for each creation and deletion, newest first, with the mask and never the key."""
    made = await sandbox.a_key(name="Pipeline", expiration="2027-01-31")
    await sandbox.call("DELETE", f"/v1/admin/api-keys/{made['key_id']}")
    deleted, created = await sandbox.get("/v1/admin/audit-logs")
    assert (created["event_type"], deleted["event_type"]) == ("api_key.create", "api_key.delete")
    assert created["event_metadata"] == {"expiration_date": "2027-01-31"}
    assert (
        created["target_metadata"]
        == deleted["target_metadata"]
        == {
            "key_id": made["key_id"],
            "name": "Pipeline",
            "hidden_key": made["hidden_key"],
        }
    )
    assert created["actor_type"] == "API_KEY"
    assert created["workspace_uuid"] == await sandbox.workspace()
    assert created["log_id"] < deleted["log_id"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ([("limit", "1")], ["new"]),
        ([("sort", "ascending")], ["old", "new"]),
        ([("event_type", "api_key.create")], ["new", "old"]),
        ([("event_type", "user.create"), ("event_type", "api_key.create")], ["new", "old"]),
        ([("event_type", "api_key.rotate")], []),
        ([("actor_type", "HUMAN")], []),
        ([("actor_type", "HUMAN"), ("actor_type", "API_KEY")], ["new", "old"]),
        ([("target_type", "WORKSPACE")], []),
        ([("actor_user_uuid", "anybody")], []),
        ([("after", "2026-11-24T12:00:00Z")], ["new"]),
        ([("before", "2026-11-24T14:00:00+01:00")], ["old"]),
        ([("after", "2026-11-24T12:00:00Z"), ("before", "2026-11-24T13:00:00Z")], []),
        ([("limit", "0")], []),
    ],
)
async def test_the_audit_log_is_searched(sandbox, query, found):
    """By kind, actor, target and time, both ends left out; sorted either way."""
    await sandbox.a_key(name="old")
    sandbox.clock.now += timedelta(hours=1)
    await sandbox.a_key(name="new")
    answered = await sandbox.call("GET", "/v1/admin/audit-logs", query=query)
    assert [entry["target_metadata"]["name"] for entry in answered.json] == found


async def test_models_are_listed_and_filtered(sandbox):
    """By name and by provider."""
    key = (await sandbox.a_key())["key"]
    everything = (await sandbox.get("/v1/models", key=key))["data"]
    assert "mistral-small-latest" in [one["id"] for one in everything]
    [one] = (await sandbox.get("/v1/models", key=key, model="codestral-latest", provider="mistralai"))["data"]
    assert one["id"] == "codestral-latest"
    assert (await sandbox.get("/v1/models", key=key, model="nothing"))["data"] == []


async def test_no_plaintext_is_ever_written(sandbox, tmp_path):
    """Neither ordinary keys nor the admin key are in the data file or beside it, used, deleted or alive."""
    made = [await sandbox.a_key(name=f"no {number}") for number in range(10)]
    for key in made:
        await sandbox.get("/v1/models", key=key["key"])
    await sandbox.call("DELETE", f"/v1/admin/api-keys/{made[0]['key_id']}")
    written = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert written["data-wal"].count(b"no 9") > 0, "the search would find what is there"
    for key in [one["key"] for one in made] + [sandbox.admin_key]:
        for name, content in written.items():
            assert key.encode() not in content, name
            # Nor all that the mask leaves out.
            assert key[4:-4].encode() not in content, name
