"""A new key is shown once: whatever somebody presses afterwards in a real browser, it cannot be had again."""

from __future__ import annotations

import pytest
from playwright.async_api import expect
from tests.sandbox.clicks import a_key_by_hand, click, content, plaintext, sign_in, to_workspace, until

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("browser"), pytest.mark.asyncio(loop_scope="session")]


async def test_the_key_cannot_be_had_again(tab, running):
    """Escape does not lose it; after Done neither Back nor Forward nor a reload shows it, or makes another one."""
    await sign_in(tab, running)
    await to_workspace(tab, "search-prod")
    key = await a_key_by_hand(tab)
    for _ in range(3):
        await tab.keyboard.press("Escape")
    assert await plaintext(tab) == key
    await click(tab, "link", "Done")
    await click(tab, "link", "Usage")
    for steps in (-1, -1, 1, 1):
        await travel(tab, steps)
        assert key not in await content(tab)
    await travel(tab, -1)
    await tab.reload()
    assert key not in await content(tab)
    await expect(tab.get_by_role("heading", level=1)).to_have_text("Your API keys")
    assert len(running.live_keys()) == 1


@pytest.mark.parametrize("way", ["reload", "away and back", "another page"])
async def test_a_key_that_is_left_without_done_is_gone_too(tab, running, way):
    """The confirmation is no page that one could come back to."""
    await sign_in(tab, running)
    await to_workspace(tab, "search-prod")
    key = await a_key_by_hand(tab)
    if way == "reload":
        await tab.reload()
    elif way == "away and back":
        await tab.goto(f"{running.url}/organization/usage")
        await travel(tab, -1)
    else:
        await travel(tab, -1)
        await travel(tab, 1)
    for _ in range(2):
        await expect(tab.get_by_role("heading", level=1)).to_have_text("Your API keys")
        assert key not in await content(tab)
        # Not even the form is sent again.
        await expect(tab.get_by_text("cannot be shown again")).to_have_count(0)
        await tab.reload()
    assert len(running.live_keys()) == 1


async def test_a_page_that_the_browser_keeps_whole_has_no_key_in_it(tab, running):
    """Where a browser keeps pages as they were, in spite of no-store, Back leads to the list, and shows no key on the way."""

    async def without_no_store(route):
        answer = await route.fetch(max_redirects=0)
        headers = {name: value for name, value in answer.headers.items() if name != "cache-control"}
        await route.fulfill(response=answer, headers=headers)

    await tab.route("**/*", without_no_store)
    # Before the page's own scripts hear of it.
    await tab.add_init_script(
        "addEventListener('pageshow', ({persisted}) => "
        "{ if (persisted) sessionStorage.kept = document.documentElement.outerHTML; })"
    )
    await sign_in(tab, running)
    await to_workspace(tab, "search-prod")
    for _ in range(10):  # a browser that has much to do may not keep it
        key = await a_key_by_hand(tab)
        await tab.goto(f"{running.url}/organization/usage")
        await travel(tab, -1)
        await expect(tab.get_by_role("dialog")).to_have_count(0)
        await expect(tab.get_by_role("heading", level=1)).to_have_text("Your API keys")
        if kept := await tab.evaluate("sessionStorage.kept"):
            break
    assert "Your new API key" in (kept or "")
    assert key not in kept
    assert key not in await content(tab)


async def test_who_signed_out_leaves_nothing_behind(tab, running):
    """Back leads to the sign-in page: not to keys, masked as they are."""
    await sign_in(tab, running)
    await to_workspace(tab, "search-prod")
    await a_key_by_hand(tab, "mine")
    await click(tab, "link", "Done")
    await click(tab, "button", "Sign out")
    await travel(tab, -1)
    await expect(tab.get_by_label("Admin key")).to_be_visible()
    assert "mine" not in await content(tab)
    assert await tab.context.cookies() == []


async def test_one_answer_has_the_key_and_nothing_keeps_it(tab, running):
    """Of all that the server sends before Done and after it; and neither cookies nor the browser's stores have it."""
    bodies = []

    async def listen(route):
        answer = await route.fetch(max_redirects=0)
        bodies.append(await answer.text())
        await route.fulfill(response=answer)

    await tab.route("**/*", listen)
    await sign_in(tab, running)
    await to_workspace(tab, "search-prod")
    key = await a_key_by_hand(tab, "mine")
    await click(tab, "link", "Done")
    for path in ("api-keys", "api-keys?search=mine", "audit-log", "usage"):
        await tab.goto(f"{running.url}/organization/{path}")
    assert sum(key in body for body in bodies) == 1
    kept = await tab.evaluate(
        "Promise.all([caches.keys(), indexedDB.databases()])"
        ".then(stores => JSON.stringify([stores, {...localStorage}, {...sessionStorage}, history.state]))"
    )
    assert kept == "[[[],[]],{},{},null]"
    assert key not in str(await tab.context.storage_state())


async def travel(tab, steps):
    """Back or forward in the tab's history, as its buttons do."""
    # A page that the browser has kept does not load again, which Playwright by itself would wait for.
    await (tab.go_back if steps < 0 else tab.go_forward)(wait_until="commit")
    await until(tab, "document.readyState === 'complete'")
