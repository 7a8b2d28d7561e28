"""Workspaces and users at the Admin API."""

from __future__ import annotations

import uuid

import pytest


async def test_a_new_data_file_has_three_workspaces_and_two_users(sandbox):
    """Default, search-prod and billing; admin@example.com and dev@example.com, members of each."""
    found = await sandbox.get("/v1/admin/workspaces")
    assert [(one["name"], one["is_default"], one["members_count"]) for one in found["items"]] == [
        ("Default", True, 2),
        ("search-prod", False, 2),
        ("billing", False, 2),
    ]
    users = await sandbox.get("/v1/admin/users")
    assert [one["email"] for one in users["members"]] == ["admin@example.com", "dev@example.com"]
    assert users["invites"] == []


async def test_pages_of_workspaces_and_users(sandbox):
    """Page counts from 1, total is of all pages, past the end there is nothing."""
    pages = [await sandbox.get("/v1/admin/workspaces", page=page, page_size=2) for page in (1, 2, 3)]
    assert [[one["name"] for one in page["items"]] for page in pages] == [["Default", "search-prod"], ["billing"], []]
    assert {(page["total"], page["page_size"], page["object"]) for page in pages} == {(3, 2, "list")}
    users = [await sandbox.get("/v1/admin/users", page=page, page_size=1) for page in (1, 2, 3)]
    assert [len(page["members"]) for page in users] == [1, 1, 0]
    assert {page["total"] for page in users} == {2}


async def test_search_finds_part_of_a_name(sandbox):
    """Whatever its case."""
    found = await sandbox.get("/v1/admin/workspaces", search="PROD")
    assert ([one["name"] for one in found["items"]], found["total"]) == (["search-prod"], 1)


async def test_create_update_archive(sandbox):
    """A Workspace's life: made with its admin, renamed field by field, archived, then found only when asked for."""
    body = {"name": "new", "admin_user_id": await sandbox.user(), "icon": "★"}
    made = (await sandbox.call("POST", "/v1/admin/workspaces", body)).json
    assert (made["name"], made["icon"], made["raw_role"], made["members_count"]) == ("new", "★", "A", 1)
    path = f"/v1/admin/workspaces/{made['uuid']}"
    changed = await sandbox.call("PATCH", path, {"name": "newer", "icon": None})
    assert (changed.status, changed.json["name"], changed.json["icon"]) == (200, "newer", "★")
    archived = await sandbox.call("DELETE", path)
    assert (archived.status, archived.body) == (204, b"")
    assert (await sandbox.call("DELETE", path)).status == (await sandbox.call("PATCH", path, {})).status == 404
    assert (await sandbox.get("/v1/admin/workspaces"))["total"] == 3
    assert (await sandbox.get("/v1/admin/workspaces", is_archived="true"))["total"] == 4


async def test_everybody_may_be_added_at_once(sandbox):
    """add_all_org_members makes all users members."""
    body = {"name": "all", "admin_user_id": await sandbox.user(), "add_all_org_members": True}
    assert (await sandbox.call("POST", "/v1/admin/workspaces", body)).json["members_count"] == 2


async def test_names_may_be_the_same(sandbox):
    """Two Workspaces of one name are told apart by uuid."""
    body = {"name": "billing", "admin_user_id": await sandbox.user()}
    assert (await sandbox.call("POST", "/v1/admin/workspaces", body)).status == 200
    assert (await sandbox.get("/v1/admin/workspaces", search="billing"))["total"] == 2


async def test_the_default_workspace_stays(sandbox):
    """It cannot be archived."""
    assert (await sandbox.call("DELETE", f"/v1/admin/workspaces/{await sandbox.workspace('Default')}")).status == 403


async def test_an_archived_workspace_issues_nothing(sandbox):
    """A create that names it is a 404."""
    workspace, user = await sandbox.workspace("billing"), await sandbox.user()
    await sandbox.call("DELETE", f"/v1/admin/workspaces/{workspace}")
    body = {"workspace_uuid": workspace, "user_id": user}
    assert (await sandbox.call("POST", "/v1/admin/api-keys", body)).status == 404


async def test_a_renamed_workspace_shows_in_its_keys(sandbox):
    """Keys hold on to the uuid."""
    await sandbox.a_key(workspace="billing")
    await sandbox.call("PATCH", f"/v1/admin/workspaces/{await sandbox.workspace('billing')}", {"name": "Büro"})
    [key] = (await sandbox.get("/v1/admin/api-keys"))["keys"]
    assert key["workspace_name"] == "Büro"


async def test_one_user_and_the_email_filter(sandbox):
    """By uuid with first and last name, by address in any case."""
    user = await sandbox.get(f"/v1/admin/users/{await sandbox.user('DEV@example.com')}")
    assert (user["email"], user["first_name"], user["last_name"]) == ("dev@example.com", "Dan", "Dev")
    assert (await sandbox.get("/v1/admin/users", email="nobody@example.com"))["total"] == 0


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "users/{}"), ("PATCH", "workspaces/{}"), ("DELETE", "workspaces/{}"), ("DELETE", "api-keys/{}")],
)
async def test_an_unknown_id_is_404(sandbox, method, path):
    """With a sentence that says what was not found."""
    body = {} if method == "PATCH" else None
    answered = await sandbox.call(method, f"/v1/admin/{path.format(uuid.uuid4())}", body)
    assert answered.status == 404
    assert answered.json["detail"].endswith("not found")


async def test_a_users_own_workspaces(sandbox):
    """An ordinary key lists the Workspaces of the user it was made for, in its organization only."""
    key = (await sandbox.a_key(user="dev@example.com"))["key"]
    await sandbox.call("POST", "/v1/admin/workspaces", {"name": "hers", "admin_user_id": await sandbox.user()})
    found = (await sandbox.get("/v1/users/me/workspaces", key=key))["workspaces"]
    assert [one["name"] for one in found] == ["Default", "search-prod", "billing"]
    own = found[0]["organization_id"]
    page = await sandbox.get("/v1/users/me/workspaces", key=key, organization_id=own, offset=1, limit=1)
    assert [one["name"] for one in page["workspaces"]] == ["search-prod"]
    elsewhere = await sandbox.get("/v1/users/me/workspaces", key=key, organization_id=str(uuid.uuid4()))
    assert elsewhere["workspaces"] == []
