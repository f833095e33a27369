"""The tables of the history and how an older file becomes a newer one."""

from __future__ import annotations

import sqlite3

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE job (
        id INTEGER PRIMARY KEY, target TEXT NOT NULL, started REAL NOT NULL, ended REAL, outcome TEXT NOT NULL,
        model TEXT, family TEXT, pixels INTEGER, document BLOB NOT NULL
    );
    CREATE INDEX job_by_time ON job (target, started);
    CREATE TABLE option_change (
        id INTEGER PRIMARY KEY, at REAL NOT NULL, target TEXT NOT NULL, key TEXT NOT NULL, old TEXT, new TEXT,
        cause TEXT NOT NULL
    );
    CREATE INDEX option_change_by_time ON option_change (target, at);
    CREATE TABLE write (at REAL NOT NULL, target TEXT NOT NULL, key TEXT NOT NULL, new TEXT);
    CREATE TABLE verdict_change (at REAL PRIMARY KEY, verdict TEXT NOT NULL, findings TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE curve (at INTEGER NOT NULL, name TEXT NOT NULL, low INTEGER NOT NULL, high INTEGER NOT NULL,
        PRIMARY KEY (name, at)) WITHOUT ROWID;
    """,
)
"""Each entry takes the file from its index to the next version (`PRAGMA user_version`)."""

AGED = (("job", "started"), ("option_change", "at"), ("write", "at"), ("verdict_change", "at"), ("curve", "at"))
"""Tables with the column that tells how old a row is."""


def migrate(connection: sqlite3.Connection) -> None:
    """Bring a file to the newest version, each step whole or not at all.

    Raises:
        sqlite3.DatabaseError: the file is no database, or was written by a newer forgediag.
    """
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > len(MIGRATIONS):
        raise sqlite3.DatabaseError(f"its version is {version}, newer than this forgediag knows")
    for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
        connection.executescript(f"BEGIN IMMEDIATE;{script};PRAGMA user_version = {number};COMMIT;")
