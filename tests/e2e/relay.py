"""An HTTP proxy that remembers what passed through it: all that one process has asked an issuer for."""

from __future__ import annotations

import http.client
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Relay", "a_relay"]


@dataclass
class Relay:
    """`url` goes into http_proxy; `passed` holds method and path of each request; answers wait until `open` is set."""

    url: str = ""
    passed: list[str] = field(default_factory=list)
    open: threading.Event = field(default_factory=threading.Event)


@contextmanager
def a_relay() -> Iterator[Relay]:
    """On a free port of loopback."""
    relay = Relay()
    relay.open.set()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            try:
                super().handle_one_request()
            except (ConnectionError, http.client.HTTPException):
                self.close_connection = True

        def pass_on(self) -> None:
            to = urlsplit(self.path)
            relay.passed.append(f"{self.command} {to.path}")
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            headers = {n: v for n, v in self.headers.items() if n.lower() not in ("connection", "proxy-connection")}
            there = http.client.HTTPConnection(to.netloc, timeout=30)
            there.request(self.command, f"{to.path}?{to.query}" if to.query else to.path, body, headers)
            answer = there.getresponse()
            content = answer.read()
            there.close()
            relay.open.wait()
            self.send_response_only(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("connection", "content-length", "transfer-encoding"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_DELETE = pass_on  # noqa: N815 - the names that http.server looks for

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    relay.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield relay
    finally:
        relay.open.set()
        server.shutdown()
        thread.join()
        server.server_close()
