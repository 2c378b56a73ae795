"""django-q2's cluster of processes, stopped in order and never outliving the process that started it.

Two cures over `manage.py qcluster`:

1. SIGTERM to the whole process group kills its children while they hold the queues' locks, and the stop waits for them
   for ever (https://github.com/django-q2/django-q2/issues/346). Here only the parent heeds signals; the children end
   when it tells them through the stop event, or are killed after a grace.
2. When the parent is killed, its children go on. Here they hold the reading end of a pipe that closes with the parent,
   and end themselves; on Linux the kernel kills them at once (`PR_SET_PDEATHSIG`, prctl(2)).
"""

import contextlib
import ctypes
import multiprocessing
import os
import select
import signal
import sys
import threading
import uuid
from collections.abc import Callable
from typing import Any

from django.db import connections
from django_q import cluster
from django_q.conf import Conf
from django_q.worker import worker

from isthmus import clock, ids
from isthmus.jobs import django_q_worker

__all__ = ["WorkerCluster"]

_PR_SET_PDEATHSIG = 1
_LOST_PARENT_EXIT_STATUS = 71
_START_SECONDS = 60
_KILL_SECONDS = 3

# Fork: the children share the pipes, the events and the loaded applications with their parent.
_processes = multiprocessing.get_context("fork")


class WorkerCluster:
    """The processes that run jobs, started from the main thread of their parent."""

    def __init__(self) -> None:
        self._stop = _processes.Event()
        self._started = _processes.Event()
        self._sentinel: Any = None

    def start(self) -> None:
        """Start them; returns when they take work. Raises `RuntimeError` when they end at once."""
        _prepare_connections()
        django_q_worker.heed(self._stop)
        # A pipe tells what a process id cannot: it closes exactly when its last holder is gone.
        children_see_parent, self._parent_end = os.pipe()
        self._parent_sees_children, children_end = os.pipe()
        self._sentinel = _processes.Process(
            target=_run_sentinel,
            args=(self._stop, self._started, children_see_parent, (self._parent_end, self._parent_sees_children)),
        )
        self._sentinel.start()
        os.close(children_see_parent)
        os.close(children_end)
        until = clock.monotonic_seconds() + _START_SECONDS
        while not self._started.wait(0.1):
            if not self._sentinel.is_alive() or clock.monotonic_seconds() > until:
                self._kill()
                raise RuntimeError(f"The worker's processes did not start (status {self._sentinel.exitcode}).")

    @property
    def end_descriptor(self) -> int:
        """Becomes readable when the processes have ended."""
        descriptor: int = self._sentinel.sentinel
        return descriptor

    def is_alive(self) -> bool:
        """Return whether the processes are watched over."""
        return bool(self._sentinel.is_alive())

    def take_no_more(self) -> None:
        """Let the processes begin no other job; returns at once."""
        self._stop.set()

    def stop(self, grace_seconds: float) -> bool:
        """End them: running jobs may finish within the grace, then they are killed. Return whether none was killed.

        When this returns, no process of the cluster runs any more.
        """
        self.take_no_more()
        self._sentinel.join(grace_seconds)
        in_order = not self._sentinel.is_alive()
        self._kill()
        return in_order

    def _kill(self) -> None:
        self._sentinel.kill()
        self._sentinel.join(_KILL_SECONDS)
        with contextlib.suppress(OSError):
            os.close(self._parent_end)
        # Readable at its end only: nobody ever writes. From then on no child can touch what is given back.
        select.select([self._parent_sees_children], [], [], _KILL_SECONDS)


_Upstream: Any = cluster.Sentinel


class _Sentinel(_Upstream):  # type: ignore[misc]  # django-q2 has no types
    """Watches over the workers; replaces those that end."""

    def __init__(self, *arguments: Any, children_see_parent: int) -> None:
        self._children_see_parent = children_see_parent
        super().__init__(*arguments)

    def start(self) -> None:
        _ignore_signals()
        super().start()

    def spawn_process(self, target: Callable[..., None], *arguments: Any) -> Any:
        process: Any = _processes.Process(
            target=_run_child,
            args=(target, os.getpid(), self._children_see_parent, *arguments),
            name=f"isthmus-{target.__name__}-{ids.new_token(6)}",
            daemon=True,
        )
        if target is worker:
            process.daemon = Conf.DAEMONIZE_WORKERS
            process.timer = arguments[2]
            self.pool.append(process)
        process.start()
        return process


def _run_sentinel(stop: Any, started: Any, children_see_parent: int, parents_own: tuple[int, ...]) -> None:
    for descriptor in parents_own:
        os.close(descriptor)
    _end_with_parent(os.getppid(), children_see_parent)
    _Sentinel(stop, started, uuid.UUID(int=ids.new_uuid().int), children_see_parent=children_see_parent)


def _run_child(target: Callable[..., None], sentinel_pid: int, children_see_parent: int, *arguments: Any) -> None:
    _ignore_signals()
    _end_with_parent(sentinel_pid, children_see_parent)
    target(*arguments)


def _ignore_signals() -> None:
    # A handler that does nothing, not SIG_IGN: programs that a job starts would inherit that.
    signal.signal(signal.SIGTERM, _do_nothing)
    signal.signal(signal.SIGINT, _do_nothing)


def _do_nothing(_number: int, _frame: object) -> None:
    """The parent decides when this process ends."""


def _end_with_parent(direct_parent: int, children_see_parent: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != direct_parent:
        os._exit(_LOST_PARENT_EXIT_STATUS)
    threading.Thread(target=_watch_parent, args=(children_see_parent,), name="parent-watch", daemon=True).start()


def _watch_parent(children_see_parent: int) -> None:
    os.read(children_see_parent, 1)
    os._exit(_LOST_PARENT_EXIT_STATUS)


def _prepare_connections() -> None:
    """Let the processes start without inherited connections, and keep their own between jobs."""
    for connection in connections.all(initialized_only=True):
        connection.close()
        if close_pool := getattr(connection, "close_pool", None):
            # The threads of a pool do not survive a fork.
            close_pool()
    for alias in connections:
        configured = connections.settings[alias]
        configured["OPTIONS"].pop("pool", None)
        configured["CONN_MAX_AGE"] = 300
        configured["CONN_HEALTH_CHECKS"] = True
