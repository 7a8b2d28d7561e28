"""A consumer that calls the platform with what stands in a target, all the time."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from tests.chaos.stage import Stage

__all__ = ["Consumer"]

PAUSE = 0.05
"""Seconds between two calls."""


class Consumer:
    """Reads a target and calls the platform with what stands there, all the time, as pods do that start at any moment.

    From the first delivery on no key is refused that still stands in the target: `refused` holds those that were.
    """

    def __init__(self, stage: Stage, name: str = "search") -> None:
        """`name`: of the ApiKey."""
        self._stage = stage
        self._name = f"{name}-key"
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._use, name=f"consumer-{name}")
        self.calls = 0
        self.refused: list[str] = []
        self.failed: list[Exception] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def check(self) -> None:
        """Assert that it was served all the time."""
        assert self.calls > 0
        assert self.refused == []
        assert self.failed == []

    def _use(self) -> None:
        while not self._over.wait(PAUSE):
            try:
                held = self._read()
                if held is None:
                    continue
                self.calls += 1
                # Refused, and replaced between the two: read too early, and right the next time.
                if not self._stage.sandbox.accepts(held[0]) and self._read() == held:
                    self.refused.append(held[1])
            except Exception as error:  # noqa: BLE001 -- told by check, in the test's own thread
                self.failed.append(error)
                return

    def _read(self) -> tuple[str, str] | None:
        try:
            return self._stage.held(self._name)
        except (RuntimeError, OSError):  # not there yet, or nobody to ask
            return None
