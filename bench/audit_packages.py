"""What a save costs whose change is noted: by the platform, and by the field's audit packages, in the same run.

Each has a table of the same columns. They take turns, record by record, in one process on one database (a fresh SQLite
file, or `DATABASE_URL`; django-pghistory works on PostgreSQL only).
"""

import os
import statistics
from collections.abc import Callable
from time import perf_counter
from typing import Any

from support.own_database import own_database

ROUNDS, RECORDS = 8, 150
GOAL = {"postgresql": 1.15, "sqlite": 1.4}
APPS = ["simple_history", "auditlog"]


def main() -> None:
    is_postgresql = os.environ.get("DATABASE_URL", "").startswith("postgres")
    os.environ["ISTHMUS_APPS"] = ",".join([*APPS, *(["pgtrigger", "pghistory"] if is_postgresql else [])])
    with own_database():
        measure()


def measure() -> None:
    """Print one line for each package."""
    from django.db import connection, models

    ways: dict[str, Callable[[Any], None]] = {
        "plain": lambda model: None,
        "the platform": platform,
        "django-simple-history": simple_history,
        "django-auditlog": auditlog,
    }
    if connection.vendor == "postgresql":
        ways["django-pghistory"] = pghistory
    records: dict[str, models.Model] = {}
    for number, (name, prepare) in enumerate(ways.items()):
        model = make_model(f"Measured{number}")
        with connection.schema_editor() as editor:
            editor.create_model(model)
        prepare(model)
        records[name] = model(name="Lovelace", phone="1", note="x" * 200)
        records[name].save()
    took: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(ROUNDS):
        for number in range(RECORDS):
            for name, record in records.items():
                record.phone = f"{turn} {number}"  # type: ignore[attr-defined]  # a field of the models made below
                began = perf_counter()
                record.save()
                if turn:  # the first round warms up
                    took[name].append(perf_counter() - began)
    plain = statistics.median(took["plain"])
    print(f"{connection.vendor}, median of {ROUNDS - 1} x {RECORDS} saves")
    for name, found in took.items():
        ratio = statistics.median(found) / plain
        goal = GOAL[connection.vendor] if name == "the platform" else 0
        verdict = f"   goal {goal}: {'met' if ratio <= goal else 'MISSED'}" if goal else ""
        print(f"{name:<22} {statistics.median(found) * 1e6:8,.1f} µs   x{ratio:.2f}{verdict}")


def make_model(name: str) -> Any:
    """Return a model with a handful of columns."""
    from django.db import models

    fields = {
        "name": models.CharField(max_length=80),
        "phone": models.CharField(max_length=40),
        "email": models.EmailField(blank=True),
        "note": models.TextField(blank=True),
        "amount": models.DecimalField(max_digits=12, decimal_places=2, default=0),
        "is_active": models.BooleanField(default=True),
        "created_at": models.DateTimeField(auto_now_add=True),
    }
    return type(
        name, (models.Model,), {"__module__": __name__, "Meta": type("Meta", (), {"app_label": "crm"}), **fields}
    )


def platform(model: Any) -> None:
    from isthmus.objects.capture.triggers import install_triggers
    from isthmus.objects.registry import expose

    found = expose(model, api_name="Measured__c", track_changes=True)
    install_triggers(found, "default", noting=True)


def simple_history(model: Any) -> None:
    from django.db import connection
    from simple_history import register

    register(model, app="crm")
    with connection.schema_editor() as editor:
        editor.create_model(model.history.model)


def auditlog(model: Any) -> None:
    from auditlog.registry import auditlog as registry

    registry.register(model)


def pghistory(model: Any) -> None:
    import pghistory as package
    import pgtrigger
    from django.db import connection

    event_model = package.create_event_model(
        model,
        package.InsertEvent(),
        package.UpdateEvent(),
        model_name="MeasuredEvent",
        app_label="crm",
        context_field=None,
        abstract=False,
    )
    with connection.schema_editor() as editor:
        editor.create_model(event_model)
    installed = [trigger for watched, trigger in pgtrigger.registered() if watched is model]
    for trigger in installed:
        trigger.install(model)
    if not installed:
        raise RuntimeError("django-pghistory would note nothing.")


if __name__ == "__main__":
    main()
