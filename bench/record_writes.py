"""Creates, upserts and collections of 200 upserts through the record API, against REST framework in the same run.

Ours has everything on: access token, permissions, validation, change capture, the count of API requests. The peer is a
`ModelViewSet` with a `ModelSerializer`, without authentication: `create`; an action with `update_or_create`; actions
that take lists, with `update_or_create` for each row and with one `bulk_create(update_conflicts=True)`. The same four
columns everywhere, over HTTP, on PostgreSQL and granian with two workers each; the load is made on the same two cores.
The promise: creates and upserts at least 2 times as fast; of a collection at least 15 times as many records a second
as row by row, and at least half as many as with `bulk_create`.
"""

import json
import os
from statistics import median
from typing import Any

from support.own_database import on_postgresql
from support.peer_rows import make_cases
from support.serving import load, peer_environment, start, stop, wait_for

SECONDS = float(os.environ.get("BENCH_SECONDS", "4"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
REFERENCES, ROWS = 10_000, 200
MANY_CONNECTIONS, FEW_CONNECTIONS = 16, 2
OURS, PEER = 8161, 8162
DATA = "/services/data/v60.0"
FIELDS = {"Subject": "No power @turn@", "SuppliedEmail": "ann@example.org", "Description": "Since noon. " * 10}
COLUMNS = {"subject": "No power @turn@", "supplied_email": "ann@example.org", "description": "Since noon. " * 10}
KNOWN = "R-@reference@"

CREATE, PEER_CREATE = "one create", "one create, ModelViewSet"
UPSERT, PEER_UPSERT = "one upsert", "one upsert, update_or_create"
COLLECTION, PEER_EACH, PEER_TOGETHER = "200 upserts", "200 upserts, update_or_create", "200 upserts, bulk_create"


def main() -> None:
    on_postgresql(measure)


def measure(database: dict[str, object]) -> None:
    """Print the lines."""
    token = prepare()
    url, peer = peer_environment(database)
    servers = [
        start("asginl", "isthmus.asgi:application", OURS, {"DATABASE_URL": url}),
        start("wsgi", "support.peers_drf:application", PEER, peer),
    ]
    seen: dict[str, list[dict[str, float]]] = {name: [] for name in targets(0)}
    try:
        for port in (OURS, PEER):
            wait_for(port)
        for turn in range(ROUNDS):
            for name, target in targets(turn).items():
                seen[name].append(load({"references": REFERENCES, "seconds": SECONDS, "token": token, **target}))
    finally:
        stop(servers)
    tell(seen)


def targets(turn: int) -> dict[str, dict[str, Any]]:
    """Return what is sent; `turn` makes the references of new records new ones."""
    new = f"N-{turn}-@reference@"
    one: dict[str, Any] = {"connections": MANY_CONNECTIONS}
    ours_row = {"External_Reference__c": KNOWN, **FIELDS}
    peer_row = {"external_reference": KNOWN, **COLUMNS}
    creating = {**one, "method": "POST", "references": 10**9}
    upserting = {**one, "method": "PATCH"}
    several = {"method": "PATCH", "connections": FEW_CONNECTIONS, "rows": ROWS}
    ours = {**several, "port": OURS, "row": json.dumps(ours_row), "around": ['{"records":[', "]}"]}
    peers = {**several, "port": PEER, "row": json.dumps(peer_row), "around": ["[", "]"]}
    return {
        CREATE: {
            **creating,
            "port": OURS,
            "path": f"{DATA}/sobjects/Case",
            "row": json.dumps({**ours_row, "External_Reference__c": new}),
        },
        PEER_CREATE: {
            **creating,
            "port": PEER,
            "path": "/records/",
            "row": json.dumps({**peer_row, "external_reference": new}),
        },
        UPSERT: {
            **upserting,
            "port": OURS,
            "path": f"{DATA}/sobjects/Case/External_Reference__c/{KNOWN}",
            "row": json.dumps(FIELDS),
        },
        PEER_UPSERT: {
            **upserting,
            "port": PEER,
            "path": f"/records/by-reference/{KNOWN}/",
            "row": json.dumps(COLUMNS),
        },
        COLLECTION: {**ours, "path": f"{DATA}/composite/sobjects/Case/External_Reference__c"},
        PEER_EACH: {**peers, "path": "/records/each/"},
        PEER_TOGETHER: {**peers, "path": "/records/together/"},
    }


def tell(seen: dict[str, list[dict[str, float]]]) -> None:
    """Print medians and ratios."""
    rate = {name: median(one["rate"] for one in rounds) for name, rounds in seen.items()}
    for name, rounds in seen.items():
        p50, p99 = (median(one[key] for one in rounds) for key in ("p50", "p99"))
        records = rate[name] * (ROWS if name.startswith("200") else 1)
        print(f"{name:30} {records:8,.0f} records a second, p50 {p50:6.1f} ms, p99 {p99:6.1f} ms")
    promised = [
        (CREATE, PEER_CREATE, 2),
        (UPSERT, PEER_UPSERT, 2),
        (COLLECTION, PEER_EACH, 15),
        (COLLECTION, PEER_TOGETHER, 0.5),
    ]
    for ours, peer, least in promised:
        ratio = rate[ours] / rate[peer]
        print(f"against {peer}: {ratio:.2f} (promise: at least {least:g}) {'met' if ratio >= least else 'MISSED'}")


def prepare() -> str:
    """Make the caller, the rows of the peers and ours; return an access token."""
    from django.contrib.auth.models import User

    from isthmus.access.actions import assign, ensure_permission_set, issue_access_token

    user = User.objects.create_user("bench")
    grants = [("object", action, "Case") for action in ("create", "read", "edit")]
    assign(ensure_permission_set("Bench", "Bench", [*grants, ("field", "edit", "Case.*")]), user)
    make_cases(user, REFERENCES)
    return issue_access_token(user)


if __name__ == "__main__":
    main()
