"""HTTP as an adapter to a platform needs it: one pooled session, a request budget, a deadline, a size limit.

Owns how one request is sent and how its ending is told: an Answer or a Silence, as values, so that no exception or
traceback can hold a header, a body or a URL. What a status means is the caller's (mistral.py).
It repeats nothing, follows no redirect, keeps no cookie, and reads neither netrc nor the clock.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import re
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

from keywright import __version__
from keywright.adapters.address import ForbiddenAddressError
from keywright.adapters.budget import Budget
from keywright.adapters.resolving import Resolver
from keywright.errors import RateLimited
from keywright.ports.lease import Unshared

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping
    from types import SimpleNamespace

    from keywright.keys import SecretValue
    from keywright.ports.lease import Lease

__all__ = ["BODY_LIMIT", "Answer", "Call", "Credential", "HttpClient", "Silence"]

BODY_LIMIT: Final = 1024 * 1024
"""Bytes of one answer's body, after decompression: a page of 100 keys takes about a tenth."""

_CHUNK: Final = 64 * 1024
"""Bytes read at once."""

_CONNECTIONS: Final = 100
"""Connections of one issuer at once; more requests wait for one, within their deadline."""

_KEEP_ALIVE: Final = 4.0
"""Seconds an idle connection is kept. Below the 5 s after which common servers close theirs: a POST on a connection
that is being closed ends as ambiguous, and a key that was never made has to be looked for."""

_PAUSE: Final = 5.0
"""Seconds of quiet after a 429 that does not say for how long."""

_SHORTEST_PAUSE: Final = 1.0
"""Seconds; `Retry-After: 0` is no licence for a hot loop."""

_LONGEST_PAUSE: Final = 3600.0
"""Seconds; a day in Retry-After would stop renewals for longer than most keys can wait."""

_TOO_MANY_REQUESTS: Final = 429

_CONTENT: Final[tuple[dict[str, str], ...]] = ({}, {"Content-Type": "application/json"})
"""What is added to the headers without a body, and with one."""

_ALONE: Final = Unshared()

_SENDABLE: Final = re.compile(r"[!-~]{1,4096}")
"""A header's value: printable ASCII on one line, without blanks."""

_NOT_OF_A_HOST: Final = re.compile(r"[^\w.:\[\]-]")
"""What a host in a Location header must not hold to be repeated in a message."""


@dataclass(frozen=True, slots=True)
class Credential:
    """A secret and the header it is sent in. It becomes text only in the request itself."""

    header: str
    secret: SecretValue
    scheme: str = ""

    def sendable(self) -> bool:
        """Whether it can stand in a header: anything else would be refused, or end the header early."""
        return _SENDABLE.fullmatch(self.secret.reveal()) is not None

    def headers(self) -> dict[str, str]:
        """The header, built anew for each request."""
        return {self.header: f"{self.scheme} {self.secret.reveal()}".lstrip()}


@dataclass(frozen=True, slots=True)
class Call:
    """One request. `operation` names it in metrics; `body` is JSON; `rank` tells its place among those that wait for the budget."""

    operation: str
    method: str
    url: URL = field(repr=False)
    credential: Credential
    body: bytes | None = field(default=None, repr=False)
    rank: float | None = None

    @property
    def changes_something(self) -> bool:
        """Whether the other side is to do more than answer."""
        return self.method != "GET"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `flaw` says why the body is not whole (then it is empty); the status stands nevertheless.

    `retry_after`: seconds, None where nothing was said. `redirect`: scheme and host of a Location header.
    """

    status: int
    body: bytes = field(repr=False)
    flaw: str | None = None
    retry_after: float | None = None
    redirect: str | None = None


@dataclass(frozen=True, slots=True)
class Silence:
    """No answer. `left` False: no connection was made, so that the request surely never left; `why` is a clause."""

    left: bool
    why: str
    code: str


@dataclass(slots=True)
class _Departure:
    """Whether a request got a connection to be written to."""

    left: bool = False


class _CutError(aiohttp.ClientError):
    """Stands in for the two errors after which aiohttp sends GET and DELETE a second time."""


class HttpClient:
    """One pooled session with one budget; made outside of a loop, bound to the first loop that sends with it."""

    def __init__(
        self,
        *,
        peer: str,
        deadline: float,
        per_second: float,
        burst: int,
        tls: ssl.SSLContext | None = None,
        on_request: Callable[[str, str, float], None] | None = None,
        lease: Lease = _ALONE,
        own_machine: bool = False,
    ) -> None:
        """`peer`: how errors call the other side. `deadline`: seconds for one request, connecting included, waiting for the budget not.

        `own_machine`: names that lead to loopback addresses are let through.
        `lease` is asked before each request: for the whole deadline where it changes something, else only whether it is held.
        `on_request` hears of each request sent: operation, status or what happened instead, seconds.
        """
        self._peer = peer
        self._deadline = deadline
        self._budget = Budget(per_second, burst)
        self._tls = tls
        self._on_request = on_request
        self._lease = lease
        self._own_machine = own_machine
        self._session: aiohttp.ClientSession | None = None
        self._closed = False
        self._proxies: dict[URL, URL | None] = {}
        self._quiet_until = 0.0

    async def send(self, call: Call) -> Answer | Silence:
        """Send once. Raises RateLimited on a 429, and without sending while the pause it asked for lasts.

        Raises NotLeading, and sends nothing, where the lease does not last until the deadline.
        """
        loop = asyncio.get_running_loop()
        self._keep_quiet(loop.time())
        await self._budget.acquire(call.rank)
        started = loop.time()
        self._keep_quiet(started)
        self._lease.require(self._deadline if call.changes_something else 0.0)
        outcome = await self._exchange(call)
        ended = loop.time()
        if self._on_request is not None:
            code = outcome.code if isinstance(outcome, Silence) else str(outcome.status)
            self._on_request(call.operation, code, ended - started)
        if isinstance(outcome, Answer) and outcome.status == _TOO_MANY_REQUESTS:
            pause = _PAUSE if outcome.retry_after is None else outcome.retry_after
            self._quiet_until = max(self._quiet_until, ended + pause)
            self._keep_quiet(ended)
        return outcome

    async def close(self) -> None:
        """Give connections back; what is sent afterwards does not leave."""
        self._closed = True
        if self._session is not None:
            await self._session.close()

    def quiet(self) -> None:
        """Raise RateLimited while a pause lasts, NotLeading while the lease is too short for a change; nothing is sent."""
        self._keep_quiet(asyncio.get_running_loop().time())
        self._lease.require(self._deadline)

    def _keep_quiet(self, now: float) -> None:
        """Raise while a pause lasts, always in the same words: a status that repeats them is not rewritten."""
        if now < self._quiet_until:
            raise RateLimited(
                f"{self._peer} asked for a pause (429); requests wait until it is over", after=self._quiet_until - now
            )

    async def _exchange(self, call: Call) -> Answer | Silence:
        if self._closed:
            return Silence(left=False, why="the client was closed", code="closed")
        departure = _Departure()
        head: Answer | None = None
        try:
            async with (
                asyncio.timeout(self._deadline),
                self._open().request(
                    call.method,
                    call.url,
                    headers=call.credential.headers() | _CONTENT[call.body is not None],
                    data=call.body,
                    allow_redirects=False,
                    proxy=self._proxy(call.url),
                    trace_request_ctx=departure,
                ) as response,
            ):
                head = _head(response)
                body = await _body(response)
        except TimeoutError:
            within = f"within {self._deadline:g}s"
            why = f"no answer {within}" if departure.left else f"no connection {within}"
            code = "timeout"
        except (aiohttp.ClientError, OSError) as error:
            why = _clause(error)
            code = "cut" if departure.left else _code(error)
        else:
            if body is None:
                return dataclasses.replace(head, flaw=f"is larger than {BODY_LIMIT // 1024} KiB")
            return dataclasses.replace(head, body=body)
        if head is not None:
            return dataclasses.replace(head, flaw="did not arrive whole")
        return Silence(left=departure.left, why=why, code=code)

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            tracing = aiohttp.TraceConfig()
            tracing.on_connection_create_end.append(_depart)
            tracing.on_connection_reuseconn.append(_depart)
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=_CONNECTIONS,
                    keepalive_timeout=_KEEP_ALIVE,
                    resolver=Resolver(
                        own_machine=self._own_machine,
                        proxies=lambda: [proxy.raw_host for proxy in self._proxies.values() if proxy],
                    ),
                    # True: the system's store, in the one context that all of aiohttp shares.
                    ssl=True if self._tls is None else self._tls,
                ),
                # The deadline is asyncio's: aiohttp's own would restart it for the body's chunks.
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={
                    "User-Agent": f"keywright/{__version__}",
                    "Accept": "application/json",
                    "Accept-Encoding": "gzip, deflate",
                },
                trace_configs=[tracing],
                middlewares=[_once],
            )
        return self._session

    def _proxy(self, url: URL) -> URL | None:
        """The proxy that HTTPS_PROXY, HTTP_PROXY and NO_PROXY name for a URL.

        aiohttp's trust_env asks the same functions, but for each request and in threads, and it would also send a
        netrc's password to the platform beside the admin key, or fail on having both.
        """
        origin = url.origin()
        if origin not in self._proxies:
            proxy = None if proxy_bypass(f"{url.host}:{url.port}") else getproxies().get(url.scheme)
            self._proxies[origin] = URL(proxy) if proxy else None
        return self._proxies[origin]


async def _depart(_session: aiohttp.ClientSession, context: SimpleNamespace, _params: object) -> None:
    context.trace_request_ctx.left = True


async def _once(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Keep aiohttp from sending GET and DELETE again where a reused connection breaks: repeating is the caller's."""
    try:
        return await send(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
        raise _CutError from None


def _head(response: aiohttp.ClientResponse) -> Answer:
    return Answer(
        status=response.status,
        body=b"",
        retry_after=_retry_after(response.headers),
        redirect=_host_of(response.headers.get("Location")),
    )


async def _body(response: aiohttp.ClientResponse) -> bytes | None:
    """The whole body, or None where it passes the limit: then the connection is dropped with what is still to come."""
    body = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK):
        body += chunk
        if len(body) > BODY_LIMIT:
            response.close()
            return None
    return bytes(body)


def _retry_after(headers: Mapping[str, Any]) -> float | None:
    """Seconds to wait, within bounds. A date is taken against the answer's own Date: no two clocks are compared."""
    said = str(headers.get("Retry-After", "")).strip()
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", said):
        seconds = float(said)
    else:
        try:
            seconds = (parsedate_to_datetime(said) - parsedate_to_datetime(headers.get("Date", ""))).total_seconds()
        except (ValueError, TypeError):
            return None
    return min(max(seconds, _SHORTEST_PAUSE), _LONGEST_PAUSE)


def _host_of(location: str | None) -> str | None:
    """Scheme and host of a Location header, no more of it: the rest may hold anything."""
    if location is None:
        return None
    try:
        there = urlsplit(location)
        host = there.netloc.rpartition("@")[2]
    except ValueError:
        return None
    if there.scheme not in ("http", "https") or not host or len(host) > 255 or _NOT_OF_A_HOST.search(host):  # noqa: PLR2004 - a host name's limit
        return None
    return f"{there.scheme}://{host}"


def _code(error: Exception) -> str:
    """Why nothing left, as a word for metrics, and for the caller to say what helps."""
    return "untrusted" if isinstance(error, aiohttp.ClientConnectorCertificateError) else "unreachable"


def _clause(error: Exception) -> str:
    """What went wrong on the wire, as a clause without addresses or contents."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            detail = getattr(error.certificate_error, "verify_message", "") or "verification failed"
            return f"its certificate is not trusted ({detail})"
        case aiohttp.ClientSSLError():
            return "the TLS handshake failed"
        case aiohttp.ClientConnectorDNSError(os_error=ForbiddenAddressError(strerror=clause)):
            return str(clause)
        case aiohttp.ClientConnectorDNSError():
            return "its name cannot be resolved"
        case aiohttp.ClientProxyConnectionError():
            return "the proxy of HTTPS_PROXY or HTTP_PROXY cannot be reached"
        case aiohttp.ClientHttpProxyError():
            return f"the proxy refused to connect ({error.status})"
        case aiohttp.ClientConnectorError():
            return os.strerror(error.errno).lower() if error.errno and error.errno > 0 else "no connection can be made"
        case aiohttp.ClientResponseError():
            return "the answer is no HTTP"
        case _:
            return "the connection was cut"
