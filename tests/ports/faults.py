"""Where the fakes can be made to fail: before and after each call, and by whom they are overtaken."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Crash", "Faults"]


class Crash(BaseException):
    """The process is gone: nothing of it may catch this."""


class Faults:
    """Counts the ports' calls. `strike(boundary, call)` may raise, or change the world, at each boundary.

    A call has two: one before its effect and one after it; a read has the first only. Boundaries are counted from 0 in the order in
    which they are met. `witness` sees each of them, and says where an invariant is broken. Waits for nothing; the simulation's own
    faults do, and let others go first.
    """

    def __init__(self) -> None:
        self.met: list[str] = []
        self.witness: Callable[[str], None] = lambda _call: None
        self.strike: Callable[[int, str], None] = lambda _boundary, _call: None

    async def before(self, call: str) -> None:
        """The call was made; nothing has happened."""
        self._meet(f"before {call}")

    async def after(self, call: str) -> None:
        """It happened; the caller does not know yet."""
        self._meet(f"after {call}")

    def calm(self) -> None:
        """No more of it; count anew."""
        self.met = []
        self.strike = lambda _boundary, _call: None

    def at(self, boundary: int, error: BaseException) -> None:
        """Raise once, at one boundary."""
        self.met = []

        def strike(met: int, _call: str) -> None:
            if met == boundary:
                raise error

        self.strike = strike

    def each(self, call: str, error: BaseException) -> None:
        """Raise at every boundary of this name."""

        def strike(_boundary: int, met: str) -> None:
            if met == call:
                raise error

        self.strike = strike

    def once(self, call: str, what: BaseException | Callable[[], object]) -> None:
        """Raise, or do, at the first boundary of this name."""

        def strike(_boundary: int, met: str) -> None:
            if met != call:
                return
            self.strike = lambda _boundary, _call: None
            if isinstance(what, BaseException):
                raise what
            what()

        self.strike = strike

    def _meet(self, name: str) -> None:
        self.met.append(name)
        self.witness(name)
        self.strike(len(self.met) - 1, name)
