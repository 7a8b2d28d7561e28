"""The control plane over connections that are kept: scenarios ask it hundreds of times a second, and a TLS handshake is most of a call."""

from __future__ import annotations

import http.client
import time
import urllib.parse
from dataclasses import dataclass, field

from tests.conftest import Plane
from tests.running import PATIENCE

__all__ = ["FORGETFUL", "KeptPlane"]

FORGETFUL = ("--etcd-compaction-interval=2s",)
"""An apiserver's flags: old versions are gone at once, and a watch that resumes from one is told 410."""

_AGAIN = 0.1
"""Seconds; the apiserver asks for one while it sets a kind up anew."""


@dataclass(frozen=True, slots=True)
class KeptPlane(Plane):
    """A Plane for many threads; `close` it in the end."""

    idle: list[http.client.HTTPSConnection] = field(default_factory=list)

    def _send(self, method: str, path: str, data: bytes | None, headers: dict[str, str]) -> tuple[int, bytes]:
        """As a Plane's; an apiserver that asks to come back (429) is asked again."""
        deadline = time.monotonic() + PATIENCE
        while True:
            kept = bool(self.idle)
            connection = self.idle.pop() if kept else self._connect()
            try:
                connection.request(method, path, data, headers)
                answer = connection.getresponse()
                said = answer.read()
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                if kept:  # the apiserver had closed it meanwhile
                    continue
                raise ConnectionError(f"{method} {path}: {error}") from None
            self.idle.append(connection)
            if answer.status != http.HTTPStatus.TOO_MANY_REQUESTS or time.monotonic() > deadline:
                return answer.status, said
            time.sleep(_AGAIN)

    def close(self) -> None:
        """Give the connections back."""
        while self.idle:
            self.idle.pop().close()

    def _connect(self) -> http.client.HTTPSConnection:
        server = urllib.parse.urlsplit(self.server)
        return http.client.HTTPSConnection(server.hostname, server.port, context=self.tls, timeout=30)
