"""Requests to Vault as metrics hear of them: each that was sent, by what it was for and how it ended."""

from __future__ import annotations

from contextlib import suppress

import pytest
from tests.adapters.vault_builders import a_cluster, a_store
from tests.adapters.wire_server import cut, http, then

from keywright.adapters.vault_client import Threads, VaultClient
from keywright.errors import KeywrightError

LOGIN = http(200, {"auth": {"client_token": "hvs.first", "lease_duration": 3600, "renewable": True}})
FOUND = http(200, {"data": {"data": {}, "metadata": {"version": 1}}})
FORBIDDEN = http(403, {"errors": ["permission denied"]})


async def heard(address: str) -> list[tuple[str, str]]:
    """Operation and ending of what one read leads to."""
    told: list[tuple[str, str, float]] = []
    client = VaultClient(
        a_store(address), None, a_cluster(), Threads(lambda *one: told.append(one)), allow_insecure=True
    )
    with suppress(KeywrightError):
        await client.read("search", "mistral")
    client.close()
    assert all(0 <= seconds < 30 for _, _, seconds in told)
    return [(operation, code) for operation, code, _ in told]


@pytest.mark.parametrize(
    ("ending", "code"), [(FOUND, "200"), (http(503), "503"), (cut, "cut"), (then(b"SSH-2.0\r\n\r\n"), "cut")]
)
async def test_each_request_is_heard_of_by_its_ending(wire, ending, code):
    """The status, or what happened instead; the login before it by itself."""
    wire.answers(LOGIN, ending)
    assert await heard(wire.url) == [("login", "200"), ("read", code)]


async def test_what_is_asked_again_after_a_new_login_is_heard_of_again(wire):
    """Nothing that was sent is missing."""
    wire.answers(LOGIN, FORBIDDEN, LOGIN, FOUND)
    assert await heard(wire.url) == [("login", "200"), ("read", "403"), ("login", "200"), ("read", "200")]


async def test_a_vault_that_is_not_there_is_heard_of_too():
    """Where no connection came about."""
    assert await heard("http://127.0.0.1:1") == [("login", "unreachable")]
