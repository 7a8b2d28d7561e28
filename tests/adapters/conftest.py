"""Issuers that talk to a server that does as a test says."""

from __future__ import annotations

import asyncio
import os
import re

import pytest
from tests.adapters.wire_server import USER, WireServer

from keywright.adapters.mistral import mistral_factory
from keywright.api.keyissuer import KeyIssuerSpec
from keywright.keys import SecretValue
from keywright.ports.lease import Unshared


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch):
    """Loopback is reached directly, whatever the machine's own settings are, and no time goes into the system's CAs."""
    monkeypatch.setenv("SSL_CERT_FILE", os.devnull)
    monkeypatch.setenv("SSL_CERT_DIR", os.devnull)
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
async def wire():
    """A WireServer that is up."""
    server = WireServer()
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    yield server
    listener.close()


@pytest.fixture
async def an_issuer(wire):
    """Builds issuers, at the WireServer unless told otherwise, and closes them."""
    made = []

    def build(
        *,
        deadline=None,
        per_second=1000,
        burst=1000,
        on_request=None,
        ca_bundle=None,
        admin_key="ak",
        lease=None,
        **mistral,
    ):
        spec = KeyIssuerSpec.model_validate(
            {
                "mistral": {"url": wire.url, "user": USER, "adminKeySecretRef": {"name": "admin", "key": "key"}}
                | mistral,
                "requests": {"perSecond": per_second, "burst": burst, "timeout": "10s"},
            }
        )
        issuer = mistral_factory(allow_insecure=True, on_request=on_request, lease=lease or Unshared())(
            "keyissuer/mistral", spec, SecretValue(admin_key), SecretValue(ca_bundle) if ca_bundle is not None else None
        )
        if deadline is not None:
            issuer._client._deadline = deadline  # shorter than a spec can say, so that no test waits for seconds
        made.append(issuer)
        return issuer

    yield build
    for issuer in made:
        await issuer.close()


@pytest.fixture
def sent(wire):
    """The requests that arrived, as METHOD target, without host."""
    return lambda: [f"{one.method} {re.sub(r'^http://[^/]+', '', one.target)}" for one in wire.seen]
