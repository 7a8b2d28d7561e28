"""The process: where it listens, its admin key file, how it ends."""

from __future__ import annotations

import os
import signal
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import uvicorn

from keywright.errors import Rejected
from keywright.sandbox.app import build_app
from keywright.sandbox.plaintext import new_plaintext
from keywright.sandbox.store import DataFileError, Store, policy

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fastapi import FastAPI

__all__ = ["Settings", "admin_key", "run"]

_GRACE: Final = 5
"""Seconds for requests under way when the process is told to end."""

_BACKLOG: Final = 2048


@dataclass(frozen=True, slots=True)
class Settings:
    """What the command's options say. `max_validity_days`: None leaves the data file's policy, 0 removes it."""

    host: str
    port: int
    data: Path
    admin_key_file: Path
    max_validity_days: int | None = None
    rate_limit: float | None = None


def run(settings: Settings, ready: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT; `ready` gets the base URL once requests are answered.

    Raises Rejected where the address, the data file or the admin key file cannot be used.
    """
    listening = _listen(settings.host, settings.port)
    try:
        key = admin_key(settings.admin_key_file)
        try:
            store = Store.open(settings.data)
        except DataFileError as error:
            raise Rejected(str(error), reason="DataFile") from None
        try:
            if settings.max_validity_days is not None:
                store.write_at_once(policy.set_for_organization, settings.max_validity_days or None)
            app = build_app(store, admin_key=key, rate_limit=settings.rate_limit)
            _serve(_config(app), listening, lambda: ready(_url(settings.host, listening)))
        finally:
            store.close()
    finally:
        listening.close()


def admin_key(path: Path) -> str:
    """The admin key in a file, made where there is none, readable by its owner only. Raises Rejected."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _existing(path)
    except FileNotFoundError:
        raise Rejected(
            f"the folder {path.parent} does not exist; create it, or name another admin key file", reason="AdminKeyFile"
        ) from None
    except OSError as error:
        raise Rejected(f"cannot write the admin key file {path}: {error.strerror}", reason="AdminKeyFile") from None
    key = new_plaintext()
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(f"{key}\n")
        file.flush()
        os.fsync(file.fileno())
    return key


def _existing(path: Path) -> str:
    try:
        key = path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise Rejected(f"cannot read the admin key file {path}: {error.strerror}", reason="AdminKeyFile") from None
    except UnicodeDecodeError:
        key = ""
    if not key or not key.isprintable() or " " in key:
        raise Rejected(f"{path} holds no admin key; delete it, and a new one is made", reason="AdminKeyFile")
    return key


def _config(app: FastAPI) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        log_config=None,
        log_level="warning",
        access_log=False,
        lifespan="off",
        ws="none",
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE,
        backlog=_BACKLOG,
    )


class _Server(uvicorn.Server):
    """Says when it answers."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if not self.should_exit:
            self._ready()


def _serve(config: uvicorn.Config, listening: socket.socket, ready: Callable[[], None]) -> None:
    server = _Server(config, ready)

    def leave(_number: int, _frame: object) -> None:
        """In force before and after uvicorn's own: it raises again the signal that it ended by, which is no failure."""
        server.should_exit = True

    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        server.run([listening])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP, flags=socket.AI_PASSIVE
        )[0]
        # The protocol is named so that asyncio sets TCP_NODELAY: else each answer waits 40 ms for an acknowledgement.
        listening = socket.socket(family, kind, protocol)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(_BACKLOG)
        except BaseException:  # an interrupt too gives the socket back
            listening.close()
            raise
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or "no such host"
        raise Rejected(
            f"cannot listen on {_authority(host, port)}: {why}; choose another --listen (port 0 takes any)",
            reason="Listen",
        ) from None
    return listening


def _url(host: str, listening: socket.socket) -> str:
    return f"http://{_authority(host, listening.getsockname()[1])}"


def _authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
