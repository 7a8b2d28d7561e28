"""The keys themselves: how one is made, and the only two forms of it that are kept: a digest and a mask."""

from __future__ import annotations

import hashlib
import secrets
import string
from typing import Final

__all__ = ["LENGTH", "digest", "mask", "new_plaintext"]

LENGTH: Final = 32
"""Characters of a key, as at the platform: about 190 bits, so that a plain sha256 of it cannot be searched."""

_ALPHABET: Final = string.ascii_letters + string.digits


def new_plaintext() -> str:
    """A new key: 32 characters of [A-Za-z0-9]."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(LENGTH))


def digest(plaintext: str) -> bytes:
    """What is stored in place of a key: its sha256."""
    return hashlib.sha256(plaintext.encode("utf-8", "surrogatepass")).digest()


def mask(first4: str, last4: str) -> str:
    """A key as lists show it: `HQSx...Ug6Y`."""
    return f"{first4}...{last4}"
