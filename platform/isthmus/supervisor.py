"""Starts processes, keeps them running, and stops them all: what `manage.py run` and the demo stand on.

Each process leads a session of its own, so that Ctrl-C in a terminal reaches the supervisor alone, which then asks each
process to end; and each dies with the supervisor where the kernel offers that (Linux), so that none is left behind.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO

from isthmus import clock

__all__ = [
    "ProcessSpec",
    "Supervisor",
    "bus_spec",
    "import_path",
    "run_until_stopped",
    "wait_for_web",
    "web_spec",
    "worker_spec",
]

_PR_SET_PDEATHSIG = 1
"""https://man7.org/linux/man-pages/man2/PR_SET_PDEATHSIG.2const.html"""


@dataclass(frozen=True, kw_only=True)
class ProcessSpec:
    """How one process is started."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    """Added to the supervisor's own environment."""


def import_path() -> str:
    """Return a `PYTHONPATH` under which a child finds what this process finds, from a checkout or an installed copy."""
    return os.pathsep.join(path for path in sys.path if path)


def web_spec(port: int) -> ProcessSpec:
    """Return the web process: the ASGI application on loopback."""
    command = [sys.executable, "-m", "granian", "--interface", "asginl", "--host", "127.0.0.1", "--port", str(port)]
    return ProcessSpec(
        name="web",
        command=[*command, "--workers", "1", "--no-ws", "--log-level", "warning", "isthmus.asgi:application"],
        environment={"ISTHMUS_HTTP_PORT": str(port)},
    )


def worker_spec() -> ProcessSpec:
    """Return the worker process: the job cluster and its sweeper."""
    return ProcessSpec(name="worker", command=[sys.executable, "-m", "django", "worker"])


def bus_spec() -> ProcessSpec:
    """Return the bus process: the relay and the subscribers."""
    return ProcessSpec(name="bus", command=[sys.executable, "-m", "django", "bus"])


def run_until_stopped(
    specs: Sequence[ProcessSpec], *, port: int, welcome: Sequence[str], write: Callable[[str], None]
) -> bool:
    """Run processes until Ctrl-C or SIGTERM; print `welcome` once the web process answers.

    Returns whether the web process ever answered. Must be called from the main thread.
    """
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    supervisor = Supervisor(specs, environment={"ISTHMUS_BASE_URL": f"http://127.0.0.1:{port}"}, write=write)
    supervisor.start()
    try:
        answered = wait_for_web(port, stopping)
        if answered:
            write("\n" + "\n".join([*welcome, "Ctrl-C stops everything."]) + "\n")
            stopping.wait()
    finally:
        supervisor.stop()
    return answered


def wait_for_web(port: int, stopping: threading.Event | None = None, *, seconds: float = 60.0) -> bool:
    """Wait until the web process says it is alive. Returns `False` when time is up or `stopping` was set."""
    stopping = stopping or threading.Event()
    deadline = clock.monotonic_seconds() + seconds
    while clock.monotonic_seconds() < deadline and not stopping.wait(0.1):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2):
                return True
        except OSError:
            continue
    return False


class _Child:
    """One process and its successors."""

    def __init__(self, spec: ProcessSpec, write: Callable[[str], None]) -> None:
        self.spec = spec
        self._write = write
        self.process: subprocess.Popen[str] | None = None
        self.started_at = 0.0
        self.starts = 0

    def start(self, environment: Mapping[str, str]) -> None:
        self.process = subprocess.Popen(  # noqa: S603 - the command is ours
            list(self.spec.command),
            env={**os.environ, **environment, **self.spec.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            errors="replace",
            start_new_session=True,
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,
        )
        self.started_at = clock.monotonic_seconds()
        self.starts += 1
        threading.Thread(target=self._copy, args=[self.process.stdout], daemon=True).start()

    def _copy(self, stream: IO[str]) -> None:
        for line in stream:
            self._write(f"{self.spec.name:>7} | {line.rstrip()}")

    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None


class Supervisor:
    """Runs `specs` until it is told to stop. `write` gets every line the processes print."""

    def __init__(
        self, specs: Sequence[ProcessSpec], *, environment: Mapping[str, str], write: Callable[[str], None]
    ) -> None:
        self._children = {spec.name: _Child(spec, write) for spec in specs}
        self._environment = {"PYTHONPATH": import_path(), "DJANGO_SETTINGS_MODULE": "isthmus.settings", **environment}
        self._write = write
        self._stopping = threading.Event()
        self._watcher: threading.Thread | None = None

    def start(self) -> None:
        """Start every process, and from now on restart whichever ends by itself."""
        for child in self._children.values():
            child.start(self._environment)
        self._watcher = threading.Thread(target=self._watch, daemon=True, name="supervisor")
        self._watcher.start()

    def pid_of(self, name: str) -> int:
        """Return the process id of the present holder of a name. Raises `KeyError` for an unknown name."""
        process = self._children[name].process
        if process is None:
            raise KeyError(name)
        return process.pid

    def kill(self, name: str) -> None:
        """SIGKILL a process and all it started, as a failing machine would; the watcher starts the next one."""
        os.killpg(self.pid_of(name), signal.SIGKILL)

    def wait(self) -> None:
        """Block until `stop()` is called from a signal handler or another thread."""
        self._stopping.wait()

    def stop(self, *, patience_seconds: float = 15.0) -> None:
        """Ask every process to end, wait, and kill what has not ended in time."""
        self._stopping.set()
        if self._watcher is not None:
            self._watcher.join()
        running = [child.process for child in self._children.values() if child.process and child.is_running()]
        for process in running:
            # The leader alone: each of ours ends its own children in order.
            process.terminate()
        deadline = clock.monotonic_seconds() + patience_seconds
        for process in running:
            try:
                process.wait(max(0.1, deadline - clock.monotonic_seconds()))
            except subprocess.TimeoutExpired:
                self._write(f"supervisor: process {process.pid} did not end in time and is killed")
        for child in self._children.values():
            # Of a leader that ended by itself, what it started may still be there.
            if child.process is not None:
                _kill_group(child.process)

    def _watch(self) -> None:
        while not self._stopping.wait(0.2):
            for child in self._children.values():
                if child.is_running() or child.process is None:
                    continue
                _kill_group(child.process)
                # A process that dies at once is not started in a tight circle.
                lived = clock.monotonic_seconds() - child.started_at
                if lived < 1.0 and child.starts > 1 and self._stopping.wait(min(child.starts, 10)):
                    return
                status = child.process.returncode
                self._write(f"supervisor: {child.spec.name} ended with status {status} and is started again")
                child.start(self._environment)


def _kill_group(process: subprocess.Popen[str]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    finally:
        process.wait()


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
