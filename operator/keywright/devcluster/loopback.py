"""Ports and plain requests on this machine: what start-up needs to know of the components, and no client library."""

from __future__ import annotations

import http.client
import json
import secrets
import socket
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Answer", "Endpoint", "free_port", "is_free", "listens"]

# Below the range from which Linux and macOS take the ports of outgoing connections: one of those could otherwise sit
# on our port while the apiserver is being restarted.
_FIRST_PORT, _LAST_PORT = 20_000, 29_999
_TRIES = 200


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of 127.0.0.1 now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as Go's servers do
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def listens(port: int) -> bool:
    """Whether a server takes connections there. Asked this way, it cannot get in the way of one that is starting."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    """A port free at this moment; whoever uses it must still be ready to lose a race for it."""
    for _ in range(_TRIES):
        port = _FIRST_PORT + secrets.randbelow(_LAST_PORT - _FIRST_PORT + 1)
        if is_free(port):
            return port
    raise OSError(f"no free port between {_FIRST_PORT} and {_LAST_PORT} on 127.0.0.1")


@dataclass(frozen=True, slots=True)
class Answer:
    """A status code and a body."""

    status: int
    body: str


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One server on this machine; never through a proxy."""

    url: str
    headers: dict[str, str] = field(repr=False)
    ca_file: Path | None = None
    timeout: float = 5.0

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Answer | None:
        """One request; None: nobody listens there, or not in full yet."""
        at = urlsplit(self.url)
        assert at.hostname is not None, "the URL is ours"
        try:
            connection = self._connection(at.hostname, at.port)
            try:
                connection.request(
                    method,
                    path,
                    body=None if body is None else json.dumps(body),
                    headers={**self.headers, "Content-Type": "application/json"},
                )
                response = connection.getresponse()
                return Answer(response.status, response.read().decode("utf-8", "replace"))
            finally:
                connection.close()
        except (OSError, http.client.HTTPException):  # ssl.SSLError is an OSError
            return None

    def _connection(self, host: str, port: int | None) -> http.client.HTTPConnection:
        if self.ca_file is None:
            return http.client.HTTPConnection(host, port, timeout=self.timeout)
        context = ssl.create_default_context(cafile=str(self.ca_file))
        return http.client.HTTPSConnection(host, port, timeout=self.timeout, context=context)
