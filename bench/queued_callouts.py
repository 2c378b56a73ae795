"""Queued callouts a second that two workers drain, against what one thread of a plain session sends to the same server.

A local server answers; the queue is filled beforehand; each callout is claimed, sent, logged, settled. The promise: at
least 500 a second with two workers on PostgreSQL on two cores. On SQLite, which has one writer, it is shown only.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from time import monotonic, sleep

from support.answering import answering
from support.own_database import own_database

CALLOUTS = int(os.environ.get("BENCH_CALLOUTS", "6000"))
PROMISE = 500.0
ROOT = Path(__file__).resolve().parent.parent
BODY = {"amount": 250_000, "currency": "EUR", "customer": {"name": "Ada", "id": "001000000000001AAA"}}


def main() -> None:
    with answering(8133) as plain, own_database():
        measure(plain)


def measure(plain: str) -> None:
    """Print the line."""
    from django.db import connection, transaction

    import callouts
    from callouts import http
    from callouts.queue.models import QueuedCallout, QueueState
    from credentials.actions import create_external_credential, create_named_credential, create_principal

    external = create_external_credential("Bank", protocol="basic")
    create_principal(external, "Main", secrets={"username": "robot", "password": "secret"})
    create_named_credential("Plain", url=plain, external_credential=external, allow_internal_addresses=True)
    request = http.Request(method="POST", url="callout:Plain/applications", json=BODY)
    began = monotonic()
    with transaction.atomic():
        for number in range(CALLOUTS):
            callouts.enqueue("Submit application", request, record=f"record-{number}", idempotency_key=f"key-{number}")
    queued = CALLOUTS / (monotonic() - began)
    session = session_rate(plain)
    with tempfile.TemporaryDirectory() as folder:
        workers = [start_worker(connection.settings_dict, Path(folder) / f"worker-{number}") for number in range(2)]
        try:
            done = QueuedCallout.objects.exclude(state__in=[QueueState.WAITING, QueueState.SENDING])
            # From the first one on, so that the start of the processes does not count.
            while not (first := done.count()):
                sleep(0.02)
            began = monotonic()
            while (last := done.count()) < CALLOUTS:
                sleep(0.05)
            rate = (last - first) / (monotonic() - began)
        finally:
            for worker in workers:
                worker.terminate()
            for worker in workers:
                worker.wait(30)
    wrong = QueuedCallout.objects.exclude(state=QueueState.SUCCEEDED).count()
    verdict = "shown" if connection.vendor == "sqlite" else "met" if rate >= PROMISE and not wrong else "MISSED"
    print(
        f"{connection.vendor}: {queued:,.0f} queued a second in one transaction; {CALLOUTS:,} callouts, {wrong} wrong"
    )
    print(f"  two workers drain {rate:,.0f} a second, {rate / session:.2f} of a plain session's {session:,.0f}")
    print(f"  (promise on PostgreSQL: {PROMISE:,.0f}) {verdict}")


def session_rate(plain: str) -> float:
    """Return the calls a second of one thread with a plain session."""
    import requests

    with requests.Session() as session:
        session.auth = ("robot", "secret")
        session.post(f"{plain}/applications", json=BODY, timeout=10)
        count, began = 0, monotonic()
        while monotonic() - began < 2:
            session.post(f"{plain}/applications", json=BODY, timeout=10)
            count += 1
        return count / (monotonic() - began)


def start_worker(database: dict[str, object], output: Path) -> "subprocess.Popen[bytes]":
    """Start one worker on the bench's database."""
    name, user, password = database["NAME"], database["USER"], database["PASSWORD"]
    is_sqlite = str(database["ENGINE"]).endswith("sqlite3")
    host = f"{database['HOST'] or '127.0.0.1'}:{database['PORT'] or 5432}"
    login = f"{user}:{password}@" if password else f"{user}@"
    url = f"sqlite:///{name}" if is_sqlite else f"postgres://{login}{host}/{name}"
    environment = {**os.environ, "DATABASE_URL": url, "ISTHMUS_LOG_LEVEL": "WARNING"}
    with output.open("wb") as stream:
        return subprocess.Popen(
            [sys.executable, "manage.py", "worker"], cwd=ROOT, env=environment, stdout=stream, stderr=stream
        )


if __name__ == "__main__":
    main()
