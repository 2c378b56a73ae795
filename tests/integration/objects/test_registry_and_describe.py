"""How models look as sObjects."""

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.contrib.sessions.models import Session

from crm.models import Account, Case, Contact
from isthmus.objects import catalogue
from isthmus.objects.describe import describe_object, summarize_object
from isthmus.objects.errors import InvalidExposure, NoRecordId, UnknownField, UnknownObject
from isthmus.objects.record_ids import record_id_of
from isthmus.objects.registry import ExposedField, FieldKind, all_objects, derived_key_prefix, expose, get_object

STANDARD = {
    "Account": "001",
    "Case": "500",
    "Contact": "003",
    "Lead": "00Q",
    "Opportunity": "006",
    "Order": "801",
    "User": "005",
}
UNDERSTOOD = {
    "id",
    "string",
    "boolean",
    "int",
    "long",
    "double",
    "currency",
    "percent",
    "date",
    "datetime",
    "time",
    "email",
    "phone",
    "url",
    "textarea",
    "picklist",
    "multipicklist",
    "combobox",
    "reference",
    "address",
    "location",
    "base64",
    "encryptedstring",
    "anyType",
    "complexvalue",
    "datacategorygroupreference",
    "masterrecord",
    "json",
}


def test_the_standard_objects_are_there_under_their_prefixes():
    assert {found.api_name: found.key_prefix for found in all_objects() if found.api_name in STANDARD} == STANDARD
    assert get_object("cOnTaCt") is get_object(Contact)
    with pytest.raises(UnknownObject) as unknown:
        get_object("Contacts")
    assert (unknown.value.code, unknown.value.status) == ("INVALID_TYPE", 404)


def test_fields_are_found_whatever_their_case():
    contact = get_object("Contact")
    assert contact.field("accountid").api_name == "AccountId"
    assert contact.find_field("Nonsense") is None
    with pytest.raises(UnknownField, match="No such column 'Nonsense' on sobject of type Contact"):
        contact.field("Nonsense")


@pytest.mark.parametrize(
    ("sobject", "unique"),
    [("Account", False), ("Contact", False), ("Lead", False), ("Opportunity", False), ("Case", True), ("Order", True)],
)
def test_outside_systems_know_records_by_their_reference(sobject, unique):
    [field] = get_object(sobject).external_ids
    assert (field.api_name, field.unique, field.case_sensitive, field.nillable) == (
        "External_Reference__c",
        unique,
        False,
        True,
    )


@pytest.mark.parametrize("sobject", STANDARD)
def test_every_description_uses_only_what_clients_understand(sobject):
    described = describe_object(get_object(sobject))
    assert described["keyPrefix"] == STANDARD[sobject]
    assert {field["type"] for field in described["fields"]} <= UNDERSTOOD
    names = [field["name"] for field in described["fields"]]
    assert names[0] == "Id"
    assert len(names) == len({name.lower() for name in names})
    assert len({tuple(field) for field in described["fields"]}) == 1, "every field has the same keys"


def test_a_field_is_described_as_clients_read_it():
    fields = {field["name"]: field for field in describe_object(get_object("Case"))["fields"]}
    wanted = ("type", "length", "nillable", "createable", "updateable", "referenceTo", "relationshipName", "soapType")
    assert {key: fields["AccountId"][key] for key in wanted} == {
        "type": "reference",
        "length": 18,
        "nillable": True,
        "createable": True,
        "updateable": True,
        "referenceTo": ["Account"],
        "relationshipName": "Account",
        "soapType": "tns:ID",
    }
    assert (fields["CaseNumber"]["autoNumber"], fields["CaseNumber"]["createable"]) == (True, False)
    assert (fields["IsClosed"]["calculated"], fields["IsClosed"]["type"]) == (True, "boolean")
    assert fields["Status"]["defaultedOnCreate"] is True
    assert [value["value"] for value in fields["Status"]["picklistValues"] if value["defaultValue"]] == ["New"]
    assert fields["External_Reference__c"]["custom"] is True
    assert fields["Id"]["nillable"] is False
    assert fields["SystemModstamp"]["updateable"] is False


def test_relationships_are_described_from_both_sides():
    children = {
        (child["childSObject"], child["field"]): (
            child["relationshipName"],
            child["cascadeDelete"],
            child["restrictedDelete"],
        )
        for child in describe_object(get_object("Account"))["childRelationships"]
    }
    assert children["Contact", "AccountId"] == ("Contacts", True, False)
    assert children["Case", "AccountId"] == ("Cases", False, False)
    assert children["Order", "AccountId"] == ("Orders", False, True)
    assert children["Account", "ParentId"] == ("Children", False, False)


@pytest.mark.django_db
def test_a_user_is_shown_what_they_may_see_and_do(user_with):
    user = user_with(
        ("object", "create", "Contact"), ("field", "read", "Contact.Email"), ("field", "edit", "Contact.Phone")
    )
    described = describe_object(get_object("Contact"), user=user)
    assert [described[key] for key in ("createable", "queryable", "updateable", "deletable")] == [
        True,
        True,
        False,
        False,
    ]
    fields = {field["name"]: field["updateable"] for field in described["fields"]}
    assert fields == {
        "Id": False,
        "LastName": True,
        "Phone": True,
        "Email": False,
        "IsDeleted": False,
        "CreatedDate": False,
        "CreatedById": False,
        "LastModifiedDate": False,
        "LastModifiedById": False,
        "SystemModstamp": False,
    }


def test_addresses_carry_the_asked_version():
    urls = summarize_object(get_object("Contact"), version="59.0")["urls"]
    assert urls == {
        "sobject": "/services/data/v59.0/sobjects/Contact",
        "describe": "/services/data/v59.0/sobjects/Contact/describe",
        "rowTemplate": "/services/data/v59.0/sobjects/Contact/{ID}",
    }


def test_users_are_objects_that_nobody_writes_here():
    user = get_object(get_user_model())
    assert (user.api_name, user.createable, user.updateable, user.deletable, user.track_changes) == (
        "User",
        False,
        False,
        False,
        False,
    )
    assert not any(field.createable or field.updateable for field in user.fields)
    assert "password" not in {field.django_name for field in user.fields}


# --- exposing a model of one's own -----------------------------------------------------------------------------------
@pytest.fixture
def catalogue_put_back():
    """Take away again what the test exposes."""
    before = {found.api_name for found in all_objects()}
    yield
    for found in all_objects():
        if found.api_name not in before:
            catalogue.unregister(found)


@pytest.mark.usefixtures("catalogue_put_back")
def test_a_plain_model_is_exposed_with_what_it_has():
    team = expose(Group, api_name="Team__c")
    assert [(field.api_name, field.type, field.required, field.unique) for field in team.fields] == [
        ("Id", FieldKind.ID, False, False),
        ("Name__c", FieldKind.STRING, True, True),
    ]
    assert team.key_prefix == derived_key_prefix("Team__c")
    assert team.key_prefix.startswith("a")
    assert (team.custom, team.track_changes, team.undeletable) == (True, False, False)
    assert record_id_of(Group(pk=1)).startswith(team.key_prefix)


@pytest.mark.usefixtures("catalogue_put_back")
def test_fields_are_named_by_pattern_or_by_hand():
    by_pattern = expose(Group, api_name="Team", fields=["name"])
    assert [field.api_name for field in by_pattern.fields] == ["Id", "Name"]
    catalogue.unregister(by_pattern)
    by_hand = expose(
        Group, api_name="Team", fields={"Title": ExposedField(source="name", label="Title", read_only=True)}
    )
    assert [(field.api_name, field.label, field.createable) for field in by_hand.fields][1] == ("Title", "Title", False)


@pytest.mark.usefixtures("catalogue_put_back")
@pytest.mark.parametrize(
    ("model", "options", "problem"),
    [
        (Account, {"api_name": "Firm"}, "exposed already, as Account"),
        (Group, {"api_name": "account"}, "named account is registered already"),
        (Group, {"api_name": "Team", "key_prefix": "001"}, "same key prefix 001"),
        (Group, {"api_name": "Team", "key_prefix": "01"}, "three letters or digits"),
        (Group, {"api_name": "My Team"}, "not an API name"),
        (Group, {"api_name": "Team", "fields": ["colour"]}, "has no field 'colour'"),
        (Group, {"api_name": "Team", "fields": ["permissions"]}, "is a ManyToManyField"),
        (Group, {"api_name": "Team", "external_ids": ["Colour"]}, r"no exposed fields: \['Colour'\]"),
        (Session, {"api_name": "Session"}, "no whole number as its primary key"),
    ],
)
def test_an_exposure_that_cannot_work_says_why(model, options, problem):
    before = all_objects()
    with pytest.raises(InvalidExposure, match=problem):
        expose(model, **options)
    assert all_objects() == before


def test_only_saved_records_have_an_id():
    with pytest.raises(NoRecordId):
        _ = Case().record_id
    with pytest.raises(NoRecordId):
        record_id_of(Group(pk=1))
