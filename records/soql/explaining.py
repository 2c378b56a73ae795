"""How the database would go about a query (`explain=`)."""

import json
from dataclasses import replace
from typing import Any

from django.db import connection
from django.db.models import QuerySet

from records.soql.groups import plan_groups
from records.soql.parsing import parse
from records.soql.plans import aggregates, plan_rows, source_of
from records.soql.running import Asked, is_count, located
from records.soql.time_limit import time_limit

__all__ = ["explain"]


def explain(text: str, asked: Asked) -> dict[str, Any]:
    """Return the database's plan in Salesforce's words, and as it says it itself in the notes. Raises `QueryError`s."""
    query = parse(text)
    with located(text), time_limit():
        source = source_of(query, asked.user)
        if aggregates(query) and not is_count(query):
            rows = plan_groups(query, source, include_deleted=asked.include_deleted).rows
            fields = [str(one) for one in query.group_by]
        else:
            plain = replace(query, selected=()) if is_count(query) else query
            plan = plan_rows(plain, source, include_deleted=asked.include_deleted)
            rows, fields = plan.limited(), []
        in_all = source.object_type.model._base_manager.count() if source.object_type.model else 0
        found = _from_postgresql(rows) if connection.vendor == "postgresql" else _from_sqlite(rows)
    told = {"fields": fields, "sobjectCardinality": in_all, "sobjectType": source.object_type.api_name}
    return {"plans": [{**found, **told}], "sourceQuery": text}


def _from_postgresql(rows: "QuerySet[Any]") -> dict[str, Any]:
    raw: Any = rows.explain(format="json")
    top = (json.loads(raw) if isinstance(raw, str) else raw)[0]["Plan"]
    steps = list(_steps(top))
    scan = next((one for one in steps if "Scan" in one["Node Type"]), top)
    notes = [
        {
            "description": _said(one),
            "fields": [],
            "tableEnumOrId": one.get("Relation Name", ""),
        }
        for one in steps
    ]
    return {
        "cardinality": int(top["Plan Rows"]),
        "leadingOperationType": "Index" if "Index" in scan["Node Type"] else "TableScan",
        "notes": notes,
        "relativeCost": float(top["Total Cost"]),
    }


def _steps(node: dict[str, Any]) -> Any:
    yield node
    for below in node.get("Plans", ()):
        yield from _steps(below)


def _said(node: dict[str, Any]) -> str:
    index = f" by {node['Index Name']}" if "Index Name" in node else ""
    return f"{node['Node Type']}{index}, {node['Plan Rows']} rows, cost {node['Total Cost']}"


def _from_sqlite(rows: "QuerySet[Any]") -> dict[str, Any]:
    lines = [line.strip() for line in rows.explain().splitlines()]
    said = [line.split(" ", 3)[-1] for line in lines]
    uses_index = any(line.startswith("SEARCH") for line in said)
    # SQLite tells no costs, and no numbers before it has counted.
    return {
        "cardinality": rows.count(),
        "leadingOperationType": "Index" if uses_index else "TableScan",
        "notes": [{"description": line, "fields": [], "tableEnumOrId": ""} for line in said],
        "relativeCost": 0.1 if uses_index else 1.0,
    }
