"""Expiration policies: the longest validity, in days, that the organization and each Workspace allow; None: no limit.

A policy changes no key that exists. The Admin API has no way to set one; the console does, and /sandbox here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from keywright.sandbox.store.outcomes import NotFoundError

if TYPE_CHECKING:
    import sqlite3

__all__ = ["of_organization", "of_workspace", "set_for_organization", "set_for_workspace", "shortest"]


def of_organization(connection: sqlite3.Connection) -> int | None:
    """The organization's policy."""
    days: int | None = connection.execute("SELECT max_validity_days FROM organization").fetchone()[0]
    return days


def of_workspace(connection: sqlite3.Connection, workspace_id: str) -> int | None:
    """What holds in a Workspace: its own policy or the organization's, whichever is shorter. Raises NotFoundError."""
    row = connection.execute("SELECT max_validity_days FROM workspaces WHERE id = ?", (workspace_id,)).fetchone()
    if row is None:
        raise NotFoundError("Workspace not found")
    return shortest(of_organization(connection), row[0])


def set_for_organization(connection: sqlite3.Connection, days: int | None) -> None:
    """Change the organization's policy."""
    connection.execute("UPDATE organization SET max_validity_days = ?", (days,))


def set_for_workspace(connection: sqlite3.Connection, workspace_id: str, days: int | None) -> None:
    """Change a Workspace's policy. Raises NotFoundError."""
    changed = connection.execute("UPDATE workspaces SET max_validity_days = ? WHERE id = ?", (days, workspace_id))
    if changed.rowcount == 0:
        raise NotFoundError("Workspace not found")


def shortest(*policies: int | None) -> int | None:
    """What holds where several do."""
    return min((days for days in policies if days is not None), default=None)
