"""What the console looks like: to people who see it, on which screen whatever, and to those who hear it read aloud.

`make screenshots` puts the pictures into docs/console; a run of the tests makes them too, and keeps none.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.sandbox.clicks import link, row, sign_in, to_workspace

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("browser")]

AXE = Path(__file__).parent / "axe-core" / "axe.min.js"
PICTURES = "KEYWRIGHT_SCREENSHOTS"
"""The environment variable that names a folder for the pictures."""

SCREENS = {
    "light": ({"width": 1280, "height": 720}, {"keys", "question", "create"}),
    "dark": ({"width": 1280, "height": 720, "dark": True}, {"made"}),
    "phone": ({"width": 390, "height": 844}, {"keys"}),
}
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def sandbox(a_process):
    """The real command, serving, with keys of people and of operators, some of them used."""
    running = a_process("--max-validity-days", "365")
    running.start()
    _, workspaces = running.call("GET", "/v1/admin/workspaces")
    _, users = running.call("GET", "/v1/admin/users")
    ids = {one["name"]: one["uuid"] for one in workspaces["items"]}
    today = datetime.now(UTC).date()
    for number, (name, workspace, days) in enumerate(
        [
            ("nightly evaluation", "search-prod", -3),
            ("search/mistral-key [kw/1f0e2d3c/9a8b7c6d/k3x9q2ab]", "search-prod", 90),
            ("search/rerank [kw/1f0e2d3c/2b7d11aa/p0o9i8u7]", "search-prod", 30),
            ("billing/invoices [kw/1f0e2d3c/5e6f7a8b/zz81k2m4]", "billing", 14),
            ("Pipeline integration [kw/1f0e2d3c/7c8d9e0f/q1w2e3r4]", "search-prod", 180),
            (None, "search-prod", 365),
        ]
    ):
        body = {
            "name": name,
            "workspace_uuid": ids[workspace],
            "user_id": users["members"][number % 2]["uuid"],
            "expiration": str(today + timedelta(days=days)),
        }
        _, made = running.call("POST", "/v1/admin/api-keys", body)
        for _ in range(number * 3 if days > 0 else 0):
            assert running.accepts(made["key"])
    return running


async def every_page(tab, sandbox):
    """Show each page and dialog, and yield its name."""
    await tab.open(f"{sandbox.url}/sign-in")
    yield "sign-in"
    await sign_in(tab, sandbox)
    yield "workspaces"
    await tab.open(f"{sandbox.url}/organization/nothing")
    yield "a page that is not"
    await tab.open(sandbox.url)
    await to_workspace(tab, "search-prod")
    yield "keys"
    await tab.click(f"{row('mistral-key')}.querySelector('.trash')")
    await tab.until("document.querySelector('.question')")
    yield "question"
    await tab.click(link("Keep"))
    await tab.until("!document.querySelector('.question')")
    await tab.click(link("Create new key"))
    await tab.until("document.querySelector('#create:modal')")
    yield "create"
    await tab.type("Pipeline integration")
    await tab.press("Enter", leaves=True)
    await tab.until("document.querySelector('#made:modal')")
    yield "made"
    await tab.click(link("Done"), leaves=True)
    await tab.click(link("Usage"), leaves=True)
    yield "usage"
    for tab_of_it in ("api-keys", "usage", "audit-log", "policy"):
        await tab.open(f"{sandbox.url}/organization/{tab_of_it}")
        yield f"organization {tab_of_it}"
    await tab.open(f"{sandbox.url}/organization/api-keys?create=1")
    await tab.until("document.querySelector('#create:modal')")
    yield "organization create"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
async def test_axe_finds_nothing_on_any_page(tab, sandbox, width, dark):
    """axe-core's rules, those of WCAG 2.2 AA among them: names, roles, contrast, order, sizes; none is left out."""
    await tab.looks(width=width, dark=dark)
    found = {}
    async for page in every_page(tab, sandbox):
        await tab.value(AXE.read_text(encoding="utf-8"))
        report = await tab.value(
            "axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']}).then(it => "
            "JSON.stringify([it.passes.length, it.violations.map(one => [one.id, one.impact, one.nodes.map(n => n.html)])]))"
        )
        passes, violations = json.loads(report)
        assert passes > 10
        if violations:
            found[page] = violations
    assert found == {}


@pytest.mark.parametrize("width", [320, 360, 800])
async def test_nothing_runs_off_a_narrow_screen(tab, sandbox, width):
    """No page scrolls sideways, and what is tapped is large enough for a thumb."""
    await tab.looks(width=width, height=640)
    async for page in every_page(tab, sandbox):
        assert await tab.value("document.documentElement.scrollWidth") <= width, page
        small = await tab.value(
            "[...document.querySelectorAll('button, .button, input:not([type=hidden]), select')]"
            ".filter(it => it.checkVisibility() && it.type !== 'checkbox')"
            ".map(it => [it.outerHTML, it.getBoundingClientRect().width, it.getBoundingClientRect().height])"
            ".filter(([, width, height]) => Math.min(width, height) < 40)"
        )
        assert small == [], page


async def test_the_context_is_always_visible(tab, sandbox):
    """However far down somebody has read: which workspace this is, or that it is the organization."""
    await tab.looks(width=360, height=400)
    await sign_in(tab, sandbox)
    await to_workspace(tab, "search-prod")
    for name in ("Workspace search-prod", "Organization all workspaces"):
        await tab.value("scrollTo(0, document.body.scrollHeight)")
        await tab.until("scrollY > 300")
        box = "document.getElementById('context').getBoundingClientRect()"
        assert await tab.value(f"{box}.top >= 0 && {box}.bottom <= innerHeight")
        assert (await tab.value("document.getElementById('context').innerText")).startswith(name)
        await tab.open(f"{sandbox.url}/organization/api-keys")


@pytest.mark.parametrize("name", SCREENS)
async def test_pictures(tab, sandbox, tmp_path, name):
    """The pages that docs/console.md shows, among them."""
    folder = Path(os.environ.get(PICTURES) or tmp_path)
    look, wanted = SCREENS[name]
    await tab.looks(**look)
    taken = set()
    async for page in every_page(tab, sandbox):
        if page in wanted:
            picture = await tab.screenshot()
            assert picture.startswith(PNG)
            (folder / f"{page}-{name}.png").write_bytes(picture)
            taken.add(page)
    assert taken == wanted
