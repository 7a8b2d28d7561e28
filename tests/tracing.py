"""Lines of keywright as they are executed: to be told of each, and to raise at one of them."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keywright

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

__all__ = ["Line", "each_line"]

ROOM = str(Path(keywright.__file__).parent)

Line = tuple[str, int]
"""A module's path below operator/keywright, and the number of a line."""


@contextmanager
def each_line(told: Callable[[Line], None]) -> Iterator[None]:
    """`told` hears of each line of keywright before it is executed; what it raises, the line raises, and no more is told."""

    def local(frame: FrameType, event: str, _: Any) -> Any:
        if event == "line":
            told((frame.f_code.co_filename[len(ROOM) + 1 :], frame.f_lineno))
        return local

    def entered(frame: FrameType, _event: str, _: Any) -> Any:
        return local if frame.f_code.co_filename.startswith(ROOM) else None

    before = sys.gettrace()
    sys.settrace(entered)
    try:
        yield
    finally:
        sys.settrace(before)
