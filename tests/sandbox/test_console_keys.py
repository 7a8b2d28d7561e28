"""Keys in the console: made, shown once, listed, revoked with two clicks; and that it is the API's own work."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from keywright.sandbox.console.wording import days_away
from keywright.sandbox.store import policy

PLAINTEXT = re.compile(r"<code id=\"plaintext\"[^>]*>([A-Za-z0-9]{32})</code>")
TAG = "[kw/1f0e2d3c/9a8b7c6d/k3x9q2ab]"


def plaintext_of(page):
    """The key that a confirmation shows."""
    [shown] = PLAINTEXT.findall(page.html)
    return shown


async def made_in(visitor, workspace="search-prod", **fields):
    """The confirmation after a key was made in a workspace."""
    return await visitor.send((await visitor.keys(workspace)).form("/api-keys"), **fields)


async def test_the_help_articles_path(sandbox, visitor):
    """Workspace, "Create new key", name and expiration, the key once, Done, the list with what is left of it."""
    first = await visitor.get("/")
    [address] = [link for link in first.links if await sandbox.workspace() in link]
    page = await visitor.get(address)
    assert "Your API keys" in page.text
    assert "Workspace search-prod" in page.text
    form = (await visitor.get(f"{address}?create=1")).form("/api-keys")
    assert form.required == set()
    made = await visitor.send(form, name="Pipeline integration", expiration="2027-01-31")
    key = plaintext_of(made)
    assert await sandbox.works(key)
    assert "it will not be shown again" in made.text
    assert "2027-01-31, in 68 days" in made.text
    listed = await visitor.get(address)
    for shown in (f"{key[:4]}...{key[-4:]}", "Pipeline integration", "2027-01-31", "2026-11-24", "admin@example.com"):
        assert shown in listed.text
    assert key not in listed.html


async def test_name_and_expiration_are_optional(sandbox, visitor):
    """Without them the key has none; the form advises a date."""
    page = await visitor.keys()
    assert "Set one: a key that is forgotten then ends by itself" in page.text
    await made_in(visitor)
    [key] = (await sandbox.get("/v1/admin/api-keys"))["keys"]
    assert (key["name"], key["expiration_date"], key["workspace_name"]) == (None, None, "search-prod")


async def test_a_key_is_shown_in_one_answer_and_never_again(sandbox, visitor):
    """Sent again, the same form makes no second key and does not show the first; no page has it, and none is kept."""
    form = (await visitor.keys()).form("/api-keys")
    made = await visitor.send(form)
    key = plaintext_of(made)
    assert made.headers["cache-control"] == "no-store"
    for _ in range(2):
        again = await visitor.send(form)
        assert "cannot be shown again" in again.text
        assert not PLAINTEXT.search(again.html)
    assert len((await sandbox.get("/v1/admin/api-keys"))["keys"]) == 1
    workspace = await sandbox.workspace()
    places = ("/organization", f"/workspaces/{workspace}")
    pages = [f"{place}/{tab}" for place in places for tab in ("api-keys", "usage")]
    for address in ("/", *pages, "/organization/audit-log", "/organization/policy", f"{pages[0]}?search={key[-4:]}"):
        page = await visitor.get(address)
        assert page.status == 200
        assert key not in page.html + str(page.headers)


async def test_two_forms_make_two_keys(sandbox, visitor):
    """Each page brings a form of its own."""
    assert plaintext_of(await made_in(visitor)) != plaintext_of(await made_in(visitor))
    assert len((await sandbox.get("/v1/admin/api-keys"))["keys"]) == 2


async def test_a_form_that_was_refused_may_be_sent_again(sandbox, visitor):
    """What was typed stays, each field says what it lacks, and nothing was made."""
    long = "x" * 256
    page = await made_in(visitor, name=long, expiration="31.1.2027")
    assert page.status == 422
    assert "A name has at most 255 characters." in page.text
    assert "A date is written YYYY-MM-DD" in page.text
    assert (await sandbox.get("/v1/admin/api-keys"))["keys"] == []
    form = page.form("/api-keys")
    assert form.fields["name"] == long
    assert page.html.count('aria-invalid="true"') == 2
    assert plaintext_of(await visitor.send(form, name="short", expiration=""))


async def test_a_form_that_could_not_be_written_down_may_be_sent_again(sandbox, visitor):
    """The data file is full or read-only for a while: a page says so, and afterwards the same form makes its key."""
    form = (await visitor.keys()).form("/api-keys")
    sandbox.store._writer.execute("PRAGMA query_only = ON")
    page = await visitor.send(form)
    assert (page.status, "nothing was changed" in page.text) == (503, True)
    sandbox.store._writer.execute("PRAGMA query_only = OFF")
    assert plaintext_of(await visitor.send(form))


async def test_what_is_typed_is_shown_as_text(sandbox, visitor):
    """A name with markup in it is a name."""
    name = "\"><script>alert(1)</script>{{ 7 * 7 }}'"
    pages = [await made_in(visitor, name=name), await visitor.keys(), await visitor.get("/organization/audit-log")]
    pages.append(await visitor.keys(query="?search=%22%3E%3Cscript%3E"))
    for page in pages:
        assert "<script>alert" not in page.html
        assert "<script>" in page.text
    assert name in pages[1].text


@pytest.mark.parametrize(
    ("asked", "given"), [("", "2026-12-24"), ("2027-06-01", "2026-12-24"), ("2026-12-01", "2026-12-01")]
)
async def test_the_policy_holds_and_the_confirmation_says_so(sandbox, visitor, asked, given):
    """As through the API: the key is made, with the latest date allowed."""
    sandbox.store.write_at_once(policy.set_for_workspace, await sandbox.workspace(), 30)
    assert "The policy allows 30 days at most" in (await visitor.keys()).text
    page = await made_in(visitor, expiration=asked)
    assert f"Expires {given}" in page.text
    assert ("the latest date which the expiration policy allows" in page.text) is (given != asked)


async def test_the_list_shows_each_key_and_who_made_it(sandbox, visitor):
    """Masked, and the ApiKey's namespace and name where keywright made it with the label it gives by itself."""
    by_hand = await sandbox.a_key(name="by hand", expiration="2026-11-23")
    await sandbox.a_key(name=f"search/mistral-key {TAG}")
    await sandbox.a_key(name=f"Pipeline integration {TAG}")
    used = await sandbox.a_key(workspace="search-prod")
    assert await sandbox.works(used["key"])
    text = (await visitor.keys()).text
    assert (
        f"{by_hand['hidden_key']} by hand 2026-11-24 12:00:00 UTC 2026-11-23 yesterday expired never dev@example.com"
        in text
    )
    assert "ApiKey search/mistral-key keywright, cluster 1f0e2d3c, as dev@example.com" in text
    assert "an ApiKey with its own label keywright" in text
    assert f"{used['hidden_key']} no name 2026-11-24 12:00:00 UTC never 2026-11-24 dev@example.com" in text


async def test_a_workspace_shows_its_own_keys_only(sandbox, visitor):
    """The organization's view shows all of them, with their workspaces."""
    here, there = await sandbox.a_key(name="here"), await sandbox.a_key(name="there", workspace="billing")
    mine = (await visitor.keys()).text
    assert here["hidden_key"] in mine
    assert there["hidden_key"] not in mine
    everything = await visitor.get("/organization/api-keys")
    assert "Organization all workspaces" in everything.text
    for shown in (here["hidden_key"], there["hidden_key"], "search-prod", "billing"):
        assert shown in everything.text


async def test_the_organizations_form_asks_for_the_workspace(sandbox, visitor):
    """It is required: in the browser, and here."""
    page = await visitor.get("/organization/api-keys")
    form = page.form("/api-keys")
    assert form.required == {"workspace"}
    for workspace in ("", "billing", await sandbox.user()):
        refused = await visitor.send(form, workspace=workspace)
        assert (refused.status, "Choose a workspace: every key belongs to one." in refused.text) == (422, True)
        form = refused.form("/api-keys")
    assert (await sandbox.get("/v1/admin/api-keys"))["keys"] == []
    await visitor.send(form, workspace=await sandbox.workspace("billing"))
    [key] = (await sandbox.get("/v1/admin/api-keys"))["keys"]
    assert key["workspace_name"] == "billing"


async def test_a_workspaces_form_makes_keys_there_only(sandbox, visitor):
    """Whatever else the form says."""
    form = (await visitor.keys()).form("/api-keys")
    other = await sandbox.workspace("billing")
    await visitor.send(form, workspace=other, workspace_uuid=other)
    [key] = (await sandbox.get("/v1/admin/api-keys"))["keys"]
    assert key["workspace_name"] == "search-prod"


async def test_the_trash_icon_takes_two_clicks(sandbox, visitor):
    """The first asks, in that row only; the second revokes, at once and for good."""
    kept, made = await sandbox.a_key(), await sandbox.a_key()
    page = await visitor.keys()
    assert not [action for action in page.forms if action.endswith("/revoke")]
    asked = await visitor.send(page.form(f"{made['key_id']}/ask"))
    assert [action for action in asked.forms if action.endswith("/revoke")] == [
        f"/workspaces/{await sandbox.workspace()}/api-keys/{made['key_id']}/revoke"
    ]
    assert "Revoke for good?" in asked.text
    assert await sandbox.works(made["key"])
    done = await visitor.send(asked.form("/revoke"))
    assert "The key is revoked" in done.text
    assert not await sandbox.works(made["key"])
    assert await sandbox.works(kept["key"])
    assert "The key is revoked" not in (await visitor.keys()).text


async def test_the_question_lapses(sandbox, visitor):
    """After a while the second click does nothing and says so; then the icon asks anew."""
    made = await sandbox.a_key()
    page = await visitor.keys()
    asked = await visitor.send(page.form("/ask"))
    sandbox.clock.now += timedelta(seconds=15)
    assert "Revoke for good?" not in (await visitor.keys(query=f"?asked={made['key_id']}")).text
    late = await visitor.send(asked.form("/revoke"))
    assert "nothing was revoked" in late.text
    assert await sandbox.works(made["key"])
    again = await visitor.send(late.form("/ask"))
    sandbox.clock.now += timedelta(seconds=14)
    await visitor.send(again.form("/revoke"))
    assert not await sandbox.works(made["key"])


async def test_nothing_is_revoked_without_the_question(sandbox, visitor):
    """A second click for a key that was not asked about, an answer given twice, a page that is only opened."""
    first, second = await sandbox.a_key(), await sandbox.a_key()
    page = await visitor.keys()
    asked = await visitor.send(page.form(f"{first['key_id']}/ask"))
    revoke = asked.form("/revoke")
    other = f"/workspaces/{await sandbox.workspace()}/api-keys/{second['key_id']}"
    await visitor.send(type(revoke)(f"{other}/revoke", revoke.fields))
    for path in (f"{other}/revoke", f"{other}/ask"):
        assert (await visitor.get(path)).status == 405
    await visitor.get(f"/organization/api-keys?asked={second['key_id']}")
    assert "Revoke for good?" not in (await visitor.keys(query=f"?asked={second['key_id']}")).text
    await visitor.send(revoke)
    assert "had lapsed" in (await visitor.send(revoke)).text
    assert await sandbox.works(second["key"])


async def test_a_key_that_is_gone_already_is_said(sandbox, visitor):
    """The operator may be quicker."""
    made = await sandbox.a_key()
    asked = await visitor.send((await visitor.keys()).form("/ask"))
    assert (await sandbox.call("DELETE", f"/v1/admin/api-keys/{made['key_id']}")).status == 200
    assert "had been revoked already" in (await visitor.send(asked.form("/revoke"))).text


async def test_a_long_list_has_pages_and_a_search(sandbox, visitor):
    """Fifty a page; search and page stay while a key is asked about and revoked."""
    for number in range(51):
        await sandbox.a_key(name=f"key {number:02}")
    first = await visitor.keys()
    assert "key 50" in first.text
    assert "key 00" not in first.text
    second = await visitor.keys(query="?page=2&search=key")
    assert "key 00" in second.text
    assert "key 01" not in second.text
    asked = await visitor.send(second.form("/ask"))
    assert "Page 2" in asked.text
    done = await visitor.send(asked.form("/revoke"))
    assert "The list is shorter than that." in done.text
    assert "key 07" in (await visitor.keys(query="?search=KEY+07")).text
    assert "No key has “nothing”" in (await visitor.keys(query="?search=nothing")).text
    for page in ("0", "-1", "x", "1e9", "9" * 30):
        assert "key 50" in (await visitor.keys(query=f"?page={page}")).text


async def test_the_audit_log_has_the_same_entries_as_for_the_api(sandbox, visitor):
    """Made and revoked in the console, made and revoked through the API: told alike."""
    await made_in(visitor, name="one", expiration="2027-01-31")
    await visitor.send((await visitor.send((await visitor.keys()).form("/ask"))).form("/revoke"))
    made = await sandbox.a_key(name="one", expiration="2027-01-31")
    await sandbox.call("DELETE", f"/v1/admin/api-keys/{made['key_id']}")
    logs = await sandbox.get("/v1/admin/audit-logs")
    for log in logs:
        del log["log_id"], log["target_metadata"]["key_id"], log["target_metadata"]["hidden_key"]
    assert [log["event_type"] for log in logs] == ["api_key.delete", "api_key.create"] * 2
    assert logs[:2] == logs[2:]


@pytest.mark.parametrize(
    ("day", "words"),
    [
        ("2026-11-24", "today"),
        ("2026-11-25", "tomorrow"),
        ("2026-11-23", "yesterday"),
        ("2026-11-26", "in 2 days"),
        ("2026-11-20", "4 days ago"),
        ("9999-12-31", "in 2,912,115 days"),
    ],
)
def test_days_in_words(day, words):
    """A date as seen from 24 November 2026."""
    assert days_away(day, "2026-11-24") == words
