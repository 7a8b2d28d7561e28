"""Where the apiserver is and how to log in: kubernetes.aio's own loading of kubeconfigs and in-cluster files.

Owns the freshness of credentials. Must not quote what the loader raises: its messages hold whole kubeconfig entries,
with their tokens. Neighbours: kube.py, which sends; wiring, which hands `configuration` to kopf and to the leader
election.
"""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml
from kubernetes.aio.client import Configuration
from kubernetes.aio.config import ConfigException, load_incluster_config, load_kube_config

from keywright.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Login"]

RELOAD_EVERY: Final = 60.0
"""Seconds between looks at token files: the kubelet rotates them hourly and keeps the old token valid for minutes."""

RENEW_EVERY: Final = 10.0
"""Seconds between renewals that 401s ask for: an exec plugin may be slow, or give the same refused token again."""

_log = logging.getLogger(__name__)

_IN_CLUSTER: Final = "KUBERNETES_SERVICE_HOST"


class Login:
    """A kubernetes.aio Configuration whose token is kept fresh.

    An in-cluster token and a kubeconfig's tokenFile are read again every minute; an exec plugin runs again when what it
    gave has expired, and after a 401.
    """

    def __init__(
        self, configuration: Configuration, source: tuple[str, str | None] | None, loader: _Loaded | None
    ) -> None:
        self.configuration = configuration
        self._source = source
        self._loader = loader
        self._due = 0.0
        self._renewable = 0.0
        self._lock = asyncio.Lock()
        self.tls = _tls(configuration)

    @classmethod
    async def load(
        cls, kubeconfig: str | None = None, context: str | None = None, *, environ: Mapping[str, str] = os.environ
    ) -> Login:
        """A given kubeconfig or KUBECONFIG, else the pod's own account, else ~/.kube/config.

        Raises Rejected(KubeconfigInvalid).
        """
        path = kubeconfig or environ.get("KUBECONFIG")
        if path is None and context is None and environ.get(_IN_CLUSTER):
            return cls(_in_cluster(), None, None)
        source = (path or str(Path.home() / ".kube" / "config"), context)
        configuration, loader = await _from_kubeconfig(*source)
        return cls(configuration, source, loader)

    @property
    def server(self) -> str:
        """The apiserver's base URL."""
        return str(self.configuration.host).rstrip("/")

    @property
    def proxy(self) -> str | None:
        """The kubeconfig's proxy-url."""
        return self.configuration.proxy

    async def authorization(self, now: float) -> str | None:
        """The Authorization header; `now` is the event loop's time. None with client certificates alone."""
        if now >= self._due:
            self._due = now + RELOAD_EVERY
            try:
                await self._reload(force=False)
            except Rejected as error:
                # Caught half-written, perhaps: what is held may serve on, and a 401 says where it does not.
                _log.warning("the credentials for the apiserver could not be read again: %s", error)
        return self._header()

    async def renew(self, refused: str | None, now: float) -> bool:
        """After a 401 on the header `refused`: whether there are other credentials to try."""
        async with self._lock:
            if self._header() == refused and now >= self._renewable:
                self._renewable = now + RENEW_EVERY
                await self._reload(force=True)
            return self._header() != refused

    def _header(self) -> str | None:
        token = self.configuration.api_key.get("BearerToken")
        if not token:
            return None
        scheme, _, rest = token.strip().partition(" ")
        return f"Bearer {rest}" if scheme == "bearer" else f"{scheme} {rest}"

    async def _reload(self, *, force: bool) -> None:
        if self._source is None:
            self.configuration.api_key = _in_cluster().api_key
            return
        if self._loader is not None and self._loader.uses_exec and not force:
            await self._loader.rerun_exec_if_expired(self.configuration)
            return
        fresh, self._loader = await _from_kubeconfig(*self._source)
        self.configuration.api_key = fresh.api_key
        if fresh.cert_file and (fresh.cert_file, fresh.key_file) != (
            self.configuration.cert_file,
            self.configuration.key_file,
        ):
            self.configuration.cert_file, self.configuration.key_file = fresh.cert_file, fresh.key_file
            self.tls.load_cert_chain(fresh.cert_file, fresh.key_file)


class _Loaded:
    """kubernetes.aio's loader after a load: it alone knows of exec plugins and when their credentials end."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader
        user = loader._user  # noqa: SLF001 -- kubernetes.aio.config.refresh_token, which is public, looks there too
        self.uses_exec = user is not None and "exec" in user

    async def rerun_exec_if_expired(self, configuration: Configuration) -> None:
        """Without an expirationTimestamp there is nothing to go by but a 401."""
        if hasattr(self._loader, "exec_plugin_expiry") and await self._loader.load_from_exec_plugin():
            configuration.api_key["BearerToken"] = self._loader.token


def _in_cluster() -> Configuration:
    configuration = Configuration()
    try:
        load_incluster_config(configuration)  # type: ignore[no-untyped-call]  # the client's own loaders have no types
    except (ConfigException, OSError) as error:
        raise Rejected(
            "this looks like a pod, but its service account's token or CA is missing: mount it, or give --kubeconfig",
            reason="KubeconfigInvalid",
        ) from error
    return configuration


async def _from_kubeconfig(path: str, context: str | None) -> tuple[Configuration, _Loaded]:
    if not _exists(path):
        raise Rejected(
            f"there is no kubeconfig at {path}: give --kubeconfig or set KUBECONFIG", reason="KubeconfigInvalid"
        )
    configuration = Configuration()
    try:
        loader = await load_kube_config(path, context, configuration, persist_config=False)  # type: ignore[no-untyped-call]  # as above
    except (ConfigException, OSError, ValueError, TypeError, KeyError, AttributeError, yaml.YAMLError):
        named = f"context {context}" if context else "its current context"
        # `from None`: the loader's own words hold whole entries of the file, with tokens and keys.
        raise Rejected(
            f"the kubeconfig {path} cannot be used with {named}: see what kubectl config view says of it",
            reason="KubeconfigInvalid",
        ) from None
    return configuration, _Loaded(loader)


def _exists(path: str) -> bool:
    """KUBECONFIG may name several files, of which some may be missing."""
    return any(Path(part).expanduser().is_file() for part in path.split(os.pathsep) if part)


def _tls(configuration: Configuration) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=configuration.ssl_ca_cert, cadata=configuration.ca_cert_data)
        if configuration.cert_file:
            context.load_cert_chain(configuration.cert_file, configuration.key_file)
    except (OSError, ValueError) as error:
        raise Rejected(
            "the apiserver's CA or the client certificate in the kubeconfig cannot be read", reason="KubeconfigInvalid"
        ) from error
    if not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
