"""Where the apiserver is and how to log in: kubernetes.aio's own loading of kubeconfigs and in-cluster files.

Owns the freshness of credentials. Must not quote what the loader raises: its messages hold whole kubeconfig entries,
with their tokens. Neighbours: kube.py, which sends; wiring, which hands `configuration` to kopf.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import ssl
from contextlib import suppress
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.request import getproxies, proxy_bypass

import yaml
from kubernetes.aio.client import Configuration
from kubernetes.aio.config import (
    ConfigException,
    list_kube_config_contexts,
    load_incluster_config,
    load_kube_config,
)
from yarl import URL

from keywright.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from ipaddress import IPv4Network, IPv6Network

__all__ = ["Login", "contexts_of", "own_namespace"]

RELOAD_EVERY: Final = 60.0
"""Seconds between looks at token files: the kubelet rotates them hourly and keeps the old token valid for minutes."""

RENEW_EVERY: Final = 10.0
"""Seconds between renewals that 401s ask for: an exec plugin may be slow, or give the same refused token again."""

PLUGIN_DEADLINE: Final = 60.0
"""Seconds for an exec plugin at the start: it may open a browser, but not hang."""

_SENDABLE: Final = re.compile(r"[ -~]+")
"""A header's value: anything else would end the header early, or be refused by the HTTP client with a bare ValueError."""

_log = logging.getLogger(__name__)

_IN_CLUSTER: Final = "KUBERNETES_SERVICE_HOST"

_NAMESPACE_FILE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
"""Where the kubelet tells a pod its namespace, beside the token."""

_DEFAULT_NAMESPACE: Final = "default"


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
        self._proxy: str | None = configuration.proxy or _proxy_from_environment(self.server)
        self._reloading: asyncio.Task[None] | None = None
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
        try:
            async with asyncio.timeout(PLUGIN_DEADLINE):
                configuration, loader = await _from_kubeconfig(*source)
        except TimeoutError:
            raise Rejected(
                f"the exec plugin in the kubeconfig {source[0]} gave no credentials within {PLUGIN_DEADLINE:g} s: run it by hand",
                reason="KubeconfigInvalid",
            ) from None
        return cls(configuration, source, loader)

    @property
    def in_cluster(self) -> bool:
        """Whether the pod's own account is used."""
        return self._source is None

    @property
    def server(self) -> str:
        """The apiserver's base URL."""
        return str(self.configuration.host).rstrip("/")

    @property
    def namespace(self) -> str:
        """Where commands look unless told otherwise, as kubectl does: the context's namespace, or the pod's own; else `default`."""
        return self._loader.namespace if self._loader else _pods_namespace()

    @property
    def proxy(self) -> str | None:
        """The kubeconfig's proxy-url, else the environment's."""
        return self._proxy

    def close(self) -> None:
        """Wait for no plugin any more."""
        if self._reloading is not None:
            self._reloading.cancel()

    async def authorization(self, now: float) -> str | None:
        """The Authorization header; `now` is the event loop's time. None with client certificates alone."""
        if now >= self._due:
            self._due = now + RELOAD_EVERY
            await self._refresh(force=False)
        return self._header()

    async def renew(self, refused: str | None, now: float) -> bool:
        """After a 401 on the header `refused`: whether there are other credentials to try."""
        if self._header() == refused and (now >= self._renewable or self._under_way()):
            self._renewable = now + RENEW_EVERY
            await self._refresh(force=True)
        return self._header() != refused

    def _under_way(self) -> bool:
        return self._reloading is not None and not self._reloading.done()

    async def _refresh(self, *, force: bool) -> None:
        """One at a time, whoever waits for it and however many give up: a plugin that hangs is started once."""
        if self._reloading is None or self._reloading.done():
            self._reloading = asyncio.create_task(self._try_reload(force=force), name="kube-login")
        await asyncio.shield(self._reloading)

    async def _try_reload(self, *, force: bool) -> None:
        try:
            await self._reload(force=force)
        except Rejected as error:
            # Caught half-written, perhaps: what is held may serve on, and a 401 says where it does not.
            _log.warning("the credentials for the apiserver could not be read again: %s", error)

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
            try:
                self.tls.load_cert_chain(fresh.cert_file, fresh.key_file)
            except (OSError, ValueError):
                raise Rejected("the client certificate cannot be read", reason="KubeconfigInvalid") from None


class _Loaded:
    """kubernetes.aio's loader after a load: it alone knows of exec plugins and when their credentials end."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader
        user = loader._user  # noqa: SLF001 -- kubernetes.aio.config.refresh_token, which is public, looks there too
        self.uses_exec = user is not None and "exec" in user
        self.namespace = str(loader.current_context["context"].get("namespace") or _DEFAULT_NAMESPACE)

    async def rerun_exec_if_expired(self, configuration: Configuration) -> None:
        """Without an expirationTimestamp there is nothing to go by but a 401."""
        if not hasattr(self._loader, "exec_plugin_expiry"):
            return
        if await self._loader.load_from_exec_plugin() and _SENDABLE.fullmatch(self._loader.token):
            configuration.api_key["BearerToken"] = self._loader.token


def own_namespace(file: Path = _NAMESPACE_FILE) -> str:
    """The namespace of the pod that this runs in. Raises Rejected(KubeconfigInvalid)."""
    try:
        return file.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        raise Rejected(
            f"the pod's own namespace cannot be read from {file}: mount the service account's token",
            reason="KubeconfigInvalid",
        ) from error


def _pods_namespace() -> str:
    try:
        return _NAMESPACE_FILE.read_text(encoding="utf-8").strip() or _DEFAULT_NAMESPACE
    except OSError:
        return _DEFAULT_NAMESPACE


def _in_cluster() -> Configuration:
    configuration = Configuration()
    try:
        load_incluster_config(configuration)  # type: ignore[no-untyped-call]  # the client's own loaders have no types
    except (ConfigException, OSError) as error:
        raise Rejected(
            "this looks like a pod, but its service account's token or CA is missing: mount it, or give --kubeconfig",
            reason="KubeconfigInvalid",
        ) from error
    _refuse_unsendable(configuration, "the service account's token file")
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
    loaded = _Loaded(loader)
    if loaded.uses_exec and not configuration.api_key.get("BearerToken") and not configuration.cert_file:
        # kubernetes.aio writes a plugin's failure to its log and goes on as nobody.
        raise Rejected(
            f"the exec plugin in the kubeconfig {path} gave no credentials: run it by hand", reason="KubeconfigInvalid"
        )
    _refuse_unsendable(configuration, f"the kubeconfig {path}")
    return configuration, loaded


def contexts_of(kubeconfig: str | None) -> list[str]:
    """The names of a kubeconfig's contexts, None: KUBECONFIG's; none of one that cannot be read."""
    path = kubeconfig or os.environ.get("KUBECONFIG") or str(Path.home() / ".kube" / "config")
    if not _exists(path):
        return []
    try:
        contexts, _ = list_kube_config_contexts(path)  # type: ignore[no-untyped-call]  # as above
        return [str(context["name"]) for context in contexts]
    except (ConfigException, OSError, ValueError, TypeError, KeyError, AttributeError, yaml.YAMLError):
        return []


def _refuse_unsendable(configuration: Configuration, where: str) -> None:
    token = configuration.api_key.get("BearerToken")
    if token and not _SENDABLE.fullmatch(token.strip()):
        raise Rejected(f"{where} gives a token with characters that no token has: renew it", reason="KubeconfigInvalid")


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
    # Python 3.13 refuses by default what Go takes, such as an authority without a key identifier: many clusters have one.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _proxy_from_environment(server: str) -> str | None:
    """HTTPS_PROXY and NO_PROXY, asked once: aiohttp's trust_env would ask for each request.

    As in Go, whose programs share these settings with us: loopback has no proxy, and NO_PROXY may hold networks such as
    10.0.0.0/8, which is how clusters name their own services.
    """
    url = URL(server)
    if url.host is None or proxy_bypass(f"{url.host}:{url.port}"):
        return None
    proxies = getproxies()
    try:
        address = ip_address(url.host)
    except ValueError:
        return None if url.host == "localhost" else proxies.get(url.scheme)
    if address.is_loopback or any(address in network for network in _networks(proxies.get("no", ""))):
        return None
    return proxies.get(url.scheme)


def _networks(no_proxy: str) -> Iterator[IPv4Network | IPv6Network]:
    for part in no_proxy.split(","):
        with suppress(ValueError):
            yield ip_network(part.strip(), strict=False)
