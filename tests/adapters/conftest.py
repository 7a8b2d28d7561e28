"""Issuers that talk to a server that does as a test says, and the real apiserver as the operator meets it."""

from __future__ import annotations

import asyncio
import logging
import os
import re
from typing import TYPE_CHECKING, Any

import pytest
from tests.adapters.kube_secrecy import MERGE, made
from tests.adapters.kube_wire import connected, holds
from tests.adapters.wire_server import USER, WireServer

from keywright.adapters.mistral import mistral_factory
from keywright.api.keyissuer import KeyIssuerSpec
from keywright.keys import SecretValue
from keywright.ports.lease import Unshared

if TYPE_CHECKING:
    from tests.conftest import Plane


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


@pytest.fixture
async def api(plane: Plane, tmp_path):
    """The apiserver as the operator's own ServiceAccount."""
    async with await connected(plane, tmp_path) as one:
        yield one


@pytest.fixture
def secrets_of(plane: Plane, namespace: str):
    """Somebody else's hands on the Secrets of the namespace: call(method, name, body)."""

    def call(method: str, name: str = "", body: Any = None) -> dict[str, Any]:
        path = f"/api/v1/namespaces/{namespace}/secrets"
        kind = MERGE if method == "PATCH" else "application/json"
        return plane.call(method, f"{path}/{name}" if name else path, body, content_type=kind)

    return call


@pytest.fixture
def no_plaintext_in_logs(caplog):
    """Whatever a test does, no log line at any level holds the plaintexts that it made."""
    caplog.set_level(logging.DEBUG)
    made.clear()
    yield
    assert not any(holds(caplog.text, plaintext) for plaintext in made)
