"""API keys: made, listed, deleted, recognized. The only statements that see a plaintext, and they keep its digest."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from keywright.sandbox.folding import fold
from keywright.sandbox.plaintext import digest, mask, new_plaintext
from keywright.sandbox.store import audit, policy
from keywright.sandbox.store.database import instant
from keywright.sandbox.store.outcomes import NotFoundError

if TYPE_CHECKING:
    import sqlite3

__all__ = ["Caller", "CreatedKey", "KeyRow", "authenticate", "count", "create", "delete", "find", "touch"]

_LARGEST: Final = 2**63 - 1
"""SQLite's integers end here; no list is longer."""

_COLUMNS: Final = (
    "k.id, k.name, k.first4, k.last4, k.created_at, k.expiration_date, k.last_used, k.workspace_id, w.name, u.email"
)


@dataclass(frozen=True, slots=True)
class CreatedKey:
    """A new key; the plaintext exists in this answer only."""

    id: str
    plaintext: str
    name: str | None
    masked: str
    created_at: str
    expiration_date: str | None


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A key as lists show it."""

    id: str
    name: str | None
    masked: str
    created_at: str
    expiration_date: str | None
    last_used: str | None
    workspace_id: str
    workspace_name: str
    created_by: str


@dataclass(frozen=True, slots=True)
class Caller:
    """Whom an ordinary key stands for."""

    key_id: str
    user_id: str
    workspace_id: str


def create(
    connection: sqlite3.Connection,
    *,
    name: str | None,
    workspace_id: str,
    user_id: str,
    expiration: date | None,
    now: datetime,
) -> CreatedKey:
    """Issue a key; its date is the latest one that the policies allow where it asks for more. Raises NotFoundError."""
    row = connection.execute(
        "SELECT max_validity_days FROM workspaces WHERE id = ? AND archived_at IS NULL", (workspace_id,)
    ).fetchone()
    if row is None:
        raise NotFoundError("Workspace not found")
    if connection.execute("SELECT 1 FROM users WHERE id = ?", (user_id,)).fetchone() is None:
        raise NotFoundError("User not found")
    days = policy.shortest(policy.of_organization(connection), row[0])
    ends = _clamped(expiration, now.date() + timedelta(days=days) if days is not None else None)
    plaintext = new_plaintext()
    created = CreatedKey(
        id=str(uuid.uuid4()),
        plaintext=plaintext,
        name=name,
        masked=mask(plaintext[:4], plaintext[-4:]),
        created_at=instant(now),
        expiration_date=ends.isoformat() if ends is not None else None,
    )
    connection.execute(
        "INSERT INTO api_keys (id, digest, first4, last4, folded_last4, name, folded_name, workspace_id, user_id,"
        " created_at, expiration_date) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            created.id,
            digest(plaintext),
            plaintext[:4],
            plaintext[-4:],
            fold(plaintext[-4:]),
            name,
            fold(name or ""),
            workspace_id,
            user_id,
            created.created_at,
            created.expiration_date,
        ),
    )
    audit.record(
        connection,
        "api_key.create",
        at=created.created_at,
        key_id=created.id,
        name=name,
        masked=created.masked,
        workspace_id=workspace_id,
        details={"expiration_date": created.expiration_date},
    )
    return created


def find(
    connection: sqlite3.Connection, *, name: str | None, limit: int, offset: int, workspace_id: str | None = None
) -> list[KeyRow]:
    """Keys, newest first. `name`: part of a key's name, or its last four characters, whatever case and accents.

    `workspace_id`: those of one Workspace; None: of all.
    """
    conditions, values = [], []
    if name:
        folded = fold(name)
        conditions.append("(instr(k.folded_name, ?) > 0 OR k.folded_last4 = ?)")
        values += [folded, folded]
    if workspace_id is not None:
        conditions.append("k.workspace_id = ?")
        values.append(workspace_id)
    condition = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM api_keys k JOIN workspaces w ON w.id = k.workspace_id JOIN users u ON u.id = k.user_id"  # noqa: S608 - constants
        f" {condition} ORDER BY k.seq DESC LIMIT ? OFFSET ?",
        (*values, _bounded(limit), _bounded(offset)),
    )
    return [_row(row) for row in rows]


def count(connection: sqlite3.Connection) -> dict[str, int]:
    """How many keys each Workspace has; one without keys is left out."""
    return dict(connection.execute("SELECT workspace_id, count(*) FROM api_keys GROUP BY workspace_id"))


def delete(connection: sqlite3.Connection, key_id: str, now: datetime) -> None:
    """Revoke a key for good. Raises NotFoundError."""
    row = connection.execute(
        "DELETE FROM api_keys WHERE id = ? RETURNING name, first4, last4, workspace_id", (key_id,)
    ).fetchone()
    if row is None:
        raise NotFoundError("API key not found")
    audit.record(
        connection,
        "api_key.delete",
        at=instant(now),
        key_id=key_id,
        name=row[0],
        masked=mask(row[1], row[2]),
        workspace_id=row[3],
        details={},
    )


def authenticate(connection: sqlite3.Connection, plaintext: str, today: str) -> Caller | None:
    """Whose key this is, or None: unknown, revoked, past its last day, or of an archived Workspace."""
    row = connection.execute(
        "SELECT k.id, k.user_id, k.workspace_id FROM api_keys k JOIN workspaces w ON w.id = k.workspace_id"
        " WHERE k.digest = ? AND (k.expiration_date IS NULL OR k.expiration_date >= ?) AND w.archived_at IS NULL",
        (digest(plaintext), today),
    ).fetchone()
    return None if row is None else Caller(*row)


def touch(connection: sqlite3.Connection, caller: Caller, today: str) -> None:
    """Count one use of a key: its day, and its Workspace's usage."""
    connection.execute(
        "UPDATE api_keys SET last_used = ?1 WHERE id = ?2 AND last_used IS NOT ?1", (today, caller.key_id)
    )
    connection.execute(
        "INSERT INTO usage (workspace_id, day, requests) VALUES (?, ?, 1)"
        " ON CONFLICT (workspace_id, day) DO UPDATE SET requests = requests + 1",
        (caller.workspace_id, today),
    )


def _clamped(asked: date | None, latest: date | None) -> date | None:
    if latest is None:
        return asked
    return latest if asked is None else min(asked, latest)


def _bounded(number: int) -> int:
    """Below zero counts as zero: SQLite would take a negative limit for none at all."""
    return max(0, min(number, _LARGEST))


def _row(row: tuple[Any, ...]) -> KeyRow:
    key_id, name, first4, last4, created_at, expires, used, workspace_id, workspace_name, email = row
    return KeyRow(
        key_id, name, mask(first4, last4), created_at, expires, used, workspace_id, workspace_name, created_by=email
    )
