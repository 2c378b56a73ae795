"""What an sObject is: its name, its fields, what can be done to it, and who writes it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

from django.contrib.auth.models import AbstractUser
from django.db import models

from isthmus.access.policy import AnyUser
from isthmus.objects.errors import UnknownField
from isthmus.objects.results import Operation, SaveResult

__all__ = [
    "FieldKind",
    "FieldType",
    "LoneRowWriter",
    "ObjectType",
    "PicklistValue",
    "RowWriter",
    "Sharing",
    "SharingDefault",
]


class FieldKind(StrEnum):
    """The field types that every known client understands; a client stops at one it does not know."""

    ID = "id"
    STRING = "string"
    BOOLEAN = "boolean"
    INT = "int"
    LONG = "long"
    DOUBLE = "double"
    CURRENCY = "currency"
    PERCENT = "percent"
    DATE = "date"
    DATETIME = "datetime"
    TIME = "time"
    EMAIL = "email"
    PHONE = "phone"
    URL = "url"
    TEXTAREA = "textarea"
    PICKLIST = "picklist"
    MULTIPICKLIST = "multipicklist"
    REFERENCE = "reference"
    JSON = "json"
    BASE64 = "base64"

    @property
    def is_text(self) -> bool:
        """Whether values are free text with a length."""
        return self in _TEXTS

    @property
    def is_number(self) -> bool:
        """Whether values can be added up."""
        return self in _NUMBERS


_TEXTS = {
    FieldKind.STRING,
    FieldKind.EMAIL,
    FieldKind.PHONE,
    FieldKind.URL,
    FieldKind.TEXTAREA,
    FieldKind.PICKLIST,
    FieldKind.MULTIPICKLIST,
}
_NOT_COMPARED = {FieldKind.TEXTAREA, FieldKind.JSON, FieldKind.BASE64}
_NUMBERS = {FieldKind.INT, FieldKind.LONG, FieldKind.DOUBLE, FieldKind.CURRENCY, FieldKind.PERCENT}
_NOT_GROUPED = {
    FieldKind.DOUBLE,
    FieldKind.CURRENCY,
    FieldKind.PERCENT,
    FieldKind.DATETIME,
    FieldKind.TIME,
    FieldKind.MULTIPICKLIST,
}


@dataclass(frozen=True)
class PicklistValue:
    """One value that a picklist offers."""

    value: str
    label: str = ""


@dataclass(frozen=True, kw_only=True)
class FieldType:
    """One field of an sObject."""

    api_name: str
    label: str
    type: FieldKind
    django_name: str = ""
    """Name of the model's field; "" for a field that no model backs."""
    attname: str = ""
    """Name of the attribute that holds the raw value: `account_id` for the model's field `account`.

    Of a calculated value that has no column it is the path by which queries reach it: `first_name__full_name`.
    """
    createable: bool = True
    updateable: bool = True
    nillable: bool = True
    has_default: bool = False
    default_value: Any = None
    """The fixed default; `None` when there is none or it is computed."""
    length: int = 0
    """Characters of a text; 0 for other types and for texts without a limit."""
    precision: int = 0
    scale: int = 0
    reference_to: tuple[str, ...] = ()
    relationship_name: str = ""
    external_id: bool = False
    unique: bool = False
    case_sensitive: bool = False
    picklist_values: tuple[PicklistValue, ...] = ()
    restricted_picklist: bool = False
    auto_number: bool = False
    calculated: bool = False
    name_field: bool = False
    system: bool = False
    """A field that every record has and only the platform sets."""
    help_text: str = ""

    @property
    def custom(self) -> bool:
        """Whether the field is not one of the standard ones."""
        return self.api_name.endswith("__c")

    @property
    def required(self) -> bool:
        """Whether a new record must come with a value."""
        return self.createable and not self.nillable and not self.has_default

    @property
    def filterable(self) -> bool:
        """Whether a query may ask for its values: not for those of any length or shape."""
        return self.type not in _NOT_COMPARED

    @property
    def sortable(self) -> bool:
        """Whether a query may sort by it."""
        return self.filterable and self.type is not FieldKind.MULTIPICKLIST

    @property
    def groupable(self) -> bool:
        """Whether a query may group by it."""
        return self.filterable and self.type not in _NOT_GROUPED

    @property
    def aggregatable(self) -> bool:
        """Whether functions such as MAX may be asked of it."""
        return self.filterable and self.type not in {FieldKind.BOOLEAN, FieldKind.MULTIPICKLIST}

    @property
    def permissionable(self) -> bool:
        """Whether access is granted field by field; required and system fields come with the object."""
        return not self.system and not self.required and self.type is not FieldKind.ID


class RowWriter(Protocol):
    """Writes rows of one sObject; the write door calls it inside a transaction, after the object's permission."""

    def write(
        self,
        user: AnyUser,
        operation: Operation,
        rows: Sequence[Mapping[str, Any]],
        *,
        external_id_field: str | None,
        all_or_none: bool,
    ) -> list[SaveResult]:
        """Return one result a row, in order. Nothing of a failed row stays; with `all_or_none`, nothing of any."""


@runtime_checkable
class LoneRowWriter(Protocol):
    """A `RowWriter` that may need no transaction for one row."""

    def write_alone(
        self, user: AnyUser, operation: Operation, row: Mapping[str, Any], *, external_id_field: str | None
    ) -> SaveResult | None:
        """Write the row in one statement and return its result; `None`, and nothing was done, where it takes more."""


class SharingDefault(models.TextChoices):
    """What everybody may do to records that nothing shares with them."""

    PUBLIC = "public", "Public"
    READ_ONLY = "read_only", "Read-only for others"
    PRIVATE = "private", "Private"


@dataclass(frozen=True, kw_only=True)
class Sharing:
    """How the records of an object are shared."""

    default: SharingDefault = SharingDefault.PUBLIC
    owner: str = ""
    """The model's field that names the owning user; "" for records that nobody owns."""
    rule: Callable[[AbstractUser, str], models.Q] | None = None
    """Returns, for a user and `read` or `edit`, the condition of records that are shared with that user as well."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ObjectType:
    """One sObject. Models become one by `registry.expose`; apps register others as they like."""

    api_name: str
    label: str
    label_plural: str
    key_prefix: str
    fields_source: Callable[[], Sequence[FieldType]]
    """Returns the fields; asked late, because references name objects that may be registered later."""
    writer: RowWriter
    model: type[models.Model] | None = None
    createable: bool = True
    updateable: bool = True
    deletable: bool = True
    undeletable: bool = True
    queryable: bool = True
    sharing: Sharing | None = None
    """`None`: whoever may see the object sees every record."""
    track_changes: bool = False
    """Whether changes of its records are captured."""
    access: Callable[[AnyUser, str], bool] | None = None
    """Returns whether a user may `read`, `create`, `edit` or `delete`; `None`: grants of the kind `object` say so."""
    _index: dict[str, Any] = field(default_factory=dict, init=False, repr=False)
    """The fields by name, and the fields of which that was made: other ones ask for it anew."""

    @property
    def fields(self) -> Sequence[FieldType]:
        """The fields in the order in which describe lists them."""
        return self.fields_source()

    @property
    def custom(self) -> bool:
        """Whether the object is not one of the standard ones."""
        return "__" in self.api_name

    @property
    def external_ids(self) -> tuple[FieldType, ...]:
        """The fields by which outside systems know the records."""
        return tuple(one for one in self.fields if one.external_id)

    def find_field(self, api_name: str) -> FieldType | None:
        """Return the field of that API name, whatever its case; `None` when there is none."""
        fields = self.fields
        known = self._index.get("fields")
        if known is None or known[0] is not fields:
            known = self._index["fields"] = fields, {one.api_name.lower(): one for one in fields}
        found: FieldType | None = known[1].get(api_name.lower())
        return found

    def field(self, api_name: str) -> FieldType:
        """Return the field of that API name, whatever its case. Raises `UnknownField`."""
        found = self.find_field(api_name)
        if found is None:
            raise UnknownField(f"No such column '{api_name}' on sobject of type {self.api_name}", fields=[api_name])
        return found

    def allows(self, operation: Operation) -> bool:
        """Return whether records of this kind can undergo `operation` at all, whoever asks."""
        return {
            Operation.CREATE: self.createable,
            Operation.UPDATE: self.updateable,
            Operation.UPSERT: self.createable and self.updateable,
            Operation.DELETE: self.deletable,
            Operation.UNDELETE: self.undeletable,
        }[operation]

    def __str__(self) -> str:
        return self.api_name
