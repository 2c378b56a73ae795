"""Platform events that are defined while everything runs."""

import pytest
from django.db import transaction
from django.urls import reverse

from events import actions, bus, made_definitions, registry, schemas
from events.actions.defining import save_definition
from events.definitions import Number, PlatformEvent, Text
from events.encoding import from_avro, to_avro
from events.errors import EventRefused, InvalidDefinition, UnknownEvent
from events.models import EventDefinition, EventFieldDefinition, EventLogEntry, Topic
from events.testing import subscribed
from isthmus.audit.models import AuditEntry
from isthmus.objects import catalogue
from isthmus.objects.actions.write_door import save
from isthmus.objects.errors import UnknownObject
from isthmus.objects.results import Operation
from tests import console_samples as samples

pytestmark = pytest.mark.django_db


def field(api_name, kind="Text", **given):
    return EventFieldDefinition(api_name=api_name, kind=kind, **given)


@pytest.fixture
def arrived(event_bus):
    """An event that an administrator made."""
    fields = [
        field("Truck__c", is_required=True, length=10),
        field("Weight__c", "Number", precision=6, scale=2),
        field("Cold__c", "Checkbox", default_value="true"),
        field("Day__c", "Date"),
        field("At__c", "DateTime"),
        field("Note__c", "LongText"),
        field("Order__c", "RecordIdField"),
    ]
    return save_definition(EventDefinition(api_name="Arrived__e", label="Arrived"), fields, retention_hours=5)


def test_it_is_published_and_read_like_any_other(arrived, event_bus, seen):
    event_class = registry.get_event("arrived__E").declared
    with subscribed(seen, "Arrived__e"):
        event_class(truck="T1", weight="1.239", day="2026-06-01", order="001000000000001").publish()
        event_bus.deliver()
    [[event]] = seen.calls
    assert event.payload["Truck__c"] == "T1"
    assert (event.payload["Weight__c"], event.payload["Cold__c"]) == (1.24, True)
    assert event.payload["Order__c"] == "001000000000001AAA"
    schema = schemas.get(event.schema_id)
    assert from_avro(schema, to_avro(schema, event.payload)) == event.payload
    assert Topic.objects.get(name="/event/Arrived__e").retention_hours == 5


def test_what_does_not_fit_the_definition_is_refused_with_every_problem(arrived):
    with pytest.raises(EventRefused) as refused:
        registry.get_event("Arrived__e").declared.from_payload({"Truck__c": "x" * 11, "Nope__c": 1}).publish()
    assert {problem.code for problem in refused.value.problems} == {"STRING_TOO_LONG", "INVALID_FIELD"}


def test_it_is_an_sobject_that_is_created_through_the_write_door(arrived, admin_user, event_bus):
    [result] = save(admin_user, "Arrived__e", Operation.CREATE, [{"Truck__c": "T2"}])
    assert result.success
    assert event_bus.published("Arrived__e")[0]["Truck__c"] == "T2"
    assert [found.api_name for found in catalogue.get_object("Arrived__e").fields][-7:][0] == "Truck__c"


def test_another_process_learns_of_a_new_event_when_it_is_asked_for_it(event_bus):
    with pytest.raises(UnknownEvent):
        registry.get_event("Later__e")
    with pytest.raises(UnknownObject):
        catalogue.get_object("Later__e")
    fields = [field("A__c")]
    definition = save_definition(EventDefinition(api_name="Later__e", label="Later"), fields)
    assert registry.get_event("Later__e").label == "Later"
    assert catalogue.get_object("Later__e").label == "Later"
    assert "Later__e" in [found.api_name for found in registry.all_events()]
    definition.is_active = False
    save_definition(definition, fields)
    with pytest.raises(UnknownEvent):
        registry.get_event("Later__e")


def test_a_definition_that_is_rolled_back_is_none(event_bus):
    with transaction.atomic():
        save_definition(EventDefinition(api_name="Undone__e", label="Undone"), [field("A__c")])
        assert registry.find_event("Undone__e") is not None
        transaction.set_rollback(True)
    made_definitions.forget()
    assert registry.find_event("Undone__e") is None


def test_a_new_version_has_a_new_schema_and_the_old_one_stays_with_its_events(arrived, event_bus):
    event_class = registry.get_event("Arrived__e").declared
    event_class(truck="T1").publish()
    event_bus.relay()
    old = arrived.schema_id
    kept = [found for found in arrived.fields.all() if found.api_name == "Truck__c"]
    save_definition(arrived, [*kept, field("Gate__c", is_required=True, default_value="A")])
    registry.get_event("Arrived__e").declared(truck="T2").publish()
    event_bus.relay()
    first, second = EventLogEntry.objects.filter(topic=arrived.topic).order_by("replay_id")
    assert first.schema_id == old
    assert second.schema_id == arrived.schema_id != old
    assert second.payload["Gate__c"] == "A"
    assert "Weight__c" not in second.payload
    assert "Weight__c" in schemas.get(old).document


def test_a_field_may_be_called_what_an_event_has_itself(event_bus):
    names = ["Label__c", "Event_Uuid__c", "Publish__c", "Class__c"]
    save_definition(EventDefinition(api_name="Odd__e", label="Odd"), [field(name) for name in names])
    event_type = registry.get_event("Odd__e")
    event_type.declared.from_payload({name: name for name in names}).publish()
    [payload] = event_bus.published("Odd__e")
    assert {name: payload[name] for name in names} == {name: name for name in names}
    assert event_type.label == "Odd"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ([field("Gate__c", is_required=True)], "Gate__c is new and required"),
        ([field("Weight__c", "Text")], "Weight__c was a Double"),
        ([field("Day__c", "DateTime")], "Day__c was a DateOnly"),
        ([field("No good")], "is not a field's API name"),
        ([field("A__c"), field("a__c")], "declares fields twice: a__c"),
        ([field("A__c", length=300)], "length"),
        ([field("A__c", "Number", default_value="many")], "default of A__c"),
    ],
)
def test_a_change_that_breaks_what_runs_or_makes_no_sense_is_refused(arrived, change, complaint):
    with pytest.raises(InvalidDefinition, match=complaint):
        save_definition(arrived, change)
    assert arrived.fields.count() == 7


def test_an_event_keeps_its_name(arrived):
    arrived.api_name = "Departed__e"
    with pytest.raises(InvalidDefinition, match="Arrived__e keeps its API name"):
        save_definition(arrived, [field("A__c")])


def test_an_event_that_was_taken_out_of_use_may_come_back_otherwise(arrived):
    kept = list(arrived.fields.all())
    arrived.is_active = False
    save_definition(arrived, kept)
    arrived.is_active = True
    save_definition(arrived, [field("Weight__c", "Text")])
    assert [found.api_name for found in registry.get_event("Arrived__e").fields] == ["Weight__c"]


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"api_name": "Arrived"}, "API name"),
        ({"api_name": "X__e", "partition_key": "Nope__c"}, "is no field"),
        ({"api_name": "Counted__e"}, "code declares"),
        ({"api_name": "ARRIVED__e"}, "already"),
    ],
)
def test_a_definition_that_makes_no_sense_is_refused(arrived, counted, given, complaint):
    with pytest.raises(InvalidDefinition, match=complaint):
        save_definition(EventDefinition(label="X", **given), [field("A__c")])


def test_synchronising_the_code_leaves_it_alone(arrived, event_bus):
    actions.synchronise(event_bus.log)
    arrived.refresh_from_db()
    assert arrived.is_active
    assert arrived.topic.retention_hours == 5


def test_a_change_of_the_code_that_breaks_what_runs_stops_the_migration(event_bus, counted):
    actions.synchronise(event_bus.log)
    with registry.register_temporarily():
        registry._events.clear()

        class Counted(PlatformEvent):
            api_name = "Counted__e"
            number = Text("Number__c", required=True)

        with pytest.raises(InvalidDefinition, match="Counted__e: Number__c was a Double"):
            actions.synchronise(event_bus.log)


# --- the screens ------------------------------------------------------------------------------------------------------
def posted(*fields, initial=0, **given):
    data = {
        "api_name": "Shipped__e",
        "label": "Shipped",
        "is_active": "on",
        "publish_behavior": "PublishAfterCommit",
        "retention_hours": "48",
        "fields-TOTAL_FORMS": str(len(fields)),
        "fields-INITIAL_FORMS": str(initial),
        **given,
    }
    for place, values in enumerate(fields):
        data |= {f"fields-{place}-{name}": str(value) for name, value in values.items()}
    return data


NUMBER = {"api_name": "Number__c", "kind": "Text", "is_required": "on"}


def test_an_administrator_defines_an_event(admin_client, event_bus):
    answer = admin_client.post(
        reverse("admin:events_eventdefinition_add"), posted(NUMBER, {"api_name": "Weight__c", "kind": "Number"})
    )
    assert answer.status_code == 302
    definition = EventDefinition.objects.get(api_name="Shipped__e")
    assert [found.api_name for found in definition.fields.all()] == ["Number__c", "Weight__c"]
    assert definition.topic.retention_hours == 48
    [result] = bus.publish([registry.get_event("Shipped__e").declared(number="1")])
    assert result.success
    assert AuditEntry.objects.filter(action="events.definition_changed", target="Shipped__e").exists()
    page = admin_client.get(reverse("admin:events_eventdefinition_change", args=[definition.pk]))
    assert 'value="48"' in page.content.decode()


def test_the_form_refuses_a_change_that_breaks_what_runs(admin_client, event_bus):
    definition = save_definition(EventDefinition(api_name="Shipped__e", label="Shipped"), [field("Number__c")])
    kept = {"id": definition.fields.get().pk, "api_name": "Number__c", "kind": "Number"}
    address = reverse("admin:events_eventdefinition_change", args=[definition.pk])
    answer = admin_client.post(address, posted(kept, initial=1))
    assert answer.status_code == 200
    assert "Number__c was a Text and would be a Double" in answer.content.decode()
    assert definition.fields.get().kind == "Text"


def test_a_field_is_taken_away_on_the_form(admin_client, event_bus):
    definition = save_definition(
        EventDefinition(api_name="Shipped__e", label="Shipped"), [field("Number__c"), field("Old__c")]
    )
    first, second = definition.fields.all()
    rows = [
        {"id": first.pk, "api_name": "Number__c", "kind": "Text"},
        {"id": second.pk, "api_name": "Old__c", "kind": "Text", "DELETE": "on"},
    ]
    address = reverse("admin:events_eventdefinition_change", args=[definition.pk])
    assert admin_client.post(address, posted(*rows, initial=2)).status_code == 302
    assert [found.api_name for found in definition.fields.all()] == ["Number__c"]


def test_what_the_code_declares_is_shown_and_cannot_be_changed(admin_client, event_bus, counted):
    actions.synchronise(event_bus.log)
    definition = EventDefinition.objects.get(api_name="Counted__e")
    address = reverse("admin:events_eventdefinition_change", args=[definition.pk])
    assert admin_client.get(address).status_code == 200
    assert admin_client.post(address, posted(NUMBER)).status_code == 403


def test_an_event_is_published_from_its_form(admin_client, arrived, event_bus):
    address = reverse("events:publish", args=["Arrived__e"])
    page = admin_client.get(address).content.decode()
    assert 'name="Truck__c"' in page
    answer = admin_client.post(address, {"Truck__c": "T9", "At__c": "2026-01-31T12:00:00Z"}, follow=True)
    assert "Published. Subscribers know it as" in answer.content.decode()
    [payload] = event_bus.published("Arrived__e")
    assert (payload["Truck__c"], payload["Cold__c"]) == ("T9", False)


def test_the_form_shows_every_problem_beside_its_field_and_keeps_what_was_entered(admin_client, arrived, event_bus):
    answer = admin_client.post(reverse("events:publish", args=["Arrived__e"]), {"Weight__c": "heavy", "Note__c": "<b>"})
    page = answer.content.decode()
    assert "Required fields are missing: [Truck__c]" in page
    assert "Weight__c takes a number" in page
    assert "&lt;b&gt;" in page
    assert event_bus.published("Arrived__e") == []


def test_whoever_may_not_publish_the_event_is_told(client, arrived, event_bus):
    client.force_login(samples.user_with("operate"))
    answer = client.post(reverse("events:publish", args=["Arrived__e"]), {"Truck__c": "T9"})
    assert "publish" in answer.content.decode()
    assert event_bus.published("Arrived__e") == []


def test_there_is_no_form_for_an_event_that_is_none(admin_client, event_bus):
    assert admin_client.get(reverse("events:publish", args=["Nope__e"])).status_code == 404


def test_a_definition_uses_the_types_of_the_code(arrived):
    kinds = {type(found).__name__ for found in registry.get_event("Arrived__e").fields}
    assert {"Text", "Number", "Checkbox", "Date", "DateTime", "LongText", "RecordIdField"} == kinds
    assert isinstance(registry.get_event("Arrived__e").fields[1], Number)
