"""The two listeners: metrics, and probes. Neither needs a right, neither shows a secret."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from keywright.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["Endpoints"]


class Endpoints:
    """HTTP listeners that come and go together."""

    def __init__(self) -> None:
        self._runners: list[web.AppRunner] = []

    async def serve_metrics(self, address: str, scrape: Callable[[], Awaitable[bytes]]) -> str:
        """`/metrics` on HOST:PORT (port 0: any): what `scrape` says. Returns the address it got."""

        async def metrics(_: web.Request) -> web.Response:
            return web.Response(body=await scrape(), headers={"Content-Type": CONTENT_TYPE_LATEST})

        return await self._serve(address, {"/metrics": metrics})

    async def serve_health(self, address: str, ready: Callable[[], bool]) -> str:
        """`/healthz`: the loop runs. `/readyz`: lists are read and work is done. Returns the address it got."""

        async def healthz(_: web.Request) -> web.Response:
            return web.Response(text="ok\n")

        async def readyz(_: web.Request) -> web.Response:
            return web.Response(text="ok\n") if ready() else web.Response(status=503, text="not synced yet\n")

        return await self._serve(address, {"/healthz": healthz, "/readyz": readyz})

    async def close(self) -> None:
        """Stop listening."""
        for runner in self._runners:
            await runner.cleanup()

    async def _serve(self, address: str, routes: dict[str, object]) -> str:
        host, _, port = address.rpartition(":")
        if not port.isdigit():
            raise Rejected(f"{address!r} is no address; write HOST:PORT, such as 0.0.0.0:8080", reason="Usage")
        app = web.Application()
        app.add_routes([web.get(path, handler) for path, handler in routes.items()])  # type: ignore[arg-type]
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, host.strip("[]") or None, int(port)).start()
        except (OSError, OverflowError) as error:
            await runner.cleanup()
            raise Rejected(
                f"cannot listen on {address}: {error.strerror if isinstance(error, OSError) else error}; choose another port",
                reason="Usage",
            ) from None
        self._runners.append(runner)
        return f"{host}:{runner.addresses[0][1]}"
