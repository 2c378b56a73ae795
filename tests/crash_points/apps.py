"""Puts the deadly sender in place."""

import os
import signal
from pathlib import Path
from typing import Any

import requests
from django.apps import AppConfig


class CrashPointsConfig(AppConfig):
    name = "tests.crash_points"
    label = "crash_points"

    def ready(self) -> None:
        from callouts import egress

        # For as long as the process lives.
        self._in_use = egress.use(_DeadlySender(egress.sender()))
        self._in_use.__enter__()


class _DeadlySender:
    """Kills its process before a request to `/before-send` leaves, and after an answer of `/before-log` has come.

    Once for each idempotency key.
    """

    def __init__(self, gate: Any) -> None:
        self._gate = gate

    def send(self, request: requests.PreparedRequest, **arguments: Any) -> requests.Response:
        self._die_once_at("/before-send", request)
        answer: requests.Response = self._gate.send(request, **arguments)
        self._die_once_at("/before-log", request)
        return answer

    def _die_once_at(self, path: str, request: requests.PreparedRequest) -> None:
        key = request.headers.get("Idempotency-Key", "").strip("/").replace("/", "-")
        died = Path(os.environ["ISTHMUS_DATA_DIR"]) / f"{path.strip('/')}-{key}"
        if path in (request.url or "") and not died.exists():
            died.parent.mkdir(parents=True, exist_ok=True)
            died.touch()
            os.kill(os.getpid(), signal.SIGKILL)
