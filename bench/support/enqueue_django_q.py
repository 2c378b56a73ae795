"""Measures plain django-q2 in processes of its own; prints enqueued and drained a second, then the delays of starts."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from time import monotonic, sleep, time

import peers_django_q

COUNT = int(os.environ.get("BENCH_PEER_JOBS", "2000"))
STARTS = int(os.environ.get("BENCH_STARTS", "150"))


def main() -> None:
    """Enqueue, let a cluster drain, then send to the idle cluster."""
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    from django_q.models import OrmQ, Success
    from django_q.tasks import async_task

    OrmQ.objects.all().delete()
    began = monotonic()
    for _ in range(COUNT):
        async_task("peers_django_q.nothing")
    enqueued = COUNT / (monotonic() - began)
    notes = Path(os.environ["PEER_NOTES"])
    cluster = subprocess.Popen(
        [sys.executable, str(peers_django_q.__file__), "qcluster"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        left = OrmQ.objects.count
        until = monotonic() + 60
        while left() >= COUNT and monotonic() < until:
            sleep(0.01)
        first, began = left(), monotonic()
        while (last := left()) > 0 and monotonic() < until:
            sleep(0.05)
        drained = (first - last) / (monotonic() - began)
        for number in range(STARTS + 1):
            async_task("peers_django_q.note_delay", time(), str(notes))
            sleep(1 if number == 0 else 0.05)
        sleep(3)
    finally:
        # With all its processes: a signal to the leader alone leaves them when the queue is not empty.
        os.killpg(cluster.pid, signal.SIGKILL)
        cluster.wait(30)
    Success.objects.all().delete()
    print(enqueued, drained, *notes.read_text().split()[1:])


if __name__ == "__main__":
    main()
