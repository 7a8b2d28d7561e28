"""The data file: its tables, what a new one starts with, and how it is opened.

One connection writes, another reads: in WAL mode neither waits for the other. synchronous=FULL: an acknowledged key
outlives not only the process but the machine; journal.py makes that cheap.
"""

from __future__ import annotations

import os
import sqlite3
import uuid
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

__all__ = ["DataFileError", "connect", "instant", "prepare"]

_APPLICATION_ID: Final = 0x6B777362
"""`kwsb`: tells a sandbox's file from any other database."""

_VERSION: Final = 1

_BUSY: Final = 10.0
"""Seconds to wait for another process that holds the file."""

_SCHEMA: Final = """
CREATE TABLE organization (
  id TEXT PRIMARY KEY,
  max_validity_days INTEGER
) STRICT;
CREATE TABLE users (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  email TEXT NOT NULL,
  first_name TEXT NOT NULL,
  last_name TEXT NOT NULL,
  role TEXT NOT NULL,
  created_at TEXT NOT NULL
) STRICT;
CREATE TABLE workspaces (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  folded_name TEXT NOT NULL,
  description TEXT NOT NULL,
  icon TEXT NOT NULL,
  is_default INTEGER NOT NULL,
  archived_at TEXT,
  max_validity_days INTEGER
) STRICT;
CREATE TABLE memberships (
  workspace_id TEXT NOT NULL REFERENCES workspaces (id),
  user_id TEXT NOT NULL REFERENCES users (id),
  role TEXT NOT NULL,
  PRIMARY KEY (workspace_id, user_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE api_keys (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  digest BLOB NOT NULL UNIQUE,
  first4 TEXT NOT NULL,
  last4 TEXT NOT NULL,
  folded_last4 TEXT NOT NULL,
  name TEXT,
  folded_name TEXT NOT NULL,
  workspace_id TEXT NOT NULL REFERENCES workspaces (id),
  user_id TEXT NOT NULL REFERENCES users (id),
  created_at TEXT NOT NULL,
  expiration_date TEXT,
  last_used TEXT
) STRICT;
CREATE TABLE audit_logs (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  created_at TEXT NOT NULL,
  event_type TEXT NOT NULL,
  event_metadata TEXT NOT NULL,
  target_metadata TEXT NOT NULL,
  workspace_id TEXT NOT NULL
) STRICT;
CREATE INDEX audit_logs_by_time ON audit_logs (created_at);
CREATE TABLE usage (
  workspace_id TEXT NOT NULL,
  day TEXT NOT NULL,
  requests INTEGER NOT NULL,
  PRIMARY KEY (workspace_id, day)
) STRICT, WITHOUT ROWID;
"""

_WORKSPACES: Final = ("Default", "search-prod", "billing")
_USERS: Final = (("admin@example.com", "Ada", "Admin", "A"), ("dev@example.com", "Dan", "Dev", "M"))


class DataFileError(Exception):
    """The data file cannot be used; the text says why, and what to do."""


def instant(moment: datetime) -> str:
    """A time as stored and sent: UTC, microseconds always, so that text order is time order."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")


def connect(path: Path) -> sqlite3.Connection:
    """One more connection to the data file; it may move between threads, never be in two at once."""
    connection = _connect(path)
    _configure(connection)
    return connection


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=_BUSY, isolation_level=None, check_same_thread=False)


def _configure(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")


def prepare(path: Path, now: datetime) -> sqlite3.Connection:
    """Open the data file for writing, making it where absent. Raises DataFileError."""
    if not path.parent.is_dir():
        raise DataFileError(f"the folder {path.parent} does not exist; create it, or name another data file")
    try:
        # Readable by its owner only, and so is the WAL, which takes over the file's mode.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise DataFileError(f"cannot open {path}: {error.strerror}") from None
    connection = _connect(path)
    try:
        _check(connection, path)
        _configure(connection)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("BEGIN IMMEDIATE")
        if connection.execute("PRAGMA application_id").fetchone()[0] == 0:
            _create(connection, now)
        connection.execute("COMMIT")
    except sqlite3.OperationalError as error:
        connection.close()
        raise DataFileError(f"cannot use {path}: {error}") from None
    except sqlite3.DatabaseError:
        connection.close()
        raise DataFileError(f"{path} is not a sandbox database; name another data file") from None
    except BaseException:  # an interrupt too gives the file back
        connection.close()
        raise
    return connection


def _check(connection: sqlite3.Connection, path: Path) -> None:
    owner = connection.execute("PRAGMA application_id").fetchone()[0]
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if owner != _APPLICATION_ID and (owner != 0 or tables != 0):
        raise DataFileError(f"{path} is not a sandbox database; name another data file")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if owner == _APPLICATION_ID and version != _VERSION:
        raise DataFileError(f"{path} is of another keywright version; name another data file")


def _create(connection: sqlite3.Connection, now: datetime) -> None:
    for statement in _SCHEMA.split(";"):
        connection.execute(statement)
    connection.execute("INSERT INTO organization (id) VALUES (?)", (str(uuid.uuid4()),))
    people = [(str(uuid.uuid4()), *person, instant(now)) for person in _USERS]
    connection.executemany(
        "INSERT INTO users (id, email, first_name, last_name, role, created_at) VALUES (?, ?, ?, ?, ?, ?)", people
    )
    for name in _WORKSPACES:
        workspace = str(uuid.uuid4())
        connection.execute(
            "INSERT INTO workspaces (id, name, folded_name, description, icon, is_default) VALUES (?, ?, ?, '', '', ?)",
            (workspace, name, name.lower(), int(name == "Default")),
        )
        connection.executemany(
            "INSERT INTO memberships (workspace_id, user_id, role) VALUES (?, ?, ?)",
            [(workspace, person[0], person[4]) for person in people],
        )
    connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {_VERSION}")
