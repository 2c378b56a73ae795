"""Creating an sObject row of an event publishes it."""

import pytest
from django.contrib.auth import get_user_model

from events import registry
from events.models import OutboxEvent
from events.sobjects import declared_object_types
from isthmus.access.actions import assign, ensure_permission_set
from isthmus.access.errors import PermissionRefused
from isthmus.objects import catalogue
from isthmus.objects.actions import Operation, save
from isthmus.objects.registry import register_temporarily

pytestmark = pytest.mark.django_db


@pytest.fixture
def sobject(counted):
    declared = [event_type for event_type in registry.declared_events() if event_type is not counted.event_type]
    *_, object_type = declared_object_types([*declared, counted.event_type])
    with register_temporarily(object_type):
        yield object_type


@pytest.fixture
def publisher():
    user = get_user_model().objects.create_user("ada")
    assign(ensure_permission_set("P", "P", grants=[("event", "publish", "Counted__e")]), user)
    return user


def test_a_created_row_is_a_published_event(sobject, publisher):
    [result] = save(publisher, "counted__e", Operation.CREATE, [{"number__c": 5, "Note__c": "five"}])
    row = OutboxEvent.objects.get()
    assert (row.payload["Number__c"], row.payload["Note__c"]) == (5, "five")
    assert (result.success, result.created, result.id[:2], len(result.id)) == (True, True, "e0", 18)
    assert [(error.code, error.message) for error in result.errors] == [("OPERATION_ENQUEUED", str(row.event_uuid))]


def test_a_row_with_problems_is_refused_with_all_of_them(sobject, publisher):
    results = save(publisher, sobject, Operation.CREATE, [{"Number__c": 1}, {"Bogus__c": 1, "Note__c": "x" * 21}])
    assert [result.success for result in results] == [True, False]
    assert [error.code for error in results[1].errors] == ["INVALID_FIELD", "REQUIRED_FIELD_MISSING", "STRING_TOO_LONG"]
    assert OutboxEvent.objects.count() == 1


def test_all_or_none_leaves_nothing(sobject, publisher):
    results = save(publisher, sobject, Operation.CREATE, [{"Number__c": 1}, {}], all_or_none=True)
    assert [result.success for result in results] == [False, False]
    assert OutboxEvent.objects.count() == 0


@pytest.mark.parametrize("user", [None, "nobody"])
def test_who_was_not_granted_publishing_is_refused(sobject, user):
    if user:
        user = get_user_model().objects.create_user(user)
    with pytest.raises(PermissionRefused):
        save(user, sobject, Operation.CREATE, [{"Number__c": 1}])
    assert OutboxEvent.objects.count() == 0


@pytest.mark.parametrize("operation", [Operation.UPDATE, Operation.UPSERT, Operation.DELETE, Operation.UNDELETE])
def test_an_event_can_only_be_created(sobject, publisher, operation):
    [result] = save(publisher, sobject, operation, [{"Id": "e00000000000001AAA"}])
    assert (result.success, result.errors[0].code) == (False, "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY")


def test_the_sobject_has_the_fields_of_the_event(sobject):
    assert (sobject.createable, sobject.updateable, sobject.queryable) == (True, False, False)
    assert [(field.api_name, str(field.type), field.createable, field.required) for field in sobject.fields] == [
        ("ReplayId", "string", False, False),
        ("CreatedDate", "datetime", False, False),
        ("CreatedById", "reference", False, False),
        ("EventUuid", "string", False, False),
        ("Number__c", "double", True, True),
        ("Note__c", "string", True, False),
    ]


def test_the_62nd_event_has_a_prefix_too(counted):
    prefixes = [object_type.key_prefix for object_type in declared_object_types([counted.event_type] * 63)]
    assert (prefixes[0], prefixes[61], prefixes[62]) == ("e00", "e0z", "e10")


def test_usage_is_an_sobject_under_salesforces_name():
    usage = catalogue.get_object("PlatformEventUsageMetric")
    assert {"Name", "StartDate", "EndDate", "Value"} <= {field.api_name for field in usage.fields}
    assert (usage.createable, usage.updateable, usage.deletable, usage.queryable) == (False, False, False, True)
    assert next(value.value for value in usage.field("Name").picklist_values) == "PLATFORM_EVENTS_PUBLISHED"
