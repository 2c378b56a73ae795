"""Whether a version of a definition may follow another."""

import pytest

from events import registry
from events.compatibility import incompatibilities
from events.definitions import Checkbox, Date, DateTime, LongText, Number, PlatformEvent, Text


def schema(**fields):
    with registry.register_temporarily():
        return type("Versioned", (PlatformEvent,), {"api_name": "Versioned__e", **fields}).event_type.schema


BEFORE = {"status": Text("Status__c"), "amount": Number("Amount__c", required=True)}


@pytest.mark.parametrize(
    "after",
    [
        BEFORE,
        {**BEFORE, "note": LongText("Note__c")},
        {**BEFORE, "urgent": Checkbox("Urgent__c", required=True)},
        {**BEFORE, "region": Text("Region__c", required=True, default="EU")},
        {**BEFORE, "status": LongText("Status__c")},
        {**BEFORE, "status": Text("Status__c", length=10)},
        {**BEFORE, "status": Text("Status__c", required=True, default="New")},
        {**BEFORE, "amount": Number("Amount__c")},
        {"amount": BEFORE["amount"]},
        {},
    ],
)
def test_versions_that_can_run_side_by_side(after):
    assert incompatibilities(schema(**BEFORE), schema(**after)) == []


@pytest.mark.parametrize(
    ("after", "problem"),
    [
        ({"note": Text("Note__c", required=True)}, "Note__c is new and required"),
        ({"status": Text("Status__c", required=True)}, "Status__c was not required"),
        ({"status": Number("Status__c")}, "Status__c was a Text and would be a Double"),
        ({"status": DateTime("Status__c")}, "Status__c was a Text and would be a DateTime"),
    ],
)
def test_versions_that_would_break_whoever_knows_the_other(after, problem):
    [found] = incompatibilities(schema(**BEFORE), schema(**{**BEFORE, **after}))
    assert problem in found


def test_a_day_does_not_become_a_moment_although_avro_has_one_type_for_both():
    [found] = incompatibilities(schema(at=Date("At__c")), schema(at=DateTime("At__c")))
    assert "At__c was a DateOnly and would be a DateTime" in found
