"""Malformed and hostile requests: 422 with the reference's body, never a 500, and nothing of them is repeated."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.slow

BROKEN_BODIES = {
    "nothing": b"",
    "no JSON": b"{",
    "invalid UTF-8": b'{"name": "\xff\xfe", "workspace_uuid": 1}',
    "a lone surrogate": rb'{"name": "\ud800"}',
    "a list": b"[]",
    "null": b"null",
    "deep nesting": b"[" * 100_000,
    "deep nesting in a field": b'{"name":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    "a huge integer": b'{"name": ' + b"9" * 10_000 + b"}",
    "NaN": b'{"name": NaN}',
    "two values": b"{}{}",
    "a byte order mark": b"\xef\xbb\xbf{}",
    "more than a megabyte": b'{"name": "' + b"x" * (1 << 20) + b'"}',
}

OPERATIONS = [
    ("POST", "/v1/admin/api-keys"),
    ("POST", "/v1/admin/workspaces"),
    ("PUT", "/sandbox/policy"),
    ("PUT", "/sandbox/rate-limit"),
]


def is_a_validation_error(answered):
    """The reference's HTTPValidationError, without what would repeat the request."""
    assert answered.status == 422, answered
    assert answered.headers["content-type"] == "application/json"
    assert answered.json["detail"]
    for error in answered.json["detail"]:
        assert set(error) == {"loc", "msg", "type"}
    return True


@pytest.mark.parametrize("raw", BROKEN_BODIES.values(), ids=BROKEN_BODIES)
async def test_a_broken_body_is_422(sandbox, raw):
    """Whatever the bytes are, for each operation that takes a body."""
    sent = [("content-type", "application/json")]
    for method, path in OPERATIONS:
        assert is_a_validation_error(await sandbox.call(method, path, raw=raw, headers=sent)), path


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "/", "é"]
)
async def test_another_content_type_is_422(sandbox, kind):
    """A body that does not say it is JSON is not read as JSON."""
    raw = json.dumps({"workspace_uuid": await sandbox.workspace(), "user_id": await sandbox.user()}).encode()
    answered = await sandbox.call("POST", "/v1/admin/api-keys", raw=raw, headers=[("content-type", kind)])
    assert is_a_validation_error(answered)
    assert (await sandbox.get("/v1/admin/api-keys"))["keys"] == []


@pytest.mark.parametrize(
    "fields",
    [
        {"name": 1},
        {"name": "x" * 256},
        {"name": ["x"]},
        {"expiration": "tomorrow"},
        {"expiration": "2027-02-30"},
        {"expiration": "0000-01-01"},
        {"expiration": "2027-01-31T00:00:00Z"},
        {"expiration": "20270131"},
        {"expiration": "2027-0\u0661-31"},
        {"expiration": 1_800_000_000},
        {"expiration": True},
        {"workspace_uuid": "search-prod"},
        {"workspace_uuid": None},
        {"workspace_uuid": "00000000-0000-0000-0000-000000000000\n"},
        {"user_id": 1},
        {"user_id": "{00000000-0000-0000-0000-000000000000}"},
    ],
    ids=str,
)
async def test_a_wrong_field_of_a_create_is_422(sandbox, fields):
    """Types are not bent, and nothing is issued."""
    body = {"workspace_uuid": await sandbox.workspace(), "user_id": await sandbox.user(), **fields}
    answered = await sandbox.call("POST", "/v1/admin/api-keys", body)
    assert is_a_validation_error(answered)
    assert [error["loc"] for error in answered.json["detail"]] == [["body", next(iter(fields))]]
    assert (await sandbox.get("/v1/admin/api-keys"))["keys"] == []


@pytest.mark.parametrize("field", ["workspace_uuid", "user_id"])
async def test_a_missing_field_is_422(sandbox, field):
    """Both ids are required."""
    body = {"workspace_uuid": await sandbox.workspace(), "user_id": await sandbox.user()}
    del body[field]
    assert is_a_validation_error(await sandbox.call("POST", "/v1/admin/api-keys", body))


@pytest.mark.parametrize("name", ["\x00", "a\x00b", "'; DROP TABLE api_keys; --", "\u202e", "😀" * 255, " ", ""])
async def test_any_text_is_a_name(sandbox, name):
    """What JSON can say is kept as it is."""
    assert (await sandbox.a_key(name=name))["name"] == name
    assert (await sandbox.get("/v1/admin/api-keys"))["keys"][0]["name"] == name


QUERIES = {
    "/v1/admin/api-keys": [
        b"limit=x",
        b"limit=",
        b"limit=1.5",
        b"limit=1e3",
        b"limit=1_0",
        b"limit=+1",
        b"offset=\xff",
    ],
    "/v1/admin/workspaces": [b"page=0", b"page=-1", b"page_size=0", b"is_archived=2", b"is_archived=", b"page=%00"],
    "/v1/admin/users": [b"page=%D9%A1", b"page_size=%20"],
    "/v1/admin/usage": [b"month=13", b"month=x", b"year=99999", b"workspace_id=x", b"api_zone=mars", b"api_zone="],
    "/v1/admin/audit-logs": [
        b"after=yesterday",
        b"after=2026-01-01",
        b"after=2026-13-01T00:00:00Z",
        b"before=2026-01-01T00:00:61Z",
        b"before=2026-01-01T00:00:00%2B25:00",
        b"event_type=api_key.stolen",
        b"event_type=api_key.create&event_type=",
        b"actor_type=human",
        b"target_type=%00",
        b"sort=up",
        b"limit=" + b"9" * 5_000,
    ],
}


@pytest.mark.parametrize(("path", "queries"), QUERIES.items(), ids=QUERIES)
async def test_a_wrong_query_is_422(sandbox, path, queries):
    """Parameters are read as the reference's types, no wider."""
    for query in queries:
        assert is_a_validation_error(await sandbox.call("GET", path, query=query)), query


ACCEPTED = {
    "/v1/admin/api-keys": [b"name=%00", b"name=%ff%fe", b"name=%ED%A0%80", b"limit=99999999999999999999", b"unknown=1"],
    "/v1/admin/workspaces": [b"search=%00", b"page=99999999999999999999&page_size=99999999999999999999"],
    "/v1/admin/users": [b"email=%ff", b"page=99999999999999999999999999"],
    "/v1/admin/usage": [b"month=1&year=1000", b"month=12&year=2999"],
    "/v1/admin/audit-logs": [
        b"limit=-99999999999999999999",
        b"limit=99999999999999999999",
        b"after=0001-01-01T00:00:00%2B23:59",
        b"before=9999-12-31T23:59:60-23:59",
        b"after=2026-01-01t00:00:00.123456789z",
        b"actor_user_uuid=%00",
    ],
}


@pytest.mark.parametrize(("path", "queries"), ACCEPTED.items(), ids=ACCEPTED)
async def test_an_odd_query_within_the_types_is_answered(sandbox, path, queries):
    """Numbers beyond the database's, times beyond the calendar, bytes that are no text: no reason to fall over."""
    for query in queries:
        assert (await sandbox.call("GET", path, query=query)).status == 200, query


@pytest.mark.parametrize(
    ("query", "status"), [(b"limit=0", 422), (b"limit=101", 422), (b"offset=-1", 422), (b"offset=" + b"9" * 30, 200)]
)
async def test_the_bounds_of_a_users_own_list(sandbox, query, status):
    """/v1/users/me/workspaces takes 1 to 100 at once, from 0 on."""
    key = (await sandbox.a_key())["key"]
    assert (await sandbox.call("GET", "/v1/users/me/workspaces", query=query, key=key)).status == status


@pytest.mark.parametrize("key_id", ["x", "%00", "%ff", "..%2f..", "1" * 5_000, "00000000000000000000000000000000"])
async def test_a_path_without_an_id_is_refused(sandbox, key_id):
    """422 where it is one segment, 404 where it is not."""
    assert (await sandbox.call("DELETE", f"/v1/admin/api-keys/{key_id}")).status == (404 if "%2f" in key_id else 422)


async def test_a_refusal_repeats_nothing_of_the_request(sandbox):
    """A key that strays into a field does not come back in an error, where logs would keep it."""
    key = (await sandbox.a_key())["key"]
    body = {"workspace_uuid": key, "user_id": {key: key}, "expiration": key}
    answered = await sandbox.call("POST", "/v1/admin/api-keys", body)
    assert is_a_validation_error(answered)
    assert key.encode() not in answered.body
    assert key.encode() not in (await sandbox.call("GET", "/v1/admin/usage", query=[("month", key)])).body


async def test_another_method_is_405_and_names_all_that_are_allowed(sandbox):
    """Allow lists what the path takes, over all of its operations."""
    answered = await sandbox.call("PUT", "/v1/admin/api-keys")
    assert (answered.status, answered.headers["allow"]) == (405, "GET, POST")
    answered = await sandbox.call("POST", f"/v1/admin/workspaces/{await sandbox.workspace()}")
    assert (answered.status, answered.headers["allow"]) == (405, "DELETE, PATCH")


@pytest.mark.parametrize("path", ["/v1/admin/api-keys/", "/v2/models", "/openapi.json", "/docs", "/redoc"])
async def test_an_unknown_path_is_404(sandbox, path):
    """No redirects, and no document of its own: the reference is the contract."""
    answered = await sandbox.call("GET", path)
    assert (answered.status, answered.json) == (404, {"detail": "Not Found"})
