"""Keeps every version of every schema that an event was written with."""

from django.db import connection, transaction

from events.avro import AvroSchema
from events.errors import InvalidDefinition, UnknownSchema
from events.models import EventSchema

__all__ = ["existing", "forget", "get", "keep"]

_kept: set[str] = set()
_documents: dict[str, AvroSchema] = {}


def keep(schema: AvroSchema) -> str:
    """See to it that the schema is stored, and return its id. Asks the database once per process and schema.

    The writer of an event does this, not the relay: during a deployment the two may run different code.
    """
    schema_id = schema.schema_id
    if schema_id in _kept:
        return schema_id
    with transaction.atomic(savepoint=False):
        # Looked for first: to insert what another transaction has just inserted would be to wait for that one.
        if not EventSchema.objects.filter(pk=schema_id).exists():
            EventSchema.objects.bulk_create(
                [EventSchema(schema_id=schema_id, record_name=schema.record_name, document=schema.document)],
                ignore_conflicts=True,
            )
        # Only after the commit: if this transaction is rolled back, so is the row.
        transaction.on_commit(lambda: _remember(schema_id))
    return schema_id


def existing(schema: AvroSchema) -> str:
    """Return the id of a schema that is stored already. Raises `InvalidDefinition`."""
    if schema.schema_id not in _kept and not EventSchema.objects.filter(pk=schema.schema_id).exists():
        raise InvalidDefinition(f"The schema of {schema.record_name} is not in the database: run `manage.py migrate`.")
    return schema.schema_id


def get(schema_id: str) -> AvroSchema:
    """Return the schema of that id, whichever version of whatever event it is. Raises `UnknownSchema`."""
    found = _documents.get(schema_id)
    if found is None:
        row = EventSchema.objects.filter(pk=schema_id).first()
        if row is None:
            raise UnknownSchema(f"There is no schema {schema_id!r}.")
        found = row.as_avro()
        if not connection.in_atomic_block:
            _documents[schema_id] = found
    return found


def _remember(schema_id: str) -> None:
    # Tests run the hooks of a transaction that they roll back in the end.
    if not connection.in_atomic_block:
        _kept.add(schema_id)


def forget() -> None:
    """Ask the database again (its tables were emptied)."""
    _kept.clear()
    _documents.clear()
