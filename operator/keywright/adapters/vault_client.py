"""One Vault as it can be used: what keywright asks of it, in threads that are bounded in number and time.

hvac blocks; the loop never does. Owns the thread pool, the connections of one store, and the one new login after a 403. Neighbours:
vault_http.py sends, vault_login.py holds tokens, vault_sink.py decides what is asked.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

import requests.utils
from hvac.api.auth_methods import AppRole, Kubernetes, Token
from hvac.api.secrets_engines import KvV2
from hvac.api.system_backend import Capabilities
from hvac.utils import format_url

from keywright.adapters.address import base_url, trust
from keywright.adapters.vault_errors import Denied, Missing
from keywright.adapters.vault_http import DEADLINE, BoundedAdapter, a_session
from keywright.adapters.vault_login import Grant, Logins
from keywright.errors import Ambiguous, Rejected, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from keywright.api.base import SecretKeyRef
    from keywright.keys import SecretValue
    from keywright.ports.cluster import Cluster
    from keywright.ports.stores import Store

__all__ = ["OnRequest", "Threads", "VaultClient"]

T = TypeVar("T")
OnRequest = Callable[[str, str, float], None]

_THREADS: Final = 32
_AT_ONCE: Final = 4
"""Requests to one store at once: one that hangs leaves threads for the others."""
_OF_ONE: Final = 8
"""Requests to all stores of one namespace at once: its stores may all hang, and leave threads for those of others."""
_LATE: Final = 2.0
"""Seconds past a request's own deadline until nobody waits for its thread any more."""


class Threads:
    """Where hvac may block. One for all stores."""

    def __init__(self, on_request: OnRequest | None = None) -> None:
        """`on_request` hears of each request sent, in its thread: operation, status or what happened instead, seconds."""
        self.on_request = on_request
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="vault")
        self._namespaces: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(_OF_ONE))

    def slots(self, namespace: str | None) -> tuple[asyncio.Semaphore, ...]:
        """Of a new store, and those that it shares with the others of its namespace; None: it is the cluster's."""
        own = asyncio.Semaphore(_AT_ONCE)
        return (own,) if namespace is None else (own, self._namespaces[namespace])

    async def run(self, slots: Sequence[asyncio.Semaphore], work: Callable[[], T], store: str, *, write: bool) -> T:
        """The result of `work`. Raises Unavailable where no thread came free in time, and nothing was sent."""
        held: list[asyncio.Semaphore] = []
        try:
            async with asyncio.timeout(DEADLINE):
                for one in slots:
                    await one.acquire()
                    held.append(one)
        except (TimeoutError, asyncio.CancelledError) as ended:
            for one in held:
                one.release()
            if isinstance(ended, asyncio.CancelledError):
                raise
            raise Unavailable(f"{store} keeps too many requests waiting") from None
        future = asyncio.get_running_loop().run_in_executor(self._pool, work)
        future.add_done_callback(lambda done: _let_go(held, done))
        try:
            async with asyncio.timeout(DEADLINE + _LATE):
                return await asyncio.shield(future)
        except TimeoutError:
            sentence = f"{store} did not answer in {DEADLINE + _LATE:g} s"
            raise (Ambiguous(sentence) if write else Unavailable(sentence)) from None

    def close(self) -> None:
        """Take nothing new, wait for nobody."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _let_go(held: Sequence[asyncio.Semaphore], done: asyncio.Future[Any]) -> None:
    for one in held:
        one.release()
    if not done.cancelled():
        done.exception()  # heard, also where nobody waits any more


class VaultClient:
    """One store of one generation."""

    def __init__(
        self, store: Store, ca_bundle: SecretValue | None, cluster: Cluster, threads: Threads, *, allow_insecure: bool
    ) -> None:
        """Asks nothing. `cluster` has what a login is made with. Raises Rejected(StoreInvalid) for the address or the bundle."""
        self.store = store
        self._cluster = cluster
        self._threads = threads
        self._slots = threads.slots(store.namespace)
        try:
            self._address = str(base_url(store.spec.address, allow_insecure=allow_insecure)).rstrip("/")
        except ValueError as error:
            raise Rejected(f"{store.called}: spec.address {error}", reason="StoreInvalid") from None
        try:
            context = trust(ca_bundle) or ssl.create_default_context()
        except ValueError as error:
            raise Rejected(f"{store.called}: the CA bundle {error}", reason="StoreInvalid") from None
        proxies = requests.utils.get_environ_proxies(self._address)
        self._session = a_session(context, store.spec.tls_server_name, _AT_ONCE, proxies, own_machine=allow_insecure)
        self._logins = Logins(self._log_in, self._renew)

    def close(self) -> None:
        """Give the connections back."""
        self._session.close()

    async def log_in(self, identity: str) -> None:
        """Make sure that there is a login. Raises what a login raises."""
        await self._logins.token(identity)

    async def health(self) -> None:
        """Raises Unavailable where Vault is sealed, stands by, or does not answer; needs no login."""
        standby = {"standbyok": "true", "perfstandbyok": "true"}
        await self._run("health", lambda a: a.get("/v1/sys/health", params=standby), None, write=False)

    async def _log_in(self, identity: str) -> Grant:
        store, auth = self.store, self.store.spec.auth
        if (by := auth.kubernetes) is not None:
            account = by.service_account_ref
            jwt = await self._cluster.token(identity, account.name, account.audiences)
            return await self._granted(
                "login", lambda a: Kubernetes(a).login(by.role, jwt.reveal(), mount_point=by.mount)
            )
        if (role := auth.app_role) is not None:
            secret_id = await self._secret(role.secret_id_secret_ref, "secret id")
            return await self._granted(
                "login", lambda a: AppRole(a).login(role.role_id, secret_id.reveal(), mount_point=role.mount)
            )
        if auth.token_secret_ref is not None:
            token = await self._secret(auth.token_secret_ref, "token")
            return Grant.of_lookup(
                token, await self._run("lookup", lambda a: Token(a).lookup_self(), token, write=False)
            )
        raise Rejected(f"{store.called}: spec.auth must name one way to log in", reason="StoreInvalid")

    async def _secret(self, ref: SecretKeyRef, what: str) -> SecretValue:
        store = self.store
        value = await self._cluster.read_value("Secret", store.namespace or "", ref)
        if value is None:
            where = f"{ref.namespace or store.namespace}/{ref.name}"
            raise Rejected(
                f"{store.called} has no {what}: Secret {where} with data key {ref.key} does not exist; create it",
                reason="StoreInvalid",
            )
        return value

    async def _renew(self, token: SecretValue) -> Grant:
        return await self._granted("renew", lambda a: Token(a).renew_self(), token)

    async def _granted(
        self, operation: str, how: Callable[[BoundedAdapter], Any], token: SecretValue | None = None
    ) -> Grant:
        with _nothing_lost():
            return Grant.of_login(await self._run(operation, how, token, write=False))

    # Asking, with a login.

    async def read(self, identity: str, path: str, version: int | None = None) -> Mapping[str, Any] | None:
        """Data and metadata of a version, the latest unless told; of a deleted one `data` is null; None: nothing was ever there."""
        mount = self.store.spec.mount
        try:
            answer = await self._ask(
                identity,
                "read",
                lambda a: KvV2(a).read_secret_version(path, version, mount, raise_on_deleted_version=True),
                write=False,
            )
        except Missing as error:
            answer = dict(error.body)
        data = answer.get("data")
        return data if isinstance(data, dict) and isinstance(data.get("metadata"), dict) else None

    async def metadata(self, identity: str, path: str) -> Mapping[str, Any] | None:
        """Versions and custom metadata; None: nothing is there."""
        with suppress(Missing):
            answer = await self._ask(
                identity, "metadata", lambda a: KvV2(a).read_secret_metadata(path, self.store.spec.mount), write=False
            )
            return answer.get("data") if isinstance(answer.get("data"), dict) else None
        return None

    async def write(self, identity: str, path: str, data: Mapping[str, Any], cas: int) -> Mapping[str, Any]:
        """A new version over `cas`, 0 for none; returns its metadata. Raises Conflict."""
        mount = self.store.spec.mount
        answer = await self._ask(
            identity, "write", lambda a: KvV2(a).create_or_update_secret(path, dict(data), cas, mount), write=True
        )
        written = answer.get("data")
        if not isinstance(written, dict) or not isinstance(written.get("version"), int):
            raise Ambiguous(
                f"{self.store.called} answered a write with something else: is the mount {mount} KV version 2?"
            )
        return written

    async def describe(self, identity: str, path: str, custom: Mapping[str, str]) -> None:
        """Replace the custom metadata, and nothing else of the metadata (hvac's own call would reset when versions end)."""
        url = format_url("/v1/{mount}/metadata/{path}", mount=self.store.spec.mount, path=path)
        described = {"custom_metadata": dict(custom)}
        await self._ask(identity, "describe", lambda a: a.post(url, json=described), write=True)

    async def destroy(self, identity: str, path: str, versions: Sequence[int]) -> None:
        """Destroy these versions for good. May be repeated."""
        mount = self.store.spec.mount
        doomed = list(versions)
        await self._ask(identity, "destroy", lambda a: KvV2(a).destroy_secret_versions(path, doomed, mount), write=True)

    async def delete(self, identity: str, path: str) -> None:
        """Everything at a path, metadata and all versions. May be repeated."""
        with suppress(Missing):
            mount = self.store.spec.mount
            await self._ask(
                identity, "delete", lambda a: KvV2(a).delete_metadata_and_all_versions(path, mount), write=True
            )

    async def capabilities(self, identity: str, paths: Sequence[str]) -> Mapping[str, Sequence[str]]:
        """What the login may do at each of these paths, mount included."""
        with _nothing_lost():
            answer = await self._ask(
                identity, "capabilities", lambda a: Capabilities(a).get_capabilities(list(paths)), write=False
            )
        found = answer.get("data") or answer
        return {path: [c for c in found.get(path) or () if isinstance(c, str)] for path in paths}

    async def engine(self, identity: str) -> tuple[str, str] | None:
        """Type and version of what is mounted, as `("kv", "2")`; None: nothing, or the login may do nothing below it."""
        mount = self.store.spec.mount
        url = format_url("/v1/sys/internal/ui/mounts/{mount}", mount=mount)
        try:
            answer = await self._ask(identity, "engine", lambda a: a.get(url), write=False)
        except (Denied, Missing):
            return None
        data = answer.get("data") or {}
        return str(data.get("type", "")), str((data.get("options") or {}).get("version", "1"))

    async def _ask(
        self, identity: str, operation: str, what: Callable[[BoundedAdapter], Any], *, write: bool
    ) -> dict[str, Any]:
        """With the shared login; once again with a new one after a 403, since that changed nothing."""
        token = await self._logins.token(identity)
        try:
            return await self._run(operation, what, token, write=write)
        except Denied:
            token = await self._logins.anew(identity, token)
        return await self._run(operation, what, token, write=write)

    async def _run(
        self, operation: str, what: Callable[[BoundedAdapter], Any], token: SecretValue | None, *, write: bool
    ) -> dict[str, Any]:
        """`operation`: what metrics call it."""
        store = self.store
        heard = partial(self._threads.on_request, operation) if self._threads.on_request else None

        def work() -> dict[str, Any]:
            secret = token.reveal() if token else ""
            adapter = BoundedAdapter(
                store.called, self._address, self._session, secret, store.spec.vault_namespace, heard=heard
            )
            found = what(adapter)
            return found if isinstance(found, dict) else {}

        return await self._threads.run(self._slots, work, store.called, write=write)


class _nothing_lost:  # noqa: N801 - reads as what it says
    """A POST that only asks: where its answer is lost, it is asked again."""

    def __enter__(self) -> None:
        """Nothing to do."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Ambiguous):
            raise Unavailable(str(error)) from None
