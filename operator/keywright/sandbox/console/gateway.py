"""The console's ASGI side: which paths are its own, headers on each answer, routes, and what becomes of an exception."""

from __future__ import annotations

import logging
import sqlite3
from typing import TYPE_CHECKING, Final

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.routing import Route

from keywright.sandbox.console.accounts import Accounts
from keywright.sandbox.console.door import SIGN_IN, Door
from keywright.sandbox.console.forms import Refusal
from keywright.sandbox.console.keyring import Keyring
from keywright.sandbox.console.pages import Pages
from keywright.sandbox.gate import below
from keywright.sandbox.store import NotFoundError

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from keywright.sandbox.store import Store

__all__ = ["Console"]

_log = logging.getLogger(__name__)

_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not no-referrer: browsers would then send forms with `Origin: null`.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_OWN: Final = (SIGN_IN, "/sign-out", "/static", "/organization", "/workspaces")
"""Beside `/` itself. A client of the API that has its address wrong gets the API's 404, in JSON."""

_SENTENCES: Final = {
    404: "There is no such page. What it showed may have been revoked or archived.",
    405: "This address is not for that.",
}


class Console:
    """In front of the API; answers what is asked under its own addresses."""

    def __init__(self, app: ASGIApp, *, store: Store, admin_key: str) -> None:
        self._api = app
        self._pages = Pages()
        door = Door(store, self._pages, admin_key)
        keyring = Keyring(store, self._pages)
        accounts = Accounts(store, self._pages)
        routes = [
            Route("/", door.reading(accounts.choose)),
            Route(SIGN_IN, door.ask, methods=["GET"]),
            Route(SIGN_IN, door.enter, methods=["POST"]),
            Route("/sign-out", door.changing(door.leave), methods=["POST"]),
            Route("/static/{name}", self._pages.file),
            Route("/organization/audit-log", door.reading(accounts.audit_log)),
            Route("/organization/policy", door.reading(accounts.policy)),
            Route("/organization/policy", door.changing(accounts.set_policy), methods=["POST"]),
        ]
        for place in ("/organization", "/workspaces/{workspace}"):
            routes += [
                Route(f"{place}/usage", door.reading(accounts.usage)),
                Route(f"{place}/api-keys", door.reading(keyring.show)),
                Route(f"{place}/api-keys", door.changing(keyring.create), methods=["POST"]),
                Route(f"{place}/api-keys/{{key}}/ask", door.changing(keyring.ask), methods=["POST"]),
                Route(f"{place}/api-keys/{{key}}/revoke", door.changing(keyring.revoke), methods=["POST"]),
            ]
        self._console = Starlette(
            routes=routes,
            exception_handlers={
                Refusal: self._refused,
                NotFoundError: self._not_found,
                HTTPException: self._http,
                sqlite3.Error: self._unwritten,
            },
        )
        self._console.router.redirect_slashes = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http" or not _is_own(scope["path"]):
            await self._api(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        await self._console(scope, receive, with_headers)

    def _problem(self, status: int, sentence: str) -> Response:
        return self._pages.show("problem.html", status=status, sentence=sentence)

    async def _refused(self, _: Request, error: Exception) -> Response:
        assert isinstance(error, Refusal)
        return self._problem(error.status, str(error))

    async def _not_found(self, _: Request, error: Exception) -> Response:
        return self._problem(404, f"{error}. It may have been archived; choose another one.")

    async def _http(self, _: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return self._problem(error.status_code, _SENTENCES.get(error.status_code, error.detail))

    async def _unwritten(self, _: Request, error: Exception) -> Response:
        _log.error("the data file cannot be used: %s", error)
        return self._problem(503, "The data file cannot be used right now; nothing was changed. Try again.")


def _is_own(path: str) -> bool:
    return path == "/" or any(below(path, prefix) for prefix in _OWN)
