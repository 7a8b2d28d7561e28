"""Every other request to Mistral on a wire that goes wrong: reads, revocations and checks."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import pytest
from tests.adapters.mistral_answers import EMPTY_LIST, KEY_ID, PLAINTEXT, a_key, told
from tests.adapters.wire_server import ADMIN, USER, cut, drip, hang, http, patience, reset, then

from keywright.errors import RateLimited, Rejected, Unauthorized, Unavailable
from keywright.keys import KeyId, SecretValue

if TYPE_CHECKING:
    from keywright.errors import Retryable

READS = {
    "list": lambda issuer: issuer.list_keys(),
    "workspaces": lambda issuer: issuer.workspaces(),
    "user by address": lambda issuer: issuer.user_id("dev@example.com"),
    "user by uuid": lambda issuer: issuer.user_id(USER),
}

READ_FAULTS = {
    "closed without an answer": (cut, Unavailable, None),
    "reset without an answer": (reset, Unavailable, None),
    "no answer in time": (hang, Unavailable, None),
    "no HTTP": (then(b"SSH-2.0-OpenSSH_9.9\r\n\r\n"), Unavailable, None),
    "body cut off": (then(http(200, {"keys": []})[:-2]), Unavailable, None),
    "body that drips": (drip, Unavailable, None),
    "compression that is none": (http(200, b"{}", Content_Encoding="gzip"), Unavailable, None),
    "empty body": (http(200), Rejected, "IssuerMalformed"),
    "HTML": (http(200, b"<html>welcome</html>", Content_Type="text/html"), Rejected, "IssuerMalformed"),
    "wrong shape": (http(200, {"data": []}), Rejected, "IssuerMalformed"),
    "redirect": (http(301, Location="https://user:pw@elsewhere.example/x?token=1"), Rejected, "IssuerInvalid"),
    "400": (http(400), Rejected, "IssuerRefused"),
    "401": (http(401), Unauthorized, "AdminKeyRefused"),
    "403": (http(403), Unauthorized, "AdminKeyRefused"),
    "422": (http(422), Rejected, "IssuerRefused"),
    "500": (http(500), Unavailable, None),
    "502": (http(502, b"<html>"), Unavailable, None),
    "503": (http(503), Unavailable, None),
    "504": (http(504), Unavailable, None),
}


# What only a deadline ends takes a while: one read is enough there.
FAULTY_READS = {
    f"{name}-{what}": (fault, read)
    for name, fault in READ_FAULTS.items()
    for what, read in READS.items()
    if what == "list" or patience(fault[0]) is None
}


@pytest.mark.parametrize(("fault", "read"), FAULTY_READS.values(), ids=FAULTY_READS)
async def test_a_read_that_fails_is_never_an_empty_answer(wire, an_issuer, read, fault):
    """Each fault is its own error, with a reason where a person must act; it is asked once."""
    script, kind, reason = fault
    wire.answers(script)
    with pytest.raises(kind) as caught:
        await read(an_issuer(deadline=patience(script)))
    assert getattr(caught.value, "reason", None) == reason
    assert len(wire.seen) == 1
    assert "token" not in told(caught.value)


async def test_a_404_says_what_is_wrong(wire, an_issuer):
    """On a list it is the adminPath; on a user it is the user."""
    wire.answers(http(404, {"detail": "Not Found"}))
    for read, reason, word in (
        (READS["list"], "IssuerInvalid", "adminPath"),
        (READS["workspaces"], "IssuerInvalid", "adminPath"),
        (READS["user by uuid"], "UserNotFound", "spec.mistral.user"),
    ):
        with pytest.raises(Rejected, match=word) as caught:
            await read(an_issuer(adminPath="/api/admin"))
        assert caught.value.reason == reason
    assert wire.seen[0].target.startswith("/api/admin/api-keys?")


async def test_a_redirect_is_named_by_host_only(wire, an_issuer):
    """The message says where to, but neither path nor password, and nobody went there."""
    wire.answers(http(308, Location="https://user:pw@elsewhere.example:8443/x?token=1"))
    with pytest.raises(Rejected, match=r"to https://elsewhere\.example:8443 \(308\)") as caught:
        await an_issuer().workspaces()
    assert "pw" not in str(caught.value)
    assert "/x" not in str(caught.value)


@pytest.mark.parametrize("status", [200, 202, 204, 404])
async def test_revoke_is_done_when_the_key_is_gone(wire, an_issuer, sent, status):
    """Any success whatever its body, and a 404 of an Admin API that answers."""
    wire.answers(http(status, b"gone") if status != 204 else b"HTTP/1.1 204 No Content\r\n\r\n", EMPTY_LIST)
    await an_issuer().revoke(KeyId(KEY_ID))
    assert sent()[0] == f"DELETE {ADMIN}/api-keys/{KEY_ID}"


async def test_a_404_of_nowhere_revokes_nothing(wire, an_issuer):
    """Where everything is 404 the adminPath is wrong: a key that may live does not count as revoked."""
    wire.answers(http(404))
    with pytest.raises(Rejected, match="adminPath") as caught:
        await an_issuer().revoke(KeyId(KEY_ID))
    assert caught.value.reason == "IssuerInvalid"


@pytest.mark.parametrize("archived", [False, True])
async def test_a_404_of_the_workspace_s_own_organization_is_believed(wire, an_issuer, sent, archived):
    """Also where the workspace has been archived since."""
    there = http(200, {"total": 1, "items": [{"uuid": USER, "name": "search-prod"}]})
    nothing = http(200, {"total": 0, "items": []})
    wire.answers(http(404), EMPTY_LIST, *([nothing, there] if archived else [there]))
    await an_issuer().revoke(KeyId(KEY_ID), USER.upper())
    assert ("is_archived=true" in sent()[-1]) == archived


async def test_a_404_of_another_organization_revokes_nothing(wire, an_issuer):
    """It knows neither the key nor its workspace: the key may live on in its own organization."""
    wire.answers(http(404), EMPTY_LIST, http(200, {"total": 0, "items": []}))
    with pytest.raises(Rejected, match="another organization") as caught:
        await an_issuer().revoke(KeyId(KEY_ID), USER)
    assert caught.value.reason == "WorkspaceNotFound"


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        (http(409), Unavailable),
        (http(500), Unavailable),
        (cut, Unavailable),
        (hang, Unavailable),
        (http(401), Unauthorized),
    ],
    ids=["409", "500", "cut", "hang", "401"],
)
async def test_revoke_that_failed_may_be_repeated(wire, an_issuer, script, kind):
    """DELETE is repeatable: nothing about it is ambiguous, and it is the caller who repeats it."""
    wire.answers(script)
    with pytest.raises(kind):
        await an_issuer(deadline=patience(script)).revoke(KeyId(KEY_ID))
    assert len(wire.seen) == 1


@pytest.mark.parametrize("key_id", ["..", "", "a/b", "a?b", "ä"])
async def test_revoke_sends_no_id_that_is_none(wire, an_issuer, key_id):
    """A status edited by hand cannot aim a DELETE at another path."""
    with pytest.raises(Rejected):
        await an_issuer().revoke(KeyId(key_id))
    assert wire.seen == []


@pytest.mark.parametrize(("status", "works"), [(200, True), (401, False), (403, False)])
async def test_check_believes_the_status(wire, an_issuer, status, works):
    """200 is True, 401 and 403 are False, whatever the body says; the key goes to checkUrl."""
    wire.answers(http(status, b"anything"))
    assert await an_issuer(checkUrl=f"{wire.url}/other/").check(SecretValue(PLAINTEXT)) is works
    assert (wire.seen[0].target, wire.seen[0].headers["authorization"]) == ("/other/v1/models", f"Bearer {PLAINTEXT}")


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        (http(500), Unavailable),
        (cut, Unavailable),
        (hang, Unavailable),
        (http(429), RateLimited),
        (http(404), Rejected),
    ],
    ids=["500", "cut", "hang", "429", "404"],
)
async def test_check_that_did_not_happen_is_no_refusal(wire, an_issuer, script, kind):
    """A platform that is away says nothing about the key, and its error does not hold it."""
    wire.answers(script)
    with pytest.raises(kind) as caught:
        await an_issuer(deadline=patience(script)).check(SecretValue(PLAINTEXT))
    assert PLAINTEXT not in told(caught.value)


async def test_a_secret_that_cannot_be_sent_is_not_sent(wire, an_issuer):
    """A line break would end the header early: an admin key with one is refused, an ordinary key does not work."""
    with pytest.raises(Unauthorized) as caught:
        await an_issuer(admin_key=f"{PLAINTEXT}\nX: y").workspaces()
    assert PLAINTEXT not in told(caught.value)
    assert await an_issuer().check(SecretValue("a\r\nb")) is False
    assert wire.seen == []


@pytest.mark.parametrize("also_live", [False, True])
async def test_archived_workspaces_are_those_that_are_not_listed_without_them(wire, an_issuer, also_live):
    """Whether the platform's filter adds them or shows them alone: its reference leaves that open."""
    live, old = {"uuid": USER, "name": "a"}, {"uuid": KEY_ID, "name": "old"}
    both = [live, old] if also_live else [old]
    wire.answers(http(200, {"total": 1, "items": [live]}), http(200, {"total": len(both), "items": both}))
    assert [one.name for one in await an_issuer().archived_workspaces()] == ["old"]


async def test_pages_of_workspaces_are_added_up(wire, an_issuer, sent):
    """All pages are read; where pages and total disagree they are read again, and in the end it is an error."""
    first = {"total": 2, "items": [{"uuid": USER, "name": "a"}], "page": 1, "page_size": 1}
    second = first | {"items": [{"uuid": KEY_ID, "name": "b"}], "page": 2}
    wire.answers(http(200, first), http(200, second))
    assert [one.name for one in await an_issuer().workspaces()] == ["a", "b"]
    assert sent()[1] == f"GET {ADMIN}/workspaces?is_archived=false&page=2&page_size=100"
    wire.answers(http(200, first), http(200, second | {"total": 3}), http(200, first), http(200, second))
    assert len(await an_issuer().workspaces()) == 2
    wire.answers(
        http(200, first),
        http(200, first | {"items": []}),
        http(200, first),
        http(200, first | {"items": []}),
        http(200, first | {"items": []}),
    )
    with pytest.raises(Unavailable):
        await an_issuer().workspaces()


async def test_an_invitation_is_no_member(wire, an_issuer):
    """An address that was only invited is told apart from one that nobody knows."""
    page = {"members": [{"uuid": USER, "email": "not-dev@example.com"}], "invites": [], "total": None}
    wire.answers(http(200, page | {"invites": [{"email": "Dev@Example.com"}]}), http(200, page))
    for word in ("pending", "no member"):
        with pytest.raises(Rejected, match=word) as caught:
            await an_issuer().user_id("dev@example.com")
        assert caught.value.reason == "UserNotFound"


async def test_a_plaintext_in_a_list_is_not_kept(wire, an_issuer):
    """A platform that lists plaintexts by mistake: they go no further."""
    wire.answers(http(200, {"keys": [a_key(KEY_ID, key=PLAINTEXT, hidden_key=PLAINTEXT)]}))
    listed = await an_issuer().list_keys("a&b [kw/é")
    assert PLAINTEXT not in repr(listed)
    assert listed[0].last_used == date(2030, 1, 31)
    assert wire.seen[0].target == f"{ADMIN}/api-keys?limit=100&offset=0&name=a%26b+%5Bkw/%C3%A9"


async def test_a_long_list_is_read_at_the_callers_pace(wire, an_issuer, sent):
    """Asked before each further page that can wait; a page that failed is asked for again once it returns; its own error ends all."""
    keys = [a_key(f"00000000-0000-4000-8000-{i:012}") for i in range(300)]
    pages = [http(200, {"keys": keys[offset : offset + 100]}) for offset in (0, 90, 180, 270, 290)]
    told_of: list[tuple[int, str]] = []

    async def pace(read: int, failed: Retryable | None) -> None:
        told_of.append((read, type(failed).__name__))
        if len(told_of) > 5:
            raise Unavailable("enough")

    wire.answers(pages[0], pages[1], http(503), *pages[2:])
    listed = await an_issuer().list_keys(pace=pace)
    assert len(listed) == 300
    assert told_of == [(100, "NoneType"), (190, "NoneType"), (190, "Unavailable"), (280, "NoneType")]
    assert [one.rpartition("=")[2] for one in sent()] == ["0", "90", "180", "180", "270", "290"]
    wire.answers(http(503))
    with pytest.raises(Unavailable, match="enough"):
        await an_issuer().list_keys(pace=pace)
    wire.answers(http(401))
    with pytest.raises(Unauthorized):
        await an_issuer().list_keys(pace=pace)


async def test_what_is_only_shown_of_a_key_may_be_missing_or_odd(wire, an_issuer):
    """Its Workspace's name and when it was created: a list is not refused for them."""
    given = a_key(KEY_ID, workspace_name="search-prod", created_at="2030-01-31T10:00:00Z")
    odd = a_key(USER, workspace_name=7, created_at="yesterday")
    wire.answers(http(200, {"keys": [given, odd]}))
    first, second = await an_issuer().list_keys()
    assert (first.workspace_name, first.created_at) == ("search-prod", datetime(2030, 1, 31, 10, tzinfo=UTC))
    assert (second.workspace_name, second.created_at) == (None, None)
