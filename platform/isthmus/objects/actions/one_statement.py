"""A creation or an upsert of one record in one statement, where the database and the object allow it.

A creation leaves it to the unique indexes to say what is taken; when one refuses, the longer way (`rows`) finds out.

`INSERT … ON CONFLICT … DO UPDATE` finds, decides and writes at once: nobody can come between, and no lock has to be
taken first (SQLite takes one question more, about what it did). It is possible for an object whose external id is
unique by an index, whose model has no `clean()` of its own, and for a row that would do to create the record: then
creating and updating write the same values. Everything else goes the longer way, which tells what is wrong.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from django.db import IntegrityError, connections, models
from django.db.models.fields.generated import GeneratedField

from isthmus import clock
from isthmus.objects.actions.drafts import Draft
from isthmus.objects.capture import ChangeType, acting_user, orm
from isthmus.objects.capture.signals import send_after_commit
from isthmus.objects.object_types import FieldType, ObjectType
from isthmus.objects.record_ids import encode

__all__ = ["insert", "is_insert_possible", "is_possible", "upsert", "would_do"]


@lru_cache(maxsize=256)
def _conflict_target(model: type[models.Model], name: str, alias: str) -> str:
    """Return what comes after ON CONFLICT for the unique index of a field, "" when there is none to be named."""
    connection = connections[alias]
    if connection.vendor not in {"postgresql", "sqlite"}:
        return ""
    field: Any = model._meta.get_field(name)
    if field.unique:
        return f"({connection.ops.quote_name(field.column)})"
    editor = connection.schema_editor(collect_sql=True)
    for constraint in model._meta.constraints:
        if not isinstance(constraint, models.UniqueConstraint) or constraint.deferrable:
            continue
        expressions: Any = constraint.expressions
        sources = [source.name for one in expressions for source in one.flatten() if hasattr(source, "name")]
        if list(constraint.fields) == [name] or sources == [name]:
            parts = getattr(constraint.create_sql(model, editor), "parts", None)
            if parts is not None:
                return f"({parts['columns']}){parts['condition']}".strip()
    return ""


@lru_cache(maxsize=256)
def _columns(model: type[models.Model]) -> tuple["models.Field[Any, Any]", ...]:
    return tuple(
        field
        for field in model._meta.concrete_fields
        if not field.primary_key and not isinstance(field, GeneratedField)
    )


@lru_cache(maxsize=256)
def _is_plain(model: type[models.Model]) -> bool:
    """Return whether the model has one table, and gives every column its value itself."""
    return getattr(model, "soft_deletes", False) and all(
        field.model._meta.db_table == model._meta.db_table and not field.has_db_default() for field in _columns(model)
    )


def is_insert_possible(object_type: ObjectType, values: Mapping[str, Any], using: str) -> bool:
    """Return whether a record with these values, by attribute name, can be made like this."""
    model = object_type.model
    return (
        model is not None
        and _is_plain(model)
        and all(
            bool(_conflict_target(model, one.django_name, using))
            for one in object_type.fields
            if one.unique and one.updateable and values.get(one.attname) not in (None, "")
        )
    )


def insert(object_type: ObjectType, draft: Draft, using: str) -> bool:
    """Write the draft's instance, and note in the draft what it is now; return whether that could be done.

    Raises what the database refuses with.
    """
    instance: Any = draft.instance
    model: type[models.Model] = type(instance)
    instance.stamp_creation(clock.now(), acting_user())
    values = _values(instance, using)
    if any(orm.is_expression(value) for value in values):
        return False
    with connections[using].cursor() as cursor:
        cursor.execute(_insertion(model, using), values)
        (pk,) = cursor.fetchone()
    instance.pk = draft.pk = pk
    draft.record_id = encode(object_type.key_prefix, pk)
    send_after_commit(model, [pk], ChangeType.CREATE, using)
    return True


def is_possible(object_type: ObjectType, field: FieldType, using: str) -> bool:
    """Return whether records of the object can be upserted like this at all."""
    model = object_type.model
    return (
        model is not None
        and field.unique
        and _is_plain(model)
        and model.clean is models.Model.clean
        and bool(_conflict_target(model, field.django_name, using))
    )


def would_do(object_type: ObjectType, draft: Draft, field: FieldType) -> bool:
    """Return whether a row that was read as a new one would write the same as an update.

    References, nulls and other unique values are looked up, or have a meaning of their own for a record that is there.
    """
    if not draft.sound or draft.lookups:
        return False
    given = [one for one in object_type.fields if one.attname in draft.values]
    return all(
        one.updateable
        and not one.reference_to
        and draft.values[one.attname] is not None
        and (one.attname == field.attname or not one.unique)
        for one in given
    ) and len(given) == len(draft.values)


def upsert(object_type: ObjectType, draft: Draft, field: FieldType, using: str) -> None:
    """Write the draft's instance, and note in the draft what became of it. Raises what the database refuses with."""
    instance: Any = draft.instance
    model: type[models.Model] = type(instance)
    now, user = clock.now(), acting_user()
    instance.stamp_creation(now, user)
    columns = _columns(model)
    connection = connections[using]
    values = _values(instance, using)
    written = {*draft.values, *orm.STAMPS} - {field.attname}
    written |= {one.attname for one in columns if orm.computes_on_save(one)}
    sql = _statement(model, field.django_name, tuple(one.column for one in columns if one.attname in written), using)
    with connection.cursor() as cursor:
        newest = None if connection.vendor == "postgresql" else _newest(cursor, model)
        cursor.execute(sql, values)
        found = cursor.fetchone()
    if found is None:
        raise IntegrityError("A deleted record has the reference.")
    pk = found[0]
    instance.pk = draft.pk = pk
    draft.is_new = bool(found[1]) if newest is None else pk > newest
    draft.record_id = encode(object_type.key_prefix, pk)
    kind = ChangeType.CREATE if draft.is_new else ChangeType.UPDATE
    send_after_commit(model, [pk], kind, using, attnames=None if draft.is_new else written)


def _values(instance: models.Model, using: str) -> list[Any]:
    connection = connections[using]
    return [one.get_db_prep_save(one.pre_save(instance, True), connection) for one in _columns(type(instance))]


def _newest(cursor: Any, model: type[models.Model]) -> int:
    """Return the highest id that SQLite has given out: its statement does not tell whether it made a record.

    The transaction has the database to itself from its beginning, so nobody makes one in between.
    """
    cursor.execute("SELECT seq FROM sqlite_sequence WHERE name = %s", [model._meta.db_table])
    found = cursor.fetchone()
    return int(found[0]) if found else 0


@lru_cache(maxsize=1024)
def _statement(model: type[models.Model], name: str, written: Sequence[str], alias: str) -> str:
    connection = connections[alias]
    quote = connection.ops.quote_name
    table = quote(model._meta.db_table)
    assigned = ", ".join(f"{quote(one)} = excluded.{quote(one)}" for one in written)
    created = ", xmax = 0" if connection.vendor == "postgresql" else ""
    return (
        f"{_into(model, alias)} ON CONFLICT {_conflict_target(model, name, alias)} DO UPDATE SET {assigned} "
        f"WHERE NOT {table}.{quote('is_deleted')} RETURNING {quote(str(model._meta.pk.column))}{created}"
    )


@lru_cache(maxsize=256)
def _insertion(model: type[models.Model], alias: str) -> str:
    return f"{_into(model, alias)} RETURNING {connections[alias].ops.quote_name(str(model._meta.pk.column))}"


def _into(model: type[models.Model], alias: str) -> str:
    quote = connections[alias].ops.quote_name
    columns = [quote(str(one.column)) for one in _columns(model)]
    places = ", ".join(["%s"] * len(columns))
    return f"INSERT INTO {quote(model._meta.db_table)} ({', '.join(columns)}) VALUES ({places})"  # noqa: S608 - our names
