"""How often each Workspace's keys were used, by day; keys.touch counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

__all__ = ["between"]


def between(
    connection: sqlite3.Connection, first: str, last: str, workspace_id: str | None
) -> list[tuple[str, str, int]]:
    """Day, Workspace and number of requests, days `first` to `last` included; None: every Workspace."""
    return connection.execute(
        "SELECT day, workspace_id, requests FROM usage"
        " WHERE day BETWEEN ?1 AND ?2 AND (?3 IS NULL OR workspace_id = ?3) ORDER BY day, workspace_id",
        (first, last, workspace_id),
    ).fetchall()
