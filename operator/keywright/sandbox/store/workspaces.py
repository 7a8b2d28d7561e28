"""Workspaces and who belongs to them."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from keywright.sandbox.folding import fold
from keywright.sandbox.store.database import instant
from keywright.sandbox.store.outcomes import NotAllowedError, NotFoundError

if TYPE_CHECKING:
    import sqlite3
    from datetime import datetime

__all__ = ["WorkspaceRow", "archive", "create", "find", "get", "of_user", "organization_id", "update"]

_COLUMNS: Final = (
    "id, name, description, icon, is_default, (SELECT count(*) FROM memberships m WHERE m.workspace_id = workspaces.id)"
)


@dataclass(frozen=True, slots=True)
class WorkspaceRow:
    """A Workspace as lists show it."""

    id: str
    name: str
    description: str
    icon: str
    is_default: bool
    members: int


def organization_id(connection: sqlite3.Connection) -> str:
    """The one organization's id."""
    found: str = connection.execute("SELECT id FROM organization").fetchone()[0]
    return found


def find(
    connection: sqlite3.Connection, *, archived: bool, search: str | None, limit: int, offset: int
) -> tuple[int, list[WorkspaceRow]]:
    """How many Workspaces match, and one page of them, oldest first. `archived`: those too."""
    condition = "(?1 OR archived_at IS NULL) AND instr(folded_name, ?2) > 0"
    values = (archived, fold(search or ""))
    total: int = connection.execute(f"SELECT count(*) FROM workspaces WHERE {condition}", values).fetchone()[0]  # noqa: S608 - constants
    if offset >= total:
        return total, []
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM workspaces WHERE {condition} ORDER BY seq LIMIT ?3 OFFSET ?4",  # noqa: S608 - constants
        (*values, min(limit, total), offset),
    )
    return total, [_row(row) for row in rows]


def get(connection: sqlite3.Connection, workspace_id: str, *, archived: bool = False) -> WorkspaceRow:
    """One Workspace. `archived`: one that was archived counts. Raises NotFoundError."""
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM workspaces WHERE id = ? AND (? OR archived_at IS NULL)",  # noqa: S608 - constants
        (workspace_id, archived),
    ).fetchone()
    if row is None:
        raise NotFoundError("Workspace not found")
    return _row(row)


def create(
    connection: sqlite3.Connection, *, name: str, description: str, icon: str, admin: str, everybody: bool
) -> WorkspaceRow:
    """A new Workspace; names need not differ. Raises NotFoundError for an unknown admin."""
    if connection.execute("SELECT 1 FROM users WHERE id = ?", (admin,)).fetchone() is None:
        raise NotFoundError("User not found")
    workspace_id = str(uuid.uuid4())
    connection.execute(
        "INSERT INTO workspaces (id, name, folded_name, description, icon, is_default) VALUES (?, ?, ?, ?, ?, 0)",
        (workspace_id, name, fold(name), description, icon),
    )
    connection.execute(
        "INSERT INTO memberships (workspace_id, user_id, role)"
        " SELECT ?1, id, iif(id = ?2, 'A', 'M') FROM users WHERE id = ?2 OR ?3",
        (workspace_id, admin, everybody),
    )
    return get(connection, workspace_id)


def update(
    connection: sqlite3.Connection, workspace_id: str, *, name: str | None, description: str | None, icon: str | None
) -> WorkspaceRow:
    """Change what is not None. Raises NotFoundError."""
    now = get(connection, workspace_id)
    name = now.name if name is None else name
    connection.execute(
        "UPDATE workspaces SET name = ?, folded_name = ?, description = ?, icon = ? WHERE id = ?",
        (
            name,
            fold(name),
            now.description if description is None else description,
            now.icon if icon is None else icon,
            workspace_id,
        ),
    )
    return get(connection, workspace_id)


def archive(connection: sqlite3.Connection, workspace_id: str, now: datetime) -> None:
    """Archive a Workspace: its keys stay listed and stop working. Raises NotFoundError, NotAllowedError."""
    if get(connection, workspace_id).is_default:
        raise NotAllowedError("The default Workspace cannot be archived")
    connection.execute("UPDATE workspaces SET archived_at = ? WHERE id = ?", (instant(now), workspace_id))


def of_user(connection: sqlite3.Connection, user_id: str, *, limit: int, offset: int) -> list[tuple[str, str]]:
    """Ids and names of the Workspaces that a user belongs to, oldest first; `offset` within SQLite's integers."""
    return connection.execute(
        "SELECT w.id, w.name FROM memberships m JOIN workspaces w ON w.id = m.workspace_id"
        " WHERE m.user_id = ? AND w.archived_at IS NULL ORDER BY w.seq LIMIT ? OFFSET ?",
        (user_id, limit, min(offset, 2**63 - 1)),
    ).fetchall()


def _row(row: tuple[Any, ...]) -> WorkspaceRow:
    workspace_id, name, description, icon, is_default, members = row
    return WorkspaceRow(workspace_id, name, description, icon, bool(is_default), members)
