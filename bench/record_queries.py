"""Answers a query of 2,000 rows with 10 fields, against REST framework's ModelSerializer and `values_list` with orjson
in the same run; then pages through a million rows and watches the memory.

Ours has everything on: access token, the grant of every field, SOQL. The peers ask for the same rows and columns
without any of it. All three are called in this process, from the request to the bytes of the answer. The promise, on
PostgreSQL: at least 5 times the serializer, at least half of `values_list`, memory flat, parse and compile under 1 ms.
"""

import os
import resource
import time
from collections.abc import Callable
from statistics import median
from typing import Any

from support.own_database import own_database

ROWS, ROUNDS = 2_000, int(os.environ.get("BENCH_ROUNDS", "15"))
MANY = int(os.environ.get("BENCH_MANY", "1000000"))
FIELDS = ("Id", "Name", "Industry", "Phone", "AnnualRevenue", "NumberOfEmployees", "BillingCity", "CreatedDate")
COLUMNS = ("id", "name", "industry", "phone", "annual_revenue", "number_of_employees", "billing_city", "created_date")
MORE, MORE_COLUMNS = ("OwnerId", "External_Reference__c"), ("owner_id", "external_reference")
SOQL = f"SELECT {', '.join(FIELDS + MORE)} FROM Account ORDER BY Id"


def main() -> None:
    with own_database():
        measure()


def measure() -> None:
    """Print the lines."""
    from django.db import connection
    from django.test import RequestFactory

    from isthmus.access import api_use
    from records.api.views import DataView

    user, token = prepare(ROWS)
    factory, view = RequestFactory(), DataView.as_view()
    taken = in_turn({"ours": ours(factory, view, token), **peers(factory)})
    for name, milliseconds in taken.items():
        print(f"{connection.vendor}: {ROWS} rows, 10 fields, {name:12} {milliseconds:8.1f} ms")
    tell("serializer / ours", taken["serializer"] / taken["ours"], 5)
    tell("values_list / ours", taken["values_list"] / taken["ours"], 0.5)
    parse_and_compile(user)
    page_through(factory, view, token)
    # Nothing may still want to write when the database goes.
    api_use.forget()


def ours(factory: Any, view: Any, token: str) -> Callable[[], bytes]:
    """Return what answers the query through the API's view."""

    def answered() -> bytes:
        headers = {"Authorization": f"Bearer {token}"}
        request = factory.get("/services/data/v60.0/query", {"q": SOQL}, headers=headers)
        content: bytes = view(request, version="60.0", path="query").content
        return content

    return answered


def peers(factory: Any) -> dict[str, Callable[[], bytes]]:
    """Return what answers with the same rows in other ways."""
    import orjson
    from rest_framework import generics, serializers

    from crm.models import Account

    class AccountSerializer(serializers.ModelSerializer):
        class Meta:
            model = Account
            fields = COLUMNS + MORE_COLUMNS

    class Accounts(generics.ListAPIView):
        authentication_classes = ()
        permission_classes = ()
        serializer_class = AccountSerializer
        queryset = Account.objects.order_by("id")

    view = Accounts.as_view()

    def serializer() -> bytes:
        content: bytes = view(factory.get("/accounts")).render().content
        return content

    def values_list() -> bytes:
        return orjson.dumps(list(Account.objects.order_by("id").values_list(*COLUMNS, *MORE_COLUMNS)), default=str)

    return {"serializer": serializer, "values_list": values_list}


def parse_and_compile(user: Any) -> None:
    """Print what it costs to get from the text of a usual query to the database's statement."""
    from records.soql import parsing, plans

    usual = (
        "SELECT Id, Name, Industry, Phone, Owner.Username FROM Account WHERE Name LIKE 'A%' AND AnnualRevenue > 10 "
        "AND CreatedDate = LAST_N_DAYS:30 ORDER BY Name LIMIT 50"
    )

    def planned() -> plans.RowPlan:
        query = parsing.parse(usual)
        return plans.plan_rows(query, plans.source_of(query, user))

    def compiled() -> None:
        plan = planned()
        plan.limited().values_list(*plan.columns).query.sql_with_params()

    print(f"parse and compile to a query set: {timed(planned, 200) * 1_000:.2f} ms (promise: under 1 ms)")
    print(f"and to the statement's text:      {timed(compiled, 200) * 1_000:.2f} ms")
    parse_anew(parsing, usual)


def parse_anew(parsing: Any, text: str) -> None:
    """Print what parsing costs when the text is new."""
    counter = iter(range(10**9))
    taken = timed(lambda: parsing.parse(text.replace("50", str(next(counter)))), 200)
    print(f"parsing alone, a text never seen:  {taken * 1_000:.2f} ms")


def page_through(factory: Any, view: Any, token: str) -> None:
    """Print the memory after 100,000 and after all rows."""
    import json

    from django.db import connection

    from crm.models import Lead

    if connection.vendor != "postgresql":
        print("memory: left out; the rows are made by PostgreSQL. Set DATABASE_URL.")
        return
    multiply(Lead.objects.create(last_name="One of many", company="Acme"), MANY - 1)
    began, rows, early = time.perf_counter(), 0, 0.0
    path, query = "query", {"q": "SELECT Id, Name, Company, Status, CreatedDate FROM Lead ORDER BY Id"}
    while path:
        request = factory.get(f"/services/data/v60.0/{path}", query, headers={"Authorization": f"Bearer {token}"})
        answer = json.loads(view(request, version="60.0", path=path).content)
        rows += len(answer["records"])
        path, query = answer.get("nextRecordsUrl", "").removeprefix("/services/data/v60.0/"), {}
        if not early and rows >= 100_000:
            early = megabytes()
    taken = time.perf_counter() - began
    more = megabytes() - early
    print(f"{rows:,} rows in {taken:.0f} s ({rows / taken:,.0f}/s), {more:.1f} MiB more than after 100,000")
    print("memory is flat: " + ("met" if more < 16 else "MISSED"))


def multiply(record: Any, times: int) -> None:
    """Make copies of a record, past the triggers: what is measured is reading."""
    from django.db import connection, transaction

    model = type(record)
    columns = [
        connection.ops.quote_name(one.column)
        for one in model._meta.concrete_fields
        if not one.primary_key and not getattr(one, "generated", False)
    ]
    table, listed = model._meta.db_table, ", ".join(columns)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(
            f"INSERT INTO {table} ({listed}) SELECT {listed} FROM {table}, generate_series(1, %s)",
            [times],
        )
    with connection.cursor() as cursor:
        cursor.execute(f"ANALYZE {table}")


def prepare(rows: int) -> tuple[Any, str]:
    """Make the records and somebody who may read them."""
    from django.contrib.auth.models import User

    from crm.models import Account
    from isthmus.access.actions import assign, ensure_permission_set, issue_access_token

    user = User.objects.create_user("reader")
    objects = ("Account", "Lead", "User")
    grants = [("object", "read", name) for name in objects] + [("field", "read", f"{name}.*") for name in objects]
    assign(ensure_permission_set("Reader", "Reader", grants), user)
    Account.objects.bulk_create(
        [
            Account(
                name=f"Account {n}",
                industry="Energy",
                phone=f"+49 30 {n}",
                annual_revenue=n,
                number_of_employees=n,
                billing_city="Oslo",
                owner=user,
                external_reference=f"R-{n}",
            )
            for n in range(rows)
        ]
    )
    return user, issue_access_token(user)


def in_turn(ways: dict[str, Callable[[], bytes]]) -> dict[str, float]:
    """Return the median milliseconds of each, taken in turn so that all meet the same machine."""
    seen: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(ROUNDS + 2):
        for name, way in ways.items():
            began = time.perf_counter()
            content = way()
            assert content.count(b"Oslo") == ROWS
            if turn > 1:
                seen[name].append((time.perf_counter() - began) * 1_000)
    return {name: median(found) for name, found in seen.items()}


def timed(call: Callable[[], object], times: int) -> float:
    """Return the median seconds of a call."""
    found = []
    for _ in range(times):
        began = time.perf_counter()
        call()
        found.append(time.perf_counter() - began)
    return median(found)


def tell(what: str, ratio: float, promised: float) -> None:
    """Print a ratio and whether the promise is kept."""
    print(f"{what}: {ratio:.2f} (promise: at least {promised:g}) {'met' if ratio >= promised else 'MISSED'}")


def megabytes() -> float:
    """Return the most memory that this process ever had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024


if __name__ == "__main__":
    main()
