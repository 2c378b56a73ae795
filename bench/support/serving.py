"""Servers of the same make for what is compared, and the load on them."""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

__all__ = ["load", "peer_environment", "start", "stop", "wait_for"]

ROOT = Path(__file__).resolve().parent.parent.parent


def peer_environment(database: dict[str, Any]) -> tuple[str, dict[str, str]]:
    """Return the URL of the database and what peers are told of it."""
    peer = {
        "PEER_NAME": str(database["NAME"]),
        "PEER_HOST": str(database["HOST"] or "127.0.0.1"),
        "PEER_PORT": str(database["PORT"] or 5432),
        "PEER_USER": str(database["USER"]),
    }
    return f"postgres://{peer['PEER_USER']}@{peer['PEER_HOST']}:{peer['PEER_PORT']}/{peer['PEER_NAME']}", peer


def start(interface: str, application: str, port: int, more: dict[str, str]) -> "subprocess.Popen[bytes]":
    """Start a server with two workers."""
    environment = {
        **os.environ,
        "ISTHMUS_LOG_LEVEL": "ERROR",
        "ISTHMUS_APPS": "examples.mortgage",
        "ISTHMUS_ACCESS_DAILY_API_REQUESTS": "1000000000",
        "PYTHONPATH": os.pathsep.join(map(str, [ROOT, ROOT / "platform", ROOT / "bench"])),
        **more,
    }
    if application.startswith("support."):
        environment.pop("DJANGO_SETTINGS_MODULE", None)
    command = [
        sys.executable, "-m", "granian", "--interface", interface, "--host", "127.0.0.1", "--port", str(port),
        "--workers", "2", "--no-ws", "--log-level", "error", application,
    ]  # fmt: skip
    return subprocess.Popen(command, cwd=ROOT, env=environment)


def stop(servers: "list[subprocess.Popen[bytes]]") -> None:
    """End the servers."""
    for process in servers:
        process.terminate()
    for process in servers:
        process.wait(30)


def wait_for(port: int) -> None:
    """Return when the server answers."""
    for _ in range(300):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5)
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"Nothing answers on {port}.")


def load(given: dict[str, Any]) -> dict[str, float]:
    """Return what a loader in a process of its own saw (`load.py` says what it takes)."""
    command = [sys.executable, str(ROOT / "bench" / "support" / "load.py"), json.dumps(given)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    found: dict[str, Any] = json.loads(ran.stdout)
    statuses = found.pop("statuses")
    if set(statuses) - {"200", "201"}:
        raise RuntimeError(f"{given['path']} answered {statuses}.")
    return found
