"""Which addresses an issuer or a store may send the operator to, and whom it may make it trust.

Pure but for reading the system's certificates. What a URL says is refused as a ValueError whose clause follows the field's name, what
its name resolves to as a ForbiddenAddressError (resolving.py).
"""

from __future__ import annotations

import errno
import ipaddress
import re
import socket
import ssl
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from yarl import URL

if TYPE_CHECKING:
    from keywright.keys import SecretValue

__all__ = ["ForbiddenAddressError", "base_url", "checked_path", "refuse", "trust"]

_METADATA: Final = tuple(
    ipaddress.ip_network(network)
    for network in (
        "169.254.0.0/16",  # link-local: AWS, Azure, Google, Oracle and others at .169.254; what EKS and ECS give pods at .170.0/24
        "fe80::/10",
        "fd00:ec2::/32",  # AWS
        "fd20:ce::/64",  # Google
        "100.100.100.200/32",  # Alibaba
        "168.63.129.16/32",  # Azure's wire server
        "192.0.0.192/32",  # Oracle, of old
    )
)
"""Addresses that give a node's credentials to whoever asks: no issuer and no Vault is there."""
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")

_PATH: Final = re.compile(r"(/[A-Za-z0-9._~-]+)*/?")
"""Plain segments: nothing that a server, a proxy and a client could read in different ways."""


def base_url(text: str, *, allow_insecure: bool) -> URL:
    """An http(s) URL without a slash at its end."""
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("must be plain ASCII without spaces; write an international name in its xn-- form")
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError("is no URL; write it as https://host or https://host:port") from None
    if parts.scheme not in ("http", "https") or not host or port == 0:
        raise ValueError("is no http(s) URL with a host; write it as https://host or https://host:port")
    if "@" in parts.netloc:
        raise ValueError("must hold no user or password; put the admin key into the Secret")
    if parts.query or parts.fragment or "?" in text or "#" in text:
        raise ValueError("must end with its path; leave out what begins with ? or #")
    path = checked_path(parts.path)
    _require_elsewhere(parts.scheme, host, allow_insecure=allow_insecure)
    try:
        host.encode("idna")
        return URL(f"{parts.scheme}://{parts.netloc}{path}", encoded=True)
    except ValueError:
        raise ValueError("has a host that cannot be a name; write it as https://host or https://host:port") from None


def _require_elsewhere(scheme: str, host: str, *, allow_insecure: bool) -> None:
    if (address := _literal(host)) and _is_metadata(address):
        raise ValueError("must not name a link-local address or a cloud's metadata service")
    if not allow_insecure:
        if scheme == "http":
            raise ValueError(
                "must begin with https://, since keys travel over it; "
                "plain http needs an operator started with --allow-insecure-issuers"
            )
        if _is_own_machine(host):
            raise ValueError(
                "must not name the operator's own machine; "
                "loopback addresses need an operator started with --allow-insecure-issuers"
            )


def checked_path(path: str) -> str:
    """A path of plain segments that does not climb, without a slash at its end."""
    if not _PATH.fullmatch(path) or {".", ".."} & set(path.split("/")):
        raise ValueError("must have a path of plain segments, such as /v1/admin")
    return path.rstrip("/")


def trust(ca_bundle: SecretValue | None) -> ssl.SSLContext | None:
    """The system's certificates and these; None: the system's alone."""
    if ca_bundle is None:
        return None
    pem = ca_bundle.reveal()
    context = ssl.create_default_context()
    before = context.cert_store_stats()["x509"]
    try:
        context.load_verify_locations(cadata=pem)
    except (ssl.SSLError, ValueError, TypeError):
        raise ValueError("cannot be read; it must hold PEM certificates (BEGIN CERTIFICATE)") from None
    if context.cert_store_stats()["x509"] == before and "BEGIN CERTIFICATE" not in pem:
        raise ValueError("holds no certificate; it must hold PEM certificates (BEGIN CERTIFICATE)")
    return context


class ForbiddenAddressError(OSError):
    """A name leads to where the operator goes for nobody; `strerror` is a clause."""

    def __init__(self, clause: str) -> None:
        super().__init__(errno.EACCES, clause)


def refuse(address: str, *, own_machine: bool) -> None:
    """Raises ForbiddenAddressError where an address that a name resolves to is not to be connected to.

    `own_machine`: loopback is let through.
    """
    found = _embedded(ipaddress.ip_address(address.partition("%")[0]))
    if _is_metadata(found):
        raise ForbiddenAddressError("its name leads to a link-local address or a cloud's metadata service")
    if not own_machine and _is_loopback(found):
        raise ForbiddenAddressError("its name leads to the operator's own machine")


_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def _is_own_machine(host: str) -> bool:
    """Whether a literal host is loopback or unspecified."""
    name = host.rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    address = _literal(name)
    return address is not None and _is_loopback(address)


def _is_loopback(address: _Address) -> bool:
    return address.is_loopback or address.is_unspecified


def _is_metadata(address: _Address) -> bool:
    return any(address in network for network in _METADATA)


def _literal(host: str) -> _Address | None:
    """The address that a host is, in any of its forms; None: it is a name."""
    name = host.rstrip(".").lower()
    try:
        return _embedded(ipaddress.ip_address(name.partition("%")[0]))
    except ValueError:
        try:
            # 127.1, 0x7f000001 and 2130706433 are addresses too, to those who connect.
            return ipaddress.ip_address(socket.inet_aton(name))
        except OSError:
            return None


def _embedded(address: _Address) -> _Address:
    """The IPv4 address that an IPv6 address stands for, where it does; else itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address
