"""What clients learn about an sObject before they use it: Salesforce's describe, key by key.

Shape: https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/resources_sobject_describe.htm
"""

from typing import Any

from django.db.models.deletion import CASCADE, PROTECT, RESTRICT

from isthmus.access.policy import AnyUser
from isthmus.objects import catalogue
from isthmus.objects.object_types import FieldKind, FieldType, ObjectType, PicklistValue
from isthmus.objects.permissions import can_edit_field, can_read_field, may, may_refer_to, readable_children
from isthmus.objects.relationships import ChildRelationship, child_relationships, on_delete

__all__ = ["API_VERSION", "describe_object", "summarize_object"]

API_VERSION = "67.0"
"""The version that the addresses name unless the caller asks for another one."""

_SOAP_TYPES = {
    FieldKind.ID: "tns:ID",
    FieldKind.REFERENCE: "tns:ID",
    FieldKind.BOOLEAN: "xsd:boolean",
    FieldKind.INT: "xsd:int",
    FieldKind.LONG: "xsd:long",
    FieldKind.DOUBLE: "xsd:double",
    FieldKind.CURRENCY: "xsd:double",
    FieldKind.PERCENT: "xsd:double",
    FieldKind.DATE: "xsd:date",
    FieldKind.DATETIME: "xsd:dateTime",
    FieldKind.TIME: "xsd:time",
    FieldKind.JSON: "xsd:anyType",
    FieldKind.BASE64: "xsd:base64Binary",
}
_NUMBERS = {FieldKind.DOUBLE, FieldKind.CURRENCY, FieldKind.PERCENT}
_FALSE_OF_OBJECT = (
    "activateable",
    "compactLayoutable",
    "customSetting",
    "deepCloneable",
    "deprecatedAndHidden",
    "feedEnabled",
    "hasSubtypes",
    "isInterface",
    "isSubtype",
    "layoutable",
    "listviewable",
    "lookupLayoutable",
    "mergeable",
    "mruEnabled",
    "searchLayoutable",
)
_NULL_OF_OBJECT = (
    "associateEntityType",
    "associateParentEntity",
    "defaultImplementation",
    "extendedBy",
    "extendsInterfaces",
    "implementedBy",
    "implementsInterfaces",
    "interfaceImplementations",
    "networkScopeFieldName",
    "sobjectDescribeOption",
)
_EMPTY_OF_OBJECT = ("actionOverrides", "namedLayoutInfos", "recordTypeInfos")
_FALSE_OF_FIELD = (
    "aiPredictionField",
    "dependentPicklist",
    "deprecatedAndHidden",
    "displayLocationInDecimal",
    "encrypted",
    "formulaTreatNullNumberAsZero",
    "highScaleNumber",
    "htmlFormatted",
    "namePointing",
    "polymorphicForeignKey",
    "queryByDistance",
    "searchPrefilterable",
    "writeRequiresMasterRead",
)
_NULL_OF_FIELD = (
    "calculatedFormula",
    "compoundFieldName",
    "controllerName",
    "defaultValueFormula",
    "filteredLookupInfo",
    "mask",
    "maskType",
    "referenceTargetField",
    "relationshipOrder",
)


def summarize_object(object_type: ObjectType, *, user: AnyUser = None, version: str = API_VERSION) -> dict[str, Any]:
    """Return the entry of the list of all objects. With a `user`, what that user may do; else what is possible."""
    path = f"/services/data/v{version}/sobjects/{object_type.api_name}"
    return {
        "name": object_type.api_name,
        "label": object_type.label,
        "labelPlural": object_type.label_plural,
        "keyPrefix": object_type.key_prefix,
        "custom": object_type.custom,
        "createable": object_type.createable and _may(user, "create", object_type),
        "updateable": object_type.updateable and _may(user, "edit", object_type),
        "deletable": object_type.deletable and _may(user, "delete", object_type),
        "undeletable": object_type.undeletable and _may(user, "delete", object_type),
        "queryable": object_type.queryable and _may(user, "read", object_type),
        "retrieveable": object_type.queryable and _may(user, "read", object_type),
        "replicateable": object_type.find_field("SystemModstamp") is not None,
        "searchable": object_type.queryable and object_type.model is not None,
        "triggerable": object_type.track_changes,
        **dict.fromkeys(_FALSE_OF_OBJECT, False),
        **dict.fromkeys(_NULL_OF_OBJECT),
        "urls": {"sobject": path, "describe": f"{path}/describe", "rowTemplate": f"{path}/{{ID}}"},
    }


def describe_object(object_type: ObjectType, *, user: AnyUser = None, version: str = API_VERSION) -> dict[str, Any]:
    """Return the full description. With a `user`, only the fields that this user sees, as this user may use them."""
    fields = [field for field in object_type.fields if user is None or can_read_field(user, object_type, field)]
    children = child_relationships(object_type) if user is None else readable_children(user, object_type)
    return {
        **summarize_object(object_type, user=user, version=version),
        **{name: [] for name in _EMPTY_OF_OBJECT},
        "supportedScopes": [{"label": f"All {object_type.label_plural.lower()}", "name": "everything"}],
        "childRelationships": [_describe_child(child) for child in children],
        "fields": [_describe_field(field, object_type, user) for field in fields],
    }


def _describe_field(field: FieldType, object_type: ObjectType, user: AnyUser) -> dict[str, Any]:
    editable = user is None or can_edit_field(user, object_type, field)
    is_id = field.type is FieldKind.ID
    targets = [] if is_id else [name for name in field.reference_to if _may_name(user, name)]
    return {
        "name": field.api_name,
        "label": field.label,
        "type": field.type.value,
        "soapType": _SOAP_TYPES.get(field.type, "xsd:string"),
        "length": field.length,
        "byteLength": field.length * 3 if field.type.is_text else field.length,
        "digits": {FieldKind.INT: 9, FieldKind.LONG: 18}.get(field.type, 0),
        "precision": field.precision or (18 if field.type in _NUMBERS else 0),
        "scale": field.scale,
        "nillable": field.nillable,
        "createable": field.createable and editable,
        "updateable": field.updateable and editable,
        "permissionable": field.permissionable,
        "filterable": field.filterable,
        "sortable": field.sortable,
        "groupable": field.groupable,
        "aggregatable": field.aggregatable,
        "unique": field.unique,
        "caseSensitive": field.case_sensitive,
        "externalId": field.external_id,
        "idLookup": is_id or field.external_id,
        "custom": field.custom,
        "calculated": field.calculated,
        "autoNumber": field.auto_number,
        "nameField": field.name_field,
        "defaultValue": False if field.type is FieldKind.BOOLEAN and not field.default_value else field.default_value,
        "defaultedOnCreate": field.has_default,
        "inlineHelpText": field.help_text or None,
        "extraTypeInfo": "plaintextarea" if field.type is FieldKind.TEXTAREA else None,
        "restrictedPicklist": field.restricted_picklist,
        "picklistValues": [_describe_value(field, value) for value in field.picklist_values],
        "referenceTo": targets,
        "relationshipName": (field.relationship_name or None) if targets else None,
        "cascadeDelete": on_delete(field, object_type) is CASCADE,
        "restrictedDelete": on_delete(field, object_type) in (PROTECT, RESTRICT),
        **dict.fromkeys(_FALSE_OF_FIELD, False),
        **dict.fromkeys(_NULL_OF_FIELD),
    }


def _describe_value(field: FieldType, value: PicklistValue) -> dict[str, Any]:
    return {
        "value": value.value,
        "label": value.label or value.value,
        "active": True,
        "defaultValue": value.value == field.default_value,
        "validFor": None,
    }


def _describe_child(child: ChildRelationship) -> dict[str, Any]:
    return {
        "childSObject": child.owner.api_name,
        "field": child.field.api_name,
        "relationshipName": child.name,
        "cascadeDelete": on_delete(child.field, child.owner) is CASCADE,
        "restrictedDelete": on_delete(child.field, child.owner) in (PROTECT, RESTRICT),
        "deprecatedAndHidden": False,
        "junctionIdListNames": [],
        "junctionReferenceTo": [],
    }


def _may_name(user: AnyUser, object_name: str) -> bool:
    return user is None or may_refer_to(user, catalogue.get_object(object_name))


def _may(user: AnyUser, action: str, object_type: ObjectType) -> bool:
    return user is None or may(user, object_type, action)
