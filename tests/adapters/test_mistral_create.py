"""Creating a key on a wire that goes wrong: what is ambiguous, what is not, and what no error gives away."""

from __future__ import annotations

import json
import logging
from datetime import UTC, date, datetime

import pytest
from tests.adapters.mistral_answers import EMPTY_LIST, KEY_ID, PLAINTEXT, REQUEST, created, told, without
from tests.adapters.wire_server import ADMIN, USER, a_plaintext, cut, drip, hang, http, patience, reset, then

from keywright.errors import Ambiguous, Rejected, Unauthorized
from keywright.keys import SecretValue

WHOLE = created(PLAINTEXT)

UNCLEAR = {
    "closed without an answer": cut,
    "reset without an answer": reset,
    "no answer in time": hang,
    "no HTTP": then(b"SSH-2.0-OpenSSH_9.9\r\n\r\n"),
    "head cut off": then(b"HTTP/1.1 200 OK\r\nContent-Le"),
    "body cut off": then(http(200, WHOLE)[:-20]),
    "body reset": then(http(200, WHOLE)[:-20], reset),
    "body that hangs": then(http(200, WHOLE)[:-20], hang),
    "chunks cut off": then(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n" + json.dumps(WHOLE).encode()[:64]
    ),
    "body that drips": drip,
    "compression that is none": http(200, WHOLE, Content_Encoding="gzip"),
    "empty body": http(200),
    "no content": b"HTTP/1.1 204 No Content\r\n\r\n",
    "HTML": http(200, f"<html>{PLAINTEXT}</html>".encode()),
    "JSON that ends early": http(200, json.dumps(WHOLE).encode()[:-2]),
    "a list": http(200, [WHOLE]),
    "null": http(200, None),
    "no key_id": http(200, without(WHOLE, "key_id")),
    "key_id null": http(200, WHOLE | {"key_id": None}),
    "key_id that climbs": http(200, WHOLE | {"key_id": "../../users"}),
    "no key": http(200, without(WHOLE, "key")),
    "key null": http(200, WHOLE | {"key": None}),
    "key with a line break": http(200, WHOLE | {"key": f"{PLAINTEXT}\n"}),
    "no expiration_date": http(200, without(WHOLE, "expiration_date")),
    "expiration_date that is none": http(200, WHOLE | {"expiration_date": PLAINTEXT}),
    "303": http(303, Location="https://elsewhere.example/"),
    "408": http(408),
    "500": http(500, WHOLE),
    "502": http(502, b"<html>"),
    "503": http(503, Retry_After="7"),
    "504": http(504),
    "599": http(599),
}


@pytest.mark.parametrize("script", UNCLEAR.values(), ids=UNCLEAR)
async def test_create_that_may_have_happened_is_ambiguous(wire, an_issuer, caplog, script):
    """No such answer says that no key was made; it is asked once, and nothing that can be printed holds a secret."""
    caplog.set_level(logging.DEBUG)
    wire.answers(script)
    admin_key = a_plaintext()
    with pytest.raises(Ambiguous) as caught:
        await an_issuer(deadline=patience(script), admin_key=admin_key).create(REQUEST)
    assert "a key may have been made" in str(caught.value)
    assert [(one.method, one.target) for one in wire.seen] == [("POST", f"{ADMIN}/api-keys")]
    for secret in (PLAINTEXT, admin_key):
        assert secret not in told(caught.value)
        assert secret not in caplog.text


@pytest.mark.parametrize(
    ("script", "kind", "reason"),
    [
        (http(400), Rejected, "IssuerRefused"),
        (http(401), Unauthorized, "AdminKeyRefused"),
        (http(402), Rejected, "IssuerRefused"),
        (http(403), Unauthorized, "AdminKeyRefused"),
        (http(404), Rejected, "IssuerRefused"),
        (http(409), Rejected, "IssuerRefused"),
        (http(422), Rejected, "IssuerRefused"),
        (http(307, Location="https://elsewhere.example/secret?token=1"), Rejected, "IssuerInvalid"),
    ],
    ids=lambda value: value[9:12].decode() if isinstance(value, bytes) else "",
)
async def test_create_that_was_refused_is_not_ambiguous(wire, an_issuer, script, kind, reason):
    """A 4xx or a redirect says that no key was made, and whose fault it is."""
    wire.answers(script)
    with pytest.raises(kind) as caught:
        await an_issuer().create(REQUEST)
    assert caught.value.reason == reason
    assert len(wire.seen) == 1


async def test_create_sends_what_was_asked_and_returns_what_was_answered(wire, an_issuer):
    """Name, workspace, user and expiration go out as the reference says; the platform's own expiry comes back."""
    wire.answers(http(200, created(PLAINTEXT, expiration_date="2030-06-30", created_at="2030-01-31T10:00:00")))
    issued = await an_issuer(admin_key="the-admin-key").create(REQUEST)
    assert issued.plaintext == SecretValue(PLAINTEXT)
    assert (issued.key_id, issued.expires_on) == (KEY_ID, date(2030, 6, 30))
    assert issued.created_at == datetime(2030, 1, 31, 10, tzinfo=UTC)
    [seen] = wire.seen
    assert json.loads(seen.body) == {
        "name": REQUEST.name,
        "workspace_uuid": REQUEST.workspace_id,
        "user_id": USER,
        "expiration": "2031-01-31",
    }
    assert seen.headers["authorization"] == "Bearer the-admin-key"
    assert seen.headers["content-type"] == "application/json"
    assert seen.headers["user-agent"].startswith("keywright/")
    assert "cookie" not in seen.headers


async def test_admin_key_goes_where_the_spec_says(wire, an_issuer):
    """With authHeader x-api-key there is no Authorization; an ordinary key is a Bearer token all the same."""
    wire.answers(EMPTY_LIST)
    issuer = an_issuer(authHeader="x-api-key", admin_key="the-admin-key")
    await issuer.list_keys()
    await issuer.check(SecretValue(PLAINTEXT))
    admin, check = wire.seen
    assert (admin.headers["x-api-key"], admin.headers.get("authorization")) == ("the-admin-key", None)
    assert (check.headers.get("x-api-key"), check.headers["authorization"]) == (None, f"Bearer {PLAINTEXT}")


@pytest.mark.parametrize(
    "hidden", [PLAINTEXT, f"...{PLAINTEXT}", "", "no mask"], ids=["all", "dots before", "empty", "words"]
)
async def test_a_mask_that_hides_nothing_is_replaced(wire, an_issuer, hidden):
    """A platform that forgets to mask does not get its key into a status."""
    wire.answers(http(200, created(PLAINTEXT, hidden_key=hidden)))
    assert (await an_issuer().create(REQUEST)).masked == "****"


async def test_a_refusal_is_quoted_briefly_and_without_what_was_sent(wire, an_issuer):
    """Location and message are shown, cleaned; input, context, control characters and key-like runs are not."""
    complaint = {
        "loc": ["body", "name"],
        "msg": f"too\nlong\x1b[31m {PLAINTEXT}",
        "type": "x",
        "input": "echoed",
        "ctx": {},
    }
    wire.answers(
        http(422, {"detail": [complaint]}),
        http(404, {"detail": "No\tsuch workspace"}),
        http(400, {"detail": "é" * 900}),
    )
    said = []
    for _ in range(3):
        with pytest.raises(Rejected) as caught:
            await an_issuer().create(REQUEST)
        said.append(str(caught.value).partition(": ")[2])
    assert said[0] == "body.name: too long [31m [...]"
    assert said[1] == "No such workspace"
    assert len(said[2]) == 200
