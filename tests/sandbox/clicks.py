"""How tests find things on the console's pages, and its first two pages."""

from __future__ import annotations

import json


def button(words):
    """A visible button by its words, as an expression of the page."""
    return _named("button", words)


def link(words):
    """A visible link by the beginning of its words."""
    return _named("a", words)


def row(words):
    """A row of the list that has these words in it; null where none has."""
    return f"([...document.querySelectorAll('#list tbody tr')].find(it => it.innerText.includes({json.dumps(words)})) ?? null)"


async def sign_in(tab, sandbox):
    """Type the admin key."""
    await tab.open(sandbox.url)
    await tab.until("document.activeElement.id === 'admin-key'")
    await tab.type(sandbox.admin_key)
    await tab.click(button("Sign in"), leaves=True)


async def to_workspace(tab, name):
    """Choose it on the first page."""
    await tab.click(link(name), leaves=True)
    assert name in await tab.value("document.getElementById('context').innerText")


def _named(tag, words):
    wanted = json.dumps(words)
    return (
        f"[...document.querySelectorAll('{tag}')]"
        f".find(it => it.checkVisibility() && it.innerText.trim().startsWith({wanted}))"
    )
