"""The two listeners: metrics, and probes. Neither shows a secret, and neither needs a right but for `--metrics-auth`."""

from __future__ import annotations

import asyncio
import logging
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from aiohttp import web
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from keywright.adapters.kube_reviews import Verdict
from keywright.errors import KeywrightError, Rejected

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

__all__ = ["Endpoints"]

_log = logging.getLogger(__name__)
_CERTIFICATE_AGAIN: Final = 60.0
"""Seconds after which a certificate is looked at again: its Secret may have been renewed."""
_REFUSALS: Final = {
    Verdict.UNKNOWN: "send the token of a ServiceAccount: Authorization: Bearer ...\n",
    Verdict.FORBIDDEN: "bind the ServiceAccount to a ClusterRole that may get the nonResourceURL /metrics, such as "
    "keywright-metrics-reader\n",
}


class Endpoints:
    """HTTP listeners that come and go together."""

    def __init__(self) -> None:
        self._runners: list[web.AppRunner] = []
        self._renewing: list[asyncio.Task[None]] = []

    async def serve_metrics(
        self,
        address: str,
        scrape: Callable[[], Awaitable[bytes]],
        *,
        review: Callable[[str], Awaitable[Verdict]] | None = None,
        certificate: Path | None = None,
    ) -> str:
        """`/metrics` on HOST:PORT (port 0: any): what `scrape` says. Returns the address it got.

        `review` says of a token whether its owner may read them, None: everybody may. `certificate`: a folder with tls.crt and tls.key.
        """

        async def metrics(request: web.Request) -> web.Response:
            if review is not None and (refusal := await _refused(request, review)) is not None:
                return refusal
            return web.Response(body=await scrape(), headers={"Content-Type": CONTENT_TYPE_LATEST})

        tls = None
        if certificate is not None:
            tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            _load(tls, certificate)
            self._renewing.append(asyncio.create_task(_keep_loaded(tls, certificate), name="metrics-certificate"))
        return await self._serve(address, {"/metrics": metrics}, tls)

    async def serve_health(self, address: str, ready: Callable[[], bool]) -> str:
        """`/healthz`: the loop runs. `/readyz`: lists are read and work is done. Returns the address it got."""

        async def healthz(_: web.Request) -> web.Response:
            return web.Response(text="ok\n")

        async def readyz(_: web.Request) -> web.Response:
            return web.Response(text="ok\n") if ready() else web.Response(status=503, text="not synced yet\n")

        return await self._serve(address, {"/healthz": healthz, "/readyz": readyz})

    async def close(self) -> None:
        """Stop listening."""
        for task in self._renewing:
            task.cancel()
        for runner in self._runners:
            await runner.cleanup()

    async def _serve(self, address: str, routes: dict[str, object], tls: ssl.SSLContext | None = None) -> str:
        host, _, port = address.rpartition(":")
        if not port.isdigit():
            raise Rejected(f"{address!r} is no address; write HOST:PORT, such as 0.0.0.0:8080", reason="Usage")
        app = web.Application()
        app.add_routes([web.get(path, handler) for path, handler in routes.items()])  # type: ignore[arg-type]
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, host.strip("[]") or None, int(port), ssl_context=tls).start()
        except (OSError, OverflowError) as error:
            await runner.cleanup()
            raise Rejected(
                f"cannot listen on {address}: {error.strerror if isinstance(error, OSError) else error}; choose another port",
                reason="Usage",
            ) from None
        self._runners.append(runner)
        return f"{host}:{runner.addresses[0][1]}"


async def _refused(request: web.Request, review: Callable[[str], Awaitable[Verdict]]) -> web.Response | None:
    """What is said instead of the metrics; None: they may be read."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    verdict = Verdict.UNKNOWN
    if scheme.lower() == "bearer" and token:
        try:
            verdict = await review(token.strip())
        except KeywrightError as error:
            _log.warning("a token shown at /metrics cannot be reviewed: %s", error)
            return web.Response(status=503, text="the token cannot be reviewed now; keywright's log says why\n")
    if verdict is Verdict.ALLOWED:
        return None
    headers = {"WWW-Authenticate": "Bearer"} if verdict is Verdict.UNKNOWN else {}
    return web.Response(status=verdict.value, text=_REFUSALS[verdict], headers=headers)


def _load(tls: ssl.SSLContext, folder: Path) -> None:
    try:
        tls.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    except (OSError, ssl.SSLError) as error:
        raise Rejected(
            f"--metrics-tls {folder} has no certificate that can be used ({error.strerror or 'no PEM'}); it must hold tls.crt and its "
            "tls.key",
            reason="Usage",
        ) from None


async def _keep_loaded(tls: ssl.SSLContext, folder: Path) -> None:
    """Read it again where it was renewed: for connections from then on."""
    seen = _stamp(folder)
    while True:
        await asyncio.sleep(_CERTIFICATE_AGAIN)
        if (now := _stamp(folder)) != seen:
            try:
                _load(
                    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), folder
                )  # one of two halves would spoil the context in use
                _load(tls, folder)
                seen = now
            except Rejected as error:
                _log.warning("the older certificate is used on: %s", error)


def _stamp(folder: Path) -> tuple[float, ...]:
    with suppress(OSError):
        return tuple((folder / name).stat().st_mtime for name in ("tls.crt", "tls.key"))
    return ()
