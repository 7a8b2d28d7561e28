"""The organization's members. Nobody is invited here: invitations are always an empty list."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from keywright.sandbox.folding import fold
from keywright.sandbox.store.outcomes import NotFoundError

if TYPE_CHECKING:
    import sqlite3

__all__ = ["Membership", "UserRow", "find", "get"]

_COLUMNS: Final = "id, email, first_name, last_name, role, created_at"


@dataclass(frozen=True, slots=True)
class Membership:
    """One Workspace that a member belongs to."""

    workspace_id: str
    name: str
    is_default: bool
    role: str


@dataclass(frozen=True, slots=True)
class UserRow:
    """A member."""

    id: str
    email: str
    first_name: str
    last_name: str
    role: str
    created_at: str
    memberships: tuple[Membership, ...]


def find(connection: sqlite3.Connection, *, email: str | None, limit: int, offset: int) -> tuple[int, list[UserRow]]:
    """How many members match, and one page of them. `email`: part of the address, whatever case."""
    wanted = fold(email or "")
    rows = connection.execute(f"SELECT {_COLUMNS} FROM users ORDER BY seq").fetchall()  # noqa: S608 - constants
    matching = [row for row in rows if wanted in fold(row[1])]
    return len(matching), [_row(connection, row) for row in matching[offset : offset + limit]]


def get(connection: sqlite3.Connection, user_id: str) -> UserRow:
    """One member. Raises NotFoundError."""
    row = connection.execute(f"SELECT {_COLUMNS} FROM users WHERE id = ?", (user_id,)).fetchone()  # noqa: S608 - constants
    if row is None:
        raise NotFoundError("User not found")
    return _row(connection, row)


def _row(connection: sqlite3.Connection, row: tuple[Any, ...]) -> UserRow:
    memberships = connection.execute(
        "SELECT w.id, w.name, w.is_default, m.role FROM memberships m JOIN workspaces w ON w.id = m.workspace_id"
        " WHERE m.user_id = ? AND w.archived_at IS NULL ORDER BY w.seq",
        (row[0],),
    )
    user_id, email, first_name, last_name, role, created_at = row
    return UserRow(
        id=user_id,
        email=email,
        first_name=first_name,
        last_name=last_name,
        role=role,
        created_at=created_at,
        memberships=tuple(Membership(one[0], one[1], bool(one[2]), one[3]) for one in memberships),
    )
