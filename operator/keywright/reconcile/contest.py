"""Who else writes the status: what somebody keeps writing over is said again, and less and less often.

A GitOps tool that puts a status back, or a second operator that runs without a lease and knows less, would else be answered as fast
as the apiserver takes writes, for as long as it goes on.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from keywright.keys import ResourceKey

__all__ = ["Contest"]

_AT_ONCE: Final = 3
"""Times in a row that it is said again at once: people and tools repeat themselves a little."""
_LONGEST: Final = timedelta(minutes=1)
_OVER: Final = timedelta(minutes=10)
"""What was written over later than that is no contest any more."""


@dataclass(frozen=True, slots=True)
class _Said:
    """Our last write: of what, when, and how many before it somebody has written over, one after another.

    `status` is mostly the very object that the cluster's cache holds: to keep it costs no memory, and to compare it next to no time.
    """

    status: Mapping[str, Any]
    at: datetime
    times: int


class Contest:
    """Of all ApiKeys, as this process remembers."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        """`clock` gives aware UTC."""
        self._clock = clock
        self._said: dict[ResourceKey, _Said] = {}

    def pause(self, key: ResourceKey, stands: Mapping[str, Any]) -> timedelta | None:
        """For how long to leave the status that stands there, be it wrong; None: not at all."""
        times = self._times(key, stands)
        if times <= _AT_ONCE:
            return None
        wait = min(_LONGEST, timedelta(seconds=1 << min(times - _AT_ONCE - 1, 6)))
        left = self._said[key].at + wait - self._clock()
        return left if left > timedelta(0) else None

    def written(self, key: ResourceKey, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        """We have written the status `after` over `before`."""
        self._said[key] = _Said(after, self._clock(), self._times(key, before))

    def forget(self, key: ResourceKey) -> None:
        """There is no such ApiKey any more."""
        self._said.pop(key, None)

    def _times(self, key: ResourceKey, stands: Mapping[str, Any]) -> int:
        """How many of our writes in a row somebody has written over, with what stands now."""
        said = self._said.get(key)
        if said is None or said.status == stands or abs(self._clock() - said.at) > _OVER:
            return 0
        return said.times + 1
