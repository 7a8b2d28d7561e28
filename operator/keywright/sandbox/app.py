"""The ASGI application: gate, routes, and what becomes of an exception; the console beside them."""

from __future__ import annotations

import logging
import sqlite3
from typing import TYPE_CHECKING

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.routing import Match

from keywright.sandbox.answers import invalid, refuse
from keywright.sandbox.console import Console
from keywright.sandbox.gate import Gate
from keywright.sandbox.limiter import RateLimiter
from keywright.sandbox.routes import api_keys, audit_logs, control, inference, usage, users, workspaces
from keywright.sandbox.store import NotAllowedError, NotFoundError

if TYPE_CHECKING:
    from fastapi import Request
    from fastapi.responses import Response

    from keywright.sandbox.store import Store

__all__ = ["build_app"]

_log = logging.getLogger(__name__)


def build_app(store: Store, *, admin_key: str, rate_limit: float | None = None) -> FastAPI:
    """The sandbox on `store`. `rate_limit`: requests per second, None for none. The store stays its opener's to close.

    It describes itself nowhere: the platform's own OpenAPI document is the contract, and the tests hold it to that.
    """
    limiter = RateLimiter(rate_limit)
    app = FastAPI(openapi_url=None, redirect_slashes=False)
    app.add_middleware(Gate, store=store, admin_key=admin_key, limiter=limiter)
    for subject in (api_keys, inference, workspaces, users, usage, audit_logs):
        subject.install(app, store)
    control.install(app, store, limiter)
    # Added last, asked first: what is the console's never comes to the gate.
    app.add_middleware(Console, store=store, admin_key=admin_key)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(NotFoundError, _not_found)
    app.add_exception_handler(NotAllowedError, _not_allowed)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(sqlite3.Error, _unwritten)
    return app


async def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return invalid(error.errors())


async def _not_found(_: Request, error: Exception) -> Response:
    return refuse(404, str(error))


async def _not_allowed(_: Request, error: Exception) -> Response:
    return refuse(403, str(error))


async def _unwritten(_: Request, error: Exception) -> Response:
    _log.error("the data file cannot be used: %s", error)
    return refuse(503, "The data file cannot be used right now")


async def _http(request: Request, error: Exception) -> Response:
    """404 and 405 of the router. It names the methods of the first route only, so they are gathered here."""
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    if error.status_code == 405:  # noqa: PLR2004 - HTTP: method not allowed
        methods: set[str] = set()
        for route in request.app.routes:
            if isinstance(route, APIRoute) and route.matches(request.scope)[0] is not Match.NONE:
                methods |= route.methods or set()
        headers["Allow"] = ", ".join(sorted(methods))
    return refuse(error.status_code, str(error.detail), headers)
