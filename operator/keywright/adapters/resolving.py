"""Names become addresses here, and only those are connected to that an issuer or a store may lead to.

What was looked up is what is connected to: nobody looks it up again in between, whatever a name server says the next time. A proxy's
own address is the administrator's to choose, and passed by.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import aiohttp.abc
import aiohttp.resolver
import urllib3.connection
import urllib3.exceptions

from keywright.adapters.address import ForbiddenAddressError, refuse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["Resolver", "guarded"]


class Resolver(aiohttp.abc.AbstractResolver):
    """For aiohttp. Wants a running event loop."""

    def __init__(self, *, own_machine: bool, proxies: Callable[[], Iterable[str | None]]) -> None:
        """`own_machine`: loopback is let through; `proxies`: the hosts of those in use."""
        self._own_machine = own_machine
        self._proxies = proxies
        self._system = aiohttp.resolver.DefaultResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[aiohttp.abc.ResolveResult]:
        """Raises ForbiddenAddressError, an OSError, where any of the addresses is not to be connected to."""
        found = await self._system.resolve(host, port, family)
        if host not in self._proxies():
            for one in found:
                refuse(one["host"], own_machine=self._own_machine)
        return found

    async def close(self) -> None:
        """Nothing is kept."""
        await self._system.close()


def guarded(kind: type[urllib3.connection.HTTPConnection], *, own_machine: bool) -> type:
    """A kind of urllib3's connections that looks names up here. `own_machine`: loopback is let through."""

    class Guarded(kind):  # type: ignore[misc,valid-type]  # whose base is an argument
        _dns_host: str

        def _new_conn(self) -> socket.socket:
            name = self._dns_host
            try:
                found = socket.getaddrinfo(name, self.port, type=socket.SOCK_STREAM)
            except socket.gaierror as error:
                raise urllib3.exceptions.NameResolutionError(self.host, self, error) from None
            try:
                for *_, address in found:
                    refuse(str(address[0]), own_machine=own_machine)
            except ForbiddenAddressError as error:
                raise urllib3.exceptions.NewConnectionError(self, str(error.strerror)) from error
            failed: Exception | None = None
            try:
                for *_, address in found:
                    self._dns_host = str(address[0])
                    try:
                        made: socket.socket = super()._new_conn()
                    except (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError) as error:
                        failed = error
                    else:
                        return made
            finally:
                self._dns_host = name
            assert failed is not None  # a name that resolves has an address
            raise failed

    return Guarded
