"""No-op background operations a second, and how soon one starts, against three peers in the same run.

Two processes work: two of our worker, two of a plain django-q2 cluster, two of procrastinate (ten tasks at a time
each), two of a bare loop over SKIP LOCKED, which is the limit. All of ours counts: states, leases, logs, limits,
correlation. The promises on PostgreSQL: at least 1,000 a second and more than procrastinate; a start on an idle system
within 10 ms (p50) and 50 ms (p99). On SQLite: p50 within 30 ms.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep, time

from support.own_database import own_database

JOBS = int(os.environ.get("BENCH_JOBS", "6000"))
PEER_JOBS = int(os.environ.get("BENCH_PEER_JOBS", "2000"))
STARTS = int(os.environ.get("BENCH_STARTS", "150"))
ROOT = Path(__file__).resolve().parent.parent
SUPPORT = ROOT / "bench" / "support"
Figures = tuple[float, float, list[float]]
"""Enqueued a second, drained a second, delays of starts in seconds."""


def main() -> None:
    with own_database(), tempfile.TemporaryDirectory() as folder:
        from django.db import connection

        database = connection.settings_dict
        ours = measure_ours(database, Path(folder))
        print(f"{connection.vendor}, two worker processes, {JOBS:,} no-op jobs; {STARTS} starts on an idle system")
        tell("Isthmus", ours)
        p50, p99 = percentile(ours[2], 0.5) * 1000, percentile(ours[2], 0.99) * 1000
        if connection.vendor == "sqlite":
            print(f"  start p50 {p50:.1f} ms (promise 30) {verdict(p50 < 30)}")
            return
        limit = measure_skip_locked(database)
        plain = measure_django_q(database, Path(folder))
        peer = measure_procrastinate(database, Path(folder))
        tell("procrastinate", peer)
        tell("django-q2", plain)
        print(f"  {'bare SKIP LOCKED':<16} drains {limit:8,.0f} a second")
        print(f"  a second: {ours[1]:,.0f} (promise 1,000) {verdict(ours[1] >= 1000)}")
        ratio = ours[1] / peer[1]
        print(f"  {ratio:.2f} of procrastinate (promise 1), {ours[1] / plain[1]:.2f} of django-q2 {verdict(ratio > 1)}")
        print(f"  {ours[1] / limit:.2f} of the bare loop")
        print(f"  start p50 {p50:.1f} ms (promise 10), p99 {p99:.1f} ms (50) {verdict(p50 < 10 and p99 < 50)}")


def measure_ours(database: dict[str, object], folder: Path) -> Figures:
    """Return the figures of the platform's own worker."""
    from isthmus.jobs.models import Job
    from isthmus.jobs.states import JobState

    sys.path.append(str(ROOT))
    from bench.support import job_functions

    began = monotonic()
    for _ in range(JOBS // 6):
        job_functions.nothing.enqueue()
    enqueued = (JOBS // 6) / (monotonic() - began)
    job_functions.nothing.enqueue_many({} for _ in range(JOBS - JOBS // 6))
    done = Job.objects.filter(state=JobState.COMPLETED, function__endswith=".nothing")
    with running([sys.executable, "manage.py", "worker"], ours_environment(database), folder / "ours"):
        drained = drain_rate(done.count, JOBS)
        notes = folder / "ours.delays"
        send = job_functions.note_delay.enqueue
        return enqueued, drained, delays(lambda: send(sent_at=time(), file=str(notes)), notes)


def measure_django_q(database: dict[str, object], folder: Path) -> Figures:
    """Return the figures of plain django-q2."""
    peer = {f"PEER_{part}": str(database[part] or "") for part in ("NAME", "HOST", "PORT", "USER")}
    environment = {**os.environ, **peer, "PYTHONPATH": str(SUPPORT), "PEER_NOTES": str(folder / "q.delays")}
    os.environ.pop("DJANGO_SETTINGS_MODULE", None)
    with running([sys.executable, str(SUPPORT / "enqueue_django_q.py")], environment, folder / "q.enqueue") as sender:
        sender.wait(120)
    enqueued, drained, *found = map(float, (folder / "q.enqueue").read_text().splitlines()[-1].split())
    return enqueued, drained, found


def measure_procrastinate(database: dict[str, object], folder: Path) -> Figures:
    """Return the figures of procrastinate."""
    environment = {**os.environ, "PEER_DSN": dsn(database), "PYTHONPATH": str(SUPPORT)}
    os.environ["PEER_DSN"] = environment["PEER_DSN"]
    import procrastinate
    import psycopg
    from support import peers_procrastinate as peers

    connector = procrastinate.SyncPsycopgConnector(conninfo=dsn(database))
    with (
        peers.app.replace_connector(connector) as app,
        app.open(),
        psycopg.connect(dsn(database), autocommit=True) as connection,
    ):
        app.schema_manager.apply_schema()
        nothing, note_delay = (app.configure_task(name, allow_unknown=True) for name in ("nothing", "note_delay"))
        began = monotonic()
        for _ in range(PEER_JOBS):
            nothing.defer()
        enqueued = PEER_JOBS / (monotonic() - began)

        def done() -> int:
            row = connection.execute(
                "SELECT count(*) FROM procrastinate_jobs WHERE status = 'succeeded' AND task_name = 'nothing'"
            ).fetchone()
            return int(row[0]) if row else 0

        work = [sys.executable, str(SUPPORT / "peers_procrastinate.py"), "work"]
        with running(work, environment, folder / "p1"), running(work, environment, folder / "p2"):
            drained = drain_rate(done, PEER_JOBS)
            notes = folder / "p.delays"
            return enqueued, drained, delays(lambda: note_delay.defer(sent_at=time(), file=str(notes)), notes)


def measure_skip_locked(database: dict[str, object]) -> float:
    """Return the jobs a second of two bare loops."""
    import psycopg

    environment = {**os.environ, "PEER_DSN": dsn(database)}
    count = JOBS * 10
    with psycopg.connect(dsn(database), autocommit=True) as connection:
        connection.execute("CREATE TABLE bare_jobs (id bigserial PRIMARY KEY, state text NOT NULL DEFAULT 'todo')")
        connection.execute("CREATE INDEX ON bare_jobs (id) WHERE state = 'todo'")
        connection.execute("INSERT INTO bare_jobs (state) SELECT 'todo' FROM generate_series(1, %s)", [count])
        connection.execute("ANALYZE bare_jobs")
        began = monotonic()
        loops = [
            subprocess.Popen([sys.executable, str(SUPPORT / "peers_skip_locked.py")], env=environment) for _ in "ab"
        ]
        for loop in loops:
            loop.wait(300)
        return count / (monotonic() - began)


def drain_rate(done: Callable[[], int], count: int) -> float:
    """Return the jobs a second from the first one on, so that the start of the processes does not count."""
    until = monotonic() + 300
    while not (first := done()):
        sleep(0.01)
    began = monotonic()
    while (last := done()) < count:
        if monotonic() > until:
            raise SystemExit(f"Only {last} of {count} jobs were done in time.")
        sleep(0.05)
    return (last - first) / (monotonic() - began)


def delays(send: Callable[[], object], notes: Path) -> list[float]:
    """Return how late jobs started that were sent at 20 a second to idle workers."""
    send()
    while not notes.exists():
        sleep(0.05)
    sleep(1)
    for _ in range(STARTS):
        send()
        sleep(0.05)
    until = monotonic() + 60
    while len(found := notes.read_text().splitlines()) <= STARTS and monotonic() < until:
        sleep(0.05)
    # The first one waited for what a process does once.
    return [float(each) for each in found[1:]]


@contextmanager
def running(command: list[str], environment: dict[str, str], output: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a process while the block does."""
    with output.open("wb") as stream:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=stream, stderr=stream)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


def ours_environment(database: dict[str, object]) -> dict[str, str]:
    is_sqlite = str(database["ENGINE"]).endswith("sqlite3")
    url = f"sqlite:///{database['NAME']}" if is_sqlite else dsn(database).replace("postgresql://", "postgres://")
    return {**os.environ, "DATABASE_URL": url, "ISTHMUS_WORKER_PROCESSES": "2"}


def dsn(database: dict[str, object]) -> str:
    login = f"{database['USER']}:{database['PASSWORD']}@" if database["PASSWORD"] else f"{database['USER']}@"
    return f"postgresql://{login}{database['HOST'] or '127.0.0.1'}:{database['PORT'] or 5432}/{database['NAME']}"


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


def tell(name: str, figures: Figures) -> None:
    enqueued, drained, found = figures
    p50, p99 = percentile(found, 0.5) * 1000, percentile(found, 0.99) * 1000
    print(
        f"  {name:<16} enqueues {enqueued:6,.0f}, drains {drained:6,.0f} a second; "
        f"start p50 {p50:6.1f}, p99 {p99:6.1f} ms"
    )


def verdict(is_met: bool) -> str:
    return "met" if is_met else "MISSED"


if __name__ == "__main__":
    main()
