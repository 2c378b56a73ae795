"""A token endpoint and the API behind it, as one real HTTP server on the loopback address."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import requests

from credentials.testing import drive


class TokenServer:
    """Gives tokens t1, t2, …; the API takes those that are not in `rejected`."""

    def __init__(self):
        self.token_requests = []
        self.calls = []
        self.rejected = set()
        self.lifetime = 3600
        self.planned_answers = []
        self.may_answer = threading.Event()
        self.may_answer.set()
        self._lock = threading.Lock()

    def __enter__(self):
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        self.api_url = f"http://127.0.0.1:{self._server.server_port}/api"
        self.token_url = f"http://127.0.0.1:{self._server.server_port}/token"
        return self

    def __exit__(self, *_):
        self.may_answer.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def token(self, headers, form):
        with self._lock:
            self.token_requests.append((headers, form))
            number = len(self.token_requests)
            planned = self.planned_answers.pop(0) if self.planned_answers else None
        assert self.may_answer.wait(30)
        if planned is not None:
            return planned
        answer = {"access_token": f"t{number}", "token_type": "Bearer", "expires_in": self.lifetime}
        return 200, "application/json", json.dumps(answer).encode()

    def api(self, headers):
        token = headers.get("Authorization", "").removeprefix("Bearer ")
        with self._lock:
            self.calls.append(token)
        return 401 if token in self.rejected else 200, "application/json", b"{}"

    def _handler(self):
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
                if self.path == "/token":
                    self.answer(*server.token(dict(self.headers), parse_qs(body)))
                else:
                    self.answer(*server.api(dict(self.headers)))

            def do_GET(self):
                self.answer(*server.api(dict(self.headers)))

            def answer(self, status, content_type, body):
                self.send_response(status)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                """Say nothing."""

        return Handler


def call(resolved, session):
    """Make one GET through a resolved credential; return its status."""
    request = requests.Request("GET", resolved.url_for("/orders")).prepare()
    return drive(resolved.authentication(), request, lambda outgoing: session.send(outgoing, timeout=30)).status_code
