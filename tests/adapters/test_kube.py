"""The connection to the apiserver on a wire that goes wrong: once only, within its deadline, and no secret in an error."""

from __future__ import annotations

import asyncio
import base64
import json
import logging

import aiohttp
import pytest
from tests.adapters.kube_wire import a_kubeconfig, a_status, holds, plugins_ended
from tests.adapters.wire_server import a_plaintext, cut, drip, hang, http, reset, then

from keywright.adapters import kube
from keywright.adapters.kube import KubeApi, path_of
from keywright.errors import Ambiguous, Conflict, KeywrightError, Rejected, Unauthorized, Unavailable

SECRETS = "/api/v1/namespaces/team/secrets"


@pytest.fixture
async def connect(wire, tmp_path):
    """Build clients of the WireServer, and close them."""
    made = []

    async def build(server=None, **user):
        path = a_kubeconfig(tmp_path / "kubeconfig", server or wire.url, user or {"token": "a-token"})
        made.append(await KubeApi.connect(path))
        return made[-1]

    yield build
    for api in made:
        await api.close()


WRITE_FAULTS = {
    "closed without an answer": (cut, Ambiguous),
    "reset without an answer": (reset, Ambiguous),
    "no answer in time": (hang, Ambiguous),
    "body that drips": (drip, Ambiguous),
    "no HTTP": (then(b"SSH-2.0-OpenSSH_9.9\r\n\r\n"), Ambiguous),
    "body cut off": (then(http(201, {"kind": "Secret"})[:-3]), Ambiguous),
    "no JSON": (http(201, b"<html>"), Ambiguous),
    "no object": (http(201, []), Ambiguous),
    "redirect": (http(307, Location="https://elsewhere.example/"), Ambiguous),
    "500": (http(500, a_status("InternalError")), Ambiguous),
    "504": (http(504, a_status("Timeout")), Ambiguous),
    "409": (http(409, a_status("Conflict")), Conflict),
    "422": (http(422, a_status("Invalid")), Rejected),
    "401": (http(401, a_status("Unauthorized")), Unauthorized),
    "403": (http(403, a_status("Forbidden")), Unauthorized),
}


FAULTY_WRITES = {
    f"{method}-{name}": (method, *fault)
    for name, fault in WRITE_FAULTS.items()
    for method in ("POST", "PATCH")
    if method == "POST" or fault[0] not in (hang, drip)
}


@pytest.mark.parametrize("fault", FAULTY_WRITES.values(), ids=FAULTY_WRITES)
async def test_a_write_is_sent_once_and_its_error_holds_no_plaintext(wire, connect, caplog, fault):
    """On a kept connection too; what surely did not happen is no ambiguity; no error, log or cause knows body or token."""
    caplog.set_level(logging.DEBUG)
    method, script, kind = fault
    api = await connect()
    wire.answers(http(200, {}), script)
    await api.request("GET", "/version")
    plaintext = a_plaintext()
    body = {"data": {"api-key": base64.b64encode(plaintext.encode()).decode()}, "stringData": {"a": plaintext}}
    with pytest.raises(kind) as caught:
        await api.request(method, SECRETS, body=body, deadline=1.0 if script in (hang, drip) else 10, confidential=True)
    assert [one.method for one in wire.seen] == ["GET", method]
    error = caught.value
    said = "".join(
        (repr(error), str(error), str(vars(error)), repr(error.__cause__), repr(error.__context__), caplog.text)
    )
    assert not holds(said, plaintext)
    assert "a-token" not in said


@pytest.mark.parametrize("script", [cut, http(500), http(200, b"<html>"), http(200, []), hang])
async def test_a_read_or_a_rehearsal_is_never_ambiguous(wire, connect, script):
    """Nothing can have happened: a GET, and a POST with dryRun."""
    for method, params in (("GET", None), ("POST", {"dryRun": "All"})):
        wire.answers(script)
        with pytest.raises(Unavailable):
            await (await connect()).request(method, SECRETS, params=params, deadline=0.2)


async def test_a_refused_connection_means_that_nothing_happened(connect, unused_tcp_port):
    """A write that never left is not ambiguous, and the message says where it was to go."""
    api = await connect(f"http://127.0.0.1:{unused_tcp_port}")
    with pytest.raises(Unavailable, match=rf"127\.0\.0\.1:{unused_tcp_port} cannot be reached: connection refused"):
        await api.request("POST", SECRETS, body={})


async def test_a_401_is_asked_once_more_with_a_fresher_token(wire, connect, tmp_path):
    """The token in the kubeconfig was renewed meanwhile: the request that was turned away is sent again with it, once."""
    api = await connect()
    wire.answers(http(200, {}), http(401, a_status("Unauthorized")), http(201, {"kind": "Secret"}))
    await api.request("GET", "/version")
    a_kubeconfig(tmp_path / "kubeconfig", wire.url, {"token": "fresh"})
    assert await api.request("POST", SECRETS, body={"a": 1}) == {"kind": "Secret"}
    _, refused, taken = wire.seen
    assert [one.headers["authorization"] for one in (refused, taken)] == ["Bearer a-token", "Bearer fresh"]
    assert refused.body == taken.body


async def test_a_second_401_is_the_answer(wire, connect, tmp_path):
    """Where the fresher token is refused too, it ends there; the next request does not read the file again at once."""
    api = await connect()
    wire.answers(http(200, {}), http(401, a_status("Unauthorized")))
    await api.request("GET", "/version")
    a_kubeconfig(tmp_path / "kubeconfig", wire.url, {"token": "fresh"})
    with pytest.raises(Unauthorized) as caught:
        await api.request("POST", SECRETS, body={})
    assert caught.value.reason == "Unauthorized"
    assert len(wire.seen) == 3
    a_kubeconfig(tmp_path / "kubeconfig", wire.url, {"token": "fresher"})
    with pytest.raises(Unauthorized):
        await api.request("POST", SECRETS, body={})
    assert len(wire.seen) == 4


@pytest.mark.parametrize("script", [http(403), http(409), http(429), http(500), http(503, Retry_After="0"), cut])
async def test_fresher_credentials_repeat_nothing_but_a_401(wire, connect, tmp_path, script):
    """Any other answer may have had an effect, whatever credentials there are by now."""
    api = await connect()
    wire.answers(http(200, {}), script)
    await api.request("GET", "/version")
    a_kubeconfig(tmp_path / "kubeconfig", wire.url, {"token": "fresh"})
    with pytest.raises(KeywrightError):
        await api.request("POST", SECRETS, body={})
    assert [one.method for one in wire.seen] == ["GET", "POST"]


async def test_a_kubeconfig_caught_half_written_is_no_refusal_for_good(wire, connect, tmp_path):
    """The 401 stands, as something that heals: a delivery is not given up for it."""
    api = await connect()
    (tmp_path / "kubeconfig").write_text("{")
    wire.answers(http(401, a_status("Unauthorized")))
    with pytest.raises(Unauthorized) as caught:
        await api.request("PATCH", SECRETS, body={})
    assert caught.value.reason == "Unauthorized"


async def test_the_deadline_counts_the_credentials_as_well(wire, connect, tmp_path):
    """A plugin that hangs holds a request up to its deadline only, and is started once, however many wait."""
    plugin = tmp_path / "plugin"
    plugin.write_text(
        f"#!/bin/sh\necho run >> {tmp_path}/runs\nwhile [ -f {tmp_path}/hang ]; do sleep 0.05; done\n"
        'echo \'{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": "t"}}\'\n'
    )
    plugin.chmod(0o755)
    exec_user = {"apiVersion": "client.authentication.k8s.io/v1", "command": str(plugin), "interactiveMode": "Never"}
    api = await connect(exec=exec_user)
    (tmp_path / "hang").touch()
    wire.answers(http(401, a_status("Unauthorized")))
    started = asyncio.get_running_loop().time()
    failures = await asyncio.gather(
        *(api.request("POST", SECRETS, body={}, deadline=2.0) for _ in range(5)), return_exceptions=True
    )
    assert asyncio.get_running_loop().time() - started < 30
    assert {type(failure) for failure in failures} == {Unavailable}
    (tmp_path / "hang").unlink()
    await plugins_ended()
    assert (tmp_path / "runs").read_text().splitlines() == ["run", "run"]


async def test_a_list_goes_over_all_pages(wire, connect):
    """As of the first page's version, with the server's own continuation."""
    wire.answers(
        http(200, {"metadata": {"resourceVersion": "7", "continue": "a&b"}, "items": [{"n": 1}]}),
        http(200, {"metadata": {"resourceVersion": "9"}, "items": None}),
    )
    listing = await (await connect()).list(SECRETS, params={"labelSelector": "a=b"})
    assert (listing.items, listing.version) == ([{"n": 1}], 7)
    assert wire.seen[1].target == f"{SECRETS}?labelSelector=a%3Db&limit=500&continue=a%26b"


async def test_a_list_whose_continuation_expired_starts_over(wire, connect):
    """What was read so far is thrown away: two halves of different times are no list."""
    first = http(200, {"metadata": {"resourceVersion": "7", "continue": "c"}, "items": [{"n": 1}]})
    whole = http(200, {"metadata": {"resourceVersion": "9"}, "items": [{"n": 2}]})
    wire.answers(first, http(410, a_status("Expired")), whole)
    listing = await (await connect()).list(SECRETS)
    assert (listing.items, listing.version) == ([{"n": 2}], 9)
    wire.answers(http(410, a_status("Expired")))
    with pytest.raises(Unavailable, match="changes faster than it can be read"):
        await (await connect()).list(SECRETS)


async def test_a_walk_needs_room_for_one_page(wire, connect):
    """What was taken of each object is listed; the objects of earlier pages are not kept."""
    wire.answers(
        http(200, {"metadata": {"resourceVersion": "7", "continue": "c"}, "items": [{"n": 1}, {"n": 2}]}),
        http(200, {"metadata": {"resourceVersion": "7"}, "items": [{"n": 3}]}),
    )
    listing = await (await connect()).walk(SECRETS, lambda item: item["n"], page=2)
    assert (listing.items, listing.version) == ([1, 2, 3], 7)
    assert wire.seen[0].target == f"{SECRETS}?limit=2"


@pytest.mark.parametrize("page", [{}, {"metadata": {}}, {"metadata": {"resourceVersion": "x"}}, {"metadata": None}])
async def test_what_is_no_list_is_never_an_empty_one(wire, connect, page):
    """An empty list would mean that everything was deleted."""
    wire.answers(http(200, page))
    with pytest.raises(Unavailable, match="is no list"):
        await (await connect()).list(SECRETS)


async def test_a_name_from_outside_cannot_climb(wire, connect):
    """Each part of a path is quoted, and stays so on the wire."""
    wire.answers(http(200, {}))
    await (await connect()).request("GET", path_of("/api/v1", "secrets", "../a", "b/../c?x#y", "status"))
    assert wire.seen[0].target == "/api/v1/namespaces/..%2Fa/secrets/b%2F..%2Fc%3Fx%23y/status"


async def test_neither_netrc_nor_cookies_speak_for_the_operator(wire, connect, monkeypatch, tmp_path):
    """Credentials come from the kubeconfig alone."""
    (tmp_path / "netrc").write_text("default login somebody password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    wire.answers(http(200, {}, Set_Cookie="a=b"))
    api = await connect(token="only-this")
    await api.request("GET", "/version")
    await api.request("GET", "/version")
    assert wire.seen[1].headers["authorization"] == "Bearer only-this"
    assert "cookie" not in wire.seen[1].headers


async def test_the_session_asks_for_nothing_that_is_compressed_and_names_itself(wire, connect):
    """As the audit log shows it."""
    wire.answers(http(200, {}))
    await (await connect()).request("PATCH", "/x", body={"ä": 1}, content_type=kube.MERGE_PATCH)
    [seen] = wire.seen
    assert seen.headers["user-agent"].startswith("keywright/")
    assert seen.headers["accept-encoding"] == "identity"
    assert seen.headers["content-type"] == "application/merge-patch+json"
    assert json.loads(seen.body) == {"ä": 1}


async def test_a_client_that_was_closed_sends_nothing(wire, connect):
    """After close a write fails, and not as one that may have happened."""
    api = await connect()
    await api.close()
    with pytest.raises((KeywrightError, RuntimeError)) as caught:
        await api.request("POST", SECRETS, body={})
    assert not isinstance(caught.value, Ambiguous | aiohttp.ClientError)
    assert wire.seen == []
