"""Which models are records, and how they look: the door for every app's `objects.py`.

An app says in its `objects.py`, which is found by itself:

    from isthmus.objects.registry import expose
    from .models import Application

    expose(Application, api_name="Application__c", external_ids=["Application_Number__c"])
"""

from collections.abc import Callable, Iterable

from django.db import models

from isthmus.access.policy import AnyUser
from isthmus.objects.actions.rows import ModelRowWriter
from isthmus.objects.catalogue import (
    all_objects,
    get_object,
    object_of_model,
    object_of_prefix,
    register,
    register_temporarily,
)
from isthmus.objects.errors import InvalidExposure
from isthmus.objects.exposure import ExposedField, FieldChoice, ModelFields, derived_key_prefix
from isthmus.objects.object_types import (
    FieldKind,
    FieldType,
    ObjectType,
    PicklistValue,
    RowWriter,
    Sharing,
    SharingDefault,
)
from isthmus.objects.record_ids import is_key_prefix

__all__ = [
    "ExposedField",
    "FieldKind",
    "FieldType",
    "ObjectType",
    "PicklistValue",
    "RowWriter",
    "Sharing",
    "SharingDefault",
    "all_objects",
    "derived_key_prefix",
    "expose",
    "get_object",
    "object_of_model",
    "object_of_prefix",
    "register",
    "register_temporarily",
]


def expose(
    model: type[models.Model],
    *,
    api_name: str,
    label: str | None = None,
    label_plural: str | None = None,
    key_prefix: str | None = None,
    fields: FieldChoice = None,
    external_ids: Iterable[str] = (),
    track_changes: bool | None = None,
    read_only: bool = False,
    sharing: Sharing | None = None,
    access: Callable[[AnyUser, str], bool] | None = None,
) -> ObjectType:
    """Make `model` an sObject and return it.

    `key_prefix`: the three characters that its record ids begin with; `None` derives them from the name.
    `fields`: see `FieldChoice`; `None` exposes every column of a plain type. `external_ids`: API or model names.
    `sharing`: how records are shared; `None`: everybody who may see the object sees all of them, until an administrator
    says otherwise where the model has a field `owner`.
    `track_changes`: whether changes are captured unless an administrator says otherwise; `None`: those of records are.
    `access`: says whether a user may `read`, `create`, … such records, where grants of the kind `object` do not.
    Raises `InvalidExposure` with what is wrong.
    """
    is_record = getattr(model, "soft_deletes", False)
    _check(model, api_name)
    prefix = key_prefix or derived_key_prefix(api_name)
    if not is_key_prefix(prefix):
        raise InvalidExposure(f"{api_name}: a key prefix is three letters or digits, not {prefix!r}.")
    object_type = ObjectType(
        api_name=api_name,
        label=label or str(model._meta.verbose_name).capitalize(),
        label_plural=label_plural or str(model._meta.verbose_name_plural).capitalize(),
        key_prefix=prefix,
        fields_source=ModelFields(model, api_name, chosen=fields, external_ids=external_ids, read_only=read_only),
        writer=ModelRowWriter(model),
        model=model,
        createable=not read_only,
        updateable=not read_only,
        deletable=not read_only,
        undeletable=is_record and not read_only,
        sharing=sharing or _usual_sharing(model),
        track_changes=is_record if track_changes is None else track_changes,
        access=access,
    )
    register(object_type)
    return object_type


def _usual_sharing(model: type[models.Model]) -> Sharing | None:
    names_owner = any(field.name == "owner" and field.is_relation for field in model._meta.concrete_fields)
    return Sharing(owner="owner") if names_owner else None


def _check(model: type[models.Model], api_name: str) -> None:
    if not api_name.replace("_", "").isalnum() or not api_name[:1].isalpha():
        raise InvalidExposure(f"{api_name!r} is not an API name: letters, digits and underscores.")
    if not isinstance(model._meta.pk, models.AutoField | models.BigIntegerField | models.IntegerField):
        raise InvalidExposure(
            f"{model.__name__} has no whole number as its primary key; record ids are made from that."
        )
    if model._meta.proxy or model._meta.parents:
        raise InvalidExposure(f"{model.__name__} shares its table with another model; expose that one.")
