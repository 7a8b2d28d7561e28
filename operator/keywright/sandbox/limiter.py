"""The organization's request limit."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["RateLimiter"]


class RateLimiter:
    """A bucket that holds one second's requests. `clock` counts seconds and never goes back."""

    def __init__(self, per_second: float | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        """`per_second`: None lets everything through."""
        self._clock = clock
        self._rate: float | None = None
        self._tokens = 0.0
        self._filled_at = 0.0
        self.set(per_second)

    def set(self, per_second: float | None) -> None:
        """Change the limit; the bucket starts full."""
        self._rate = per_second
        self._tokens = self._capacity(per_second or 0)
        self._filled_at = self._clock()

    def take(self) -> int | None:
        """Let one request through (None), or say how many whole seconds to wait."""
        if self._rate is None:
            return None
        now = self._clock()
        self._tokens = min(self._capacity(self._rate), self._tokens + (now - self._filled_at) * self._rate)
        self._filled_at = now
        if self._tokens >= 1:
            self._tokens -= 1
            return None
        return max(1, math.ceil((1 - self._tokens) / self._rate))

    @staticmethod
    def _capacity(rate: float) -> float:
        return max(1.0, rate)
