"""Where a name leads is looked at before anything is connected to; the answers are given in the system's resolver's place."""

from __future__ import annotations

import socket

import pytest
from tests.adapters.test_mistral_network import a_spec, refused
from tests.adapters.vault_builders import a_cluster, a_store

from keywright.adapters.mistral import mistral_factory
from keywright.adapters.vault_client import Threads, VaultClient
from keywright.errors import Rejected, Unavailable
from keywright.keys import SecretValue

NAME = "platform.example"
ELSEWHERE = "a link-local address or a cloud's metadata service"
OWN = "the operator's own machine"

METADATA = [
    "169.254.169.254",
    "169.254.170.23",
    "fe80::1",
    "fe80::a9fe:a9fe%1",
    "fd00:ec2::254",
    "fd20:ce::254",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::",
]
LOOPBACK = ["127.0.0.1", "127.8.8.8", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1"]  # noqa: S104 -- nothing is bound


@pytest.fixture
def resolves(monkeypatch):
    """Have the system's resolver answer with addresses; all that is connected to is noted, and goes nowhere."""
    connected: list[str] = []

    def to(*addresses: str):
        def getaddrinfo(host, port, *_args, **_kwargs):
            found = []
            for address in addresses if host == NAME else [host]:
                six = ":" in address
                where = (address.partition("%")[0], port or 0, 0, 0) if six else (address, port or 0)
                found.append((socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_STREAM, 6, "", where))
            return found

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        return connected

    def connect(self, address):
        connected.append(address[0])
        raise ConnectionRefusedError(111, "Connection refused")

    async def sock_connect(_loop, sock, address):
        connect(sock, address)

    monkeypatch.setattr("asyncio.selector_events.BaseSelectorEventLoop.sock_connect", sock_connect)
    monkeypatch.setattr(socket.socket, "connect", connect)
    return to


async def an_issuer_says(*, allow_insecure: bool) -> str:
    """What becomes of a first question to the platform."""
    factory = mistral_factory(allow_insecure=allow_insecure)
    issuer = factory("keyissuer/mistral", a_spec(url=f"https://{NAME}"), SecretValue("ak"), None)
    try:
        with pytest.raises(Unavailable) as caught:
            await issuer.workspaces()
    finally:
        await issuer.close()
    return str(caught.value)


async def a_store_says(*, allow_insecure: bool) -> str:
    """What becomes of a first question to a Vault."""
    client = VaultClient(a_store(f"https://{NAME}"), None, a_cluster(), Threads(), allow_insecure=allow_insecure)
    try:
        with pytest.raises(Unavailable) as caught:
            await client.health()
    finally:
        client.close()
    return str(caught.value)


@pytest.mark.parametrize("says", [an_issuer_says, a_store_says])
@pytest.mark.parametrize("address", METADATA)
async def test_a_name_that_leads_to_a_metadata_service_is_never_connected_to(resolves, says, address):
    """In no form of writing it, and whatever the operator was started with; also where it is one of several addresses."""
    for addresses in ((address,), ("203.0.113.7", address)):
        connected = resolves(*addresses)
        assert ELSEWHERE in await says(allow_insecure=True)
        assert connected == []


@pytest.mark.parametrize("says", [an_issuer_says, a_store_says])
@pytest.mark.parametrize("address", LOOPBACK)
async def test_a_name_that_leads_to_the_own_machine_needs_the_flag(resolves, says, address):
    """As a URL that names it does."""
    connected = resolves(address)
    assert OWN in await says(allow_insecure=False)
    assert connected == []
    assert "connection refused" in await says(allow_insecure=True)
    assert connected == [address]


@pytest.mark.parametrize("says", [an_issuer_says, a_store_says])
async def test_what_was_looked_up_is_what_is_connected_to(resolves, says, monkeypatch):
    """A name server that answers otherwise the second time gains nothing: nobody asks it twice."""
    connected = resolves("203.0.113.7", "203.0.113.8")
    first, asked = socket.getaddrinfo, []

    def getaddrinfo(host, *args, **kwargs):
        if host == NAME:
            asked.append(host)
            if len(asked) > 1:
                resolves("169.254.169.254")
        return first(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    assert "connection refused" in await says(allow_insecure=False)
    assert set(connected) == {"203.0.113.7", "203.0.113.8"}
    assert asked == [NAME]


@pytest.mark.parametrize("says", [an_issuer_says, a_store_says])
async def test_a_proxy_may_be_anywhere(resolves, says, monkeypatch):
    """It is the administrator's; what the name leads to is for the proxy to find out."""
    monkeypatch.setenv("HTTPS_PROXY", f"http://{NAME}:3128")
    connected = resolves("127.0.0.1")
    assert OWN not in await says(allow_insecure=False)
    assert connected == ["127.0.0.1"]


@pytest.mark.parametrize("host", [*METADATA, "2852039166", "0xa9fea9fe", "169.254.43518"])
def test_an_address_of_a_metadata_service_is_no_url(host):
    """Refused before anything is asked, of issuers and stores, and no flag lets it through."""
    url = f"https://[{host}]" if ":" in host else f"https://{host}"
    for allowed in (False, True):
        assert ELSEWHERE in refused(allow_insecure=allowed, url=url)
        if "%" in host:
            continue  # the kind takes no such address of a store
        with pytest.raises(Rejected, match=ELSEWHERE) as caught:
            VaultClient(a_store(url), None, a_cluster(), Threads(), allow_insecure=allowed)
        assert caught.value.reason == "StoreInvalid"


async def test_a_name_of_the_own_machine_in_the_hosts_file_is_found_out():
    """By the real resolver: a machine's own name, where it leads to loopback."""
    name = socket.gethostname()
    try:
        addresses = {info[4][0] for info in socket.getaddrinfo(name, 443)}
    except OSError:
        addresses = set()
    if not any(str(address).startswith("127.") for address in addresses):
        pytest.skip(f"{name} does not lead to loopback here")
    factory = mistral_factory(allow_insecure=False)
    issuer = factory("keyissuer/mistral", a_spec(url=f"https://{name}"), SecretValue("ak"), None)
    with pytest.raises(Unavailable, match=OWN):
        await issuer.workspaces()
    await issuer.close()
