"""Platform events as classes."""

from datetime import UTC, date, datetime

import pytest

from events import registry
from events.definitions import Checkbox, Date, DateTime, Number, PlatformEvent, Text
from events.errors import InvalidDefinition, UnknownEvent


@pytest.fixture(autouse=True)
def _registry():
    with registry.register_temporarily():
        yield


def declared():
    class OrderReady(PlatformEvent):
        """An order waits for its van."""

        api_name = "Order_Ready__e"
        order_number = Text("Order_Number__c", length=8, required=True)
        weight = Number("Weight__c")
        fragile = Checkbox("Fragile__c")
        day = Date("Day__c")
        packed_at = DateTime("Packed_At__c")

    return OrderReady


def test_values_are_attributes_and_the_payload_has_api_names():
    order = declared()(order_number="A1", weight=2.5)
    assert (order.order_number, order.weight, order.fragile, order.day) == ("A1", 2.5, False, None)
    kept, problems = order.payload()
    assert problems == []
    assert kept == {
        "Order_Number__c": "A1",
        "Weight__c": 2.5,
        "Fragile__c": False,
        "Day__c": None,
        "Packed_At__c": None,
    }


def test_everything_that_is_wrong_is_told_at_once():
    _, problems = declared()(colour="red", size=4, weight="heavy", fragile="perhaps").payload()
    assert [(problem.code, problem.fields) for problem in problems] == [
        ("INVALID_FIELD", ("colour",)),
        ("INVALID_FIELD", ("size",)),
        ("REQUIRED_FIELD_MISSING", ("Order_Number__c",)),
        ("INVALID_TYPE_ON_FIELD_IN_RECORD", ("Weight__c",)),
        ("INVALID_TYPE_ON_FIELD_IN_RECORD", ("Fragile__c",)),
    ]


def test_a_payload_from_outside_names_fields_in_any_case_and_unknown_ones_are_a_problem():
    made = declared().from_payload({"order_number__C": "A1", "CreatedDate": 5, "createdbyid": "x", "Bogus__c": 1})
    kept, problems = made.payload()
    assert kept["Order_Number__c"] == "A1"
    assert [(problem.code, problem.fields) for problem in problems] == [("INVALID_FIELD", ("Bogus__c",))]


def test_a_subscriber_gets_python_values_back():
    cls = declared()
    sent = cls(order_number="A1", day=date(2026, 1, 31), packed_at=datetime(2026, 1, 31, 12, tzinfo=UTC))
    received = cls.from_event(sent.payload()[0])
    assert (received.order_number, received.day, received.packed_at) == ("A1", sent.day, sent.packed_at)


def test_label_and_description_are_read_off_the_class():
    event_type = declared().event_type
    assert (event_type.label, event_type.description, event_type.topic) == (
        "Order Ready",
        "An order waits for its van.",
        "/event/Order_Ready__e",
    )


def test_fields_of_a_base_class_come_first():
    class Base:
        source = Text("Source__c")

    class Later(Base, PlatformEvent):
        api_name = "Later__e"
        number = Number("Number__c")

    assert [field.api_name for field in Later.event_type.fields] == ["Source__c", "Number__c"]


@pytest.mark.parametrize("name", ["Order", "Order__c", "1_Order__e", "Order__Ready__e", "x" * 42 + "__e"])
def test_a_wrong_api_name_is_refused(name):
    with pytest.raises(InvalidDefinition):
        type("Wrong", (PlatformEvent,), {"api_name": name})
    with pytest.raises(UnknownEvent):
        registry.get_event(name)


def test_two_fields_of_one_api_name_are_refused():
    with pytest.raises(InvalidDefinition, match="twice"):
        type("Wrong", (PlatformEvent,), {"api_name": "Wrong__e", "a": Text("A__c"), "b": Text("a__c")})


def test_two_classes_of_one_api_name_are_refused():
    declared()
    with pytest.raises(InvalidDefinition, match="both called"):
        type("Other", (PlatformEvent,), {"api_name": "order_ready__e"})


def test_an_event_without_a_name_is_refused():
    with pytest.raises(InvalidDefinition, match="no api_name"):
        type("Nameless", (PlatformEvent,), {})


def test_events_are_found_in_any_case():
    assert registry.get_event("ORDER_ready__E".replace("ORDER_ready__E", declared().api_name.upper())).api_name == (
        "Order_Ready__e"
    )
