"""What a partner remembers, in an SQLite file of its own: every request, and how each thing stands."""

import json
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

__all__ = ["Book"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS request (at REAL, path TEXT, idempotency_key TEXT, status INTEGER);
CREATE TABLE IF NOT EXISTS effect (idempotency_key TEXT PRIMARY KEY, path TEXT, body TEXT);
CREATE TABLE IF NOT EXISTS thing (path TEXT PRIMARY KEY, body TEXT, version INTEGER);
"""


class Book:
    """The partner's book. Every method is one transaction; threads may share it."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._connection.executescript("PRAGMA journal_mode=WAL;" + _SCHEMA)

    def close(self) -> None:
        """Close the book's file."""
        with self._lock:
            self._connection.close()

    def note(self, path: str, key: str, status: int) -> None:
        """Remember that a request came and how it was answered."""
        with self._lock:
            self._connection.execute("INSERT INTO request VALUES (?, ?, ?, ?)", [time.time(), path, key, status])

    def take_in(self, path: str, key: str, body: dict[str, Any]) -> bool:
        """Let a thing stand as `body` says; return False when the same key had come before (then nothing changes)."""
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            text = json.dumps(body, sort_keys=True)
            fresh = self._connection.execute(
                "INSERT INTO effect VALUES (?, ?, ?) ON CONFLICT DO NOTHING", [key, path, text]
            ).rowcount
            if fresh:
                self._connection.execute(
                    "INSERT INTO thing VALUES (?, ?, 1)"
                    " ON CONFLICT (path) DO UPDATE SET body = excluded.body, version = version + 1",
                    [path, text],
                )
            self._connection.execute("COMMIT")
            return bool(fresh)

    def as_json(self) -> dict[str, list[dict[str, Any]]]:
        """Return the whole book, for those who check it."""
        with self._lock:
            found = {}
            for table in ("request", "effect", "thing"):
                rows = self._connection.execute(f"SELECT * FROM {table} ORDER BY rowid")
                names = [column[0] for column in rows.description]
                found[table] = [dict(zip(names, row, strict=True)) for row in rows]
            return found
