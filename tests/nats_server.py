"""A NATS server with JetStream as a process of its own, which tests may kill."""

import contextlib
import shutil
import socket
import subprocess
import sys
from pathlib import Path

from tests.processes import wait_until

__all__ = ["NatsServer", "nats_server_path"]


def nats_server_path() -> str:
    """Return the path of the server: the one beside this Python, else the machine's; "" without any."""
    beside = Path(sys.executable).parent / "nats-server"
    return str(beside) if beside.exists() else shutil.which("nats-server") or ""


class NatsServer:
    """Runs on a port of the loopback interface and keeps its store when it is started again."""

    def __init__(self, folder: Path, *options: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._folder = folder
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start, and return when it answers."""
        self._folder.mkdir(parents=True, exist_ok=True)
        configuration = self._folder / "nats.conf"
        # Each message is on the disk before it is acknowledged.
        configuration.write_text(
            f'jetstream {{ store_dir: "{self._folder}/store", sync_interval: always }}\n', encoding="utf-8"
        )
        with (self._folder / "nats.log").open("ab") as output:
            self._process = subprocess.Popen(
                [nats_server_path(), "-c", configuration, "-a", "127.0.0.1", "-p", str(self.port), *self._options],
                stdout=output,
                stderr=output,
            )
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
