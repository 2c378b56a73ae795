"""A PostgreSQL server of a test's own, which may be killed: initialised in a folder, on a free port of the loopback.

with own_postgres() as server:
    connect(server.url)
    server.kill()      # SIGKILL to all of its processes, as when the machine's power goes
    server.start()     # recovers from its log
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.processes import is_running, wait_until

__all__ = ["OwnPostgres", "own_postgres", "postgres_programs"]


def postgres_programs() -> Path | None:
    """Return the folder of the server's programs; `None` where they are not installed."""
    if found := shutil.which("initdb"):
        return Path(found).parent
    return max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)


class OwnPostgres:
    """One server."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self._data, self._programs = folder / "postgres", programs
        self._process: subprocess.Popen[bytes] | None = None
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        self.url = f"postgres://postgres@127.0.0.1:{self._port}/postgres"
        self._data.mkdir()
        # The server refuses to run as root.
        self._user = "postgres" if os.getuid() == 0 else None
        if self._user:
            for path in (self._data, *self._data.parents):
                if path == Path("/tmp"):
                    break
                path.chmod(0o755)
            shutil.chown(self._data, self._user)
        self._data.chmod(0o700)
        self._run("initdb", "--username=postgres", "--auth=trust", "--no-instructions", f"--pgdata={self._data}")

    def start(self) -> None:
        """Start it and wait until it answers."""
        import psycopg

        options = f"-c port={self._port} -c listen_addresses=127.0.0.1 -c unix_socket_directories="
        with (self._data.parent / "postgres.log").open("ab") as output:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self._data, *options.split(), "-c", "max_connections=60"],
                user=self._user,
                stdout=output,
                stderr=output,
                start_new_session=True,
                cwd=self._data,
            )

        def answers() -> bool:
            with contextlib.suppress(psycopg.OperationalError):
                psycopg.connect(self.url, connect_timeout=2).close()
                return True
            return False

        wait_until(answers, "the server answers", timeout_seconds=60)

    def kill(self) -> None:
        """Kill all of its processes at once; what it did not write to its log is forgotten."""
        assert self._process is not None
        processes = [self._process.pid, *self._children()]
        for pid in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait(10)
        wait_until(lambda: not any(map(is_running, processes)), "its processes are gone", timeout_seconds=10)
        (self._data / "postmaster.pid").unlink(missing_ok=True)

    def _children(self) -> list[int]:
        assert self._process is not None
        found = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text()
        return [int(pid) for pid in found.split()]

    def _run(self, program: str, *arguments: str) -> None:
        command = [self._programs / program, *arguments]
        subprocess.run(command, user=self._user, check=True, capture_output=True, cwd=self._data)


@contextlib.contextmanager
def own_postgres() -> Iterator[OwnPostgres]:
    """Give a server that runs; it is gone when the block ends. Ask `postgres_programs` first."""
    programs = postgres_programs()
    assert programs is not None
    # Not in a test's own folder: those are closed to the user that the server runs as.
    with tempfile.TemporaryDirectory(prefix="isthmus-postgres-", ignore_cleanup_errors=True) as folder:
        server = OwnPostgres(Path(folder), programs)
        server.start()
        try:
            yield server
        finally:
            server.kill()
