"""A double as a server on this machine, for people and for programs that are not in this process."""

import json
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

import requests
from django.db import close_old_connections

from callouts import egress
from callouts.egress import Deadline, Route
from callouts.external_services.errors import MockUnprepared
from callouts.external_services.mock.double import Double
from callouts.external_services.models import ExternalService
from isthmus.errors import IsthmusError

__all__ = ["make_server", "serve"]

CALLBACKS = "/_callbacks/"
RECEIVED = "/_received"
_MOST_BYTES = 12 * 1024 * 1024
_SECONDS = 30.0


def serve(service: ExternalService, *, port: int, tell: Callable[[str], Any]) -> None:
    """Serve a double of a service's active version until it is interrupted."""
    server = make_server(service, port=port)
    address = f"http://127.0.0.1:{server.server_address[1]}"
    tell(f"A double of {service.name} answers at {address}. Ctrl-C stops it.")
    tell(f"  what it received:  GET {address}{RECEIVED}")
    tell(f"  call back by hand: POST {address}{CALLBACKS}<name>  (its body is sent; without one it is made up)")
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        tell("Stopped.")
    finally:
        server.server_close()


def make_server(service: ExternalService, *, port: int = 0) -> "DoubleServer":
    """Return a server of a double that listens on the loopback address; port 0 is a free one."""
    if service.active_version is None:
        raise MockUnprepared(f"{service.name} has no active version.")
    return DoubleServer(Double(service.active_version), port)


class DoubleServer(ThreadingHTTPServer):
    """A server that hands requests to a double, one after the other."""

    def __init__(self, double: Double, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.double = double
        self.lock = Lock()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: DoubleServer

    def do_any(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        if length > _MOST_BYTES:
            self._send(413, b'{"title": "the body is too large"}', "application/problem+json")
            self.close_connection = True
            return
        body = self.rfile.read(length)
        path = urlsplit(self.path).path
        with self.server.lock:
            if path == RECEIVED and self.command == "GET":
                self._tell_received()
            elif path.startswith(CALLBACKS) and self.command == "POST":
                self._call_back(path.removeprefix(CALLBACKS), body)
            else:
                answer = self.server.double.answer(self.command, self.path, dict(self.headers.items()), body)
                self._send(answer.status, answer.written, answer.content_type, dict(answer.headers))
        close_old_connections()

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_any  # noqa: N815 - http.server's names

    def _tell_received(self) -> None:
        lines = [
            {
                "operation": one.operation,
                "method": one.method,
                "url": one.url,
                "status": one.status,
                "problems": list(one.problems),
                "body": one.body.decode(errors="replace"),
            }
            for one in self.server.double.received
        ]
        self._send(200, json.dumps(lines).encode(), "application/json")

    def _call_back(self, name: str, body: bytes) -> None:
        try:
            callback = self.server.double.callback(name, body=body or None)
            request = requests.Request(
                callback.method,
                callback.url,
                data=callback.body,
                headers={"Content-Type": callback.content_type, "User-Agent": "Isthmus double"},
            ).prepare()
            route = Route(named_credential="", allow_internal_addresses=True, max_body_bytes=_MOST_BYTES)
            answer = egress.sender().send(request, route=route, deadline=Deadline.within(_SECONDS))
        except IsthmusError as error:
            told = json.dumps({"title": error.message, "code": error.code}).encode()
            self._send(409, told, "application/problem+json")
            return
        told = json.dumps({"sentTo": callback.url, "status": answer.status_code, "body": answer.text}).encode()
        self._send(200, told, "application/json")

    def _send(self, status: int, body: bytes, content_type: str, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        if body:
            self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        return
