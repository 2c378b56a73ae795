"""Publishing: in the caller's transaction, checked first, all problems at once."""

import contextlib
import uuid

import pytest
from django.contrib.auth import get_user_model
from django.db import transaction
from django.test import override_settings

from events import bus
from events.definitions import LongText
from events.errors import EventRefused
from events.models import EventSchema, OutboxEvent
from isthmus import correlation
from isthmus.access.actions import assign, ensure_permission_set
from isthmus.access.errors import PermissionRefused
from isthmus.objects.capture import acting_as
from isthmus.objects.record_ids import record_id_of

pytestmark = pytest.mark.django_db(transaction=True)


class Undo(Exception):
    pass


def publish_and_undo(event):
    with contextlib.suppress(Undo), transaction.atomic():
        event.publish()
        raise Undo


def test_an_event_waits_in_the_outbox_with_its_schema_and_correlation(counted, moving_clock):
    user = get_user_model().objects.create_user("ada")
    with correlation.bind("abc"), acting_as(user):
        result = counted(number=1, note="first").publish()
    row = OutboxEvent.objects.get()
    assert result == bus.PublishResult(success=True, event_uuid=row.event_uuid)
    assert (row.topic.name, row.correlation_id) == ("/event/Counted__e", "abc")
    assert row.payload == {
        "CreatedDate": "2026-06-01T12:00:00.000Z",
        "CreatedById": record_id_of(user),
        "Number__c": 1,
        "Note__c": "first",
    }
    assert row.schema.document == counted.event_type.schema.document


def test_a_rolled_back_transaction_leaves_nothing(counted):
    publish_and_undo(counted(number=1))
    assert OutboxEvent.objects.count() == 0
    # The schema went with it; the next publisher writes it again.
    counted(number=2).publish()
    assert EventSchema.objects.filter(record_name="Counted__e").count() == 1


def test_a_rolled_back_savepoint_leaves_only_what_was_published_outside_it(counted):
    with transaction.atomic():
        counted(number=1).publish()
        publish_and_undo(counted(number=2))
        counted(number=3).publish()
    rows = list(OutboxEvent.objects.order_by("id"))
    assert [row.payload["Number__c"] for row in rows] == [1, 3]
    assert rows[0].transaction_key == rows[1].transaction_key


def test_a_payload_with_problems_is_refused_with_all_of_them_and_nothing_is_written(counted):
    with pytest.raises(EventRefused) as refused:
        counted(note="x" * 21, colour="red").publish()
    assert [problem.code for problem in refused.value.problems] == [
        "INVALID_FIELD",
        "REQUIRED_FIELD_MISSING",
        "STRING_TOO_LONG",
    ]
    assert refused.value.fields == ("colour", "Number__c", "Note__c")
    assert OutboxEvent.objects.count() == 0


def test_of_a_list_the_good_ones_are_published_in_one_transaction_and_the_others_say_why(counted):
    results = bus.publish([counted(number=1), counted(), counted(number=3)])
    assert [result.success for result in results] == [True, False, True]
    assert [problem.code for problem in results[1].errors] == ["REQUIRED_FIELD_MISSING"]
    rows = list(OutboxEvent.objects.order_by("id"))
    assert [row.payload["Number__c"] for row in rows] == [1, 3]
    assert rows[0].transaction_key == rows[1].transaction_key


def test_all_or_none_keeps_the_good_ones_back(counted):
    results = bus.publish([counted(number=1), counted()], all_or_none=True)
    assert [result.success for result in results] == [False, False]
    assert results[0].errors[0].code == "ALL_OR_NONE_OPERATION_ROLLED_BACK"
    assert OutboxEvent.objects.count() == 0


def test_an_event_beyond_the_limit_is_refused(counted):
    big = type("Big", (counted,), {"api_name": "Big__e", "text": LongText("Text__c")})
    with override_settings(ISTHMUS_EVENTS_MAX_EVENT_BYTES=1_024):
        big(number=1, text="e" * 600).publish()
        with pytest.raises(EventRefused, match="at most 1024"):
            big(number=1, text="é" * 600).publish()
    assert OutboxEvent.objects.count() == 1


def test_a_user_needs_the_grant_to_publish(counted):
    user = get_user_model().objects.create_user("ada")
    with pytest.raises(PermissionRefused, match=r"event\.publish on Counted__e"):
        counted(number=1).publish(user=user)
    assert OutboxEvent.objects.count() == 0
    assign(ensure_permission_set("P", "P", grants=[("event", "publish", "Counted__e")]), user)
    granted = get_user_model().objects.get(pk=user.pk)
    counted(number=1).publish(user=granted)
    assert OutboxEvent.objects.get().payload["CreatedById"] == record_id_of(user)


def test_publishing_costs_one_statement_whatever_the_number(counted, django_assert_num_queries):
    user = get_user_model().objects.create_user("ada")
    counted(number=0).publish()
    with acting_as(user), transaction.atomic(), django_assert_num_queries(1):
        bus.publish([counted(number=number) for number in range(50)])


def test_the_identity_of_an_event_is_known_before_it_is_published(counted):
    event = counted(number=1)
    assert isinstance(event.event_uuid, uuid.UUID)
    assert event.publish().event_uuid == event.event_uuid


def test_more_events_than_fit_into_one_statement_are_published_in_one_transaction(counted):
    assert all(result.success for result in bus.publish([counted(number=number) for number in range(2_100)]))
    assert OutboxEvent.objects.count() == 2_100
    assert OutboxEvent.objects.values("transaction_key").distinct().count() == 1
