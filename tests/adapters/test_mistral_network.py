"""How the Mistral adapter reaches the platform: addresses, names, certificates and proxies."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import socket
import ssl
from dataclasses import dataclass

import pytest
from tests.adapters.mistral_answers import EMPTY_LIST, KEY_ID, PLAINTEXT, REQUEST, told
from tests.adapters.wire_server import USER

from keywright.adapters.mistral import mistral_factory
from keywright.api.keyissuer import KeyIssuerSpec
from keywright.errors import Rejected, Unavailable
from keywright.keys import SecretValue


def a_spec(**mistral) -> KeyIssuerSpec:
    """A KeyIssuer's spec as an older CRD may have let it through: the kinds' own checks are passed by."""
    spec = KeyIssuerSpec.model_validate(
        {"mistral": {"user": USER, "adminKeySecretRef": {"name": "admin", "key": "key"}}}
    )
    return spec.model_copy(update={"mistral": spec.mistral.model_copy(update=mistral)})


def refused(*, allow_insecure=False, ca_bundle=None, **mistral) -> str:
    """The message with which the factory refuses a spec."""
    with pytest.raises(Rejected) as caught:
        mistral_factory(allow_insecure=allow_insecure)(
            "keyissuer/mistral",
            a_spec(**mistral),
            SecretValue("ak"),
            SecretValue(ca_bundle) if ca_bundle is not None else None,
        )
    assert caught.value.reason == "IssuerInvalid"
    assert str(caught.value).startswith("keyissuer/mistral: spec.mistral.")
    return str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://host.example",
        "api.mistral.ai",
        "https://",
        "https://:443",
        "https://host.example:0",
        "https://host.example:99999",
        "https://[::1",
        "https://a..b",
        "https://" + "a" * 64 + ".example",
        "https://user:password@host.example",
        "https://host.example/?a=b",
        "https://host.example/#a",
        "https://host.example/a/../b",
        "https://host.example/%2e%2e/b",
        "https://host.example/a b",
        "https://höst.example",
        "https://host.example/\r\nX: y",
        "https:\\\\host.example",
    ],
)
def test_a_url_that_is_none_is_refused(url):
    """Whatever the operator was started with; the message names the field and not what might be a password."""
    for name, field in (("url", "url"), ("check_url", "checkUrl")):
        message = refused(allow_insecure=True, **{name: url})
        assert message.startswith(f"keyissuer/mistral: spec.mistral.{field} ")
        assert "password@" not in message


@pytest.mark.parametrize(
    "url",
    [
        "http://host.example",
        "https://localhost",
        "https://LOCALHOST.:8443",
        "https://a.localhost",
        "https://127.0.0.1",
        "https://127.1",
        "https://2130706433",
        "https://0x7f.0.0.1",
        "https://0.0.0.0",
        "https://[::1]",
        "https://[::ffff:127.0.0.1]",
    ],
)
async def test_an_insecure_url_needs_an_operator_that_allows_it(url):
    """Plain http and the operator's own machine are refused, and let through with the flag."""
    assert "--allow-insecure-issuers" in refused(url=url)
    assert "--allow-insecure-issuers" in refused(check_url=url)
    await mistral_factory(allow_insecure=True)("keyissuer/mistral", a_spec(url=url), SecretValue("ak"), None).close()


@pytest.mark.parametrize("path", ["/v1/../admin", "/v1 /admin", "/v1?x", "/v1%2fadmin", "//v1", "/ä"])
def test_an_admin_path_is_plain(path):
    """The Admin API's path cannot climb, nor bring a query along."""
    assert refused(admin_path=path).startswith("keyissuer/mistral: spec.mistral.adminPath ")


@pytest.mark.parametrize("bundle", ["", "nothing", "-----BEGIN CERTIFICATE-----\nä\n-----END CERTIFICATE-----"])
def test_a_ca_bundle_must_hold_certificates(bundle):
    """A bundle that is none is refused with what it must hold."""
    assert "PEM certificates" in refused(ca_bundle=bundle)


async def test_a_path_in_the_url_stays_in_front(wire, an_issuer):
    """A platform behind a gateway's path, with a slash too many at its end."""
    wire.answers(EMPTY_LIST)
    issuer = an_issuer(url=f"{wire.url}/gateway/", adminPath="/api/admin")
    await issuer.list_keys()
    await issuer.check(SecretValue(PLAINTEXT))
    assert wire.seen[0].target.startswith("/gateway/api/admin/api-keys?")
    assert wire.seen[1].target == "/gateway/v1/models"


async def test_a_refused_connection_means_that_nothing_left(an_issuer):
    """No key was made: a create says so, and where to look."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    with pytest.raises(
        Unavailable, match=r"^keyissuer/mistral cannot be reached at http://127\.0\.0\.1:\d+: connection refused"
    ):
        await an_issuer(url=url).create(REQUEST)


async def test_an_unknown_name_means_that_nothing_left(an_issuer, monkeypatch):
    """A name that is not resolved is no ambiguity."""

    async def unknown(*_args, **_kwargs):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", unknown)
    with pytest.raises(Unavailable, match="its name cannot be resolved"):
        await an_issuer(url="http://platform.example").create(REQUEST)


async def test_a_handshake_without_end_means_that_nothing_left(wire, an_issuer):
    """TCP connects, TLS never does: the deadline passes before the request could leave."""
    with pytest.raises(Unavailable, match=r"no connection within 0\.2s"):
        await an_issuer(url=wire.url.replace("http:", "https:"), deadline=0.2).create(REQUEST)
    assert wire.seen == []


@dataclass(frozen=True)
class Secure:
    """An https address and the CA behind it."""

    url: str
    ca: str


@pytest.fixture
async def secure(wire, certificate):
    """The WireServer behind TLS."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    listener = await asyncio.start_server(wire.serve, "127.0.0.1", 0, ssl=context)
    yield Secure(f"https://127.0.0.1:{listener.sockets[0].getsockname()[1]}", (certificate / "cert.pem").read_text())
    listener.close()


async def test_an_untrusted_certificate_means_that_nothing_left(wire, an_issuer, secure):
    """The handshake is refused on our side, and the message says what to add."""
    with pytest.raises(Unavailable, match="its certificate is not trusted") as caught:
        await an_issuer(url=secure.url).create(REQUEST)
    assert wire.seen == []
    assert "caBundle" in str(caught.value)


async def test_a_ca_bundle_is_trusted(wire, an_issuer, secure):
    """With the platform's CA in the bundle the same address works."""
    wire.answers(EMPTY_LIST)
    assert await an_issuer(url=secure.url, ca_bundle=secure.ca).list_keys() == []


class Proxy:
    """A forward proxy of a few lines: passes absolute requests on, and tunnels CONNECT, unless told to refuse."""

    def __init__(self):
        self.asked = []
        self.refuse = False
        self.url = ""

    async def serve(self, reader, writer):
        """One connection."""
        head = await reader.readuntil(b"\r\n\r\n")
        self.asked.append(head.decode("latin-1"))
        method, target, _ = self.asked[0].split(" ", 2)
        if self.refuse:
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            writer.close()
            return
        host, _, port = target.removeprefix("http://").partition("/")[0].rpartition(":")
        there_reader, there = await asyncio.open_connection(host, int(port))
        if method == "CONNECT":
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        else:
            there.write(head)
        await asyncio.gather(pump(reader, there), pump(there_reader, writer))


async def pump(reader, writer):
    """Copy until one side leaves."""
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


@pytest.fixture
async def proxy():
    """A Proxy that is up."""
    one = Proxy()
    listener = await asyncio.start_server(one.serve, "127.0.0.1", 0)
    one.url = f"127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    yield one
    listener.close()


async def test_https_goes_through_the_proxy_of_the_environment(wire, an_issuer, secure, proxy, monkeypatch):
    """HTTPS_PROXY: a tunnel that sees neither the admin key nor a path, opened with the proxy's own password."""
    monkeypatch.setenv("HTTPS_PROXY", f"http://user:pass@{proxy.url}")
    wire.answers(EMPTY_LIST)
    issuer = an_issuer(url=secure.url, ca_bundle=secure.ca, admin_key="the-admin-key")
    await issuer.list_keys()
    await issuer.list_keys()
    [asked] = proxy.asked
    assert asked.startswith(f"CONNECT {secure.url.removeprefix('https://')} ")
    assert f"Proxy-Authorization: Basic {base64.b64encode(b'user:pass').decode()}" in asked
    assert "the-admin-key" not in asked
    assert len(wire.seen) == 2
    assert "proxy-authorization" not in wire.seen[0].headers


async def test_http_goes_through_the_proxy_of_the_environment(wire, an_issuer, proxy, monkeypatch):
    """HTTP_PROXY: the whole address is asked of the proxy."""
    monkeypatch.setenv("HTTP_PROXY", f"http://{proxy.url}")
    wire.answers(EMPTY_LIST)
    await an_issuer().list_keys()
    assert proxy.asked[0].startswith(f"GET {wire.url}/v1/admin/api-keys?")


@pytest.mark.parametrize("exempt", ["127.0.0.1", "*", "{host}"])
async def test_no_proxy_is_honoured(wire, an_issuer, proxy, monkeypatch, exempt):
    """NO_PROXY by host, by star and by host and port goes straight there."""
    monkeypatch.setenv("HTTP_PROXY", f"http://{proxy.url}")
    monkeypatch.setenv("NO_PROXY", exempt.format(host=wire.url.removeprefix("http://")))
    wire.answers(EMPTY_LIST)
    await an_issuer().list_keys()
    assert proxy.asked == []


async def test_a_proxy_that_refuses_means_that_nothing_left(wire, an_issuer, secure, proxy, monkeypatch):
    """A CONNECT that is not granted is no ambiguity, and the proxy's password is in no message."""
    monkeypatch.setenv("HTTPS_PROXY", f"http://user:pa55word@{proxy.url}")
    proxy.refuse = True
    with pytest.raises(Unavailable, match=r"the proxy refused to connect \(407\)") as caught:
        await an_issuer(url=secure.url).create(REQUEST)
    assert "pa55word" not in told(caught.value)
    assert wire.seen == []


async def test_a_proxy_that_is_away_means_that_nothing_left(an_issuer, secure, proxy, monkeypatch):
    """A proxy that cannot be reached is named as the culprit."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{closed.getsockname()[1]}")
    with pytest.raises(Unavailable, match="the proxy of HTTPS_PROXY or HTTP_PROXY cannot be reached"):
        await an_issuer(url=secure.url).create(REQUEST)


async def test_a_netrc_does_not_speak_for_the_operator(wire, an_issuer, monkeypatch, tmp_path):
    """A netrc with a default entry neither replaces the admin key nor makes requests fail."""
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    wire.answers(EMPTY_LIST)
    await an_issuer(admin_key="the-admin-key").list_keys()
    assert wire.seen[0].headers["authorization"] == "Bearer the-admin-key"


async def test_a_set_cookie_is_forgotten(wire, an_issuer):
    """No state but the connection goes from one request to the next."""
    wire.answers(EMPTY_LIST.replace(b"\r\n", b"\r\nSet-Cookie: a=b; Path=/\r\n", 1))
    issuer = an_issuer()
    await issuer.list_keys()
    await issuer.revoke(KEY_ID)
    assert all("cookie" not in one.headers for one in wire.seen)
    assert wire.connections == 1
