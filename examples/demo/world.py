"""The processes of the demo and where they listen."""

import json
import os
import shutil
import socket
import sys
import urllib.error
import urllib.request
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Answer", "World", "free_port", "prepare_environment", "request"]


@dataclass(frozen=True, kw_only=True)
class World:
    """Where everything is."""

    data: Path
    web_port: int
    bank_port: int
    warehouse_port: int
    crm_port: int

    @property
    def web_url(self) -> str:
        return f"http://127.0.0.1:{self.web_port}"

    @property
    def bank_url(self) -> str:
        return f"http://127.0.0.1:{self.bank_port}"

    @property
    def warehouse_url(self) -> str:
        return f"http://127.0.0.1:{self.warehouse_port}"

    @property
    def crm_url(self) -> str:
        return f"http://127.0.0.1:{self.crm_port}"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came back from an HTTP request."""

    status: int
    body: Any


def prepare_environment(data: Path) -> World:
    """Choose ports and a data directory of the demo's own, before Django reads its settings.

    The SQLite file of the last demo is removed; a database named by `DATABASE_URL` is used as it is.
    """
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir(parents=True)
    world = World(
        data=data, web_port=free_port(), bank_port=free_port(), warehouse_port=free_port(), crm_port=free_port()
    )
    os.environ.update(
        DJANGO_SETTINGS_MODULE="isthmus.settings",
        ISTHMUS_DATA_DIR=str(data),
        ISTHMUS_HTTP_PORT=str(world.web_port),
        ISTHMUS_BASE_URL=world.web_url,
        ISTHMUS_APPS="examples.mortgage",
    )
    os.environ.setdefault("ISTHMUS_LOG_LEVEL", "WARNING")
    if not os.environ.get("DATABASE_URL"):
        os.environ.pop("DATABASE_URL", None)
    root = Path(__file__).resolve().parent.parent.parent
    sys.path[:0] = [path for path in (str(root), str(root / "platform")) if path not in sys.path]
    return world


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def request(
    url: str, *, body: object = None, form: str = "", headers: dict[str, str] | None = None, seconds: float = 30.0
) -> Answer:
    """Send GET, or POST when there is a body, as an outside program would; an error status is an answer too."""
    data = form.encode() if form else None if body is None else json.dumps(body).encode()
    kind = "application/x-www-form-urlencoded" if form else "application/json"
    asked = urllib.request.Request(url, data=data, headers={"Content-Type": kind, **(headers or {})})
    try:
        with urllib.request.urlopen(asked, timeout=seconds) as answer:
            status, text = answer.status, answer.read()
    except urllib.error.HTTPError as error:
        status, text = error.code, error.read()
    try:
        return Answer(status=status, body=json.loads(text or b"null"))
    except ValueError:
        return Answer(status=status, body=text.decode(errors="replace"))
