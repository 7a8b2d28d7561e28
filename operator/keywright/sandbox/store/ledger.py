"""`Store`: the data file with its two connections, and the clock."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from keywright.sandbox.store.database import connect, instant, prepare
from keywright.sandbox.store.journal import Journal

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["Store"]

_Result = TypeVar("_Result")
_Asked = ParamSpec("_Asked")


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Store:
    """One data file. `read` sees what is committed, `write` returns when it is.

    `clock` gives aware UTC times; tests put their own.
    """

    def __init__(self, writer: sqlite3.Connection, reader: sqlite3.Connection, clock: Callable[[], datetime]) -> None:
        self._writer = writer
        self._reader = reader
        self._journal = Journal(writer)
        self._clock = clock

    @classmethod
    def open(cls, path: Path, *, clock: Callable[[], datetime] = _utc_now) -> Store:
        """The data file at `path`, made where absent. Raises DataFileError."""
        writer = prepare(path, clock())
        return cls(writer, connect(path), clock)

    def now(self) -> datetime:
        """The time, aware and in UTC."""
        return self._clock()

    def today(self) -> str:
        """The UTC date, as stored and sent."""
        return instant(self._clock())[:10]

    def read(
        self,
        statement: Callable[Concatenate[sqlite3.Connection, _Asked], _Result],
        *args: _Asked.args,
        **kwargs: _Asked.kwargs,
    ) -> _Result:
        """Run a reading statement."""
        return statement(self._reader, *args, **kwargs)

    async def write(
        self,
        statement: Callable[Concatenate[sqlite3.Connection, _Asked], _Result],
        *args: _Asked.args,
        **kwargs: _Asked.kwargs,
    ) -> _Result:
        """Run a changing statement; returns when it is on the disk."""
        return await self._journal.commit(lambda connection: statement(connection, *args, **kwargs))

    def write_at_once(
        self,
        statement: Callable[Concatenate[sqlite3.Connection, _Asked], _Result],
        *args: _Asked.args,
        **kwargs: _Asked.kwargs,
    ) -> _Result:
        """As write, without an event loop; not while one writes."""
        return self._journal.commit_at_once(lambda connection: statement(connection, *args, **kwargs))

    def close(self) -> None:
        """Finish writing and close the file."""
        self._journal.close()
        self._reader.close()
        self._writer.close()
