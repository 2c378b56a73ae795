"""How a Django model looks as an sObject: names, types and rules read off its fields."""

import hashlib
import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

from django.core.exceptions import FieldDoesNotExist
from django.db import models
from django.db.models.fields.generated import GeneratedField
from django.db.models.functions import Lower

from isthmus.objects import catalogue
from isthmus.objects.errors import InvalidExposure
from isthmus.objects.object_types import FieldKind, FieldType, PicklistValue

__all__ = ["ExposedField", "FieldChoice", "ModelFields", "derived_key_prefix", "unique_rule"]

AnyField: TypeAlias = "models.Field[Any, Any]"

_KINDS: dict[type[Any], FieldKind] = {
    models.AutoField: FieldKind.ID,
    models.BigAutoField: FieldKind.ID,
    models.SmallAutoField: FieldKind.ID,
    models.BooleanField: FieldKind.BOOLEAN,
    models.CharField: FieldKind.STRING,
    models.SlugField: FieldKind.STRING,
    models.EmailField: FieldKind.EMAIL,
    models.URLField: FieldKind.URL,
    models.TextField: FieldKind.TEXTAREA,
    models.SmallIntegerField: FieldKind.INT,
    models.PositiveSmallIntegerField: FieldKind.INT,
    models.IntegerField: FieldKind.INT,
    models.PositiveIntegerField: FieldKind.INT,
    models.BigIntegerField: FieldKind.LONG,
    models.PositiveBigIntegerField: FieldKind.LONG,
    models.DecimalField: FieldKind.DOUBLE,
    models.FloatField: FieldKind.DOUBLE,
    models.DateField: FieldKind.DATE,
    models.DateTimeField: FieldKind.DATETIME,
    models.TimeField: FieldKind.TIME,
    models.JSONField: FieldKind.JSON,
    models.ForeignKey: FieldKind.REFERENCE,
    models.OneToOneField: FieldKind.REFERENCE,
    models.BinaryField: FieldKind.BASE64,
    models.FileField: FieldKind.BASE64,
}
"""Exact classes: a subclass may hold what must not go out (an encrypted text, say), so it has to be named."""

_RECORD_FIELDS = {
    "IsDeleted": "is_deleted",
    "CreatedDate": "created_date",
    "CreatedById": "created_by",
    "LastModifiedDate": "last_modified_date",
    "LastModifiedById": "last_modified_by",
    "SystemModstamp": "system_modstamp",
}
_SYSTEM_NAMES = {*_RECORD_FIELDS.values(), "deletion"}
_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase


@dataclass(frozen=True, kw_only=True)
class ExposedField:
    """How one field of a model is shown, where what can be read off it is not enough."""

    source: str
    """The field's name in the model."""
    label: str = ""
    kind: FieldKind | None = None
    read_only: bool = False
    picklist: Sequence[str] = ()
    """Values to offer; others are accepted as well, unless they are the field's own `choices`."""
    auto_number: bool = False
    name_field: bool = False
    comes_with_object: bool = False
    """Whether everybody who sees the object sees the field."""
    computed: "AnyField | None" = None
    """What the values are like where `source` is no field but a transform of one: `first_name__full_name`."""


FieldChoice: TypeAlias = Mapping[str, str | ExposedField] | Iterable[str] | None
"""API name → model field; or names of model fields, whose API names follow the usual pattern; `None`: all but blobs."""


def derived_key_prefix(api_name: str, first: str = "a") -> str:
    """Return a key prefix that depends on nothing but the name, so that ids stay what they are."""
    digest = hashlib.sha256(api_name.lower().encode()).digest()
    return first + _BASE62[digest[0] % 62] + _BASE62[digest[1] % 62]


class ModelFields:
    """The fields of a model's sObject; made when first asked for, and again when more objects were registered."""

    def __init__(
        self,
        model: type[models.Model],
        api_name: str,
        *,
        chosen: FieldChoice,
        external_ids: Iterable[str],
        read_only: bool,
    ) -> None:
        self._model = model
        self._custom = api_name.endswith("__c")
        self._chosen = self._read_choice(chosen)
        self._external_ids = frozenset(external_ids)
        self._read_only = read_only
        self._made_for = -1
        self._made: tuple[FieldType, ...] = ()
        self._check()

    def __call__(self) -> Sequence[FieldType]:
        if self._made_for != catalogue.generation():
            self._made = tuple(self._make())
            self._made_for = catalogue.generation()
        return self._made

    def _check(self) -> None:
        known = {field.api_name for field in self._make()} | {field.django_name for field in self._make()}
        if unknown := self._external_ids - known:
            raise InvalidExposure(
                f"{self._model.__name__}: external ids that are no exposed fields: {sorted(unknown)}."
            )

    def _read_choice(self, chosen: FieldChoice) -> dict[str, ExposedField]:
        if chosen is None:
            names = [
                field.name
                for field in self._model._meta.concrete_fields
                if not field.primary_key
                and field.name not in _SYSTEM_NAMES
                and _KINDS.get(type(_valued(field)), FieldKind.BASE64) is not FieldKind.BASE64
            ]
            return {self._usual_name(name): ExposedField(source=name) for name in names}
        if isinstance(chosen, Mapping):
            return {
                api_name: given if isinstance(given, ExposedField) else ExposedField(source=given)
                for api_name, given in chosen.items()
            }
        return {self._usual_name(name): ExposedField(source=name) for name in chosen}

    def _usual_name(self, name: str) -> str:
        words = [word[:1].upper() + word[1:] for word in name.split("_")]
        if self._custom:
            return "_".join(words) + "__c"
        return "".join(words) + ("Id" if isinstance(self._field(name), models.ForeignKey) else "")

    def _field(self, name: str) -> AnyField:
        try:
            field = self._model._meta.get_field(name)
        except FieldDoesNotExist:
            raise InvalidExposure(f"{self._model.__name__} has no field {name!r}.") from None
        if not isinstance(field, models.Field) or not field.concrete:
            raise InvalidExposure(f"{self._model.__name__}.{name} has no column of its own.")
        return field

    def _make(self) -> Iterable[FieldType]:
        pk = self._model._meta.pk
        yield FieldType(
            api_name="Id",
            label=f"{_title(self._model._meta.verbose_name)} ID",
            type=FieldKind.ID,
            django_name="pk",
            attname=pk.attname,
            createable=False,
            updateable=False,
            nillable=False,
            has_default=True,
            length=18,
            reference_to=_names_of(self._model),
            system=True,
        )
        for api_name, exposed in self._chosen.items():
            yield self._field_type(api_name, exposed)
        if getattr(self._model, "soft_deletes", False):
            for api_name, name in _RECORD_FIELDS.items():
                yield self._field_type(api_name, ExposedField(source=name, read_only=True), system=True)

    def _field_type(self, api_name: str, exposed: ExposedField, *, system: bool = False) -> FieldType:
        if exposed.computed is not None:
            return self._computed_type(api_name, exposed, exposed.computed)
        field = self._field(exposed.source)
        valued = _valued(field)
        kind = self._kind(field, exposed)
        calculated = isinstance(field, GeneratedField)
        # A file goes to a storage, which no rollback empties.
        fixed = calculated or isinstance(field, models.FileField)
        writable = not (self._read_only or exposed.read_only or fixed or system)
        unique, case_sensitive = unique_rule(self._model, field)
        return FieldType(
            api_name=api_name,
            label=exposed.label or _title(field.verbose_name),
            type=kind,
            django_name=field.name,
            attname=field.attname,
            createable=writable,
            updateable=writable,
            nillable=field.null or ((kind.is_text or kind is FieldKind.BASE64) and field.blank),
            has_default=calculated or field.has_default() or field.has_db_default() or system,
            default_value=field.default if field.has_default() and not callable(field.default) else None,
            length=_length(valued, kind),
            precision=getattr(valued, "max_digits", None) or 0,
            scale=getattr(valued, "decimal_places", None) or 0,
            reference_to=_names_of(field.related_model) if kind is FieldKind.REFERENCE else (),
            relationship_name=_relationship_name(api_name) if kind is FieldKind.REFERENCE else "",
            external_id=bool(self._external_ids & {api_name, field.name}),
            unique=unique,
            case_sensitive=case_sensitive,
            picklist_values=_picklist(field, exposed),
            restricted_picklist=bool(field.choices),
            auto_number=exposed.auto_number,
            calculated=calculated and not exposed.auto_number,
            name_field=exposed.name_field or api_name == "Name",
            system=system or exposed.comes_with_object,
            help_text=str(field.help_text),
        )

    def _computed_type(self, api_name: str, exposed: ExposedField, valued: AnyField) -> FieldType:
        kind = exposed.kind or _KINDS[type(valued)]
        return FieldType(
            api_name=api_name,
            label=exposed.label or _title(api_name),
            type=kind,
            attname=exposed.source,
            createable=False,
            updateable=False,
            has_default=True,
            length=_length(valued, kind),
            calculated=True,
            name_field=exposed.name_field or api_name == "Name",
            system=exposed.comes_with_object,
        )

    def _kind(self, field: AnyField, exposed: ExposedField) -> FieldKind:
        if exposed.kind is not None:
            return exposed.kind
        if exposed.picklist or field.choices:
            return FieldKind.PICKLIST
        kind = _KINDS.get(type(_valued(field)))
        if kind is None:
            raise InvalidExposure(
                f"{self._model.__name__}.{field.name} is a {type(field).__name__}, which has no field type of its own. "
                "Name one, if its values may go out: ExposedField(source=…, kind=…)."
            )
        return kind


def unique_rule(model: type[models.Model], field: AnyField) -> tuple[bool, bool]:
    """Return whether live rows have different values in `field`, and whether letter case makes a difference."""
    if field.unique:
        return True, True
    for constraint in model._meta.constraints:
        if not isinstance(constraint, models.UniqueConstraint):
            continue
        if constraint.condition not in (None, models.Q(is_deleted=False)):
            continue
        if tuple(constraint.fields) == (field.name,):
            return True, True
        if _is_lower_of(constraint.expressions, field.name):
            return True, False
    return False, False


def _is_lower_of(expressions: Sequence[Any], name: str) -> bool:
    return (
        len(expressions) == 1
        and isinstance(expressions[0], Lower)
        and [getattr(source, "name", "") for source in expressions[0].get_source_expressions()] == [name]
    )


def _valued(field: AnyField) -> AnyField:
    return cast("AnyField", field.output_field) if isinstance(field, GeneratedField) else field


def _length(valued: AnyField, kind: FieldKind) -> int:
    if kind.is_text or isinstance(valued, models.BinaryField):
        return valued.max_length or 0
    return 18 if kind is FieldKind.REFERENCE else 0


def _names_of(model: Any) -> tuple[str, ...]:
    found = catalogue.object_of_model(model) if isinstance(model, type) else None
    return (found.api_name,) if found is not None else ()


def _relationship_name(api_name: str) -> str:
    return f"{api_name[:-3]}__r" if api_name.endswith("__c") else api_name.removesuffix("Id")


def _picklist(field: AnyField, exposed: ExposedField) -> tuple[PicklistValue, ...]:
    if exposed.picklist:
        return tuple(PicklistValue(value, value) for value in exposed.picklist)
    return tuple(PicklistValue(str(value), str(label)) for value, label in field.flatchoices)


def _title(text: Any) -> str:
    return " ".join(word[:1].upper() + word[1:] for word in str(text).split())
