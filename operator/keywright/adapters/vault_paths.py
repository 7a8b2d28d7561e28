"""Where in a mount a place lies, and the policy that a path needs. Pure.

No path leaves its store's prefix, whoever reads it: Vault, a proxy before it, or a policy with wildcards.
"""

from __future__ import annotations

import json
import unicodedata
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["NEEDED", "full_path", "policy"]

_LONGEST: Final = 1024
"""Bytes of a whole path: below what Vault's storages take as a key."""
_AMBIGUOUS: Final = frozenset("%\\?#*+")
"""Escapes and separators to a proxy or a client, wildcards to a policy."""
_INVISIBLE: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories: controls, format and direction marks, halves of surrogate pairs, unassigned ones, line separators."""

NEEDED: Final[Mapping[str, tuple[str, ...]]] = {
    "data": ("create", "read", "update"),
    "metadata": ("read", "update", "delete"),
    "destroy": ("update",),
}
"""What keywright does below each of a KV version 2 engine's paths."""


def full_path(prefix: str, namespace: str, path: str) -> str:
    """The path below the mount. Raises ValueError, whose clause follows the field's name."""
    segments = path.split("/")
    if not all(segments):
        raise ValueError("must have no empty segment and no / at either end")
    if any(unicodedata.category(character) in _INVISIBLE for character in path):
        raise ValueError("must have no control or invisible characters")
    if _AMBIGUOUS & set(path):
        raise ValueError("must have none of % \\ ? # * +, which servers, proxies and policies read in different ways")
    # A server that normalizes names must see the same segments.
    alike = unicodedata.normalize("NFKC", path).split("/")
    if len(alike) != len(segments) or any(part.strip() in ("", ".", "..") for part in (*alike, *segments)):
        raise ValueError("must have no segment . or .., nor one that looks like it")
    whole = prefix.replace("{namespace}", namespace) + path
    if len(whole.encode()) > _LONGEST:
        raise ValueError(f"must be shorter: with the store's prefix it is longer than {_LONGEST} bytes")
    return whole


def policy(lines: Mapping[str, Sequence[str]]) -> str:
    """Policy lines as Vault reads them, on one line: the capabilities of each path."""
    return " ".join(
        f"path {json.dumps(path)} {{ capabilities = {json.dumps(list(caps))} }}" for path, caps in lines.items()
    )
