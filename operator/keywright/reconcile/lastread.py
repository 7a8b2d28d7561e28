"""Specs and statuses as they were read last: a pass mostly begins with what the one before it ended with, and validates nothing anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from keywright.ports.cluster import Object

__all__ = ["LastRead"]

M = TypeVar("M")

_KEPT: Final = 256
"""A few times those that are worked on at once; about a megabyte."""


class LastRead(Generic[M]):
    """One part of many objects, by their uids."""

    def __init__(self, part: str, read: Callable[[Object], M]) -> None:
        """`part`: the field that `read` reads, beside what never changes of an object."""
        self._part = part
        self._read = read
        self._kept: dict[str, tuple[object, M]] = {}

    def of(self, seen: Object) -> M:
        """Raises as `read` does. Nobody changes objects or models in place: JSON that equals what was read, reads the same."""
        uid, found = seen["metadata"]["uid"], seen.get(self._part)
        kept = self._kept.get(uid)
        if kept is None or kept[0] != found:
            kept = self._kept[uid] = found, self._read(seen)
            if len(self._kept) > _KEPT:
                del self._kept[next(iter(self._kept))]
        return kept[1]
