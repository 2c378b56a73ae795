"""Fields with several values of a list: written, read and asked for."""

import pytest

from isthmus.objects import catalogue
from isthmus.objects.models import ChangeTracking
from isthmus.objects.object_types import FieldKind
from isthmus.objects.registry import ExposedField, expose

pytestmark = pytest.mark.django_db

COLOURS = ("red", "green", "100%", "deep red")


@pytest.fixture
def door(make_caller):
    colours = ExposedField(source="object_name", kind=FieldKind.MULTIPICKLIST, picklist=COLOURS)
    exposed = expose(ChangeTracking, api_name="Paint__c", fields={"Colours__c": colours, "On__c": "is_on"})
    try:
        yield make_caller("painter", [("object", "create", "Paint__c")])[1]
    finally:
        catalogue.unregister(exposed)


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("Colours__c INCLUDES ('red')", ["red", "red;green"]),
        ("Colours__c INCLUDES ('RED;green', '100%')", ["100%;deep red", "red;green"]),
        ("Colours__c INCLUDES ('deep red')", ["100%;deep red"]),
        ("Colours__c INCLUDES ('deep%')", []),
        ("Colours__c EXCLUDES ('red')", ["100%;deep red"]),
        ("NOT Colours__c EXCLUDES ('red', '100%')", ["100%;deep red", "red", "red;green"]),
        ("Colours__c = 'red;green'", ["red;green"]),
    ],
)
def test_values_are_included_or_not(door, where, expected):
    for given in ("red", "red; green ;red", "100%;deep red"):
        assert door.post("sobjects/Paint__c", {"Colours__c": given, "On__c": True}).status_code == 201
    found = [one["Colours__c"] for one in door.query(f"SELECT Colours__c FROM Paint__c WHERE {where}")]
    assert sorted(found) == expected


def test_what_lists_of_values_cannot(door):
    for soql in (
        "SELECT Id FROM Paint__c ORDER BY Colours__c",
        "SELECT COUNT(Id) FROM Paint__c GROUP BY Colours__c",
        "SELECT MAX(Colours__c) FROM Paint__c",
        "SELECT Id FROM Paint__c WHERE Colours__c INCLUDES (1)",
    ):
        answer = door.get("query", q=soql)
        assert (answer.status_code, answer.json()[0]["errorCode"]) == (400, "INVALID_FIELD")
    described = door.get("sobjects/Paint__c/describe").json()["fields"]
    field = next(one for one in described if one["name"] == "Colours__c")
    assert (field["type"], [one["value"] for one in field["picklistValues"]]) == ("multipicklist", list(COLOURS))
