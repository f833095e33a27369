"""Reading and writing the history's file, one connection at a time."""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

from forgediag.history.schema import AGED, migrate
from forgediag.model import Cause, Job, OptionChange, VerdictChange
from forgediag.recording.document import job_from

FILE = "history.sqlite3"

OURS = 30.0
"""Seconds within which a change that was seen is the one this program wrote."""


Row = Job | OptionChange | VerdictChange | Mapping[str, tuple[int, int, int]]
"""What is kept. A mapping holds points of curves: name to (Unix second, lowest, highest)."""


class HistoryError(Exception):
    """The history cannot be read or written: one line with its file and the reason."""


class History:
    """One open file. Every method raises HistoryError when the file cannot be used; a write is whole or not there."""

    def __init__(self, directory: Path, *, create: bool = False) -> None:
        """Open it.

        Args:
            directory: where the file is.
            create: whether to make it (and its directory) where it is not there.

        Raises:
            HistoryError: there is none, or it cannot be opened.
        """
        self.path = directory / FILE
        try:
            if create:
                directory.mkdir(parents=True, exist_ok=True)
            elif not self.path.exists():
                raise HistoryError(f"there is no history yet at {self.path}: `forgediag run` writes it")
            self._connection = sqlite3.connect(self.path, timeout=2.0, isolation_level=None, check_same_thread=False)
            if create:
                self._connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
                self._connection.execute("PRAGMA journal_mode = WAL")
                self._connection.execute("PRAGMA synchronous = NORMAL")
                self._connection.execute("PRAGMA journal_size_limit = 1048576")
                self._connection.execute("PRAGMA cache_size = -256")  # KiB; the default keeps 2 MB in memory
                migrate(self._connection)
        except (sqlite3.Error, OSError) as error:
            raise self._error(error) from error

    def close(self) -> None:
        """Close it; what was written stays."""
        self._connection.close()

    def _error(self, error: Exception) -> HistoryError:
        return HistoryError(f"the history {self.path} cannot be used: {error}")

    def write(self, rows: Iterable[Row]) -> None:
        """Write rows in one transaction."""
        try:
            with closing(self._connection.cursor()) as cursor:
                cursor.execute("BEGIN IMMEDIATE")
                try:
                    for row in rows:
                        _insert(cursor, row)
                    cursor.execute("COMMIT")
                except sqlite3.Error:
                    if self._connection.in_transaction:
                        cursor.execute("ROLLBACK")
                    raise
        except sqlite3.Error as error:
            raise self._error(error) from error

    def note_write(self, at: float, target: str, values: Mapping[str, Any]) -> None:
        """Note what this program is about to write to Forge, so that the change is known for ours."""
        try:
            self._connection.executemany(
                "INSERT INTO write VALUES (?, ?, ?, ?)",
                [(at, target, key, json.dumps(value)) for key, value in values.items()],
            )
        except sqlite3.Error as error:
            raise self._error(error) from error

    def jobs(self, target: str | None = None, limit: int = 100) -> list[Job]:
        """The last generations, the newest first."""
        where, of = ("WHERE target = ?", (target,)) if target is not None else ("", ())
        rows = self._read(f"SELECT document FROM job {where} ORDER BY started DESC LIMIT ?", (*of, limit))  # noqa: S608
        return [job_from(json.loads(zlib.decompress(row[0]))) for row in rows]

    def option_changes(self, target: str | None = None, limit: int = 100) -> list[OptionChange]:
        """The last changes of options, the newest first."""
        where, of = ("WHERE target = ?", (target,)) if target is not None else ("", ())
        query = (
            f"SELECT at, target, key, old, new, cause, id FROM option_change {where} ORDER BY at DESC, id DESC LIMIT ?"  # noqa: S608
        )
        rows = self._read(query, (*of, limit))
        return [
            OptionChange(at, name, key, _value(old), _value(new), cast("Cause", cause), number)
            for at, name, key, old, new, cause, number in rows
        ]

    def verdicts(self, limit: int = 100) -> list[VerdictChange]:
        """The last changes of the verdict, the newest first."""
        rows = self._read("SELECT at, verdict, findings FROM verdict_change ORDER BY at DESC LIMIT ?", (limit,))
        return [VerdictChange(at, verdict, tuple(json.loads(findings))) for at, verdict, findings in rows]

    def curve(self, name: str, start: float, end: float) -> list[tuple[int, int, int]]:
        """Points of one curve between two moments: (Unix second, lowest, highest)."""
        return self._read(
            "SELECT at, low, high FROM curve WHERE name = ? AND at BETWEEN ? AND ? ORDER BY at", (name, start, end)
        )

    def _read(self, query: str, arguments: tuple[Any, ...]) -> list[Any]:
        try:
            return self._connection.execute(query, arguments).fetchall()
        except sqlite3.Error as error:
            raise self._error(error) from error

    def trim(self, before: float, limit: int) -> None:
        """Let go of rows older than `before` (Unix seconds), then of the oldest until the file has `limit` bytes."""
        try:
            for table, column in AGED:
                self._connection.execute(f"DELETE FROM {table} WHERE {column} < ?", (before,))  # noqa: S608 - our names
            for _ in range(20):
                self._connection.executescript("PRAGMA incremental_vacuum")  # execute() frees one page
                if self.size() <= limit:
                    break
                for table, column in AGED:
                    self._connection.execute(
                        f"DELETE FROM {table} WHERE {column} <= (SELECT {column} FROM {table} ORDER BY {column} LIMIT 1"  # noqa: S608
                        f" OFFSET (SELECT count(*) / 5 FROM {table}))"
                    )
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        except sqlite3.Error as error:
            raise self._error(error) from error

    def size(self) -> int:
        """Bytes of the file."""
        pages, each = self._read("SELECT page_count, page_size FROM pragma_page_count, pragma_page_size", ())[0]
        return int(pages) * int(each)


def _insert(
    cursor: sqlite3.Cursor, row: Job | OptionChange | VerdictChange | Mapping[str, tuple[int, int, int]]
) -> None:
    if isinstance(row, Job):
        cursor.execute(
            "INSERT INTO job (target, started, ended, outcome, model, family, pixels, document)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(row.target, row.started, row.ended, row.outcome, row.model, row.family, row.pixels),
                zlib.compress(json.dumps(asdict(row), separators=(",", ":")).encode(), 6),
            ),
        )
    elif isinstance(row, OptionChange):
        ours = cursor.execute(
            "SELECT 1 FROM write WHERE target = ? AND key = ? AND at BETWEEN ? AND ?",
            (row.target, row.key, row.at - OURS, row.at + OURS),
        ).fetchone()
        cursor.execute(
            "INSERT INTO option_change (at, target, key, old, new, cause) VALUES (?, ?, ?, ?, ?, ?)",
            (
                *(row.at, row.target, row.key, json.dumps(row.old), json.dumps(row.new)),
                "forgediag" if ours else row.cause,
            ),
        )
    elif isinstance(row, VerdictChange):
        cursor.execute(
            "INSERT OR REPLACE INTO verdict_change VALUES (?, ?, ?)", (row.at, row.verdict, json.dumps(row.findings))
        )
    else:
        cursor.executemany(
            "INSERT INTO curve VALUES (?, ?, ?, ?) ON CONFLICT (name, at) DO UPDATE SET"
            " low = min(low, excluded.low), high = max(high, excluded.high)",
            [(at, name, low, high) for name, (at, low, high) in row.items()],
        )


def _value(text: str | None) -> Any:
    return None if text is None else json.loads(text)
