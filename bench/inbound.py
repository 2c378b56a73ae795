"""Upserts a second through a custom endpoint, against a bare REST framework view and FastAPI in the same run.

Ours has everything on: access token, permissions, strict parsing, change capture, the integration log, the count of
API requests. The peers: `update_or_create` in a hand-written view without authentication, and FastAPI with asyncpg
doing only the statement. PostgreSQL, granian with two workers each, 16 connections; the load is made on the same two
cores. The promise: at least 2 times the view, at least half of FastAPI, p99 under 5 times p50.
"""

import json
import os
from statistics import median

from support.own_database import on_postgresql
from support.peer_rows import make_cases
from support.serving import load, peer_environment, start, stop, wait_for

SECONDS = float(os.environ.get("BENCH_SECONDS", "4"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
CONNECTIONS, REFERENCES = 16, 10_000
OURS, VIEW, FASTAPI = "Isthmus, all of it", "REST framework, update_or_create", "FastAPI and asyncpg, the statement"
PATH = "/services/apexrest/v1/support-requests"
ROW = {
    "externalReference": "R-@reference@",
    "customerEmail": "ann@example.org",
    "subject": "No power @turn@",
    "description": "Since noon. " * 10,
}
LOAD = {
    "method": "POST",
    "connections": CONNECTIONS,
    "seconds": SECONDS,
    "references": REFERENCES,
    "row": json.dumps(ROW),
}


def main() -> None:
    on_postgresql(measure)


def measure(database: dict[str, object]) -> None:
    """Print the lines."""
    token = prepare()
    url, peer = peer_environment(database)
    servers = {
        OURS: start("asginl", "isthmus.asgi:application", 8151, {"DATABASE_URL": url}),
        VIEW: start("wsgi", "support.peers_drf:application", 8152, peer),
        FASTAPI: start("asgi", "support.peers_fastapi:application", 8153, peer),
    }
    targets = {OURS: (8151, PATH), VIEW: (8152, "/cases"), FASTAPI: (8153, "/cases")}
    seen: dict[str, list[dict[str, float]]] = {name: [] for name in targets}
    try:
        for port, _ in targets.values():
            wait_for(port)
        for _ in range(ROUNDS):
            for name, (port, path) in targets.items():
                seen[name].append(load({**LOAD, "port": port, "path": path, "token": token}))
    finally:
        stop(list(servers.values()))
    tell(seen)


def tell(seen: dict[str, list[dict[str, float]]]) -> None:
    """Print medians and ratios."""
    rate = {name: median(one["rate"] for one in rounds) for name, rounds in seen.items()}
    for name, rounds in seen.items():
        p50, p99 = (median(one[key] for one in rounds) for key in ("p50", "p99"))
        print(f"{name:36} {rate[name]:8,.0f} a second, p50 {p50:5.1f} ms, p99 {p99:6.1f} ms ({p99 / p50:.1f} times)")
    view, fastapi = rate[OURS] / rate[VIEW], rate[OURS] / rate[FASTAPI]
    spread = median(one["p99"] / one["p50"] for one in seen[OURS])
    print(f"against the view: {view:.2f} (promise: at least 2) {'met' if view >= 2 else 'MISSED'}")
    print(f"against FastAPI: {fastapi:.2f} (promise: at least 0.5) {'met' if fastapi >= 0.5 else 'MISSED'}")
    print(f"p99 is {spread:.1f} times p50 (promise: under 5) {'met' if spread < 5 else 'MISSED'}")


def prepare() -> str:
    """Make the caller, the rows of the peers and ours; return an access token."""
    from django.contrib.auth.models import User

    from isthmus.access.actions import assign, ensure_permission_set, issue_access_token

    user = User.objects.create_user("bench")
    grants = [("endpoint", "post", "/v1/support-requests/*"), ("field", "edit", "Case.*")]
    grants += [("object", action, "Case") for action in ("create", "read", "edit")]
    assign(ensure_permission_set("Bench", "Bench", grants), user)
    make_cases(user, REFERENCES)
    return issue_access_token(user)


if __name__ == "__main__":
    main()
