"""Requests to the sandbox in this process: no socket, no client library that would put hostile bytes right."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote, urlencode


@dataclass(frozen=True)
class Answered:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, read."""
        return json.loads(self.body)


class Clock:
    """A time that tests set."""

    def __init__(self):
        self.now = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)

    def read(self):
        """The time."""
        return self.now


class Here:
    """The sandbox in this process, called with its admin key unless a test says otherwise."""

    def __init__(self, app, store, clock, admin_key):
        self.app, self.store, self.clock, self.admin_key = app, store, clock, admin_key

    async def call(self, method, path, body=None, *, query=None, key="admin", headers=None, raw=None):
        """`query`: pairs, or bytes as they are; `raw`: the body as it is; `key`: None sends none."""
        sent = [] if headers is None else [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
        if key is not None:
            sent.append((b"authorization", b"Bearer " + (self.admin_key if key == "admin" else key).encode()))
        if body is not None:
            raw = json.dumps(body).encode()
            sent.append((b"content-type", b"application/json"))
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(path),
            "raw_path": path.encode("latin-1"),
            "root_path": "",
            "query_string": query if isinstance(query, bytes) else urlencode(query or []).encode(),
            "headers": sent,
        }
        messages = []

        async def receive():
            return {"type": "http.request", "body": raw or b"", "more_body": False}

        async def send(message):
            messages.append(message)

        await self.app(scope, receive, send)
        start = messages[0]
        return Answered(
            start["status"],
            {name.decode(): value.decode() for name, value in start["headers"]},
            b"".join(message.get("body", b"") for message in messages[1:]),
        )

    async def get(self, path, *, key="admin", **query):
        """A GET that works: its body, read."""
        answered = await self.call("GET", path, query=list(query.items()), key=key)
        assert answered.status == 200, answered
        return answered.json

    async def workspace(self, name="search-prod"):
        """A Workspace's uuid."""
        return next(one["uuid"] for one in (await self.get("/v1/admin/workspaces"))["items"] if one["name"] == name)

    async def user(self, email="admin@example.com"):
        """A user's uuid."""
        return (await self.get("/v1/admin/users", email=email))["members"][0]["uuid"]

    async def a_key(self, *, workspace="search-prod", user="dev@example.com", **fields):
        """A new key, as POST answers it."""
        body = {"workspace_uuid": await self.workspace(workspace), "user_id": await self.user(user), **fields}
        answered = await self.call("POST", "/v1/admin/api-keys", body)
        assert answered.status == 200, answered
        return answered.json

    async def works(self, plaintext):
        """Whether an ordinary key is let in; both of its operations say the same."""
        statuses = {
            (await self.call("GET", path, key=plaintext)).status for path in ("/v1/models", "/v1/users/me/workspaces")
        }
        assert statuses in ({200}, {401}), statuses
        return statuses == {200}
