"""The console in a real browser, as a person uses it: with a mouse, with a keyboard, with and without scripts."""

from __future__ import annotations

import re

import pytest
from tests.browser import a_tab
from tests.sandbox.clicks import button, link, row, sign_in, to_workspace

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("browser")]

PLAINTEXT = "document.getElementById('plaintext')"
TITLE = "document.querySelector('h1').textContent"


@pytest.fixture
def sandbox(a_process):
    """The real command, serving."""
    running = a_process()
    running.start()
    return running


async def test_the_whole_path_of_the_help_article(tab, sandbox):
    """Sign in, choose the workspace, create a key with name and date, copy it, Done, and see it in the list."""
    await sign_in(tab, sandbox)
    assert "No workspace chosen" in await tab.text()
    await to_workspace(tab, "search-prod")
    assert await tab.value(TITLE) == "Your API keys"
    await tab.click(link("Create new key"))
    await tab.until("document.querySelector('#create:modal') && document.activeElement.id === 'name'")
    await tab.type("Pipeline integration")
    await tab.press("Tab")
    await tab.value("document.getElementById('expiration').value = '2099-01-31'")
    await tab.click("document.querySelector('#create button.primary')", leaves=True)
    await tab.until("document.querySelector('#made:modal')")
    key = await tab.value(f"{PLAINTEXT}.textContent")
    assert re.fullmatch(r"[A-Za-z0-9]{32}", key)
    assert sandbox.accepts(key)
    assert "it will not be shown again" in await tab.text()
    await tab.click(button("Copy"))
    await tab.until("document.getElementById('copied').textContent === 'Copied.'")
    assert await tab.value("navigator.clipboard.readText()") == key
    await tab.click(link("Done"), leaves=True)
    await tab.until(f"!document.querySelector('dialog[open]') && {row('Pipeline integration')}")
    shown = await tab.text()
    assert f"{key[:4]}...{key[-4:]}" in shown
    assert "2099-01-31" in shown
    assert key not in await tab.html()


async def test_the_key_cannot_be_had_again(tab, sandbox):
    """Escape does not lose it; after Done neither Back nor Forward nor a reload shows it, or makes another one."""
    await sign_in(tab, sandbox)
    await to_workspace(tab, "search-prod")
    key = await a_key_by_hand(tab)
    for _ in range(3):
        await tab.press("Escape")
    assert await tab.value(f"{PLAINTEXT}.textContent") == key
    await tab.click(link("Done"), leaves=True)
    await tab.click(link("Usage"), leaves=True)
    for steps in (-1, -1, 1, 1):
        await tab.travel(steps)
        assert key not in await tab.html()
    await tab.travel(-1)
    await tab.reload()
    assert key not in await tab.html()
    assert await tab.value(TITLE) == "Your API keys"
    assert len(sandbox.live_keys()) == 1


@pytest.mark.parametrize("way", ["reload", "away and back", "another page"])
async def test_a_key_that_is_left_without_done_is_gone_too(tab, sandbox, way):
    """The confirmation is no page that one could come back to."""
    await sign_in(tab, sandbox)
    await to_workspace(tab, "search-prod")
    key = await a_key_by_hand(tab)
    if way == "reload":
        await tab.reload()
    elif way == "away and back":
        await tab.open(f"{sandbox.url}/organization/usage")
        await tab.travel(-1)
    else:
        await tab.travel(-1)
        await tab.travel(1)
    for _ in range(2):
        assert await tab.until(TITLE) == "Your API keys"
        assert key not in await tab.html()
        # Not even the form is sent again.
        assert "cannot be shown again" not in await tab.text()
        await tab.reload()
    assert len(sandbox.live_keys()) == 1


async def test_a_double_click_makes_one_key_and_shows_it(tab, sandbox):
    """The second click of an impatient hand is not sent."""
    await sign_in(tab, sandbox)
    await to_workspace(tab, "search-prod")
    await tab.click(link("Create new key"))
    await tab.until("document.querySelector('#create:modal')")
    # The server has made the key, and its answer is still on the way when the second click comes.
    await tab.ask("Fetch.enable", patterns=[{"urlPattern": "*/api-keys", "requestStage": "Response"}])
    place = await tab.middle_of("document.querySelector('#create button.primary')")
    await tab.click_at(*place)
    answer = await tab.event("Fetch.requestPaused")
    await tab.click_at(*place)
    await tab.ask("Fetch.continueRequest", requestId=answer["requestId"])
    await tab.ask("Fetch.disable")
    key = await tab.until(f"{PLAINTEXT}.textContent")
    assert sandbox.accepts(key)
    assert len(sandbox.live_keys()) == 1


async def test_the_trash_icon_takes_two_clicks(tab, sandbox):
    """The first asks in its row, on the same page; Keep takes the question back; the second revokes."""
    await sign_in(tab, sandbox)
    await to_workspace(tab, "search-prod")
    key = await a_key_by_hand(tab, "mine")
    await tab.click(link("Done"), leaves=True)
    await tab.value("window.here = true")
    trash = f"{row('mine')}.querySelector('.trash')"
    await tab.click(trash)
    await tab.until("document.activeElement.textContent.trim() === 'Revoke mine'")
    assert "Revoke for good?" in await tab.text()
    await tab.click(link("Keep"))
    await tab.until(trash)
    await tab.until("document.activeElement.classList.contains('trash')")
    await tab.click(trash)
    assert await tab.value("window.here")
    assert sandbox.accepts(key)
    await tab.click(f"{row('mine')}.querySelector('.danger')", leaves=True)
    assert "The key is revoked" in await tab.text()
    assert not sandbox.accepts(key)


async def test_the_question_lapses_by_itself(tab, sandbox):
    """The icon comes back, with the focus on it, and the key lives."""
    # The browser's clock runs a hundred times as fast.
    await tab.ask(
        "Page.addScriptToEvaluateOnNewDocument",
        source="const real = setTimeout; window.setTimeout = (run, ms, ...rest) => real(run, ms / 100, ...rest)",
    )
    await sign_in(tab, sandbox)
    await to_workspace(tab, "search-prod")
    key = await a_key_by_hand(tab, "mine")
    await tab.click(link("Done"), leaves=True)
    await tab.value(
        "new MutationObserver(() => window.asked ||= !!document.querySelector('.question'))"
        ".observe(document.body, {subtree: true, childList: true})"
    )
    await tab.click(f"{row('mine')}.querySelector('.trash')")
    await tab.until("window.asked && !document.querySelector('.question')")
    await tab.until("document.activeElement.classList.contains('trash')")
    assert sandbox.accepts(key)


async def test_the_list_follows_what_others_do(tab, sandbox):
    """An operator's keys come and go on the screen, and who made them is said; what is asked about stays."""
    await sign_in(tab, sandbox)
    await to_workspace(tab, "search-prod")
    await tab.value("window.here = true")
    made = a_key_of(sandbox, "search/mistral-key [kw/1f0e2d3c/9a8b7c6d/k3x9q2ab]")
    await tab.until(row("ApiKey search/mistral-key"))
    other = a_key_of(sandbox, "another")
    await tab.until(row("another"))
    sandbox.call("DELETE", f"/v1/admin/api-keys/{made}")
    await tab.until(f"!{row('ApiKey search/mistral-key')} && {row('another')}")
    await tab.click(f"{row('another')}.querySelector('.trash')")
    await tab.until("document.querySelector('.question')")
    sandbox.call("DELETE", f"/v1/admin/api-keys/{other}")
    await tab.click(f"{row('another')}.querySelector('.danger')", leaves=True)
    assert "had been revoked already" in await tab.text()


async def test_it_can_be_used_with_the_keyboard_alone(tab, sandbox):
    """Skip link, dialog with the focus kept in it and given back, creation, and both steps of revoking."""
    await tab.open(sandbox.url)
    await tab.type(sandbox.admin_key)
    await tab.press("Enter", leaves=True)
    await tab.press("Tab")
    assert await tab.value("document.activeElement.textContent") == "Skip to the content"
    await tab.press("Enter")
    await walk_to(tab, "search-prod")
    await tab.press("Enter", leaves=True)
    await walk_to(tab, "Create new key")
    await tab.press("Enter")
    await tab.until("document.querySelector('#create:modal')")
    visited = set()
    for _ in range(12):
        visited.add(
            await tab.value("document.activeElement.closest('dialog') ? 'inside' : document.activeElement.tagName")
        )
        await tab.press("Tab")
    assert visited <= {"inside", "BODY"}, "the focus left the dialog for the page behind it"
    await tab.press("Escape")
    await tab.until("!document.querySelector('dialog[open]')")
    assert await tab.value("document.activeElement.textContent") == "Create new key"
    await tab.press("Enter")
    await tab.until("document.activeElement.id === 'name'")
    await tab.type("by keyboard")
    await tab.press("Enter", leaves=True)
    key = await tab.until(f"{PLAINTEXT}.textContent")
    await walk_to(tab, "Done")
    await tab.press("Enter", leaves=True)
    await walk_to(tab, "Revoke by keyboard")
    await tab.press("Space")
    await tab.until("document.activeElement.classList.contains('danger')")
    assert sandbox.accepts(key)
    await tab.press("Enter", leaves=True)
    assert not sandbox.accepts(key)


async def test_without_scripts_everything_works(chromium, sandbox):
    """The form stands in the page, a reload of the confirmation makes and shows nothing, two clicks revoke."""
    async with a_tab(chromium, scripts=False) as tab:
        await sign_in(tab, sandbox)
        await to_workspace(tab, "billing")
        await tab.click(link("Create new key"), leaves=True)
        await tab.click("document.querySelector('#create button.primary')", leaves=True)
        key = await tab.until(f"{PLAINTEXT}.textContent")
        assert sandbox.accepts(key)
        assert not await tab.value("document.getElementById('copy').checkVisibility()")
        await tab.reload()
        assert "cannot be shown again" in await tab.text()
        assert key not in await tab.html()
        assert len(sandbox.live_keys()) == 1
        await tab.click("document.querySelector('.trash')", leaves=True)
        assert "Revoke for good?" in await tab.text()
        await tab.click("document.querySelector('.danger')", leaves=True)
        assert not sandbox.accepts(key)


async def a_key_by_hand(tab, name=""):
    """Made with the form of the page that is open; its plaintext."""
    await tab.click(link("Create new key"))
    await tab.until("document.activeElement.id === 'name'")
    await tab.type(name)
    await tab.press("Enter", leaves=True)
    return await tab.until(f"{PLAINTEXT}.textContent")


def a_key_of(sandbox, name):
    """Made through the API in search-prod; its id."""
    _, workspaces = sandbox.call("GET", "/v1/admin/workspaces?search=search-prod")
    _, users = sandbox.call("GET", "/v1/admin/users")
    body = {"workspace_uuid": workspaces["items"][0]["uuid"], "user_id": users["members"][0]["uuid"], "name": name}
    return sandbox.call("POST", "/v1/admin/api-keys", body)[1]["key_id"]


async def walk_to(tab, words):
    """Press Tab until the focus is on what is called so."""
    name = "(document.activeElement.ariaLabel || document.activeElement.textContent).replace(/\\s+/g, ' ').trim()"
    for _ in range(60):
        if (await tab.value(name)).startswith(words):
            return
        await tab.press("Tab")
    raise AssertionError(f"Tab does not come to {words}")
