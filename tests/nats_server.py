"""A NATS server with JetStream as a process of its own, which tests may kill."""

import contextlib
import socket
import subprocess
from pathlib import Path

from events.crash_matrix.nats import free_port, nats_command, nats_server_path
from tests.processes import wait_until

__all__ = ["NatsServer"]


class NatsServer:
    """Runs on a port of the loopback interface and keeps its store when it is started again."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start, and return when it answers."""
        command = nats_command(nats_server_path(), self._folder, self.port)
        with (self._folder / "nats.log").open("ab") as output:
            self._process = subprocess.Popen(command, stdout=output, stderr=output)
        wait_until(self._answers, "NATS answers", timeout_seconds=20)

    def kill(self) -> None:
        """Kill it, as a machine would that loses its power but not its disk."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
            return connection.recv(4) == b"INFO"
        return False
