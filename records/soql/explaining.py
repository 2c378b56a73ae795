"""How the database would go about a query (`explain=`).

What it tells is of the objects that the user knows, under their own names. Numbers that the database estimates come
from statistics of all rows; whoever sees only some of them gets counts of these.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from django.contrib.auth.models import AbstractUser
from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import QuerySet

from isthmus.objects import catalogue, sharing
from isthmus.objects.permissions import may
from records.soql.groups import plan_groups
from records.soql.parsing import parse
from records.soql.plans import aggregates, every_row, plan_rows, source_of
from records.soql.running import Asked, is_count, located
from records.soql.time_limit import time_limit

__all__ = ["explain"]

_SQLITE_SCAN = re.compile(r"(?P<verb>SCAN|SEARCH) (?P<table>\w+)(?: (?P<what>USING .*?(?:INDEX|PRIMARY KEY)))?.*")


@dataclass(frozen=True, kw_only=True)
class _Step:
    """One thing that the database does."""

    how: str
    table: str = ""
    """Its name in the database; "" where it is of none."""
    is_scan: bool = False
    uses_index: bool = False
    rows: int = 0
    cost: float | None = None
    """As PostgreSQL estimates them. SQLite tells no costs, and no numbers before it has counted."""


def explain(text: str, asked: Asked) -> dict[str, Any]:
    """Return the database's plan in Salesforce's words, its steps in the notes. Raises `QueryError`s."""
    query = parse(text)
    with located(text), time_limit():
        source = source_of(query, asked.user)
        if aggregates(query) and not is_count(query):
            rows = plan_groups(query, source, include_deleted=asked.include_deleted).rows
            fields = [str(one) for one in query.group_by]
        else:
            plain = replace(query, selected=()) if is_count(query) else query
            rows, fields = plan_rows(plain, source, include_deleted=asked.include_deleted).limited(), []
        steps = _steps(rows)
        in_all = every_row(query, source, asked.include_deleted).count()
        may_estimate = bool(steps) and steps[0].cost is not None and _sees_everything(asked.user)
        found = steps[0].rows if may_estimate else rows.count()
    scan = next((one for one in steps if one.is_scan), None)
    uses_index = scan is not None and scan.uses_index
    share = found / in_all if uses_index and in_all else 1.0
    plan = {
        "cardinality": found,
        "fields": fields,
        "leadingOperationType": "Index" if uses_index else "TableScan",
        "notes": [_note(one, asked.user, may_estimate) for one in steps],
        "relativeCost": steps[0].cost if may_estimate else share,
        "sobjectCardinality": in_all,
        "sobjectType": source.object_type.api_name,
    }
    return {"plans": [plan], "sourceQuery": text}


def _sees_everything(user: AbstractUser) -> bool:
    return all(sharing.sees_everything(user, one) for one in catalogue.all_objects())


def _note(step: _Step, user: AbstractUser, may_estimate: bool) -> dict[str, Any]:
    owner = next((one for one in catalogue.all_objects() if one.model and one.model._meta.db_table == step.table), None)
    numbers = f", {step.rows} rows, cost {step.cost}" if may_estimate else ""
    return {
        "description": f"{step.how}{numbers}",
        "fields": [],
        "tableEnumOrId": owner.api_name if owner is not None and may(user, owner, "read") else "",
    }


def _steps(rows: "QuerySet[Any]") -> list[_Step]:
    """Return what the database would do, the last thing first; nothing where it has not to be asked at all."""
    try:
        rows.query.sql_with_params()
    except EmptyResultSet:
        return []
    return list(_of_postgresql(rows) if connection.vendor == "postgresql" else _of_sqlite(rows))


def _of_postgresql(rows: "QuerySet[Any]") -> Iterator[_Step]:
    raw: Any = rows.explain(format="json")
    nodes = [(json.loads(raw) if isinstance(raw, str) else raw)[0]["Plan"]]
    while nodes:
        node = nodes.pop(0)
        nodes[:0] = node.get("Plans", ())
        how = node["Node Type"]
        yield _Step(
            how=how,
            table=node.get("Relation Name", ""),
            is_scan="Scan" in how,
            uses_index="Index" in how,
            rows=int(node["Plan Rows"]),
            cost=float(node["Total Cost"]),
        )


def _of_sqlite(rows: "QuerySet[Any]") -> Iterator[_Step]:
    tables = {alias: join.table_name for alias, join in rows.query.alias_map.items()}
    for line in rows.explain().splitlines():
        how = line.strip().split(" ", 3)[-1]
        scan = _SQLITE_SCAN.fullmatch(how)
        if scan is None:
            yield _Step(how=how)
            continue
        named = " ".join(part for part in (scan["verb"], scan["what"]) if part)
        yield _Step(how=named, table=tables.get(scan["table"], ""), is_scan=True, uses_index=scan["verb"] == "SEARCH")
