"""What noting changes costs: a record whose changes are noted against the same record without triggers.

The two take turns, round by round, in one process on one database (a fresh SQLite file, or `DATABASE_URL`). A plain
Django model with the same columns stands beside them: what records themselves cost shows against it.
"""

import statistics
from collections.abc import Callable, Iterable, Iterator
from time import perf_counter
from typing import Any

from support.own_database import own_database

ROUNDS = 9
RECORDS = 300
BULK = 10_000
GOALS = {"save": {"postgresql": 1.15, "sqlite": 1.4}, "bulk_create": {"postgresql": 1.25, "sqlite": 1.25}}


def main() -> None:
    with own_database():
        measure()


def measure() -> None:
    """Print one line for each way to write."""
    from django.db import connection

    from crm.models import Lead
    from isthmus.objects.capture.triggers import install_triggers
    from isthmus.objects.registry import get_object

    lead = get_object("Lead")
    arrangements: dict[str, Arrangement] = {
        "plain": (plain_model(Lead), lambda: None),
        "untracked": (Lead, lambda: install_triggers(lead, "default", noting=False)),
        "tracked": (Lead, lambda: install_triggers(lead, "default", noting=True)),
    }
    ways: dict[str, tuple[Callable[[Any], float], int]] = {
        "create": (create, RECORDS),
        "save": (save, RECORDS),
        "bulk_create": (bulk_create, BULK),
        "update()": (update, BULK),
    }
    seconds = take_turns({way: act for way, (act, _) in ways.items()}, arrangements)
    print(f"{connection.vendor}, median of {ROUNDS} rounds, µs a record")
    for way, (_, records) in ways.items():
        tell(way, {name: statistics.median(seconds[way, name]) * 1e6 / records for name in arrangements})


Arrangement = tuple[Any, Callable[[], None]]


def plain_model(original: Any) -> Any:
    """Return a model with the columns of `original` and nothing else, and make its table."""
    from django.db import connection, models

    class PlainLead(models.Model):  # noqa: DJ008 - nobody looks at one
        """The columns of a lead."""

        class Meta:
            app_label = "crm"

    for field in original._meta.concrete_fields:
        if not field.primary_key and not field.remote_field:
            copy = field.clone()
            copy.editable = True
            if field.name.endswith("_date") or field.name == "system_modstamp":
                copy = models.DateTimeField(auto_now=True, db_index=field.db_index)
            PlainLead.add_to_class(field.name, copy)
    with connection.schema_editor() as editor:
        editor.create_model(PlainLead)
    return PlainLead


def take_turns(
    ways: dict[str, Callable[[Any], float]], arrangements: dict[str, Arrangement]
) -> dict[tuple[str, str], list[float]]:
    """Return the seconds of each round, by way and arrangement; somebody acts, as in a request."""
    from django.contrib.auth.models import User
    from django.db import models

    from isthmus import correlation
    from isthmus.objects.capture import acting_as
    from isthmus.objects.models import RawChange

    somebody = User.objects.create_user("somebody")
    seconds: dict[tuple[str, str], list[float]] = {}
    for number in range(ROUNDS + 1):
        for way, act in ways.items():
            for name, (model, arrange) in arrangements.items():
                arrange()
                model(last_name="Lovelace", company="Analytical Engines").save()
                with acting_as(somebody, origin="bench"), correlation.bind("bench"):
                    took = act(model)
                if number:  # the first round warms up
                    seconds.setdefault((way, name), []).append(took)
            RawChange.objects.all().delete()
        for model in {model for model, _ in arrangements.values()}:
            models.QuerySet(model).all().delete()
    return seconds


def tell(way: str, median: dict[str, float]) -> None:
    """Print what a record took, and the ratios."""
    from django.db import connection

    ratio, goal = median["tracked"] / median["untracked"], GOALS.get(way, {}).get(connection.vendor)
    told = f"   goal {goal}: {'met' if ratio <= goal else 'MISSED'}" if goal else ""
    figures = "   ".join(f"{name} {found:8,.1f}" for name, found in median.items())
    to_plain = median["tracked"] / median["plain"]
    print(f"{way:<12} {figures}   tracked/untracked x{ratio:.2f}, /plain x{to_plain:.2f}{told}")


def create(model: Any) -> float:
    made = (model(last_name=f"Lovelace {number}", company="A", email="ada@example.org") for number in range(RECORDS))
    return typical(record.save for record in made)


def save(model: Any) -> float:
    record = model.objects.first()

    def changes() -> Iterator[Callable[[], None]]:
        for number in range(RECORDS):
            record.phone = str(number)
            yield record.save

    return typical(changes())


def typical(acts: Iterable[Callable[[], None]]) -> float:
    """Return what `RECORDS` of these acts would take if each took as long as the middle one: a disk hiccups."""
    took = []
    for act in acts:
        began = perf_counter()
        act()
        took.append(perf_counter() - began)
    return statistics.median(took) * RECORDS


def bulk_create(model: Any) -> float:
    records = [model(last_name=f"Lovelace {number}", company="A") for number in range(BULK)]
    began = perf_counter()
    model.objects.bulk_create(records)
    return perf_counter() - began


def update(model: Any) -> float:
    began = perf_counter()
    model.objects.update(phone=str(began))
    return perf_counter() - began


if __name__ == "__main__":
    main()
