"""A NATS server of one's own, for as long as it is needed."""

import shutil
import socket
import sys
from pathlib import Path

__all__ = ["free_port", "nats_command", "nats_server_path"]


def nats_server_path() -> str:
    """Return the path of the server's program: the one beside this Python, else the machine's; "" without any."""
    beside = Path(sys.executable).parent / "nats-server"
    return str(beside) if beside.exists() else shutil.which("nats-server") or ""


def nats_command(program: str, folder: Path, port: int) -> list[str]:
    """Return the command of a server on the loopback interface that keeps its store in `folder`.

    Each message is on the disk before it is acknowledged.
    """
    folder.mkdir(parents=True, exist_ok=True)
    configuration = folder / "nats.conf"
    configuration.write_text(f'jetstream {{ store_dir: "{folder}/store", sync_interval: always }}\n', encoding="utf-8")
    return [program, "-c", str(configuration), "-a", "127.0.0.1", "-p", str(port)]


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
