"""The connection to the apiserver: one pooled session, JSON in and out, every failure converted once.

Owns requests and their deadlines. Must not repeat a write, and must not know any kind. Neighbours: kube_login.py gives
credentials, kube_errors.py the errors; kube_objects.py, kube_secret.py and kube_events.py call it. The kube* modules
are one outside client cut by subject.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, Self, TypeVar
from urllib.parse import quote, urlencode

import aiohttp
from yarl import URL

from keywright import __version__
from keywright.adapters.kube_errors import Answer, Gone, error_of
from keywright.adapters.kube_login import Login
from keywright.errors import Ambiguous, KeywrightError, Unavailable
from keywright.ports.lease import Unshared

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from types import TracebackType

    from keywright.ports.lease import Lease

__all__ = ["MERGE_PATCH", "KubeApi", "Listing", "path_of"]

MERGE_PATCH: Final = "application/merge-patch+json"

_JSON: Final = "application/json"
_UNAUTHENTICATED: Final = 401
_SUCCESS: Final = range(200, 300)

_CONNECTIONS: Final = 100
"""At most so many at once: twice the workers, so that events and lists do not queue behind issuing."""

_KEEP_ALIVE: Final = 60.0
"""Seconds an idle connection is kept: below the apiserver's 90, so that it is us who close and no request meets a
closed one."""

_CONNECT: Final = 5.0
"""Seconds for a TCP connection: longer only where packets are dropped."""

_PAGE: Final = 500
"""Objects per page of a list, as client-go's reflectors ask."""

_RESTARTS: Final = 3
"""How often a list whose continuation has expired starts over before it counts as unreachable."""

_LARGE: Final = 256 * 1024
"""Bytes of a body from which aiohttp is to send it piece by piece, so that nobody else waits; a Secret has up to 1.4 MB."""

_LEAST: Final = 0.001
"""Seconds: aiohttp takes zero for no deadline at all."""

_ALONE: Final = Unshared()

_T = TypeVar("_T")

Method = Literal["GET", "POST", "PATCH", "PUT", "DELETE"]


def path_of(prefix: str, resource: str, namespace: str | None, name: str | None = None, sub: str | None = None) -> str:
    """`/apis/g/v/namespaces/ns/resource/name/sub`, each part quoted: a name from outside cannot climb."""
    parts = [prefix]
    if namespace is not None:
        parts.append(f"namespaces/{quote(namespace, safe='')}")
    parts.append(resource)
    if name is not None:
        parts.append(quote(name, safe=""))
    if sub is not None:
        parts.append(sub)
    return "/".join(parts)


@dataclass(frozen=True, slots=True)
class Listing(Generic[_T]):
    """What was made of all objects of a list, and the resourceVersion they stood at."""

    items: list[_T]
    version: int


class KubeApi:
    """One apiserver."""

    def __init__(self, login: Login, lease: Lease = _ALONE) -> None:
        """`lease` is asked before each write."""
        self._login = login
        self._lease = lease
        self._server = login.server
        self._proxy = login.proxy
        self._server_hostname = login.configuration.tls_server_name
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=login.tls, limit=_CONNECTIONS, keepalive_timeout=_KEEP_ALIVE),
            # The answers are small, and compressing big lists costs both sides more than a cluster's own network does.
            headers={"Accept": _JSON, "Accept-Encoding": "identity", "User-Agent": f"keywright/{__version__}"},
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    @classmethod
    async def connect(cls, kubeconfig: str | None = None, context: str | None = None) -> Self:
        """From a kubeconfig, KUBECONFIG, or the pod's own account.

        Raises Rejected(KubeconfigInvalid); no request is made.
        """
        return cls(await Login.load(kubeconfig, context))

    @property
    def login(self) -> Login:
        """Where the apiserver is and the credentials as they stand, for kopf."""
        return self._login

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Give the connections back."""
        self._login.close()
        await self._session.close()

    async def request(
        self,
        method: Method,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        params: Mapping[str, str | int] | None = None,
        content_type: str = _JSON,
        deadline: float = 30.0,
        confidential: bool = False,
    ) -> dict[str, Any]:
        """One request and its JSON answer.

        `deadline` in seconds, all told: credentials, connection, answer. `confidential`: the body holds a plaintext, so no
        error quotes the answer. A request that 401 turned away, before anything could happen, is sent once more if there
        are fresher credentials; nothing else is ever repeated for POST and PATCH. (aiohttp itself repeats GET and DELETE
        once where a kept connection turns out closed; our DELETEs carry preconditions, so a second one finds nothing to do.)
        Raises NotLeading, and sends nothing, where a write meets a lease that is another process's.
        """
        data = None if body is None else json.dumps(body, separators=(",", ":")).encode()
        query = f"?{urlencode(params)}" if params else ""
        url = URL(f"{self._server}{path}{query}", encoded=True)
        asked = f"{method} {path}"
        write = method != "GET" and (params is None or "dryRun" not in params)
        headers = {"Content-Type": content_type} if data is not None else {}
        loop = asyncio.get_running_loop()
        ends = loop.time() + deadline
        for last in (False, True):
            authorization = await _in_time(self._login.authorization(loop.time()), ends)
            if authorization is not None:
                headers["Authorization"] = authorization
            if write:
                self._lease.require(0.0)
            failure: KeywrightError | None = None
            try:
                async with self._session.request(
                    method,
                    url,
                    data=data if data is None or len(data) <= _LARGE else io.BytesIO(data),
                    headers=headers,
                    timeout=aiohttp.ClientTimeout(total=max(ends - loop.time(), _LEAST), sock_connect=_CONNECT),
                    proxy=self._proxy,
                    server_hostname=self._server_hostname,
                    allow_redirects=False,
                ) as response:
                    status = response.status
                    retry_after = response.headers.get("Retry-After")
                    raw = await response.read()
            except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
                failure = Unavailable(f"the apiserver at {self._server} cannot be reached: {_cause(error)}")
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                failure = _unanswered(asked, type(error).__name__, write=write)
            if failure is not None:
                # Raised out here, so that it has no context: aiohttp's errors carry the request's headers, with the token.
                raise failure
            if status in _SUCCESS:
                return _parsed(raw, asked, write=write)
            if status != _UNAUTHENTICATED or last:
                break
            if not await _in_time(self._login.renew(authorization, loop.time()), ends):
                break
        raise error_of(Answer(asked, status, raw, retry_after, write, confidential))

    async def list(self, path: str, *, params: Mapping[str, str] | None = None) -> Listing[dict[str, Any]]:
        """All objects, as of one resourceVersion."""
        return await self.walk(path, lambda item: item, params=params)

    async def walk(
        self,
        path: str,
        take: Callable[[dict[str, Any]], _T],
        *,
        params: Mapping[str, str] | None = None,
        page: int = _PAGE,
    ) -> Listing[_T]:
        """All objects, page by page, as of one resourceVersion; starts over where a continuation has expired.

        `take` is handed each object as its page arrives, the same one twice where the list starts over; what it returns is
        listed, so that the objects themselves need not all be in memory at once.
        """
        for _ in range(_RESTARTS):
            try:
                return await self._list_once(path, take, {**(params or {}), "limit": page})
            except Gone:
                continue
        raise Unavailable(f"the list {path} changes faster than it can be read")

    async def watch(
        self, path: str, version: int, *, params: Mapping[str, str], seconds: int = 290
    ) -> AsyncIterator[dict[str, Any]]:
        """What happens to the objects of a list after `version`: {"type": ADDED, MODIFIED, DELETED or BOOKMARK, "object": …}.

        Ends after so many seconds, with the apiserver's own end; go on from the last object's version. Raises Gone where that is too
        old by now: list again.
        """
        asked = {"watch": 1, "resourceVersion": version, "allowWatchBookmarks": "true", "timeoutSeconds": seconds}
        query = urlencode({**params, **asked})
        authorization = await self._login.authorization(asyncio.get_running_loop().time())
        failure: KeywrightError | None = None
        try:
            async with self._session.get(
                URL(f"{self._server}{path}?{query}", encoded=True),
                headers={"Authorization": authorization} if authorization else {},
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT, sock_read=seconds + _CONNECT),
                proxy=self._proxy,
                server_hostname=self._server_hostname,
                allow_redirects=False,
            ) as response:
                if response.status not in _SUCCESS:
                    raw = await response.read()
                    raise error_of(
                        Answer(f"GET {path}?watch", response.status, raw, None, write=False, confidential=False)
                    )
                async for line in _lines(response.content):
                    event = _parsed(line, f"GET {path}?watch", write=False)
                    if event.get("type") == "ERROR":
                        code = int((event.get("object") or {}).get("code") or 0)
                        status = json.dumps(event.get("object")).encode()
                        raise error_of(Answer(f"GET {path}?watch", code, status, None, write=False, confidential=False))
                    yield event
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            failure = Unavailable(f"the apiserver at {self._server} cannot be reached: {_cause(error)}")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            failure = _unanswered(f"GET {path}?watch", type(error).__name__, write=False)
        if failure is not None:
            raise failure

    async def _list_once(
        self, path: str, take: Callable[[dict[str, Any]], _T], params: Mapping[str, str | int]
    ) -> Listing[_T]:
        items: list[_T] = []
        version = 0
        token = ""
        while True:
            page = await self.request(
                "GET", path, params={**params, **({"continue": token} if token else {})}, deadline=60.0
            )
            try:
                found = [*(page.get("items") or ())]
                version = version or int(page["metadata"]["resourceVersion"])
                token = page["metadata"].get("continue", "")
            except (KeyError, TypeError, ValueError) as error:
                raise Unavailable(f"the apiserver's answer to GET {path} is no list") from error
            items.extend(take(item) for item in found)
            if not token:
                return Listing(items, version)


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Whole lines, however long: an object has up to 1.5 MB, and the reader's own readline takes 64 KB."""
    kept = bytearray()
    async for chunk in content.iter_any():
        kept += chunk
        if b"\n" not in chunk:
            continue
        *whole, rest = bytes(kept).split(b"\n")
        kept = bytearray(rest)
        for line in whole:
            if line:
                yield line


async def _in_time(credentials: Awaitable[_T], ends: float) -> _T:
    """Nothing was sent yet: credentials that do not come leave everything as it was."""
    try:
        async with asyncio.timeout_at(ends):
            return await credentials
    except TimeoutError:
        raise Unavailable(
            "the credentials for the apiserver did not come in time: see the kubeconfig's exec plugin"
        ) from None


def _parsed(raw: bytes, asked: str, *, write: bool) -> dict[str, Any]:
    try:
        answer = json.loads(raw)
    except ValueError:
        answer = None
    if isinstance(answer, dict):
        return answer
    # Out here: a JSON error carries the text that it could not read.
    raise _unanswered(asked, None, write=write)


def _unanswered(asked: str, error: str | None, *, write: bool) -> KeywrightError:
    what = "could not be understood" if error is None else f"did not arrive ({error})"
    sentence = f"the apiserver's answer to {asked} {what}"
    return Ambiguous(sentence) if write else Unavailable(sentence)


def _cause(error: Exception) -> str:
    """Why there is no connection, without addresses: they stand before it."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            detail = getattr(error.certificate_error, "verify_message", "") or "verification failed"
            return f"its certificate is not trusted ({detail})"
        case aiohttp.ClientConnectorDNSError():
            return "its name cannot be resolved"
        case aiohttp.ClientProxyConnectionError():
            return "the proxy of the kubeconfig or of HTTPS_PROXY does not answer"
        case aiohttp.ClientConnectorError() if error.os_error.errno and error.os_error.errno > 0:
            return os.strerror(error.os_error.errno).lower()
        case _:
            return type(error).__name__
