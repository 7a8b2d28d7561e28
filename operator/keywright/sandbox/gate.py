"""Who may call, and how often; asked before anything of a request is read.

/v1/admin and /sandbox take the admin key only, the rest of /v1 ordinary keys only. What is outside those is nobody's
secret, and passes. Plain ASGI, since it runs on each request: a framework's middleware would cost more than it does.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Final

from keywright.sandbox.answers import refuse
from keywright.sandbox.plaintext import digest
from keywright.sandbox.store import keys

if TYPE_CHECKING:
    from fastapi.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

    from keywright.sandbox.limiter import RateLimiter
    from keywright.sandbox.store import Store

__all__ = ["CALLER", "Gate", "below"]

CALLER: Final = "keywright.sandbox.caller"
"""Where the scope holds the `keys.Caller` of an ordinary request."""

_ADMIN: Final = ("/v1/admin", "/sandbox")
_CHALLENGE: Final = {"WWW-Authenticate": "Bearer"}


class Gate:
    """In front of the application."""

    def __init__(self, app: ASGIApp, *, store: Store, admin_key: str, limiter: RateLimiter) -> None:
        self._app = app
        self._store = store
        self._admin = digest(admin_key)
        self._limiter = limiter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "http":
            refusal = await self._refusal(scope)
            if refusal is not None:
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)

    async def _refusal(self, scope: Scope) -> Response | None:
        path = scope["path"]
        public = below(path, "/v1")
        if public:
            wait = self._limiter.take()
            if wait is not None:
                return refuse(429, "Requests rate limit exceeded", {"Retry-After": str(wait)})
        if any(below(path, prefix) for prefix in _ADMIN):
            return self._admin_refusal(_credential(scope))
        return await self._key_refusal(scope) if public else None

    def _admin_refusal(self, credential: str | None) -> Response | None:
        if credential is None:
            return refuse(401, "An Admin API key is required", _CHALLENGE)
        if hmac.compare_digest(digest(credential), self._admin):
            return None
        if self._store.read(keys.authenticate, credential, self._store.today()) is not None:
            return refuse(403, "This key is no Admin API key")
        return refuse(401, "The Admin API key is invalid", _CHALLENGE)

    async def _key_refusal(self, scope: Scope) -> Response | None:
        credential = _credential(scope)
        if credential is None:
            return refuse(401, "An API key is required", _CHALLENGE)
        today = self._store.today()
        caller = self._store.read(keys.authenticate, credential, today)
        if caller is None:
            return refuse(401, "The API key is invalid or has expired", _CHALLENGE)
        await self._store.write(keys.touch, caller, today)
        scope[CALLER] = caller
        return None


def below(path: str, prefix: str) -> bool:
    """Whether an address is `prefix` or something under it."""
    return path.startswith(prefix) and (len(path) == len(prefix) or path[len(prefix)] == "/")


def _credential(scope: Scope) -> str | None:
    """The key that a request brings: x-api-key, or else Authorization: Bearer."""
    bearer = None
    for name, value in scope["headers"]:
        if name == b"x-api-key":
            return str(value, "latin-1").strip()
        if name == b"authorization":
            scheme, _, rest = str(value, "latin-1").partition(" ")
            if scheme.lower() == "bearer":
                bearer = rest.strip()
    return bearer
