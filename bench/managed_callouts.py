"""Calls a second of managed callouts, everything on and logged, against a plain keep-alive `requests.Session`.

Both post the same JSON to the same local server and parse the answer, in turn, in one run: one thread and eight, with
and without TLS. The promise: at least 80 % of the session's calls a second.
"""

import os
import statistics
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

from support.answering import answering, with_tls
from support.own_database import own_database

SECONDS = float(os.environ.get("BENCH_SECONDS", "1.5"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
PROMISE = 0.80
BODY = {"amount": 250_000, "currency": "EUR", "customer": {"name": "Ada", "id": "001000000000001AAA"}}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        certificate, key, authority = with_tls(Path(folder))
        os.environ["ISTHMUS_CALLOUTS_CA_BUNDLE"] = str(authority)
        with (
            answering(8131) as plain,
            answering(8132, certificate=certificate, key=key) as secure,
            own_database(),
        ):
            measure(plain, secure, str(authority))


def measure(plain: str, secure: str, authority: str) -> None:
    """Print the table."""
    from django.contrib.auth.models import User
    from django.db import connection

    from credentials.actions import create_external_credential, create_named_credential, create_principal
    from isthmus.access.actions import assign, ensure_permission_set

    user = User.objects.create_user("caller")
    external = create_external_credential("Bank", protocol="basic")
    principal = create_principal(external, "Main", secrets={"username": "robot", "password": "secret"})
    assign(ensure_permission_set("Callers", "Callers", [("principal", "use", principal.target)]), user)
    for name, url in (("Plain", plain), ("Secure", secure)):
        create_named_credential(name, url=url, external_credential=external, allow_internal_addresses=True)
    print(f"{connection.vendor}; calls a second, medians of {ROUNDS} rounds")
    print("  threads  TLS   requests.Session  managed callouts  ratio  (promise 0.80)")
    for threads in (1, 8):
        for name, url in (("Plain", plain), ("Secure", secure)):
            session, managed = [], []
            for _ in range(ROUNDS):
                session.append(rate(threads, lambda url=url: session_calls(url, authority)))
                managed.append(rate(threads, lambda name=name: managed_calls(name, user)))
            ratio = statistics.median(ours / theirs for ours, theirs in zip(managed, session, strict=True))
            print(
                f"  {threads:>7}  {'yes' if name == 'Secure' else 'no ':<4}"
                f"  {statistics.median(session):>16,.0f}  {statistics.median(managed):>16,.0f}  {ratio:.2f}"
                f"   {'met' if ratio >= PROMISE else 'MISSED'}",
                flush=True,
            )


def rate(threads: int, caller: Callable[[], Callable[[], object]]) -> float:
    """Return calls a second of `threads` threads together."""
    counts = [0] * threads
    ready, go = threading.Barrier(threads + 1), threading.Event()
    end = [0.0]

    def work(number: int) -> None:
        from django.db import connections

        call = caller()
        call()
        ready.wait()
        go.wait()
        while perf_counter() < end[0]:
            call()
            counts[number] += 1
        connections.close_all()

    workers = [threading.Thread(target=work, args=[number]) for number in range(threads)]
    for worker in workers:
        worker.start()
    ready.wait()
    began = perf_counter()
    end[0] = began + SECONDS
    go.set()
    for worker in workers:
        worker.join()
    return sum(counts) / (perf_counter() - began)


def session_calls(url: str, authority: str) -> Callable[[], object]:
    """Return a call of a plain session of its own."""
    import requests

    session = requests.Session()
    session.auth = ("robot", "secret")

    def call() -> object:
        answer = session.post(f"{url}/applications", json=BODY, timeout=10, verify=authority)
        answer.raise_for_status()
        return answer.json()

    return call


def managed_calls(name: str, user: object) -> Callable[[], object]:
    """Return a managed callout to the same place."""
    from callouts import http, limits

    def call() -> object:
        with limits.transaction_context():
            answer = http.post(f"callout:{name}/applications", json=BODY, user=user, operation="Submit application")
        answer.raise_for_status()
        return answer.json()

    return call


if __name__ == "__main__":
    main()
