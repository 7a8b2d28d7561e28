"""kopf's part: discovery, list and watch with resumption, log-in.

Handlers hold no decisions: they pass on what was seen.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import kopf

from keywright.api.base import GROUP, VERSION

if TYPE_CHECKING:
    from collections.abc import Iterable

    from keywright.adapters.kube_login import Login
    from keywright.bootstrap import Operator

__all__ = ["registry_for", "settings"]


class _NoDiffBase(kopf.DiffBaseStorage):
    """kopf keeps what it handled last in an annotation, for change handlers; there are none here."""

    def build(self, *, body: kopf.Body, extra_fields: Iterable[Any] | None = None) -> Any:  # noqa: ARG002 - kopf's signature
        return {}

    def fetch(self, *, body: kopf.Body) -> Any:  # noqa: ARG002 - kopf's signature
        return None

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: Any) -> None:
        """Nothing is stored."""


class _NoProgress(kopf.ProgressStorage):
    """kopf keeps handlers' progress on the objects; ours keep none."""

    def fetch(self, *, key: Any, body: kopf.Body) -> None:  # noqa: ARG002 - kopf's signature
        return None

    def store(self, *, key: Any, record: Any, body: kopf.Body, patch: kopf.Patch) -> None:
        """Nothing is stored."""

    def purge(self, *, key: Any, body: kopf.Body, patch: kopf.Patch) -> None:
        """Nothing was stored."""

    def touch(self, *, body: kopf.Body, patch: kopf.Patch, value: str | None) -> None:
        """Nothing is touched."""

    def clear(self, *, essence: Any) -> Any:
        return essence


def settings() -> kopf.OperatorSettings:
    """As measured: no writes of kopf's own, watches that notice a dead connection."""
    wanted = kopf.OperatorSettings()
    wanted.persistence.diffbase_storage = _NoDiffBase()
    wanted.persistence.progress_storage = _NoProgress()
    wanted.posting.enabled = False
    wanted.scanning.disabled = True
    # A worker per object that spoke lately; ours have nothing to finish, so they need not outlive their event by 5 s.
    wanted.queueing.idle_timeout = 0.5
    wanted.queueing.exit_timeout = 0.5
    wanted.watching.server_timeout = 600
    wanted.watching.client_timeout = 660
    wanted.watching.connect_timeout = 10
    wanted.watching.chunk_size = 100  # a Secret may have 1 MiB
    wanted.watching.inactivity_timeout = 70
    wanted.watching.label_selectors["secrets"] = "keywright.dev/managed=true"
    wanted.networking.request_timeout = 30
    wanted.networking.connect_timeout = 10
    return wanted


def registry_for(operator: Operator, login: Login) -> kopf.OperatorRegistry:
    """All handlers, in a registry of their own."""
    registry = kopf.OperatorRegistry()

    refused: str | None = None

    @kopf.on.login(registry=registry)
    async def log_in(**_: Any) -> kopf.ConnectionInfo:
        # kopf asks again after a 401: the same token again would end its watches for good.
        nonlocal refused
        if refused is not None:
            await login.renew(refused, asyncio.get_running_loop().time())
        refused = await login.authorization(asyncio.get_running_loop().time())
        return _connection(login, refused)

    @kopf.on.event(GROUP, VERSION, "apikeys", registry=registry)
    async def api_key(event: Any, **_: Any) -> None:
        operator.seen_api_key(event["type"], event["object"])

    @kopf.on.event(GROUP, VERSION, "keyissuers", registry=registry)
    async def key_issuer(event: Any, **_: Any) -> None:
        operator.seen_issuer("KeyIssuer", event["type"], event["object"])

    @kopf.on.event(GROUP, VERSION, "vaultstores", registry=registry)
    async def vault_store(event: Any, **_: Any) -> None:
        operator.seen_store("VaultStore", event["type"], event["object"])

    @kopf.on.event("v1", "secrets", registry=registry)
    async def secret(event: Any, **_: Any) -> None:
        operator.seen_secret(event["type"], event["object"])

    if operator.cluster_scope:

        @kopf.on.event(GROUP, VERSION, "clusterkeyissuers", registry=registry)
        async def cluster_key_issuer(event: Any, **_: Any) -> None:
            operator.seen_issuer("ClusterKeyIssuer", event["type"], event["object"])

        @kopf.on.event(GROUP, VERSION, "clustervaultstores", registry=registry)
        async def cluster_vault_store(event: Any, **_: Any) -> None:
            operator.seen_store("ClusterVaultStore", event["type"], event["object"])

    return registry


def _connection(login: Login, authorization: str | None) -> kopf.ConnectionInfo:
    """The connection for kopf, by the same configuration as ours."""
    configuration = login.configuration
    scheme, _, token = (authorization or "").partition(" ")
    return kopf.ConnectionInfo(
        server=login.server,
        ca_path=configuration.ssl_ca_cert,
        insecure=not configuration.verify_ssl,
        scheme=scheme or None,
        token=token or None,
        certificate_path=configuration.cert_file,
        private_key_path=configuration.key_file,
        proxy_url=login.proxy,
    )
