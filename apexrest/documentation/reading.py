"""A document as the page shows it: operations with what they take and give, laid out for people."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from apexrest.documentation.documents import MAPPING

__all__ = ["Operation", "Row", "operations"]

_DEEPEST = 4


@dataclass(frozen=True)
class Row:
    """One field of a body, or one parameter."""

    name: str
    kind: str
    is_required: bool
    told: str = ""
    depth: int = 0


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One operation."""

    id: str
    mapping: str
    """The resource's URL mapping."""
    method: str
    path: str
    tag: str
    summary: str
    description: str
    is_deprecated: bool
    is_signed: bool
    parameters: list[Row] = field(default_factory=list)
    body: list[Row] = field(default_factory=list)
    answer: list[Row] = field(default_factory=list)
    example: str = ""
    curl: str = ""
    responses: list[tuple[str, str]] = field(default_factory=list)


def operations(document: Mapping[str, Any]) -> list[Operation]:
    """Return the operations of a document, in its order; one that answers an address and all below it, once."""
    found: dict[tuple[str, str], Operation] = {}
    for path, methods in document["paths"].items():
        for method, described in methods.items():
            operation = _operation(document, path, method, described)
            found.setdefault((operation.mapping, operation.method), operation)
    return list(found.values())


def _operation(document: Mapping[str, Any], path: str, method: str, found: Mapping[str, Any]) -> Operation:
    body = found.get("requestBody", {}).get("content", {}).get("application/json", {})
    answers = [
        response["content"]["application/json"]["schema"]
        for status, response in found["responses"].items()
        if status.startswith("2") and "content" in response
    ]
    example = json.dumps(body["example"], indent=2) if "example" in body else ""
    return Operation(
        id=found["operationId"],
        mapping=found[MAPPING],
        method=method.upper(),
        path=path,
        tag=found["tags"][0],
        summary=found["summary"],
        description=found["description"],
        is_deprecated=bool(found.get("deprecated")),
        is_signed=not found["security"],
        parameters=[
            Row(
                one["name"],
                f"{_kind(document, one['schema'])}, {one['in']}",
                bool(one.get("required")),
                one.get("description", ""),
            )
            for one in found["parameters"]
        ],
        body=list(_rows(document, body.get("schema", {}))),
        answer=list(_rows(document, answers[0])) if answers else [],
        example=example,
        curl=_curl(document, path, method, example, found),
        responses=[(status, response["description"]) for status, response in sorted(found["responses"].items())],
    )


def _rows(document: Mapping[str, Any], schema: Mapping[str, Any], depth: int = 0) -> Iterator[Row]:
    described = _described(document, schema)
    required = set(described.get("required", ()))
    for name, below in described.get("properties", {}).items():
        inner = _described(document, below)
        yield Row(name, _kind(document, below), name in required, inner.get("description", ""), depth)
        if depth < _DEEPEST:
            yield from _rows(document, below, depth + 1)


def _described(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the object that a schema is about: behind references, in lists, beside null."""
    if "$ref" in schema:
        found: Mapping[str, Any] = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return found
    if "anyOf" in schema:
        return _described(document, schema["anyOf"][0])
    if schema.get("type") == "array":
        return _described(document, schema["items"])
    return schema


def _kind(document: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        target = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return _kind(document, target) if "enum" in target else "object"
    if "enum" in schema:
        return f"one of {', '.join(json.dumps(value) for value in schema['enum'])}"
    if "anyOf" in schema:
        parts = [part for part in schema["anyOf"] if part.get("type") != "null"]
        return f"{_kind(document, parts[0])} or null" if len(parts) < len(schema["anyOf"]) else "object"
    kind = schema.get("type")
    if kind == "array":
        return f"list of {_kind(document, schema['items'])}"
    if isinstance(kind, list):
        return " or ".join(kind)
    told = {"date": "date", "date-time": "time with offset", "decimal": "decimal"}.get(schema.get("format", ""))
    return told or kind or "anything"


def _curl(document: Mapping[str, Any], path: str, method: str, example: str, found: Mapping[str, Any]) -> str:
    base = document["servers"][0]["url"]
    lines = [f"curl -X {method.upper()} '{base}{path.replace('{', '<').replace('}', '>')}'"]
    if found["security"]:
        lines.append("-H 'Authorization: Bearer <token>'")
    if any(one["in"] == "header" for one in found["parameters"]):
        lines.append("-H 'Idempotency-Key: <a text of your own>'")
    if example:
        compact = json.dumps(json.loads(example)).replace("'", "'\\''")
        lines += ["-H 'Content-Type: application/json'", f"-d '{compact}'"]
    return " \\\n  ".join(lines)
