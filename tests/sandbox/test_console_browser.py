"""The console in a real browser, as a person uses it: with a mouse, with a keyboard, with and without scripts."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta

import pytest
from playwright.async_api import expect
from tests.browser import a_tab
from tests.sandbox.clicks import (
    a_key_by_hand,
    ask,
    click,
    danger,
    open_the_form,
    plaintext,
    press_enter,
    row,
    sign_in,
    to_workspace,
    trash,
)

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("browser"), pytest.mark.asyncio(loop_scope="session")]

EVERY = 3_000
"""Milliseconds between two looks of the page at the list; its clock is the tests'."""


async def test_the_whole_path_of_the_help_article(tab, running):
    """Sign in, choose the workspace, create a key with name and date, copy it, Done, and see it in the list."""
    await sign_in(tab, running)
    await expect(tab.get_by_text("No workspace chosen")).to_be_visible()
    await to_workspace(tab, "search-prod")
    await expect(tab.get_by_role("heading", level=1)).to_have_text("Your API keys")
    form = await open_the_form(tab)
    await expect(form.get_by_label("Name (optional)")).to_be_focused()
    await tab.keyboard.insert_text("Pipeline integration")
    expiration = form.get_by_label("Expiration (optional)")
    await expect(expiration).to_have_accessible_description(re.compile("Set one: a key that is forgotten"))
    await expiration.fill("2099-01-31")
    await click(tab, "button", "Create new key")
    key = await plaintext(tab)
    assert re.fullmatch(r"[A-Za-z0-9]{32}", key)
    assert running.accepts(key)
    await expect(tab.get_by_text("it will not be shown again")).to_be_visible()
    await tab.get_by_role("button", name="Copy").click()
    await expect(tab.get_by_text("Copied.")).to_be_visible()
    assert await tab.evaluate("navigator.clipboard.readText()") == key
    await click(tab, "link", "Done")
    await expect(tab.get_by_role("dialog")).to_be_hidden()
    made = row(tab, "Pipeline integration")
    await expect(made).to_contain_text(f"{key[:4]}...{key[-4:]}")
    await expect(made).to_contain_text("2099-01-31")
    assert key not in await tab.content()


async def test_a_double_click_makes_one_key_and_shows_it(tab, running):
    """The second click of an impatient hand is not sent."""
    await sign_in(tab, running)
    await to_workspace(tab, "search-prod")
    form = await open_the_form(tab)
    # The server has made the key, and its answer is still on the way when the second click comes.
    made, clicked = asyncio.Event(), asyncio.Event()

    async def answer_late(route):
        answer = await route.fetch()
        made.set()
        await clicked.wait()
        await route.fulfill(response=answer)

    await tab.route("**/api-keys", answer_late)
    box = await form.get_by_role("button", name="Create new key").bounding_box()
    place = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    await tab.mouse.click(*place)
    await made.wait()
    await tab.mouse.click(*place)
    clicked.set()
    assert running.accepts(await plaintext(tab))
    assert len(running.live_keys()) == 1


async def test_the_trash_icon_takes_two_clicks(tab, running):
    """The first asks in its row, on the same page, where nothing moves; Keep takes the question back; the second revokes."""
    a_key_of(running, "another")
    await sign_in(tab, running)
    await to_workspace(tab, "search-prod")
    key = await a_key_by_hand(tab, "mine")
    await click(tab, "link", "Done")
    await tab.evaluate("window.here = true")
    place = await trash(tab, "another").bounding_box()
    await ask(tab, "mine")
    await expect(tab.get_by_role("group", name="Revoke for good?")).to_be_visible()
    assert await trash(tab, "another").bounding_box() == place
    await tab.get_by_role("link", name="Keep").click()
    await expect(trash(tab, "mine")).to_be_focused()
    await trash(tab, "mine").click()
    await expect(tab.get_by_role("group", name="Revoke for good?")).to_be_visible()
    assert await tab.evaluate("window.here")
    assert running.accepts(key)
    await click(tab, "button", "Revoke mine")
    await expect(tab.get_by_role("status")).to_contain_text("The key is revoked")
    assert not running.accepts(key)


async def test_the_question_lapses_by_itself(tab, running):
    """The icon comes back after 15 seconds, with the focus on it, and the key lives."""
    await tab.clock.install()
    await sign_in(tab, running)
    await to_workspace(tab, "search-prod")
    key = await a_key_by_hand(tab, "mine")
    await click(tab, "link", "Done")
    await tab.clock.pause_at(datetime.now(UTC) + timedelta(hours=1))
    await ask(tab, "mine")
    await tab.clock.run_for(14_000)
    await expect(danger(tab, "mine")).to_be_focused()
    await tab.clock.run_for(1_000)
    await expect(trash(tab, "mine")).to_be_focused()
    assert running.accepts(key)


async def test_the_list_follows_what_others_do(tab, running):
    """An operator's keys come and go on the screen, and who made them is said; what is asked about stays."""
    await tab.clock.install()
    await sign_in(tab, running)
    await to_workspace(tab, "search-prod")
    made = a_key_of(running, "search/mistral-key [kw/1f0e2d3c/9a8b7c6d/k3x9q2ab]")
    await tab.clock.run_for(EVERY)
    await expect(row(tab, "ApiKey search/mistral-key")).to_be_visible()
    other = a_key_of(running, "another")
    await tab.clock.run_for(EVERY)
    await expect(row(tab, "another")).to_be_visible()
    running.call("DELETE", f"/v1/admin/api-keys/{made}")
    await tab.clock.run_for(EVERY)
    await expect(row(tab, "ApiKey search/mistral-key")).to_have_count(0)
    await ask(tab, "another")
    running.call("DELETE", f"/v1/admin/api-keys/{other}")
    await click(tab, "button", "Revoke another")
    await expect(tab.get_by_role("status")).to_contain_text("had been revoked already")


async def test_the_organizations_form_asks_for_the_workspace(tab, running):
    """The browser does not send the form without one, and its keys are made in the one that is chosen."""
    await sign_in(tab, running)
    await click(tab, "link", "All workspaces")
    form = await open_the_form(tab)
    await expect(form.get_by_label("Workspace")).to_be_focused()
    await form.get_by_role("button", name="Create new key").click()
    assert await form.get_by_label("Workspace").evaluate("it => it.validity.valueMissing")
    assert running.live_keys() == []
    await form.get_by_label("Workspace").select_option("billing")
    await click(tab, "button", "Create new key")
    assert running.accepts(await plaintext(tab))
    await click(tab, "link", "Done")
    await expect(row(tab, "billing")).to_be_visible()


async def test_what_an_administrator_sees_of_the_organization(tab, running):
    """A policy that is set shortens new keys, and the confirmation says so; usage and the audit log tell of them."""
    await sign_in(tab, running)
    await click(tab, "link", "All workspaces")
    await click(tab, "link", "Expiration policy")
    await tab.get_by_label("Longest validity, in days").fill("30")
    await click(tab, "button", "Save")
    await expect(tab.get_by_role("status")).to_contain_text("30 days at most")
    await click(tab, "link", "Switch")
    await to_workspace(tab, "billing")
    await open_the_form(tab)
    await expect(tab.get_by_text("The policy allows 30 days at most")).to_be_visible()
    await tab.keyboard.press("Escape")
    key = await a_key_by_hand(tab, "invoices")
    confirmation = tab.get_by_role("dialog")
    await expect(confirmation).to_contain_text("the latest date which the expiration policy allows")
    await expect(confirmation).to_contain_text("in 30 days")
    assert running.accepts(key)
    await click(tab, "link", "Done")
    await click(tab, "link", "Usage")
    await expect(tab.locator(".total")).to_have_text("1 request with this workspace's keys")
    await click(tab, "link", "Switch")
    await click(tab, "link", "All workspaces")
    await click(tab, "link", "Audit log")
    event = tab.get_by_role("row").filter(has_text="api_key.create")
    await expect(event).to_contain_text("invoices")
    await expect(event).to_contain_text("billing")


async def test_a_page_from_elsewhere_cannot_act(tab, running):
    """Its forms come without the session: the browser keeps the cookie for the console's own pages, and from scripts."""
    await sign_in(tab, running)
    await to_workspace(tab, "search-prod")
    [cookie] = await tab.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    assert await tab.evaluate("document.cookie") == ""
    # The best that a stranger can have: even the form as it stands in the page, with its secrets.
    fields = await tab.locator("#create input[type=hidden]").evaluate_all(
        "all => all.map(it => `<input name=${it.name} value=${it.value}>`).join('')"
    )
    form = f"<form method=post action={tab.url}>{fields}<button>Win a prize</button></form>"
    await tab.route("http://elsewhere.example/", lambda route: route.fulfill(body=form, content_type="text/html"))
    await tab.goto("http://elsewhere.example/")
    await click(tab, "button", "Win a prize")
    assert tab.url.startswith(running.url)
    await expect(tab.get_by_text("Your new API key")).to_have_count(0)
    assert running.live_keys() == []


async def test_it_can_be_used_with_the_keyboard_alone(tab, running):
    """Skip link, dialog with the focus kept in it and given back, creation, and both steps of revoking."""
    await tab.goto(running.url)
    await tab.keyboard.insert_text(running.admin_key)
    await press_enter(tab)
    await tab.keyboard.press("Tab")
    await expect(tab.get_by_role("link", name="Skip to the content")).to_be_focused()
    await tab.keyboard.press("Enter")
    await walk_to(tab, "search-prod")
    await press_enter(tab)
    await walk_to(tab, "Create new key")
    await tab.keyboard.press("Enter")
    await expect(tab.get_by_role("dialog", name="Create new key")).to_be_visible()
    visited = set()
    for _ in range(12):
        visited.add(
            await tab.evaluate("document.activeElement.closest('dialog') ? 'inside' : document.activeElement.tagName")
        )
        await tab.keyboard.press("Tab")
    assert visited <= {"inside", "BODY"}, "the focus left the dialog for the page behind it"
    await tab.keyboard.press("Escape")
    await expect(tab.get_by_role("dialog")).to_be_hidden()
    await expect(tab.get_by_role("link", name="Create new key")).to_be_focused()
    await tab.keyboard.press("Enter")
    await expect(tab.get_by_label("Name (optional)")).to_be_focused()
    await tab.keyboard.insert_text("by keyboard")
    await press_enter(tab)
    key = await plaintext(tab)
    await walk_to(tab, "Done")
    await press_enter(tab)
    await walk_to(tab, "Revoke by keyboard")
    await tab.keyboard.press("Space")
    await expect(tab.locator(".danger")).to_be_focused()
    assert running.accepts(key)
    await press_enter(tab)
    assert not running.accepts(key)


async def test_without_scripts_everything_works(chromium, running):
    """The form stands in the page, a reload of the confirmation makes and shows nothing, two clicks revoke."""
    async with a_tab(chromium, scripts=False) as tab:
        await sign_in(tab, running)
        await to_workspace(tab, "billing")
        await click(tab, "link", "Create new key")
        await click(tab, "button", "Create new key")
        key = await plaintext(tab)
        assert running.accepts(key)
        await expect(tab.locator("#copy")).to_be_hidden()
        await tab.reload()
        await expect(tab.get_by_role("status")).to_contain_text("cannot be shown again")
        assert key not in await tab.content()
        assert len(running.live_keys()) == 1
        async with tab.expect_navigation():
            await tab.locator(".trash").click()
        await expect(tab.get_by_role("group", name="Revoke for good?")).to_be_visible()
        await click(tab, "button", "Revoke")
        assert not running.accepts(key)


def a_key_of(running, name):
    """Made through the API in search-prod; its id."""
    _, workspaces = running.call("GET", "/v1/admin/workspaces?search=search-prod")
    _, users = running.call("GET", "/v1/admin/users")
    body = {"workspace_uuid": workspaces["items"][0]["uuid"], "user_id": users["members"][0]["uuid"], "name": name}
    return running.call("POST", "/v1/admin/api-keys", body)[1]["key_id"]


async def walk_to(tab, words):
    """Press Tab until the focus is on what is called so."""
    name = "(document.activeElement.ariaLabel || document.activeElement.textContent).replace(/\\s+/g, ' ').trim()"
    for _ in range(60):
        if (await tab.evaluate(name)).startswith(words):
            return
        await tab.keyboard.press("Tab")
    raise AssertionError(f"Tab does not come to {words}")
