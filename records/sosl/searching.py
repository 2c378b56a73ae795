"""Runs a search for one user: in the objects, fields and records that this user sees."""

from collections.abc import Iterator
from typing import Any

from django.contrib.auth.models import AbstractUser
from django.db import router

from isthmus.objects import sharing
from isthmus.objects.object_types import FieldKind, FieldType, ObjectType
from isthmus.objects.permissions import readable_fields
from isthmus.objects.reading import live_rows
from records import reading
from records.calls import Call
from records.errors import NoSuchResource, SearchObjectUnknown
from records.search_index import Found, IndexPlan, find, plan_for, searchable_tables
from records.sosl.found_records import run_found
from records.sosl.statements import MAX_FOUND, Returned, Scope, Search

__all__ = ["search"]

_NAMES = frozenset({"Name", "FirstName", "MiddleName", "LastName"})


def search(call: Call, asked: Search) -> list[dict[str, Any]]:
    """Return the records found, as JSON, object by object.

    A record is found by what its fields hold that the caller can read; what it holds besides makes no difference.
    Raises `SearchObjectUnknown`, and `QueryError`s of what is to be returned.
    """
    found: list[dict[str, Any]] = []
    for object_type, plan, source in _places(call.user, asked):
        left = asked.limit - len(found)
        # What is asked of an object may narrow what was found there, so it gets more than is left.
        pks = find(_where(call.user, object_type, plan, asked.scope), asked.expression, MAX_FOUND)
        found.extend(run_found(call, object_type, source, pks)[:left])
    return found


def _places(user: AbstractUser, asked: Search) -> Iterator[tuple[ObjectType, IndexPlan, str]]:
    named = asked.returned or [
        Returned(object_name=object_type.api_name, source=asked.source) for object_type in reading.objects_seen(user)
    ]
    tables: dict[str, set[str]] = {}
    for returned in named:
        found = _searchable(returned.object_name, user, tables)
        if found is not None:
            yield *found, returned.source
        elif asked.returned:
            raise SearchObjectUnknown(f"sObject type '{returned.object_name}' is not supported.")


def _searchable(name: str, user: AbstractUser, tables: dict[str, set[str]]) -> tuple[ObjectType, IndexPlan] | None:
    """Return an object that the user sees, with its index; `None` when there is none of them."""
    try:
        object_type = reading.object_of(name, user)
    except NoSuchResource:
        return None
    plan = plan_for(object_type)
    if plan is None or object_type.model is None:
        return None
    using = router.db_for_write(object_type.model)
    if using not in tables:
        tables[using] = searchable_tables(using)
    return (object_type, plan) if plan.table in tables[using] else None


def _where(user: AbstractUser, object_type: ObjectType, plan: IndexPlan, scope: Scope) -> Found:
    readable = readable_fields(user, object_type)
    looked_at = [field for field in readable if _is_in(scope, field)]
    title = next((field.attname for field in looked_at if field.name_field), "")
    if object_type.model is None:
        raise SearchObjectUnknown
    return Found(
        plan=plan,
        rows=sharing.visible(user, object_type, live_rows(object_type.model)),
        fields={field.api_name for field in looked_at},
        names={field.api_name for field in looked_at if _is_name(field)},
        title=title,
    )


def _is_in(scope: Scope, field: FieldType) -> bool:
    if scope is Scope.SIDEBAR:
        is_call_sign = field.external_id or field.auto_number
        return is_call_sign or any(_is_in(part, field) for part in (Scope.NAME, Scope.EMAIL, Scope.PHONE))
    return {
        Scope.ALL: True,
        Scope.NAME: _is_name(field),
        Scope.EMAIL: field.type is FieldKind.EMAIL,
        Scope.PHONE: field.type is FieldKind.PHONE,
    }[scope]


def _is_name(field: FieldType) -> bool:
    return field.name_field or field.api_name in _NAMES
