"""A Vault that goes wrong on the wire: each answer means one thing, none is waited for without end, nobody is followed."""

from __future__ import annotations

import asyncio
import json
import ssl
import threading

import pytest
from tests.adapters.vault_builders import APP_ROLE, TOKEN, a_client, a_cluster, a_store
from tests.adapters.wire_server import WireServer, cut, drip, hang, http, reset, then

from keywright.adapters import vault_client, vault_http
from keywright.errors import Ambiguous, Conflict, KeywrightError, RateLimited, Rejected, Unavailable

LOGIN = http(200, {"auth": {"client_token": "hvs.first", "lease_duration": 3600, "renewable": True}})
AGAIN = http(200, {"auth": {"client_token": "hvs.second", "lease_duration": 3600, "renewable": True}})
WRITTEN = http(200, {"data": {"version": 1, "created_time": "2026-01-01T00:00:00Z"}})
FORBIDDEN = http(403, {"errors": ["permission denied"]})
PLAINTEXT = "p1a1nt3xtp1a1nt3xtp1a1nt3xtp1a1n"


@pytest.fixture
def client(wire):
    """One that logs in by kubernetes."""
    made = a_client(a_store(wire.url))
    yield made
    made.close()


@pytest.fixture
def grow_impatient(monkeypatch):
    """From the call on, deadlines that a test can wait for."""
    return lambda: _set_deadlines(monkeypatch)


@pytest.fixture
def impatient(grow_impatient):
    """From the beginning."""
    grow_impatient()


def _set_deadlines(monkeypatch):
    for module in (vault_http, vault_client):
        monkeypatch.setattr(module, "DEADLINE", 0.5)
    monkeypatch.setattr(vault_http, "_SILENCE", 0.3)
    monkeypatch.setattr(vault_client, "_LATE", 0.3)


async def read(client):
    """One question."""
    return await client.read("search", "mistral")


async def write(client):
    """One change."""
    return await client.write("search", "mistral", {"api_key": PLAINTEXT}, 0)


ANSWERS = {
    "sealed": (http(503, {"errors": ["Vault is sealed"]}), Unavailable, Unavailable, "is sealed: unseal it"),
    "503 of something before it": (http(503, {"errors": []}), Unavailable, Ambiguous, "503"),
    "standby": (http(429, {"errors": []}), Unavailable, Unavailable, "stands by"),
    "quota": (http(429, {"errors": ["rate limit quota exceeded"]}), RateLimited, RateLimited, "pause"),
    "disaster recovery": (http(472, b""), Unavailable, Unavailable, "disaster recovery"),
    "performance standby": (http(473, b""), Unavailable, Unavailable, "performance standby"),
    "not initialized": (http(501, b""), Unavailable, Unavailable, "not initialized"),
    "behind": (http(412, b""), Unavailable, Unavailable, "caught up"),
    "redirect": (http(307, b"", Location="https://other:8200/v1/x"), Unavailable, Unavailable, "https://other"),
    "conflict": (http(400, {"errors": ["check-and-set parameter did not match"]}), Conflict, Conflict, "wrote"),
    "refused": (http(400, {"errors": ["something else"]}), Rejected, Rejected, "refused"),
    "no mount": (http(404, {"errors": ["no handler for route"]}), Rejected, Rejected, "KV version 2"),
    "another engine": (http(405, b""), Rejected, Rejected, "KV version 2"),
    "too large": (http(413, b""), Rejected, Rejected, "too large"),
    "failed": (http(500, {"errors": ["storage"]}), Unavailable, Ambiguous, "500"),
    "a proxy's page": (http(502, b"<html>"), Unavailable, Ambiguous, "502"),
    "cut off": (cut, Unavailable, Ambiguous, "no whole answer"),
    "reset": (reset, Unavailable, Ambiguous, "no whole answer"),
    "half": (then(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", cut), Unavailable, Ambiguous, "no whole answer"),
    "endless": (http(200, b"x" * (5 << 20)), Unavailable, Ambiguous, "no whole answer"),
}


@pytest.mark.parametrize("case", ANSWERS)
@pytest.mark.parametrize("act", [read, write])
async def test_each_answer_means_one_thing(wire, client, act, case):
    """To a read nothing happened; to a write only where Vault surely did nothing. Nothing of it is repeated or quoted."""
    answer, on_read, on_write, says = ANSWERS[case]
    wire.answers(LOGIN, answer)
    with pytest.raises(KeywrightError, match=says) as caught:
        await act(client)
    error = caught.value
    assert isinstance(error, on_read if act is read else on_write)
    assert "something else" not in str(error)
    assert PLAINTEXT not in repr((error.args, error.__context__, error.__cause__))
    assert len(wire.seen) == 2, "a login, and one request that is not repeated"


@pytest.mark.parametrize("script", [hang, drip], ids=["silent", "dripping"])
async def test_nothing_is_waited_for_without_end(wire, client, grow_impatient, script):
    """A Vault that is silent or drips: the deadline ends it, and the loop goes on meanwhile."""
    wire.answers(LOGIN, WRITTEN, script)
    await write(client)
    grow_impatient()
    ticks = 0

    async def tick():
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    ticking = asyncio.create_task(tick())
    async with asyncio.timeout(60):
        with pytest.raises(Ambiguous):
            await write(client)
    ticking.cancel()
    assert ticks > 3


async def test_threads_are_bounded(wire, client, impatient):
    """Twenty questions to a silent Vault hold four threads; the rest is told that nothing was sent."""
    enough = asyncio.Event()

    async def mute(_writer):
        await enough.wait()

    wire.answers(LOGIN, mute)
    before = threading.active_count()
    results = await asyncio.gather(*(read(client) for _ in range(20)), return_exceptions=True)
    assert all(isinstance(result, Unavailable) for result in results)
    assert threading.active_count() - before <= 16
    enough.set()
    await asyncio.sleep(0.01)  # the server's side lets go


async def test_stores_of_one_namespace_leave_threads_for_others(wire, impatient):
    """Twenty silent Vaults of one namespace hold eight threads; another's is asked at once."""
    enough, asked, threads = asyncio.Event(), asyncio.Semaphore(0), vault_client.Threads()

    async def mute(_writer):
        asked.release()
        await enough.wait()

    def a_client_of(namespace):
        store = a_store(wire.url, auth=TOKEN, namespace=namespace)
        return vault_client.VaultClient(store, None, a_cluster(), threads, allow_insecure=True)

    wire.answers(mute)
    noisy = [a_client_of("noisy") for _ in range(20)]
    asking = [asyncio.create_task(client.health()) for client in noisy for _ in range(4)]
    for _ in range(8):
        await asked.acquire()
    quiet = a_client_of("quiet")
    waiting = asyncio.create_task(quiet.health())
    await asked.acquire()
    enough.set()
    results = await asyncio.gather(waiting, *asking, return_exceptions=True)
    assert all(isinstance(result, Unavailable) for result in results)
    for client in (quiet, *noisy):
        client.close()
    threads.close()


async def test_a_refused_connection_did_nothing():
    """Also to a write: nothing was sent."""
    client = a_client(a_store("http://127.0.0.1:1"))
    with pytest.raises(Unavailable, match="cannot be reached: connection refused"):
        await write(client)
    client.close()


async def test_one_login_serves_all(wire, client):
    """Twenty at once come with one login; it is a kubernetes login with the role and a token made out for Vault."""
    wire.answers(LOGIN, WRITTEN)
    await asyncio.gather(*(write(client) for _ in range(20)))
    logins = [seen for seen in wire.seen if seen.target.endswith("/login")]
    assert [seen.target for seen in logins] == ["/v1/auth/kubernetes/login"]
    assert json.loads(logins[0].body) == {"role": "keywright", "jwt": "search/default for vault"}
    assert {seen.headers.get("x-vault-token") for seen in wire.seen[1:]} == {"hvs.first"}


async def test_the_token_goes_in_vaults_own_header(wire, client):
    """Vault hands `Authorization` on to its plugins (CVE-2026-4525): nothing of ours stands in it, nor in an address."""
    wire.answers(LOGIN, WRITTEN)
    await write(client)
    assert [seen.headers.get("authorization") for seen in wire.seen] == [None, None]
    assert not any("hvs." in seen.target or "for vault" in seen.target for seen in wire.seen)


async def test_each_namespace_logs_in_as_itself(wire, client):
    """A namespace's ApiKeys never use another's login."""
    wire.answers(LOGIN, WRITTEN, AGAIN, WRITTEN)
    await client.write("search", "mistral", {}, 0)
    await client.write("billing", "mistral", {}, 0)
    tokens = [json.loads(seen.body)["jwt"] for seen in wire.seen if seen.target.endswith("/login")]
    assert tokens == ["search/default for vault", "billing/default for vault"]
    assert [seen.headers.get("x-vault-token") for seen in wire.seen][1::2] == ["hvs.first", "hvs.second"]


async def test_after_a_403_there_is_one_new_login(wire, client):
    """The token was revoked: another login, and the same question once more. A second 403 is believed."""
    wire.answers(LOGIN, FORBIDDEN, AGAIN, WRITTEN)
    await write(client)
    assert [seen.headers.get("x-vault-token") for seen in wire.seen] == [None, "hvs.first", None, "hvs.second"]
    wire.seen.clear()
    wire.answers(FORBIDDEN)
    with pytest.raises(Rejected):
        await write(client)
    assert not [seen for seen in wire.seen if seen.target.endswith("/login")], "a missing policy is no reason to log in"


async def test_a_login_is_renewed_before_it_lapses(wire, monkeypatch):
    """At two thirds of its time the token is renewed; where that is refused, another login is made."""
    short = http(200, {"auth": {"client_token": "hvs.first", "lease_duration": 3000, "renewable": True}})
    client = a_client(a_store(wire.url, auth=APP_ROLE))
    loop = asyncio.get_running_loop()
    real, ahead = loop.time, 0.0
    monkeypatch.setattr(loop, "time", lambda: real() + ahead)
    wire.answers(short, WRITTEN)
    await client.write("", "mistral", {}, 0)
    ahead = 2200.0
    wire.answers(short, WRITTEN)
    await client.write("", "mistral", {}, 0)
    ahead = 4400.0
    wire.answers(FORBIDDEN, AGAIN, WRITTEN)
    await client.write("", "mistral", {}, 0)
    asked = [seen.target for seen in wire.seen if "/auth/" in seen.target]
    assert asked == [
        "/v1/auth/approle/login",
        "/v1/auth/token/renew-self",
        "/v1/auth/token/renew-self",
        "/v1/auth/approle/login",
    ]
    client.close()


async def test_a_given_token_is_looked_up_and_used(wire):
    """No login: what it is good for is asked once; Vault Enterprise's namespace goes with every request."""
    client = a_client(a_store(wire.url, auth=TOKEN, vaultNamespace="team-a"))
    wire.answers(http(200, {"data": {"ttl": 0, "renewable": False}}), WRITTEN)
    await client.write("", "mistral", {}, 0)
    assert [seen.target for seen in wire.seen] == ["/v1/auth/token/lookup-self", "/v1/secret/data/mistral"]
    assert {seen.headers.get("x-vault-token") for seen in wire.seen} == {"hvs.given"}
    assert {seen.headers.get("x-vault-namespace") for seen in wire.seen} == {"team-a"}
    client.close()


@pytest.mark.parametrize(
    ("status", "words", "says"),
    [
        (
            400,
            "invalid audience (aud) claim: audience claim does not match any expected audience",
            "audiences must name it",
        ),
        (403, "service account name not authorized", "bound_service_account_names"),
        (403, "namespace not authorized", "bound_service_account_namespaces"),
        (400, 'invalid role name "keywright"', "no such role"),
        (403, "permission denied", "audit log"),
        (404, "no handler for route", "mounted there"),
    ],
)
async def test_a_refused_login_says_what_mends_it(wire, client, status, words, says):
    """In words of our own, once for all that wait; the token that was shown is not in them."""
    wire.answers(http(status, {"errors": [words]}))
    results = await asyncio.gather(*(read(client) for _ in range(5)), return_exceptions=True)
    assert len(wire.seen) == 1
    for result in results:
        assert isinstance(result, Rejected)
        assert result.reason == "StoreRefused"
        assert says in str(result)
        assert "for vault" not in str(result)


async def test_a_secret_that_is_missing_is_named():
    """Before anything is asked of Vault."""
    client = a_client(a_store("http://127.0.0.1:1", auth=APP_ROLE), cluster=a_cluster())
    client._cluster.server.values.clear()
    with pytest.raises(Rejected, match="Secret search/vault with data key secret-id does not exist"):
        await write(client)
    client.close()


@pytest.mark.parametrize("address", ["http://vault:8200", "https://127.0.0.1:8200", "https://localhost"])
def test_an_address_that_is_not_safe_is_refused(address):
    """As for issuers: plain http and loopback need --allow-insecure-issuers."""
    with pytest.raises(Rejected, match=r"spec\.address must") as caught:
        vault_client.VaultClient(a_store(address), None, a_cluster(), vault_client.Threads(), allow_insecure=False)
    assert caught.value.reason == "StoreInvalid"


async def test_tls_trusts_the_bundle_and_the_name(certificate):
    """Without the bundle it is not trusted; the name that is looked for is tlsServerName, where that is given."""
    server = WireServer()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=context)
    url = f"https://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    bundle = (certificate / "cert.pem").read_text()
    for spec, trusted, fails in (
        ({}, bundle, None),
        ({}, None, "its certificate is not trusted"),
        ({"tlsServerName": "vault.example.com"}, bundle, "its certificate is not trusted"),
    ):
        client = a_client(a_store(url, **spec), bundle=trusted)
        server.answers(LOGIN, WRITTEN)
        if fails is None:
            await write(client)
        else:
            with pytest.raises(Unavailable, match=fails):
                await write(client)
        client.close()
    listener.close()
