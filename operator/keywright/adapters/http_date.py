"""The clock of a server, by the Date header that any of its answers has: no credentials are sent, and no body is read."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

import aiohttp
from yarl import URL

from keywright import __version__

if TYPE_CHECKING:
    import ssl

__all__ = ["date_of"]

_DEADLINE: Final = 5.0


async def date_of(
    url: str, *, tls: ssl.SSLContext | bool = True, proxy: str | None = None, server_hostname: str | None = None
) -> datetime | None:
    """In UTC, whole seconds. None: no answer, none that says, or one that a cache kept. `tls` True: the system's certificates."""
    try:
        async with (
            aiohttp.ClientSession(
                headers={"User-Agent": f"keywright/{__version__}"}, cookie_jar=aiohttp.DummyCookieJar()
            ) as session,
            session.get(
                URL(url, encoded=True),
                ssl=tls,
                proxy=proxy,
                server_hostname=server_hostname,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=_DEADLINE),
            ) as answer,
        ):
            if "Age" in answer.headers:
                return None
            return parsedate_to_datetime(answer.headers.get("Date", "")).astimezone(UTC)
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
        return None
