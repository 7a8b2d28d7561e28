"""hvac's way to a Vault: bounded in time and size, following nobody, every failure converted once.

Owns the requests, which block: they belong into a thread (vault_client.py). hvac builds paths and bodies on top of this. Must not
read the environment, where hvac and requests would look for tokens, certificates and proxies of their own.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Final

import hvac.adapters
import requests
import requests.adapters
import urllib3.exceptions
import urllib3.util.ssl_match_hostname

from keywright import __version__
from keywright.adapters.address import ForbiddenAddressError
from keywright.adapters.resolving import guarded
from keywright.adapters.vault_errors import Answer, error_of, login_refused
from keywright.errors import Ambiguous, KeywrightError, Unavailable

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping

__all__ = ["DEADLINE", "BoundedAdapter", "a_session"]

DEADLINE: Final = 10.0
"""Seconds that one request may take, but for a name that does not resolve."""
_CONNECT: Final = 3.0
_SILENCE: Final = 5.0
"""Seconds without a byte."""
_LARGEST: Final = 4 * 1024 * 1024
"""Bytes of an answer: Vault takes no more than 32 MiB, and 1 MiB in its own storage."""
_PIECE: Final = 64 * 1024
_SUCCESS: Final = range(200, 300)


class _Plain(requests.adapters.HTTPAdapter):
    """Where the operator may go to; a proxy's address is nobody's but the administrator's business."""

    def __init__(self, connections: int, *, own_machine: bool) -> None:
        self._own_machine = own_machine
        super().__init__(pool_connections=1, pool_maxsize=connections)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **kwargs: Any) -> None:  # noqa: FBT001, FBT002 - requests' signature
        super().init_poolmanager(connections, maxsize, block, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {
            scheme: _guarded_pool(pool, own_machine=self._own_machine)
            for scheme, pool in self.poolmanager.pool_classes_by_scheme.items()
        }


def _guarded_pool(pool: type[urllib3.HTTPConnectionPool], *, own_machine: bool) -> type[urllib3.HTTPConnectionPool]:
    made = guarded(pool.ConnectionCls, own_machine=own_machine)  # type: ignore[arg-type]  # urllib3's own is a protocol
    return type("Guarded", (pool,), {"ConnectionCls": made})


class _Trusting(_Plain):
    """TLS by a context of our own: its certificates, and the name that the server must carry."""

    def __init__(
        self, context: ssl.SSLContext, server_name: str | None, connections: int, *, own_machine: bool
    ) -> None:
        self._tls: dict[str, Any] = {"ssl_context": context}
        if server_name:
            self._tls |= {"server_hostname": server_name, "assert_hostname": server_name}
        super().__init__(connections, own_machine=own_machine)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **kwargs: Any) -> None:  # noqa: FBT001, FBT002 - requests' signature
        super().init_poolmanager(connections, maxsize, block, **{**kwargs, **self._tls})

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        return super().proxy_manager_for(proxy, **{**kwargs, **self._tls})

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:  # noqa: ARG002 - requests' signature
        """The context says it all; requests would add certificates of its own."""
        conn.cert_reqs = "CERT_REQUIRED"


def a_session(
    context: ssl.SSLContext,
    server_name: str | None,
    connections: int,
    proxies: Mapping[str, str],
    *,
    own_machine: bool,
) -> requests.Session:
    """One pool of connections. `proxies` as requests takes them; `own_machine`: loopback is let through."""
    session = requests.Session()
    session.trust_env = False
    session.proxies = dict(proxies)
    session.cookies.set_policy(_NoCookies())
    session.headers["User-Agent"] = f"keywright/{__version__}"
    session.mount("https://", _Trusting(context, server_name, connections, own_machine=own_machine))
    session.mount("http://", _Plain(connections, own_machine=own_machine))
    return session


class _NoCookies(requests.cookies.cookielib.DefaultCookiePolicy):  # type: ignore[name-defined,misc]  # the module's own alias
    def set_ok(self, cookie: Any, request: Any) -> bool:  # noqa: ARG002 - the policy's signature
        return False


class BoundedAdapter(hvac.adapters.Adapter):  # type: ignore[misc]  # hvac has no types
    """One request at a time, with one token. Answers are JSON objects; raises keywright.errors only."""

    def __init__(
        self,
        store: str,
        address: str,
        session: requests.Session,
        token: str,
        namespace: str | None,
        *,
        heard: Callable[[str, float], None] | None = None,
    ) -> None:
        """`store`: as messages call it; `namespace`: Vault Enterprise's.

        `heard` is told of each request sent: its status, or untrusted, unreachable, cut, and seconds.
        """
        super().__init__(base_uri=address, token=token, session=session, namespace=namespace)
        self._store = store
        self._heard = heard

    def get_login_token(self, response: Any) -> str:
        """The token of a login's answer."""
        return str(response["auth"]["client_token"])

    def login(self, url: str, use_token: bool = True, **kwargs: Any) -> dict[str, Any]:  # noqa: FBT001, FBT002, ARG002 - hvac's signature
        """A login; its refusals are a login's."""
        return self._send("post", url, login=True, **kwargs)

    def request(
        self,
        method: str,
        url: str,
        headers: Any = None,  # noqa: ARG002 - hvac's signature; nothing passes any
        raise_exception: bool = True,  # noqa: FBT001, FBT002, ARG002 - as above
        **kwargs: Any,
    ) -> dict[str, Any]:
        """One request; an answer without a body is an empty object."""
        return self._send(method, url, login=False, **kwargs)

    def _send(self, method: str, url: str, *, login: bool, **kwargs: Any) -> dict[str, Any]:
        method = method.upper()
        write = method not in ("GET", "LIST")
        asked = f"{method} {url}"
        begun = time.monotonic()
        headers = {"X-Vault-Request": "true"}
        if self.token:
            headers["X-Vault-Token"] = self.token
        if self.namespace:
            headers["X-Vault-Namespace"] = self.namespace
        failure: KeywrightError | None = None
        code = ""
        try:
            with self.session.request(
                method,
                self.urljoin(self.base_uri, url),
                json=kwargs.get("json"),
                params=kwargs.get("params"),
                headers=headers,
                timeout=(_CONNECT, _SILENCE),
                stream=True,
                allow_redirects=False,
            ) as response:
                code = str(response.status_code)
                raw = _bounded(response, begun + DEADLINE)
                answer = Answer(
                    store=self._store,
                    asked=asked,
                    status=response.status_code,
                    body=_object(raw),
                    location=response.headers.get("Location"),
                    retry_after=response.headers.get("Retry-After"),
                    write=write,
                )
        except (requests.ConnectTimeout, requests.exceptions.SSLError) as error:
            code = "untrusted" if isinstance(error, requests.exceptions.SSLError) else "unreachable"
            failure = Unavailable(f"{self._store} cannot be reached: {_cause(error)}")
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            code = code or ("unreachable" if _never_left(error) else "cut")
            failure = self._unanswered(asked, error, write=write)
        if self._heard is not None:
            self._heard(code, time.monotonic() - begun)
        if failure is not None:
            # Raised out here, so that it has no context: these errors carry the request, with token and plaintext.
            raise failure
        if answer.status in _SUCCESS:
            return dict(answer.body)
        raise login_refused(self._store, url, answer) if login else error_of(answer)

    def _unanswered(self, asked: str, error: Exception, *, write: bool) -> KeywrightError:
        if _never_left(error):
            return Unavailable(f"{self._store} cannot be reached: {_cause(error)}")
        sentence = f"{self._store} gave no whole answer to {asked} ({type(error).__name__})"
        return Ambiguous(sentence) if write else Unavailable(sentence)


def _bounded(response: requests.Response, ends: float) -> bytes:
    """The body, while it is neither too long nor too slow."""
    raw = bytearray()
    for piece in response.iter_content(_PIECE):
        raw += piece
        if len(raw) > _LARGEST:
            raise requests.exceptions.ContentDecodingError("too long")
        if time.monotonic() > ends:
            raise requests.ReadTimeout("too slow")
    return bytes(raw)


def _object(raw: bytes) -> dict[str, Any]:
    """JSON; anything else says nothing."""
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _reasons(error: BaseException) -> list[BaseException]:
    """An error and what it was made of."""
    found: list[BaseException] = []
    waiting: list[Any] = [error]
    while waiting:
        one = waiting.pop()
        if isinstance(one, BaseException) and one not in found:
            found.append(one)
            waiting += [*one.args, getattr(one, "reason", None), one.__cause__]
    return found


def _never_left(error: BaseException) -> bool:
    """No connection came about, so that nothing was sent."""
    kinds = (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ProxyError, urllib3.exceptions.SSLError)
    return any(isinstance(one, kinds) for one in _reasons(error))


def _cause(error: BaseException) -> str:
    """Why there is no connection, in a few words."""
    for one in _reasons(error):
        if verified := getattr(one, "verify_message", None):
            return f"its certificate is not trusted ({verified})"
        if isinstance(one, urllib3.util.ssl_match_hostname.CertificateError):
            return "its certificate is not trusted (it is for another name)"
        if isinstance(one, ForbiddenAddressError):
            return str(one.strerror)
        if isinstance(one, urllib3.exceptions.NameResolutionError):
            return "its name cannot be resolved"
        if isinstance(one, OSError) and one.errno and one.strerror and not isinstance(one, requests.RequestException):
            return one.strerror.lower()
    return type(error).__name__
