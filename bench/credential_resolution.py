"""What a callout pays for its credential: CPU and queries of resolving, authorising and signing with a kept token.

Measured against the CPU of one call of a bare keep-alive `requests.Session` to a local server in the same run.
The promise: at most 0.15 ms of CPU and at most one query a callout.
"""

import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import thread_time

from support.own_database import own_database

CALLS = 3_000


class Answer(BaseHTTPRequestHandler):
    """Says OK and keeps the connection."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"OK")

    def log_message(self, *_: object) -> None:
        return


def main() -> None:
    with own_database():
        measure()


def measure() -> None:
    """Print the table."""
    import requests
    from django.contrib.auth.models import User
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    from credentials.actions import create_external_credential, create_named_credential, create_principal
    from credentials.models import StoredToken
    from credentials.resolver import resolve
    from isthmus import clock
    from isthmus.access.actions import assign, ensure_permission_set

    user = User.objects.create_user("caller")
    for name, protocol, settings, secrets in (
        ("OAuth", "oauth_client_credentials", {"token_url": "https://a.example/t"}, ("client_id", "client_secret")),
        ("Basic", "basic", {}, ("username", "password")),
        ("Key", "custom_headers", {"headers": "X-Api-Key: {ApiKey}"}, ("ApiKey",)),
    ):
        external = create_external_credential(name, protocol=protocol, settings=settings)
        principal = create_principal(external, "Main", secrets=dict.fromkeys(secrets, "value"))
        create_named_credential(name, url="https://api.example/v1", external_credential=external)
        assign(ensure_permission_set("Callers", "Callers", [("principal", "use", principal.target)]), user)
        if name == "OAuth":
            now = clock.now()
            StoredToken.objects.create(
                principal=principal,
                access_token="token",
                obtained_at=now,
                expires_at=now + timedelta(hours=1),
                generation=1,
                token_generation=1,
            )

    def once(name: str) -> None:
        resolved = resolve(name, user)
        request = requests.PreparedRequest()
        request.method, request.url, request.headers, request.body = "GET", "https://api.example/v1/x", {}, None
        flow = resolved.authentication().flow(request)
        next(flow)
        flow.close()

    bare = bare_call()
    print(f"{connection.vendor}; a bare requests.Session call: {bare * 1000:.3f} ms of CPU")
    for name in ("OAuth", "Basic", "Key"):
        once(name)
        with CaptureQueriesContext(
            connection,
        ) as queries:
            for _ in range(20):
                once(name)
        began = thread_time()
        for _ in range(CALLS):
            once(name)
        cost = (thread_time() - began) / CALLS
        verdict = "met" if cost <= 0.00015 and len(queries) <= 20 else "MISSED"
        print(
            f"  {name:<6} resolve, authorise, sign: {cost * 1000:.3f} ms of CPU (promise 0.150), "
            f"{len(queries) / 20:.2f} queries a callout, {cost / bare:.2f} of a bare call: {verdict}"
        )


def bare_call() -> float:
    """Return seconds of this thread's CPU for one call."""
    import requests

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}/"
    with requests.Session() as session:
        for _ in range(50):
            session.get(url)
        began = thread_time()
        for _ in range(500):
            session.get(url)
        seconds = (thread_time() - began) / 500
    server.shutdown()
    server.server_close()
    return seconds


if __name__ == "__main__":
    main()
