"""Requests of tests over connections that are kept: most is asked again until it is so, and to connect is most of a call."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import urllib3
from urllib3.exceptions import HTTPError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

__all__ = ["HAND", "PLAIN", "Exchange"]

HAND: Final = "somebody"
"""What the other side takes who asks for: an apiserver writes it down as the field manager."""

_PATIENCE: Final = 60.0
"""Seconds for an answer."""
_AT_ONCE: Final = 64
"""Connections to a server that are kept: as many as there are threads that ask at once, and some more."""
_SERVERS: Final = 50
_AGAIN: Final = 120
"""Times that a server may ask to come back: about as many seconds."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """For many threads."""

    tls: ssl.SSLContext | None = field(default=None, repr=False)
    patient: bool = False
    """Whether to come back where a server asks for that: an apiserver does while it sets a kind up anew."""
    _pool: urllib3.PoolManager = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Sent once more where its connection breaks: mostly a kept one that the server has closed meanwhile.
        retries = urllib3.Retry(
            total=None,
            connect=0,
            read=1,
            redirect=False,
            other=0,
            status=_AGAIN if self.patient else 0,
            status_forcelist=(429,) if self.patient else (),
            respect_retry_after_header=self.patient,
            allowed_methods=None,
            raise_on_status=False,
        )
        tls = {"ssl_context": self.tls} if self.tls else {}
        pool = urllib3.PoolManager(_SERVERS, maxsize=_AT_ONCE, timeout=_PATIENCE, retries=retries, **tls)
        object.__setattr__(self, "_pool", pool)

    def send(self, method: str, url: str, body: Any, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Status and what was said; `body` is sent as JSON, None: as nothing. Raises OSError where there is no answer."""
        data = None if body is None else json.dumps(body).encode()
        try:
            answer = self._pool.request(method, url, body=data, headers={"User-Agent": HAND, **headers})
        except HTTPError as error:
            raise ConnectionError(f"{method} {url}: {error}") from error
        return answer.status, answer.data


PLAIN: Final = Exchange()
"""For servers without TLS."""
