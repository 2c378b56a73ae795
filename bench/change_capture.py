"""What capturing changes costs: saves of a tracked record against saves of a plain model with the same columns.

The two take turns, round by round, in one process on one database (a fresh SQLite file, or `DATABASE_URL`).
"""

import statistics
from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import Any

from support.own_database import own_database

ROUNDS = 5
RECORDS = 200


def main() -> None:
    with own_database():
        measure()


def measure() -> None:
    """Print one line for each way to write."""
    from django.db import connection, models

    from crm.models import Contact

    class PlainContact(models.Model):  # noqa: DJ008 - nobody looks at one
        """The columns of a contact that matter here, and nothing that watches them."""

        first_name = models.CharField(max_length=40, blank=True)
        last_name = models.CharField(max_length=80)
        email = models.EmailField(max_length=80, blank=True)
        phone = models.CharField(max_length=40, blank=True)
        description = models.TextField(blank=True)
        created_date = models.DateTimeField(auto_now_add=True)
        last_modified_date = models.DateTimeField(auto_now=True)
        system_modstamp = models.DateTimeField(auto_now=True, db_index=True)

        class Meta:
            app_label = "crm"

    with connection.schema_editor() as editor:
        editor.create_model(PlainContact)
    ways: dict[str, Callable[[Any], None]] = {"create": create, "update": update, "bulk_create": bulk_create}
    turns = {(way, model): partial(act, model) for way, act in ways.items() for model in (PlainContact, Contact)}
    seconds: dict[tuple[str, Any], list[float]] = {turn: [] for turn in turns}
    for number in range(ROUNDS + 1):
        for turn, act in turns.items():
            began = perf_counter()
            act()
            if number:  # the first round warms up
                seconds[turn].append(perf_counter() - began)
    print(f"{connection.vendor}, {RECORDS} records a turn, median of {ROUNDS} rounds")
    for way in ways:
        plain, tracked = (statistics.median(seconds[way, model]) for model in (PlainContact, Contact))
        print(
            f"{way:<12} plain {RECORDS / plain:8,.0f}/s   tracked {RECORDS / tracked:8,.0f}/s   x{tracked / plain:.2f}"
        )


def create(model: Any) -> None:
    for number in range(RECORDS):
        model(first_name="Ada", last_name=f"Lovelace {number}", email="ada@example.org").save()


def update(model: Any) -> None:
    for record in model.objects.all()[:RECORDS]:
        record.phone = str(perf_counter())
        record.save()


def bulk_create(model: Any) -> None:
    model.objects.bulk_create([model(last_name=f"Lovelace {number}") for number in range(RECORDS)])


if __name__ == "__main__":
    main()
