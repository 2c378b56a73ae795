"""What records add to the console: ids in one spelling, and records that are found by id or external id."""

from collections.abc import Iterator
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import BigIntegerField, CharField, F, QuerySet, Value
from django.db.models.functions import Cast, Lower
from django.urls import reverse

from isthmus.access.policy import AnyUser
from isthmus.console import timeline
from isthmus.console.finding import MOST_FOUND, Match, register_finder
from isthmus.objects import catalogue, sharing
from isthmus.objects.errors import MalformedId
from isthmus.objects.object_types import FieldType, ObjectType
from isthmus.objects.permissions import can_read_field, may
from isthmus.objects.reading import live_rows
from isthmus.objects.record_ids import MAX_PRIMARY_KEY, decode, encode

__all__ = ["found_records", "object_and_number", "register", "spelled_out"]


def register() -> None:
    """Join the console; called once, when the app is ready."""
    timeline.register_spelling(spelled_out)
    register_finder("Records by id, of 15 or 18 characters, and by external id", found_records)


def spelled_out(text: str) -> str:
    """Return the 18-character form of a record id; anything else as it is."""
    found = object_and_number(text)
    return encode(found[0].key_prefix, found[1]) if found is not None else text


def object_and_number(text: str) -> tuple[ObjectType, int] | None:
    """Return which object's record an id is of, and its primary key; `None` for what is no id of any object here."""
    try:
        prefix, number = decode(text)
    except MalformedId:
        return None
    object_type = catalogue.object_of_prefix(prefix)
    return (object_type, number) if object_type is not None and number <= MAX_PRIMARY_KEY else None


def found_records(user: AnyUser, text: str) -> Iterator[Match]:
    """Yield the record of this id, and those of this external id, as far as the user may see them.

    Two queries at most: all external ids of all objects are asked for in one.
    """
    found = object_and_number(text)
    if found is not None and found[0].model is not None and may(user, found[0], "read"):
        object_type, number = found
        rows = sharing.visible(user, object_type, live_rows(object_type.model).filter(pk=number))  # type: ignore[arg-type]  # it has a model
        if rows.exists():
            yield _match(object_type, number, text)
    for name, number in _with_external_id(user, text):
        yield _match(catalogue.get_object(name), number, f"External id {text}")


def _match(object_type: ObjectType, number: int, detail: str) -> Match:
    record_id = encode(object_type.key_prefix, number)
    return Match(
        kind=object_type.label,
        icon="record",
        title=record_id,
        url=reverse("console:time-line", args=[record_id]),
        detail=detail,
    )


def _with_external_id(user: AnyUser, text: str) -> list[tuple[str, int]]:
    """Return object names and primary keys of the records that the user sees by an external id that they may read."""
    queries = [
        rows
        for object_type in catalogue.all_objects()
        for field in object_type.fields
        if field.external_id
        and may(user, object_type, "read")
        and can_read_field(user, object_type, field)
        and (rows := _rows_with(user, object_type, field, text)) is not None
    ]
    if not queries:
        return []
    together = queries[0].union(*queries[1:]) if len(queries) > 1 else queries[0]
    return [(name, int(number)) for name, number in together[: MOST_FOUND + 1]]


def _rows_with(user: AnyUser, object_type: ObjectType, field: FieldType, text: str) -> "QuerySet[Any, Any] | None":
    model = object_type.model
    if model is None:
        return None
    rows: QuerySet[Any, Any] = sharing.visible(user, object_type, live_rows(model))
    if field.type.is_text and not field.case_sensitive:
        # The form in which the index has it.
        rows = rows.alias(_folded=Lower(field.attname)).filter(_folded=Lower(Value(text)))
    else:
        try:
            column: Any = model._meta.get_field(field.django_name)
            value = column.to_python(text)
        except (ValidationError, ValueError, ArithmeticError):
            return None
        rows = rows.filter(**{field.attname: value})
    named: QuerySet[Any, Any] = rows.order_by().annotate(
        _object=Value(object_type.api_name, output_field=CharField()),
        _number=Cast(F("pk"), BigIntegerField()),
    )
    return named.values_list("_object", "_number")
