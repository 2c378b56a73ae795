"""A token endpoint that rotates refresh tokens and ends the grant when an old one is used, and the API behind it."""

import json
import secrets
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

__all__ = ["RotatingServer"]


class RotatingServer:
    """Runs on a free port of the loopback while it is entered. `plan` holds what to do with the next refreshes:
    `lose` rotates and then says nothing, `html` and `down` answer without rotating, `silent` gives no expiry."""

    def __init__(self, *, grace=False):
        self.valid = self._new("r")
        self.before = ""
        self.access = set()
        self.refreshes = 0
        self.calls = 0
        self.is_revoked = False
        self.has_grace = grace
        self.plan = []
        self._lock = threading.Lock()

    def __enter__(self):
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
                self._answer(*server.token({name: values[0] for name, values in parse_qs(body).items()}))

            def do_GET(self):
                self._answer(*server.api(self.headers.get("Authorization", "")))

            def _answer(self, status, content, kind="application/json"):
                if status is None:
                    self.close_connection = True
                    return
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_):
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def token(self, form):
        with self._lock:
            self.refreshes += 1
            planned = self.plan.pop(0) if self.plan else ""
            if planned == "html":
                return 200, b"<html>Sign in</html>", "text/html"
            if planned == "down":
                return 503, b"{}"
            given = form.get("refresh_token")
            is_repeated = self.has_grace and given == self.before
            if self.is_revoked or (given != self.valid and not is_repeated):
                self.is_revoked = True
                return 400, b'{"error": "invalid_grant"}'
            if not is_repeated:
                self.before, self.valid = self.valid, self._new("r")
            access = self._new("a")
            self.access.add(access)
            answer = {"access_token": access, "token_type": "Bearer", "refresh_token": self.valid, "expires_in": 3600}
            if planned == "silent":
                del answer["expires_in"]
            if planned == "lose":
                return None, b""
            return 200, json.dumps(answer).encode()

    def api(self, authorization):
        with self._lock:
            self.calls += 1
            return (200 if authorization.removeprefix("Bearer ") in self.access else 401), b"{}"

    @staticmethod
    def _new(kind):
        return f"{kind}{secrets.token_hex(8)}"
