"""What the triggers of one table have to note."""

from dataclasses import dataclass

from isthmus.objects.object_types import FieldKind, ObjectType

__all__ = ["TriggerPlan", "plan_for"]

_STAMPS = {"LastModifiedDate", "LastModifiedById", "SystemModstamp"}


@dataclass(frozen=True, kw_only=True)
class TriggerPlan:
    """One tracked table."""

    object_name: str
    table: str
    primary_key: str
    """Name of the column."""
    recorded: tuple[str, ...]
    """Columns whose values are noted."""
    telling: tuple[str, ...]
    """Columns of which one must change for an UPDATE to be noted."""
    hidden: tuple[str, ...]
    """Columns that are not noted: no exposed field shows them."""


def plan_for(object_type: ObjectType) -> TriggerPlan:
    """Return what to note of the changes of `object_type`, which has a model."""
    model = object_type.model
    if model is None:
        raise ValueError(f"{object_type.api_name} has no table.")
    columns = {field.attname: str(field.column) for field in model._meta.concrete_fields}
    shown = {
        field.attname: field.api_name
        for field in object_type.fields
        if field.attname and not field.calculated and field.type is not FieldKind.BASE64
    }
    recorded = [column for attname, column in columns.items() if attname in shown]
    telling = [column for attname, column in columns.items() if attname in shown and shown[attname] not in _STAMPS]
    primary_key = str(model._meta.pk.column)
    return TriggerPlan(
        object_name=object_type.api_name,
        table=model._meta.db_table,
        primary_key=primary_key,
        recorded=tuple(recorded),
        telling=tuple(column for column in telling if column != primary_key),
        hidden=tuple(column for column in columns.values() if column not in recorded),
    )
