"""The audit log. Written with the change that it reports, in the same transaction; the actor is always the admin key.

Of the three events that concern keys only api_key.create and api_key.delete can happen: the Admin API rotates nothing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Mapping

__all__ = ["ACTOR", "TARGET", "Entry", "find", "record"]

ACTOR: Final = "API_KEY"
TARGET: Final = "API_KEY"


@dataclass(frozen=True, slots=True)
class Entry:
    """One event."""

    id: int
    created_at: str
    event_type: str
    event_metadata: dict[str, str]
    target_metadata: dict[str, str]
    workspace_id: str


def record(
    connection: sqlite3.Connection,
    event_type: str,
    *,
    at: str,
    key_id: str,
    name: str | None,
    masked: str,
    workspace_id: str,
    details: Mapping[str, str | None],
) -> None:
    """Add one event about a key."""
    target = {"key_id": key_id, "name": name, "hidden_key": masked}
    connection.execute(
        "INSERT INTO audit_logs (created_at, event_type, event_metadata, target_metadata, workspace_id)"
        " VALUES (?, ?, ?, ?, ?)",
        (at, event_type, _packed(details), _packed(target), workspace_id),
    )


def find(
    connection: sqlite3.Connection,
    *,
    event_types: Collection[str] | None,
    after: str | None,
    before: str | None,
    ascending: bool,
    limit: int,
) -> list[Entry]:
    """Events strictly between two instants, as stored; None: any."""
    types = None if event_types is None else json.dumps(sorted(event_types))
    direction = "ASC" if ascending else "DESC"
    rows = connection.execute(
        "SELECT id, created_at, event_type, event_metadata, target_metadata, workspace_id FROM audit_logs"  # noqa: S608 - constants
        " WHERE (?1 IS NULL OR event_type IN (SELECT value FROM json_each(?1)))"
        " AND (?2 IS NULL OR created_at > ?2) AND (?3 IS NULL OR created_at < ?3)"
        f" ORDER BY id {direction} LIMIT ?4",
        (types, after, before, max(0, min(limit, 2**63 - 1))),
    )
    return [Entry(row[0], row[1], row[2], json.loads(row[3]), json.loads(row[4]), row[5]) for row in rows]


def _packed(values: Mapping[str, str | None]) -> str:
    """Metadata are strings at the platform; what is absent is left out."""
    return json.dumps({name: value for name, value in values.items() if value is not None})
