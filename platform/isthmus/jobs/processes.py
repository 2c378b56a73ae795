"""The platform's processes say that they are alive; health probes and operators read it."""

import os
from datetime import timedelta

from isthmus import clock
from isthmus.jobs import process_locks
from isthmus.jobs.models import ProcessHeartbeat

__all__ = ["beat", "forget_silent", "last_beat", "new_name", "stopped"]


def new_name() -> str:
    """Return a name for this process that no other process has: host, process id, random text."""
    return process_locks.new_family()


def beat(kind: str, name: str) -> None:
    """Note that the process `name` of a kind (`worker`, `bus`, `web`) is alive. Call it every few seconds."""
    now = clock.now()
    ProcessHeartbeat.objects.bulk_create(
        [ProcessHeartbeat(kind=kind, name=name, pid=os.getpid(), started_at=now, beat_at=now)],
        update_conflicts=True,
        unique_fields=["kind", "name"],
        update_fields=["pid", "beat_at"],
    )


def stopped(kind: str, name: str) -> None:
    """Note that the process ended in good order."""
    ProcessHeartbeat.objects.filter(kind=kind, name=name).delete()


def last_beat(kind: str) -> ProcessHeartbeat | None:
    """Return the youngest heartbeat of a kind, or `None` if there never was one."""
    return ProcessHeartbeat.objects.filter(kind=kind).order_by("-beat_at").first()


def forget_silent(older_than: timedelta) -> int:
    """Remove the heartbeats of processes that are long gone; return how many."""
    removed, _ = ProcessHeartbeat.objects.filter(beat_at__lt=clock.now() - older_than).delete()
    return removed
