"""Signing in with the admin key, and who may do what afterwards.

The admin key comes in the body of one POST and goes nowhere: what a browser keeps is a session's name, in a cookie that
no script sees and no other site sends. Every change is a POST with the session's own token, from the console's own
pages.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from starlette.responses import RedirectResponse

from keywright.sandbox.console.forms import Refusal, read_form
from keywright.sandbox.console.sessions import Session, Sessions
from keywright.sandbox.plaintext import digest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from keywright.sandbox.console.pages import Pages
    from keywright.sandbox.store import Store

    Handler = Callable[[Request], Awaitable[Response]]
    Reading = Callable[[Request, Session], Awaitable[Response]]
    Changing = Callable[[Request, Session, dict[str, str]], Awaitable[Response]]

__all__ = ["SIGN_IN", "Door", "see"]

SIGN_IN: Final = "/sign-in"

_CSRF: Final = "csrf"
"""The field of each form that holds the session's token."""

_HTTP_PORT: Final = 80


def see(path: str) -> Response:
    """Send the browser to a page of the console: 303, so that a reload there repeats no change."""
    return RedirectResponse(path, status_code=303)


class Door:
    """Lets in who has the admin key."""

    def __init__(self, store: Store, pages: Pages, admin_key: str) -> None:
        self._store = store
        self._pages = pages
        self._admin = digest(admin_key)
        self._sessions = Sessions()

    def reading(self, handler: Reading) -> Handler:
        """The handler for those who are signed in; the others are sent to sign in."""

        async def guarded(request: Request) -> Response:
            session = self._session(request)
            return see(SIGN_IN) if session is None else await handler(request, session)

        return guarded

    def changing(self, handler: Changing) -> Handler:
        """As reading, for forms: the handler gets the fields of one that this session's pages have sent."""

        async def guarded(request: Request) -> Response:
            _refuse_other_sites(request)
            session = self._session(request)
            if session is None:
                return see(SIGN_IN)
            fields = await read_form(request)
            if not hmac.compare_digest(digest(fields.pop(_CSRF, "")), digest(session.csrf)):
                raise Refusal(403, "This form belongs to another session; nothing was changed. Load the page again.")
            return await handler(request, session, fields)

        return guarded

    async def ask(self, request: Request) -> Response:
        """GET /sign-in."""
        if self._session(request) is not None:
            return see("/")
        return self._pages.show("sign_in.html", refused=False)

    async def enter(self, request: Request) -> Response:
        """POST /sign-in: 401 unless the form brings the admin key, compared in constant time."""
        _refuse_other_sites(request)
        fields = await read_form(request)
        if not hmac.compare_digest(digest(fields.get("admin_key", "")), self._admin):
            return self._pages.show("sign_in.html", status=401, refused=True)
        self._leave(request)
        answer = see("/")
        # Not Secure: the sandbox speaks plain HTTP. No end: the session's own is kept here, and the browser's ends it too.
        answer.set_cookie(_cookie(request), self._sessions.open(self._store.now()), httponly=True, samesite="strict")
        return answer

    async def leave(self, request: Request, _session: Session, _fields: dict[str, str]) -> Response:
        """POST /sign-out."""
        self._leave(request)
        answer = see(SIGN_IN)
        answer.delete_cookie(_cookie(request), httponly=True, samesite="strict")
        return answer

    def _session(self, request: Request) -> Session | None:
        return self._sessions.find(request.cookies.get(_cookie(request), ""), self._store.now())

    def _leave(self, request: Request) -> None:
        self._sessions.close(request.cookies.get(_cookie(request), ""))


def _cookie(request: Request) -> str:
    """Cookies do not tell ports apart: two sandboxes on one machine would sign each other out."""
    return f"keywright-console-{request.url.port or _HTTP_PORT}"


def _refuse_other_sites(request: Request) -> None:
    """A second fence beside the cookie's SameSite: browsers say where a form came from. Raises Refusal."""
    site = request.headers.get("sec-fetch-site", "same-origin")
    origin = request.headers.get("origin")
    elsewhere = site != "same-origin" or (origin is not None and urlsplit(origin).netloc != request.headers.get("host"))
    if elsewhere:
        raise Refusal(403, "This form came from another site; nothing was changed.")
