"""Which addresses an issuer object may send the operator to, and whom it may make it trust.

Pure but for reading the system's certificates. What is refused is a ValueError whose clause follows the field's name.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import ssl
from typing import Final
from urllib.parse import urlsplit

from yarl import URL

__all__ = ["base_url", "checked_path", "trust"]

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
    if not allow_insecure:
        if parts.scheme == "http":
            raise ValueError(
                "must begin with https://, since keys travel over it; "
                "plain http needs an operator started with --allow-insecure-issuers"
            )
        if _is_own_machine(host):
            raise ValueError(
                "must not name the operator's own machine or link; "
                "loopback addresses need an operator started with --allow-insecure-issuers"
            )
    try:
        host.encode("idna")
        return URL(f"{parts.scheme}://{parts.netloc}{path}", encoded=True)
    except ValueError:
        raise ValueError("has a host that cannot be a name; write it as https://host or https://host:port") from None


def checked_path(path: str) -> str:
    """A path of plain segments that does not climb, without a slash at its end."""
    if not _PATH.fullmatch(path) or {".", ".."} & set(path.split("/")):
        raise ValueError("must have a path of plain segments, such as /v1/admin")
    return path.rstrip("/")


def trust(ca_bundle: str | None) -> ssl.SSLContext | None:
    """The system's certificates and these; None: the system's alone."""
    if ca_bundle is None:
        return None
    context = ssl.create_default_context()
    before = context.cert_store_stats()["x509"]
    try:
        context.load_verify_locations(cadata=ca_bundle)
    except (ssl.SSLError, ValueError, TypeError):
        raise ValueError("cannot be read; it must hold PEM certificates (BEGIN CERTIFICATE)") from None
    if context.cert_store_stats()["x509"] == before and "BEGIN CERTIFICATE" not in ca_bundle:
        raise ValueError("holds no certificate; it must hold PEM certificates (BEGIN CERTIFICATE)")
    return context


def _is_own_machine(host: str) -> bool:
    """Whether a literal host is loopback, unspecified or link-local; what a name resolves to is not looked up."""
    name = host.rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        try:
            # 127.1, 0x7f000001 and 2130706433 are addresses too, to those who connect.
            address = ipaddress.ip_address(socket.inet_aton(name))
        except OSError:
            return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.is_loopback or address.is_unspecified or address.is_link_local
