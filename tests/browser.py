"""Debian's Chromium without a window, driven by Playwright; nothing is downloaded.

Clicks and keys are the browser's own input events at the place where the thing is on the screen: what is covered,
hidden or out of order does not react.
"""

from __future__ import annotations

import os
import shutil
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from playwright.async_api import async_playwright, expect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser, ConsoleMessage, Page

__all__ = ["a_chromium", "a_tab", "chromium_path"]

PATIENCE = 60_000.0
"""Milliseconds that something on a page has to come true."""

expect.set_options(timeout=PATIENCE)


def chromium_path() -> str | None:
    """Where Chromium is, or None."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


@asynccontextmanager
async def a_chromium(executable: str) -> AsyncIterator[Browser]:
    """One process, for as many tabs as one likes."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=executable,
            # Its own sandbox cannot be had as root; the only pages it meets are keywright's.
            chromium_sandbox=os.getuid() != 0,
            # Playwright's wish, against which pages that a browser keeps whole would be left untested.
            ignore_default_args=["--disable-back-forward-cache"],
        )
        yield browser
        await browser.close()


@asynccontextmanager
async def a_tab(browser: Browser, *, width: int = 1280, height: int = 800, scripts: bool = True) -> AsyncIterator[Page]:
    """A tab with cookies of its own and nothing in its history. `scripts`: whether its pages may run any.

    On a phone where it is narrow. AssertionError at its end where a script failed in it, or a page broke its policy.
    """
    context = await browser.new_context(
        viewport={"width": width, "height": height},
        is_mobile=width < 600,
        java_script_enabled=scripts,
        permissions=["clipboard-read", "clipboard-write"],
    )
    context.set_default_timeout(PATIENCE)
    complaints: list[str] = []

    def said(message: ConsoleMessage) -> None:
        # Refused requests are the server's to say.
        if message.type in {"error", "warning"} and not message.text.startswith("Failed to load resource"):
            complaints.append(message.text)

    context.on("console", said)
    context.on("weberror", lambda error: complaints.append(str(error.error)))
    yield await context.new_page()
    await context.close()
    assert complaints == []
