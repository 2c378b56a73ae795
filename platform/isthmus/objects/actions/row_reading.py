"""From what a caller sent to values that a record can take, or to errors that say why not.

Nothing here asks the database; what must be looked up is noted in the draft.
"""

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models

from isthmus.access.policy import AnyUser
from isthmus.objects import catalogue
from isthmus.objects.actions.drafts import Draft, Lookup
from isthmus.objects.actions.row_lookups import refuse_reference
from isthmus.objects.object_types import FieldKind, FieldType, ObjectType
from isthmus.objects.permissions import can_edit_field, can_read_field, may_refer_to
from isthmus.objects.wire_values import BadValue, from_wire

__all__ = ["RowReader"]

_NOT_WRITABLE = (
    "Unable to create/update fields: {}. Please check the security settings of this field and verify that it is "
    "read/write for your profile or permission set."
)


class RowReader:
    """Reads rows of one object for one user; what it learns about fields it keeps for the next row."""

    def __init__(self, user: AnyUser, object_type: ObjectType, model: type[models.Model]) -> None:
        self._user = user
        self._object_type = object_type
        self._model = model
        self._by_name = {field.api_name.lower(): field for field in object_type.fields}
        self._by_relationship = {
            field.relationship_name.lower(): field for field in object_type.fields if field.relationship_name
        }
        self._by_attname = {field.attname: field for field in object_type.fields}
        self._may_edit: dict[str, bool] = {}
        self._may_read: dict[str, bool] = {}

    def read(self, draft: Draft, *, skip: str = "") -> None:
        """Fill in the draft's values and lookups. `skip` names a field that is dealt with already."""
        unwritable: list[str] = []
        for name, given in draft.given.items():
            key = name.lower()
            if key in {"attributes", skip.lower()} or (key == "id" and not draft.is_new):
                continue
            try:
                self._read_one(draft, name, given, unwritable)
            except BadValue as bad:
                draft.errors.append(bad.error)
        if unwritable:
            draft.fail("INVALID_FIELD_FOR_INSERT_UPDATE", _NOT_WRITABLE.format(", ".join(unwritable)), *unwritable)
        self._settle_nulls(draft)

    def read_value(self, draft: Draft, field: FieldType) -> Any:
        """Return what the row has in `field`; `None` when it has nothing or nothing right, which is then noted."""
        given = next((value for name, value in draft.given.items() if name.lower() == field.api_name.lower()), None)
        try:
            return from_wire(field, given)
        except BadValue as bad:
            draft.errors.append(bad.error)
            return None

    def require_given(self, draft: Draft) -> None:
        """Note the required fields that a new record lacks, all in one error."""
        if not draft.is_new:
            return
        named = {lookup.reference.attname for lookup in draft.lookups}
        missing = [
            field.api_name
            for field in self._object_type.fields
            if field.required and draft.values.get(field.attname) in (None, "") and field.attname not in named
        ]
        # A field that was given, but wrongly, is not missing as well.
        blamed = {name for error in draft.errors for name in error.fields}
        if missing := [name for name in missing if name not in blamed]:
            draft.fail("REQUIRED_FIELD_MISSING", f"Required fields are missing: [{', '.join(missing)}]", *missing)

    def validate(self, draft: Draft) -> None:
        """Run the model's own validators and its `clean()` on the draft's instance."""
        instance = draft.instance
        if instance is None:
            return
        unchecked = {
            field.name
            for field in self._model._meta.concrete_fields
            # References are looked up in bulk; a field that was not given is not the caller's to mend.
            if isinstance(field, models.ForeignKey) or field.attname not in draft.values
        }
        try:
            instance.clean_fields(exclude=unchecked)
            instance.clean()
        except ValidationError as error:
            self._explain(draft, error)

    def _read_one(self, draft: Draft, name: str, given: Any, unwritable: list[str]) -> None:
        field = self._by_name.get(name.lower())
        relationship = self._by_relationship.get(name.lower()) if field is None else None
        meant = field or relationship
        if meant is None or not self._visible(meant):
            draft.fail("INVALID_FIELD", f"No such column '{name}' on sobject of type {self._object_type}", name)
        elif not self._writable(meant, draft):
            unwritable.append(meant.api_name)
        elif relationship is not None and given is not None:
            self._read_lookup(draft, relationship, name, given)
        else:
            draft.values[meant.attname] = from_wire(meant, given)

    def _read_lookup(self, draft: Draft, reference: FieldType, name: str, given: Any) -> None:
        named = (
            {key: value for key, value in given.items() if key != "attributes"} if isinstance(given, Mapping) else {}
        )
        if len(named) != 1 or not reference.reference_to:
            draft.fail("INVALID_FIELD", f"{name} takes one external id field and its value", name)
            return
        ((key, value),) = named.items()
        target = catalogue.get_object(reference.reference_to[0])
        if not may_refer_to(self._user, target):
            refuse_reference(draft, reference)
            return
        external_id = target.find_field(key)
        if external_id is not None and external_id.type is FieldKind.ID:
            draft.values[reference.attname] = from_wire(reference, value)
        elif external_id is None or not external_id.external_id or not can_read_field(self._user, target, external_id):
            draft.fail("INVALID_FIELD", f"{key} is not an external id of {target}", name)
        else:
            draft.lookups.append(Lookup(reference, external_id, from_wire(external_id, value)))

    def _settle_nulls(self, draft: Draft) -> None:
        """Give null its meaning field by field: empty, the default, or refused."""
        for attname in [name for name, value in draft.values.items() if value is None]:
            field = self._by_attname[attname]
            column = self._model._meta.get_field(field.django_name)
            if not isinstance(column, models.Field) or column.null:
                continue
            if draft.is_new and (field.has_default or not field.nillable):
                # Left to the model's default, or to be told as missing.
                del draft.values[attname]
            elif field.has_default:
                draft.values[attname] = column.get_default()
            elif field.type.is_text and field.nillable:
                draft.values[attname] = ""
            elif field.type is FieldKind.BOOLEAN:
                draft.values[attname] = False
            else:
                message = f"Required fields are missing: [{field.api_name}]"
                draft.fail("REQUIRED_FIELD_MISSING", message, field.api_name)

    def _visible(self, field: FieldType) -> bool:
        if field.api_name not in self._may_read:
            self._may_read[field.api_name] = can_read_field(self._user, self._object_type, field)
        return self._may_read[field.api_name]

    def _writable(self, field: FieldType, draft: Draft) -> bool:
        if not (field.createable if draft.is_new else field.updateable):
            return False
        if field.api_name not in self._may_edit:
            self._may_edit[field.api_name] = can_edit_field(self._user, self._object_type, field)
        return self._may_edit[field.api_name]

    def _explain(self, draft: Draft, error: ValidationError) -> None:
        by_name = {field.django_name: field.api_name for field in self._object_type.fields}
        found = error.message_dict if hasattr(error, "error_dict") else {"": error.messages}
        for name, messages in found.items():
            blamed = (by_name[name],) if name in by_name else ()
            for message in messages:
                draft.fail("FIELD_CUSTOM_VALIDATION_EXCEPTION", message, *blamed)
