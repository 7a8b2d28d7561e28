"""What was seen last of each object, whoever told: a watch, a list, or the answer to a write of our own.

Owns the order of news: later resourceVersions win, however they arrive, and what is gone stays gone. Pure.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable

    from keywright.keys import ResourceKey

__all__ = ["FOREVER", "NewestSeen"]

V = TypeVar("V")

FOREVER: Final = sys.maxsize
"""The version of a removal after which no state of this uid can follow."""

_REMEMBERED: Final = 16_384
"""How many removals are remembered, about 3 MB: a late event is seconds late, not so many deletions."""


class NewestSeen(Generic[V]):
    """Objects of one kind; takes a state only where it is newer than what it holds.

    Versions are resourceVersions as integers: since Kubernetes 1.35 their order within one kind is part of the API, and
    etcd has always given them so.
    """

    def __init__(self) -> None:
        self._held: dict[ResourceKey, tuple[str, int, V]] = {}
        self._removed: OrderedDict[str, int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._held)

    def get(self, key: ResourceKey) -> V | None:
        """What was seen last."""
        held = self._held.get(key)
        return held[2] if held else None

    def version(self, key: ResourceKey) -> int:
        """The version of what is held; -1 where nothing is."""
        held = self._held.get(key)
        return held[1] if held else -1

    def values(self) -> list[V]:
        """All that is there, as of now."""
        return [value for _, _, value in self._held.values()]

    def items(self) -> list[tuple[ResourceKey, V]]:
        """The same, with where each is."""
        return [(key, value) for key, (_, _, value) in self._held.items()]

    def is_news(self, key: ResourceKey, uid: str, version: int) -> bool:
        """Whether a state of this version tells anything."""
        return self.version(key) < version and self._removed.get(uid, -1) < version

    def put(self, key: ResourceKey, uid: str, version: int, value: V) -> bool:
        """Take a state; False where something newer is known."""
        if not self.is_news(key, uid, version):
            return False
        self._held[key] = (uid, version, value)
        return True

    def remove(self, key: ResourceKey, uid: str, version: int = FOREVER) -> V | None:
        """Take a removal; returns what was held, None where that was nothing, something newer, or made again since."""
        if self._removed.get(uid, -1) < version:
            self._removed[uid] = version
            self._removed.move_to_end(uid)
            if len(self._removed) > _REMEMBERED:
                self._removed.popitem(last=False)
        held = self._held.get(key)
        if held is None or held[0] != uid or held[1] > version:
            return None
        del self._held[key]
        return held[2]

    def discard(self, key: ResourceKey, version: int) -> V | None:
        """A read found nothing under this key, when `version` was held before it: drop that, unless it was outrun."""
        held = self._held.get(key)
        return self.remove(key, held[0], held[1]) if held and held[1] <= version else None

    def absent_from(self, listed: Iterable[ResourceKey], version: int, namespace: str | None) -> list[ResourceKey]:
        """Held keys, of one namespace or of all, that a complete list as of `version` lacks."""
        there = set(listed)
        return [
            key
            for key, (_, at, _) in self._held.items()
            if key not in there and at <= version and namespace in (None, key.namespace)
        ]
