"""Who gets into the console, and what its answers let a browser do."""

from __future__ import annotations

import logging
import re
from datetime import timedelta
from urllib.parse import urlencode

import pytest
from tests.sandbox.visitor import HOST, ORIGIN, Visitor

from keywright.sandbox.plaintext import new_plaintext

PAGES = [
    "/",
    "/organization/api-keys",
    "/organization/usage",
    "/organization/audit-log",
    "/organization/policy",
    "/workspaces/{}/api-keys",
    "/workspaces/{}/usage",
]


@pytest.mark.parametrize("path", PAGES)
async def test_nothing_is_shown_to_who_is_not_signed_in(sandbox, path):
    """Each page leads to the form that asks for the admin key, and a workspace that exists looks like one that does not."""
    for workspace in (await sandbox.workspace(), "nothing"):
        page = await Visitor(sandbox).get(path.format(workspace), follow=False)
        assert (page.status, page.headers["location"], page.html) == (303, "/sign-in", "")


async def test_the_admin_key_opens_the_console(sandbox):
    """The first page asks which workspace, and knows the organization's own view."""
    page = await Visitor(sandbox).sign_in()
    assert (page.status, page.path) == (200, "/")
    for name in ("Choose a workspace", "Default", "search-prod", "billing", "All workspaces", "No workspace chosen"):
        assert name in page.text


async def test_another_key_does_not(sandbox):
    """401 and a sentence, for no key, a wrong one, an ordinary one; no cookie, and nothing that was typed comes back."""
    ordinary = (await sandbox.a_key())["key"]
    for key in ("", new_plaintext(), ordinary, sandbox.admin_key[:-1], "é"):
        somebody = Visitor(sandbox)
        page = await somebody.sign_in(key)
        assert page.status == 401
        assert "That is not the admin key" in page.text
        assert somebody.cookies == {}
        assert not key or key not in page.html


async def test_the_admin_key_is_in_no_address_page_cookie_or_log(sandbox, caplog):
    """It is sent in a form's body, once."""
    caplog.set_level(logging.DEBUG)
    somebody = Visitor(sandbox)
    form = (await somebody.get("/sign-in")).form("/sign-in")
    entered = await somebody.send(form, follow=False, admin_key=sandbox.admin_key)
    first = await somebody.get("/")
    said = [str(entered.headers), str(somebody.cookies), first.html, str(first.headers), caplog.text]
    assert not [text for text in said if sandbox.admin_key in text]
    assert (await somebody.get(f"/sign-in?{urlencode({'admin_key': sandbox.admin_key})}")).path == "/"
    stranger = await Visitor(sandbox).get(f"/?{urlencode({'admin_key': sandbox.admin_key})}")
    assert stranger.path == "/sign-in"


async def test_the_session_is_a_cookie_that_scripts_and_other_sites_do_not_get(sandbox):
    """HttpOnly, SameSite=Strict, for this host, named by the port; what it holds is random."""
    names = set()
    for _ in range(2):
        somebody = Visitor(sandbox)
        form = (await somebody.get("/sign-in")).form("/sign-in")
        entered = await somebody.send(form, follow=False, admin_key=sandbox.admin_key)
        name, _, rest = entered.headers["set-cookie"].partition("=")
        value, *attributes = rest.split("; ")
        assert name == "keywright-console-8080"
        assert sorted(attributes) == ["HttpOnly", "Path=/", "SameSite=strict"]
        assert len(value) >= 43
        names.add(value)
    assert len(names) == 2


async def test_signing_out_ends_the_session(sandbox, visitor):
    """The cookie is taken back, and opens nothing for who kept it."""
    kept = dict(visitor.cookies)
    page = await visitor.send((await visitor.get("/")).form("/sign-out"))
    assert page.path == "/sign-in"
    assert visitor.cookies == {}
    visitor.cookies = kept
    assert (await visitor.get("/")).path == "/sign-in"


async def test_a_session_ends_after_a_working_day(sandbox, visitor):
    """Then a page, and a form that was open, lead to the admin key again, and nothing is done."""
    form = (await visitor.keys()).form("/api-keys")
    sandbox.clock.now += timedelta(hours=7, minutes=59)
    assert (await visitor.get("/")).path == "/"
    sandbox.clock.now += timedelta(minutes=2)
    assert (await visitor.get("/")).path == "/sign-in"
    assert (await visitor.send(form)).path == "/sign-in"
    assert (await sandbox.get("/v1/admin/api-keys"))["keys"] == []


async def test_a_form_without_this_sessions_token_changes_nothing(sandbox, visitor):
    """No token, an invented one, another session's: 403, whatever the form would do."""
    made = await sandbox.a_key()
    keys = await visitor.keys()
    policy = await visitor.get("/organization/policy")
    other = Visitor(sandbox)
    await other.sign_in()
    foreign = (await other.keys()).form("/sign-out").fields["csrf"]
    for form in (keys.form("/ask"), *list(keys.forms.values())[-1:], policy.form("/policy"), policy.form("/sign-out")):
        for token in ("", "x", foreign):
            page = await visitor.send(form, csrf=token)
            assert page.status == 403, form.action
            assert "nothing was changed" in page.text
    assert [key["key_id"] for key in (await sandbox.get("/v1/admin/api-keys"))["keys"]] == [made["key_id"]]
    assert (await visitor.get("/")).path == "/"


@pytest.mark.parametrize(
    "headers",
    [
        [("sec-fetch-site", "cross-site")],
        [("sec-fetch-site", "same-site"), ("origin", ORIGIN)],
        [("origin", "http://evil.example")],
        [("origin", "null")],
        [("origin", f"http://{HOST}.evil.example")],
        [("origin", "http://127.0.0.1:9999")],
    ],
    ids=str,
)
async def test_a_form_from_another_site_changes_nothing(sandbox, visitor, headers):
    """Even with the cookie and the token: browsers say where a form came from. So it is for signing in."""
    form = (await visitor.keys()).form("/api-keys")
    assert (await visitor.send(form, headers=headers)).status == 403
    assert (await sandbox.get("/v1/admin/api-keys"))["keys"] == []
    stranger = Visitor(sandbox)
    form = (await stranger.get("/sign-in")).form("/sign-in")
    assert (await stranger.send(form, headers=headers, admin_key=sandbox.admin_key)).status == 403
    assert stranger.cookies == {}


@pytest.mark.parametrize("headers", [[], [("sec-fetch-site", "same-origin")], [("origin", ORIGIN)]], ids=str)
async def test_a_form_from_the_console_does(sandbox, visitor, headers):
    """Browsers that say it, and those that do not."""
    form = (await visitor.keys()).form("/api-keys")
    assert (await visitor.send(form, headers=headers)).status == 200


async def test_every_answer_forbids_what_a_page_does_not_need(sandbox, visitor):
    """No inline script or style, nothing from elsewhere, no frame, and pages are not kept."""
    made = await sandbox.a_key()
    addresses = [path.format(await sandbox.workspace()) for path in PAGES]
    addresses += ["/organization/nothing", f"/organization/api-keys/{made['key_id']}/ask", "/sign-in"]
    for address in addresses:
        page = await visitor.get(address, follow=False)
        policy = dict(rule.split(" ", 1) for rule in page.headers["content-security-policy"].split("; "))
        assert policy.pop("default-src") == policy.pop("base-uri") == policy.pop("frame-ancestors") == "'none'"
        assert set(policy.values()) == {"'self'"}
        assert page.headers["x-content-type-options"] == "nosniff"
        assert page.headers["referrer-policy"] == "same-origin"
        assert page.status == 303 or page.headers["cache-control"] == "no-store", address
        assert not re.search(r"\sstyle=|\son\w+=|<style|<script(?! src)|javascript:", page.html), address
        for outside in re.findall(r"(?:src|href|action)=\"([^\"]*)\"", page.html):
            assert re.match(r"[/#](?!/)", outside), outside


async def test_what_is_static_may_be_kept(sandbox):
    """Without signing in, since it tells nothing; its address changes with it."""
    page = await Visitor(sandbox).get("/sign-in")
    addresses = re.findall(r"\"(/static/[^\"]+)\"", page.html)
    assert len(set(addresses)) == 3
    for address in addresses:
        path, _, version = address.partition("?v=")
        answered = await sandbox.call("GET", path, key=None)
        assert answered.status == 200
        assert "immutable" in answered.headers["cache-control"]
        assert re.fullmatch(r"[0-9a-f]{12}", version)
    for path in ("/static/", "/static/nothing", "/static/../templates/keys.html", "/static/%2e%2e/pages.py"):
        assert (await sandbox.call("GET", path, key=None)).status == 404


async def test_what_is_no_page_is_a_page_that_says_so(sandbox, visitor):
    """404 and 405 in HTML; the API's own stay JSON."""
    for path in ("/organization/nothing", "/workspaces/nothing/api-keys", f"/workspaces/{await sandbox.user()}/usage"):
        page = await visitor.get(path)
        assert (page.status, "That did not work" in page.text) == (404, True)
    assert (await sandbox.call("DELETE", "/", key=None)).status == 405
    for path in ("/v1/admin/nothing", "/sandbox/nothing", "/api/admin/api-keys", "/organizations"):
        assert (await sandbox.call("GET", path)).json == {"detail": "Not Found"}


@pytest.mark.parametrize(
    ("kind", "raw", "status"),
    [
        ("application/json", b"{}", 415),
        ("multipart/form-data; boundary=x", b"--x--", 415),
        ("application/x-www-form-urlencoded", b"a=" + b"x" * (1 << 16), 413),
        ("application/x-www-form-urlencoded", b"&".join(b"a=1" for _ in range(100)), 400),
        ("application/x-www-form-urlencoded", b"admin_key=%ff", 400),
        ("application/x-www-form-urlencoded", b"admin_key=\xff", 400),
        ("application/x-www-form-urlencoded", b"", 401),
    ],
    ids=str,
)
async def test_a_hostile_form_is_refused(sandbox, kind, raw, status):
    """With a page, and without repeating it."""
    answered = await sandbox.call("POST", "/sign-in", key=None, raw=raw, headers=[("content-type", kind)])
    assert answered.status == status
    assert b"xxxx" not in answered.body
