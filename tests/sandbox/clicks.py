"""How tests find things on the console's pages, and its first two pages."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from playwright.async_api import Error, expect


def row(tab, words):
    """The row of the list that has these words in it."""
    return tab.locator("#list tbody tr").filter(has_text=words)


def trash(tab, words):
    """That row's icon."""
    return row(tab, words).locator(".trash")


def danger(tab, words):
    """The button that revokes, in that row's question; the icon before it has the same name."""
    return row(tab, words).locator(".danger")


async def ask(tab, words):
    """Click on the icon, and wait for the question: until it is there, the icon has the name of the question's button."""
    await trash(tab, words).click()
    await expect(danger(tab, words)).to_be_focused()


async def click(tab, role, name):
    """Click on a link or a button that leads to another page, and wait for that."""
    async with tab.expect_navigation():
        await tab.get_by_role(role, name=name).click()


async def press_enter(tab):
    """On what leads to another page, and wait for that."""
    async with tab.expect_navigation():
        await tab.keyboard.press("Enter")


async def sign_in(tab, sandbox):
    """Type the admin key."""
    await tab.goto(sandbox.url)
    await expect(tab.get_by_label("Admin key")).to_be_focused()
    await tab.keyboard.insert_text(sandbox.admin_key)
    await click(tab, "button", "Sign in")


async def to_workspace(tab, name):
    """Choose it on the first page."""
    await click(tab, "link", name)
    await expect(tab.locator("#context")).to_contain_text(name)


async def open_the_form(tab):
    """The modal that makes a key, with the focus on its first field."""
    await tab.get_by_role("link", name="Create new key").click()
    form = tab.get_by_role("dialog", name="Create new key")
    await expect(form).to_be_visible()
    return form


async def a_key_by_hand(tab, name=""):
    """Made with the form of the page that is open; its plaintext."""
    await open_the_form(tab)
    await tab.keyboard.insert_text(name)
    await press_enter(tab)
    return await plaintext(tab)


async def plaintext(tab):
    """The key that is shown once."""
    await expect(tab.get_by_role("dialog", name="Your new API key")).to_be_visible()
    return await tab.locator("#plaintext").inner_text()


async def content(tab):
    """The page as it stands, once none is on its way: a page that leads on to another by itself has none to give meanwhile."""
    async with asyncio.timeout(60):
        while True:
            with suppress(Error):
                return await tab.content()
            await asyncio.sleep(0.05)


async def until(tab, holds):
    """Wait for what a line of JavaScript says; asked from here, since the page's own policy forbids Playwright to go on asking in it."""
    async with asyncio.timeout(60):
        while True:
            with suppress(Error):  # one page goes, the next is not there yet
                if await tab.evaluate(holds):
                    return
            await asyncio.sleep(0.05)
