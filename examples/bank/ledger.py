"""What the bank remembers, in an SQLite file of its own: applications, decisions, deliveries."""

import hashlib
import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Application", "IdempotencyConflict", "Ledger"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS application (
    number TEXT PRIMARY KEY,
    idempotency_key TEXT UNIQUE,
    body_digest TEXT NOT NULL,
    body TEXT NOT NULL,
    error_url TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'pending',
    approved_amount REAL,
    received_at REAL NOT NULL,
    decided_at REAL,
    delivered_at REAL,
    next_try_at REAL NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS request (at REAL, idempotency_key TEXT, status INTEGER);
CREATE TABLE IF NOT EXISTS delivery (at REAL, number TEXT, url TEXT, status INTEGER, answer TEXT);
"""


class IdempotencyConflict(Exception):
    """An idempotency key came again with another body."""


@dataclass(frozen=True, kw_only=True)
class Application:
    """One application as the ledger holds it."""

    number: str
    body: dict[str, Any]
    error_url: str
    status: str
    approved_amount: float | None


class Ledger:
    """The bank's book. Every method is one transaction; threads may share it."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._connection.row_factory = sqlite3.Row
        self._connection.executescript("PRAGMA journal_mode=WAL;" + _SCHEMA)

    def close(self) -> None:
        """Close the book's file."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def take_in(self, body: dict[str, Any], *, error_url: str, idempotency_key: str | None) -> tuple[str, bool]:
        """Enter an application; return its number and whether it is new. Raises `IdempotencyConflict`."""
        # Callback addresses are left out: a repeated request may name fresh ones.
        same = {name: value for name, value in body.items() if name != "callbackUrlForOutcomes"}
        digest = hashlib.sha256(json.dumps(same, sort_keys=True).encode()).hexdigest()
        with self._transaction() as connection:
            if idempotency_key is not None:
                found = connection.execute(
                    "SELECT number, body_digest FROM application WHERE idempotency_key = ?", [idempotency_key]
                ).fetchone()
                if found is not None:
                    if found["body_digest"] != digest:
                        raise IdempotencyConflict
                    return str(found["number"]), False
            count = connection.execute("SELECT count(*) FROM application").fetchone()[0]
            number = f"ACME-{count + 1:05}"
            connection.execute(
                "INSERT INTO application (number, idempotency_key, body_digest, body, error_url, received_at)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                [number, idempotency_key, digest, json.dumps(body), error_url, time.time()],
            )
            return number, True

    def note_request(self, idempotency_key: str | None, status: int) -> None:
        """Remember that a submission was answered with `status`."""
        with self._transaction() as connection:
            connection.execute("INSERT INTO request VALUES (?, ?, ?)", [time.time(), idempotency_key, status])

    def find(self, number: str) -> Application | None:
        """Return one application, or `None`."""
        with self._transaction() as connection:
            row = connection.execute("SELECT * FROM application WHERE number = ?", [number]).fetchone()
        return _application(row) if row is not None else None

    def undecided(self, *, received_before: float) -> list[Application]:
        """Return the pending applications that came before a moment (seconds since 1970)."""
        with self._transaction() as connection:
            rows = connection.execute(
                "SELECT * FROM application WHERE status = 'pending' AND received_at < ?", [received_before]
            ).fetchall()
        return [_application(row) for row in rows]

    def decide(self, number: str, status: str, approved_amount: float | None) -> None:
        """Enter a decision; the first one stays."""
        with self._transaction() as connection:
            connection.execute(
                "UPDATE application SET status = ?, approved_amount = ?, decided_at = ?"
                " WHERE number = ? AND status = 'pending'",
                [status, approved_amount, time.time(), number],
            )

    def undelivered(self) -> list[Application]:
        """Return the decided applications whose owner has not been told yet and whose next try is due."""
        with self._transaction() as connection:
            rows = connection.execute(
                "SELECT * FROM application WHERE status != 'pending' AND delivered_at IS NULL AND next_try_at <= ?",
                [time.time()],
            ).fetchall()
        return [_application(row) for row in rows]

    def note_delivery(
        self, number: str, url: str, status: int | None, answer: str, *, done: bool, delay: float
    ) -> None:
        """Remember a callback: its answer's status (`None`: no answer), and when to try again unless `done`."""
        now = time.time()
        with self._transaction() as connection:
            connection.execute("INSERT INTO delivery VALUES (?, ?, ?, ?, ?)", [now, number, url, status, answer[:500]])
            connection.execute(
                "UPDATE application SET delivered_at = ?, next_try_at = ? WHERE number = ?",
                [now if done else None, now + delay, number],
            )

    def as_json(self) -> dict[str, list[dict[str, Any]]]:
        """Return the whole book, for those who check it."""
        with self._transaction() as connection:
            return {
                table: [dict(row) for row in connection.execute(f"SELECT * FROM {table}")]
                for table in ("application", "request", "delivery")
            }


def _application(row: sqlite3.Row) -> Application:
    return Application(
        number=row["number"],
        body=json.loads(row["body"]),
        error_url=row["error_url"],
        status=row["status"],
        approved_amount=row["approved_amount"],
    )
