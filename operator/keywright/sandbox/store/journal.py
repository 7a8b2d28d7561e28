"""Group commit: many requests, one transaction, one fsync; nobody is answered before it.

Statements run on the event loop's own thread, a commit in a thread beside it. So the loop goes on reading requests
while the disk works, those requests make up the next group, and the interpreter lock changes hands once per group. (In
a writer thread it would do so at each statement, and wait for the busy loop each time.)
"""

from __future__ import annotations

import asyncio
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Journal"]

_Result = TypeVar("_Result")


class Journal:
    """The only writer of one connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="commit")
        self._waiting: list[tuple[Callable[[sqlite3.Connection], Any], asyncio.Future[Any]]] = []
        self._committer: asyncio.Task[None] | None = None

    async def commit(self, change: Callable[[sqlite3.Connection], _Result]) -> _Result:
        """Run `change` and return its result once it is on the disk.

        What `change` raises undoes its own statements only. sqlite3.Error from the commit reaches the whole group.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[_Result] = loop.create_future()
        self._waiting.append((change, answer))
        if self._committer is None:
            self._committer = loop.create_task(self._commit_groups())
        return await answer

    def commit_at_once(self, change: Callable[[sqlite3.Connection], _Result]) -> _Result:
        """As commit, for callers without an event loop: start-up and tests."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            result = change(self._connection)
        except BaseException:  # an interrupt too ends the transaction
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")
        return result

    def close(self) -> None:
        """Wait for the last commit; the connection is its owner's to close."""
        self._thread.shutdown()

    async def _commit_groups(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                group, self._waiting = self._waiting, []
                try:
                    done = self._apply(group)
                    await loop.run_in_executor(self._thread, self._connection.execute, "COMMIT")
                except sqlite3.Error as error:
                    self._undo()
                    for _, answer in group:
                        _settle(answer, error)
                else:
                    for answer, result in done:
                        _settle(answer, result)
        finally:
            self._committer = None

    def _apply(
        self, group: list[tuple[Callable[[sqlite3.Connection], Any], asyncio.Future[Any]]]
    ) -> list[tuple[asyncio.Future[Any], Any]]:
        done: list[tuple[asyncio.Future[Any], Any]] = []
        run = self._connection.execute
        run("BEGIN IMMEDIATE")
        for change, answer in group:
            run("SAVEPOINT one")
            try:
                done.append((answer, change(self._connection)))
            except sqlite3.Error:
                raise
            except Exception as error:  # noqa: BLE001 - handed to the one who asked
                run("ROLLBACK TO one")
                done.append((answer, error))
            run("RELEASE one")
        return done

    def _undo(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")


def _settle(answer: asyncio.Future[Any], result: object) -> None:
    if answer.done():  # the one who asked has gone
        return
    if isinstance(result, Exception):
        answer.set_exception(result)
    else:
        answer.set_result(result)
