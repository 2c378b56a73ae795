"""The bank's HTTP face: its document, its token endpoint, applications, and two doors for those who test against it.

`GET /_ledger` shows the book; `POST /_faults {"mode": "status-500", "count": 2}` makes the next submissions go wrong.
"""

import base64
import binascii
import json
import secrets
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

from examples.bank.ledger import IdempotencyConflict, Ledger

__all__ = ["FAULTS", "Bank", "serve"]

DOCUMENT = Path(__file__).with_name("openapi.yaml")
FAULTS = frozenset(
    {"status-500", "html", "hang", "reset-before", "reset-after", "status-500-after", "hang-after", "unauthorized"}
)
"""What can be made to go wrong. `…-after`: the application is in the ledger, but the answer is lost."""


@dataclass
class Bank:
    """What the threads of the server share."""

    ledger: Ledger
    client_id: str
    client_secret: str
    token_seconds: int = 300
    hang_seconds: float = 60.0
    tokens: dict[str, float] = field(default_factory=dict)
    tokens_issued: int = 0
    fault: str = ""
    fault_count: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def next_fault(self) -> str:
        """Return the fault that the next submission meets, or ""."""
        with self.lock:
            if self.fault_count <= 0:
                return ""
            self.fault_count -= 1
            return self.fault

    def issue_token(self) -> str:
        """Return a new access token."""
        token = secrets.token_urlsafe(24)
        with self.lock:
            self.tokens[token] = time.monotonic() + self.token_seconds
            self.tokens_issued += 1
        return token

    def knows_token(self, header: str) -> bool:
        """Return whether an `Authorization` header carries a token that is still good."""
        scheme, _, token = header.partition(" ")
        with self.lock:
            return scheme.lower() == "bearer" and self.tokens.get(token, 0) > time.monotonic()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "AcmeMortgages/1.0"
    bank: Bank

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path == "/openapi.yaml":
            self._answer(200, DOCUMENT.read_bytes(), "application/yaml")
        elif path == "/openapi.json":
            self._answer_json(200, yaml.safe_load(DOCUMENT.read_text()))
        elif path == "/_ledger":
            self._answer_json(200, {**self.bank.ledger.as_json(), "tokens_issued": self.bank.tokens_issued})
        elif path.startswith("/applications/"):
            self._read_application(path.removeprefix("/applications/"))
        else:
            self._refuse(404, "not_found", "There is nothing here.")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        address = urlsplit(self.path)
        if address.path == "/oauth/token":
            self._issue_token(body)
        elif address.path == "/_faults":
            self._set_fault(json.loads(body))
        elif address.path == "/applications":
            self._submit(body, parse_qs(address.query).get("callbackUrlForErrorCases", [""])[0])
        else:
            self._refuse(404, "not_found", "There is nothing here.")

    def _issue_token(self, body: bytes) -> None:
        form = {name: values[0] for name, values in parse_qs(body.decode(errors="replace")).items()}
        client_id, client_secret = form.get("client_id", ""), form.get("client_secret", "")
        scheme, _, credentials = self.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "basic":
            try:
                client_id, _, client_secret = base64.b64decode(credentials, validate=True).decode().partition(":")
            except (binascii.Error, UnicodeDecodeError):
                client_id = client_secret = ""
        if form.get("grant_type") != "client_credentials":
            self._refuse(400, "unsupported_grant_type", "Only client_credentials is served.")
        elif not (
            secrets.compare_digest(client_id.encode(), self.bank.client_id.encode())
            and secrets.compare_digest(client_secret.encode(), self.bank.client_secret.encode())
        ):
            self._refuse(401, "invalid_client", "The client is unknown or its secret is wrong.")
        else:
            self._answer_json(
                200,
                {
                    "access_token": self.bank.issue_token(),
                    "token_type": "Bearer",
                    "expires_in": self.bank.token_seconds,
                    "scope": "applications",
                },
            )

    def _set_fault(self, wanted: dict[str, Any]) -> None:
        mode = wanted.get("mode", "")
        if mode and mode not in FAULTS:
            self._refuse(400, "unknown_fault", f"Known are: {', '.join(sorted(FAULTS))}.")
            return
        with self.bank.lock:
            self.bank.fault, self.bank.fault_count = mode, int(wanted.get("count", 1)) if mode else 0
        self._answer_json(200, {"mode": mode})

    def _read_application(self, number: str) -> None:
        found = self.bank.ledger.find(number)
        if not self.bank.knows_token(self.headers.get("Authorization", "")):
            self._refuse(401, "invalid_token", "The access token is missing, wrong or too old.")
        elif found is None:
            self._refuse(404, "not_found", f"There is no application {number}.")
        else:
            told: dict[str, object] = {"applicationNumber": found.number, "status": found.status}
            if found.approved_amount is not None:
                told["approvedAmount"] = found.approved_amount
            self._answer_json(200, told)

    def _submit(self, body: bytes, error_url: str) -> None:
        fault = self.bank.next_fault()
        if self._goes_wrong_before(fault):
            return
        key = self.headers.get("Idempotency-Key")
        status, answer = self._take_in(body, error_url, key)
        self.bank.ledger.note_request(key, status)
        if not self._goes_wrong_after(fault):
            self._answer_json(status, answer)

    def _take_in(self, body: bytes, error_url: str, key: str | None) -> tuple[int, dict[str, str]]:
        if not self.bank.knows_token(self.headers.get("Authorization", "")):
            return 401, {"error": "invalid_token", "message": "The access token is missing, wrong or too old."}
        try:
            application = json.loads(body)
            applicant, amount = application["applicant"]["name"], application["requestedAmount"]
        except (ValueError, KeyError, TypeError):
            return 400, {"error": "invalid_application", "message": "applicant.name and requestedAmount are needed."}
        if not isinstance(applicant, str) or isinstance(amount, bool) or not isinstance(amount, int | float):
            return 400, {"error": "invalid_application", "message": "applicant.name or requestedAmount is ill-typed."}
        try:
            number, _ = self.bank.ledger.take_in(application, error_url=error_url, idempotency_key=key)
        except IdempotencyConflict:
            return 422, {"error": "idempotency_conflict", "message": "This key came before with another body."}
        return 201, {"applicationNumber": number}

    def _goes_wrong_before(self, fault: str) -> bool:
        if fault == "status-500":
            self._refuse(500, "out_of_order", "Please try again.")
        elif fault == "html":
            self._answer(200, b"<!doctype html><title>Maintenance</title><h1>Back soon</h1>", "text/html")
        elif fault == "unauthorized":
            self._refuse(401, "invalid_token", "The access token is missing, wrong or too old.")
        elif fault == "hang":
            time.sleep(self.bank.hang_seconds)
            self._reset()
        elif fault == "reset-before":
            self._reset()
        else:
            return False
        return True

    def _goes_wrong_after(self, fault: str) -> bool:
        if fault == "status-500-after":
            self._refuse(500, "out_of_order", "Please try again.")
        elif fault == "hang-after":
            time.sleep(self.bank.hang_seconds)
            self._reset()
        elif fault == "reset-after":
            self._reset()
        else:
            return False
        return True

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def _refuse(self, status: int, error: str, message: str) -> None:
        self._answer_json(status, {"error": error, "message": message})

    def _answer_json(self, status: int, body: object) -> None:
        self._answer(status, json.dumps(body).encode(), "application/json")

    def _answer(self, status: int, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def handle(self) -> None:
        try:
            super().handle()
        except (ConnectionError, ValueError, OSError):
            # The other side went away, or a fault closed the connection under the handler.
            self.close_connection = True

    def finish(self) -> None:
        try:
            super().finish()
        except (ConnectionError, ValueError, OSError):
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the base class's
        """Say nothing: the ledger is the log."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def serve(bank: Bank, port: int) -> ThreadingHTTPServer:
    """Return a server on loopback (port 0 takes a free one), bound and ready for `serve_forever()`."""
    handler = type("Handler", (_Handler,), {"bank": bank})
    return _Server(("127.0.0.1", port), handler)
