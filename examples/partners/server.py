"""A partner's HTTP face: `PUT /orders/<id>` and `PUT /people/<id>`, and two doors for those who test against it.

`GET /_book` shows the book; `POST /_faults {"status": 503, "count": 2}` makes the next changes go wrong.
"""

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from examples.partners.book import Book

__all__ = ["Partner", "serve"]


class Partner:
    """What the threads of the server share."""

    def __init__(self, book: Book, *, api_key: str, login: str) -> None:
        self.book = book
        self.api_key = api_key
        """What `X-Api-Key` has to say; "" when `login` counts."""
        self.login = login
        """`user:password` for HTTP Basic."""
        self._lock = threading.Lock()
        self._fault_status = 0
        self._fault_count = 0

    def break_down(self, status: int, count: int) -> None:
        """Answer the next `count` changes with `status`."""
        with self._lock:
            self._fault_status, self._fault_count = status, count

    def next_fault(self) -> int:
        """Return the status that the next change is answered with, or 0."""
        with self._lock:
            if self._fault_count <= 0:
                return 0
            self._fault_count -= 1
            return self._fault_status

    def knows(self, headers: Any) -> bool:
        """Return whether a request says who it is."""
        if self.api_key:
            return bool(headers.get("X-Api-Key") == self.api_key)
        expected = base64.b64encode(self.login.encode()).decode()
        return bool(headers.get("Authorization") == f"Basic {expected}")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    partner: Partner

    def do_GET(self) -> None:
        if self.path == "/_book":
            self._answer(200, self.partner.book.as_json())
        else:
            self._answer(404, {"error": "nothing here"})

    def do_POST(self) -> None:
        body = self._read()
        if self.path == "/_faults":
            self.partner.break_down(int(body["status"]), int(body["count"]))
            self._answer(200, {})
        else:
            self._answer(404, {"error": "nothing here"})

    def do_PUT(self) -> None:
        body = self._read()
        key = self.headers.get("Idempotency-Key", "")
        status, answer = self._take_in(key, body)
        self.partner.book.note(self.path, key, status)
        self._answer(status, answer)

    def _take_in(self, key: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if not self.partner.knows(self.headers):
            return 401, {"error": "who are you?"}
        if not self.path.startswith(("/orders/", "/people/")) or not key:
            return 400, {"error": "a change has a path that we know and an idempotency key"}
        if status := self.partner.next_fault():
            return status, {"error": "not now"}
        is_new = self.partner.book.take_in(self.path, key, body)
        return 201 if is_new else 200, {"taken": is_new}

    def _read(self) -> dict[str, Any]:
        given: dict[str, Any] = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
        return given

    def _answer(self, status: int, body: object) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """The book says what came."""


def serve(partner: Partner, port: int) -> ThreadingHTTPServer:
    """Return the server, listening on loopback (`port` 0 chooses a free one)."""
    handler = type("_BoundHandler", (_Handler,), {"partner": partner})
    return ThreadingHTTPServer(("127.0.0.1", port), handler)
