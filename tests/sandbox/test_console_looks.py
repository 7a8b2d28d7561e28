"""What the console looks like: to people who see it, on which screen whatever, and to those who hear it read aloud.

`make screenshots` puts the pictures into docs/console; a run of the tests makes them too, and keeps none.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.async_api import expect
from tests.browser import a_tab
from tests.running import Sandbox
from tests.sandbox.clicks import ask, click, open_the_form, plaintext, press_enter, sign_in, to_workspace, until

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("browser"), pytest.mark.asyncio(loop_scope="session")]

AXE = Path(__file__).parent / "axe-core" / "axe.min.js"
PICTURES = "KEYWRIGHT_SCREENSHOTS"
"""The environment variable that names a folder for the pictures."""

TAKEN = {
    "desk": ({"width": 1280, "height": 720}, {"keys-light", "question-light", "create-light", "made-dark"}),
    "phone": ({"width": 390, "height": 844}, {"keys-phone"}),
}
"""Which pictures, on which screen."""
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    """The real command, serving, with keys of people and of operators, some of them used."""
    running = Sandbox(tmp_path_factory.mktemp("looks"), "--max-validity-days", "365")
    running.start()
    fill(running)
    yield running
    running.kill()


def fill(running):
    """Keys of every kind that the list tells apart."""
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


async def every_page(tab, sandbox):
    """Show each page and dialog, and yield its name; at the end the keys are those of the beginning."""
    # The question stands for fifteen seconds, and a slow machine looks at it for longer.
    await tab.add_init_script(
        "{ const later = setTimeout; setTimeout = (work, after) => later(work, after < 15_000 ? after : 600_000); }"
    )
    await tab.goto(f"{sandbox.url}/sign-in")
    yield "sign-in"
    await tab.get_by_label("Admin key").fill("no such key")
    await click(tab, "button", "Sign in")
    yield "refused"
    await sign_in(tab, sandbox)
    yield "workspaces"
    await tab.goto(f"{sandbox.url}/organization/nothing")
    yield "a page that is not"
    await tab.goto(sandbox.url)
    await to_workspace(tab, "search-prod")
    yield "keys"
    await ask(tab, "mistral-key")
    yield "question"
    await tab.get_by_role("link", name="Keep").click()
    await expect(tab.locator(".question")).to_have_count(0)
    await open_the_form(tab)
    yield "create"
    await tab.keyboard.insert_text("my notebook")
    await press_enter(tab)
    await plaintext(tab)
    yield "made"
    await click(tab, "link", "Done")
    await ask(tab, "my notebook")
    await click(tab, "button", "Revoke my notebook")
    yield "revoked"
    await click(tab, "link", "Usage")
    yield "usage"
    for tab_of_it in ("api-keys", "usage", "audit-log", "policy"):
        await tab.goto(f"{sandbox.url}/organization/{tab_of_it}")
        yield f"organization {tab_of_it}"
    await tab.get_by_label("Longest validity").fill("-1")
    await click(tab, "button", "Save")
    yield "a policy that is not"
    await tab.goto(f"{sandbox.url}/organization/api-keys?create=1")
    await expect(tab.get_by_role("dialog")).to_be_visible()
    yield "organization create"
    await tab.get_by_label("Workspace").evaluate("it => { it.required = false; }")
    await click(tab, "button", "Create new key")
    await expect(tab.get_by_role("dialog")).to_be_visible()
    yield "organization create without a workspace"
    await tab.goto(f"{sandbox.url}/organization/api-keys?search=nothing")
    yield "nothing found"


@pytest.mark.parametrize("width", [1280, 360])
async def test_axe_finds_nothing_on_any_page(chromium, sandbox, width):
    """axe-core's rules, those of WCAG 2.2 AA among them: names, roles, contrast, order, sizes; none is left out."""
    found = {}
    async with a_tab(chromium, width=width) as tab:
        async for page in every_page(tab, sandbox):
            await tab.evaluate(AXE.read_text(encoding="utf-8"))
            for scheme in ("light", "dark"):
                await tab.emulate_media(color_scheme=scheme)
                passes, violations = await tab.evaluate(
                    "axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']}).then(it => "
                    "[it.passes.length, it.violations.map(one => [one.id, one.impact, one.nodes.map(n => n.html)])])"
                )
                assert passes > 10
                if violations:
                    found[page, scheme] = violations
    assert found == {}


async def test_nothing_runs_off_a_narrow_screen(chromium, sandbox):
    """No page scrolls sideways, and what is tapped is large enough for a thumb."""
    async with a_tab(chromium, width=360, height=640) as tab:
        async for page in every_page(tab, sandbox):
            for width in (320, 360, 800):
                await tab.set_viewport_size({"width": width, "height": 640})
                assert await tab.evaluate("document.documentElement.scrollWidth") <= width, page
                small = await tab.evaluate(
                    "[...document.querySelectorAll('button, .button, input:not([type=hidden]), select')]"
                    ".filter(it => it.checkVisibility() && it.type !== 'checkbox')"
                    ".map(it => [it.outerHTML, it.getBoundingClientRect().width, it.getBoundingClientRect().height])"
                    ".filter(([, width, height]) => Math.min(width, height) < 40)"
                )
                assert small == [], page


async def test_the_context_is_always_visible(chromium, sandbox):
    """However far down somebody has read: which workspace this is, or that it is the organization."""
    async with a_tab(chromium, width=360, height=400) as tab:
        await sign_in(tab, sandbox)
        await to_workspace(tab, "search-prod")
        context = tab.locator("#context")
        for name in ("Workspace search-prod", "Organization all workspaces"):
            await tab.evaluate("scrollTo(0, document.body.scrollHeight)")
            await until(tab, "scrollY > 300")
            await expect(context).to_be_in_viewport(ratio=1)
            await expect(context).to_contain_text(name)
            await tab.goto(f"{sandbox.url}/organization/api-keys")


@pytest.mark.parametrize("name", TAKEN)
async def test_pictures(chromium, sandbox, tmp_path, name):
    """The pages that docs/console.md shows, among them."""
    folder = Path(os.environ.get(PICTURES) or tmp_path)
    screen, wanted = TAKEN[name]
    taken = set()
    async with a_tab(chromium, **screen) as tab:
        async for page in every_page(tab, sandbox):
            for picture in wanted & {f"{page}-{look}" for look in ("light", "dark", "phone")}:
                await tab.emulate_media(color_scheme="dark" if picture.endswith("-dark") else "light")
                await tab.screenshot(path=folder / f"{picture}.png")
                assert (folder / f"{picture}.png").read_bytes().startswith(PNG)
                taken.add(picture)
    assert taken == wanted
