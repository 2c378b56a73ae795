"""The relay: whole transactions, in commit order, each row once."""

import itertools
import uuid

import pytest
from django.db import connection, transaction
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crm.models import Lead
from events import schemas, staged, topics
from events.avro import AvroSchema
from events.logs import DatabaseEventLog
from events.models import EventLogEntry, EventUsage, OutboxEvent, Topic
from events.relay import Relay
from events.testing import MemoryEventLog
from isthmus import clock
from isthmus.objects.models import RawChange

pytestmark = pytest.mark.django_db

TOPIC = "/event/Sample__e"


@pytest.fixture
def stage(db):
    """Stage rows of transactions: "aabcb" are five rows that three transactions wrote in turns."""
    schema_id = schemas.keep(AvroSchema("Sample__e", '{"type":"record","name":"Sample__e","fields":[]}'))
    numbers = itertools.count(1)

    def write(pattern):
        OutboxEvent.objects.bulk_create(
            OutboxEvent(
                topic_id=topics.topic_id(TOPIC),
                schema_id=schema_id,
                payload={"Of": letter, "Number": next(numbers)},
                size=10,
                transaction_key=uuid.uuid5(uuid.NAMESPACE_OID, letter),
                correlation_id="c",
                created_at=clock.now(),
            )
            for letter in pattern
        )

    return write


def relayed():
    return [(entry.payload["Of"], entry.sequence_number) for entry in EventLogEntry.objects.order_by("replay_id")]


def letters(log):
    return "".join(event.payload["Of"] for event in log.read(TOPIC, after=0, limit=10_000))


def expected(pattern):
    """Return the letters of whole transactions in the order of their last rows."""
    ends = {letter: pattern.rindex(letter) for letter in pattern}
    return "".join(letter * pattern.count(letter) for letter in sorted(ends, key=ends.__getitem__))


def test_an_empty_outbox_costs_one_read_and_no_transaction(django_assert_num_queries):
    with django_assert_num_queries(1):
        assert Relay(DatabaseEventLog()).move() == 0


BURST = """
INSERT INTO objects_rawchange (transaction_key, object_name, operation, context, created_at)
SELECT md5(number::text)::uuid, 'Nothing', 'I', '', now() FROM generate_series(1, 50000) AS number;
ANALYZE objects_rawchange;
DELETE FROM objects_rawchange
"""


def plan_of_a_look():
    """Return how PostgreSQL finds the staged changes that come next."""
    with CaptureQueriesContext(connection) as looks:
        assert staged.next_transactions(RawChange, end=10**9) == []
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {looks[-1]['sql']}")
        return "\n".join(line for (line,) in cursor.fetchall())


def test_after_a_burst_what_it_left_is_not_read_for_a_few_rows():
    if connection.vendor != "postgresql":
        pytest.skip("SQLite keeps no statistics of rows that come and go.")
    with connection.cursor() as cursor:
        cursor.execute(BURST)
    left_to_the_planner = plan_of_a_look()
    assert "Seq Scan" in left_to_the_planner or "Merge" in left_to_the_planner or "Hash" in left_to_the_planner
    staged.look_by_index()
    plan = plan_of_a_look()
    assert "Nested Loop Anti Join" in plan
    assert "Seq Scan" not in plan


def test_events_of_one_transaction_are_contiguous_and_numbered_from_one(stage):
    stage("ababb")
    assert Relay(DatabaseEventLog()).move_all() == 5
    assert relayed() == [("a", 1), ("a", 2), ("b", 1), ("b", 2), ("b", 3)]
    assert OutboxEvent.objects.count() == 0
    keys = list(EventLogEntry.objects.order_by("replay_id").values_list("transaction_key", flat=True))
    assert (len(set(keys[:2])), len(set(keys[2:])), len(set(keys))) == (1, 1, 2)


def test_a_transaction_that_ended_with_a_later_row_comes_later(stage):
    """It may build on what the other one committed."""
    stage("abba")
    Relay(DatabaseEventLog()).move_all()
    assert relayed() == [("b", 1), ("b", 2), ("a", 1), ("a", 2)]


def test_a_row_that_commits_late_gets_a_later_number_though_its_id_is_lower(stage):
    log = DatabaseEventLog()
    stage("a")
    late = OutboxEvent.objects.get()
    OutboxEvent.objects.all().delete()  # Not committed yet: nobody sees it.
    stage("b")
    assert OutboxEvent.objects.get().pk > late.pk
    Relay(log).move_all()
    late.save(force_insert=True)
    Relay(log).move_all()
    assert relayed() == [("b", 1), ("a", 1)]


def test_topic_and_log_know_the_newest_event(stage):
    stage("ab")
    Relay(DatabaseEventLog()).move_all()
    assert Topic.objects.get(name=TOPIC).last_replay_id == EventLogEntry.objects.latest("replay_id").replay_id


def test_a_row_whose_event_is_in_the_log_already_is_removed_and_not_doubled(stage):
    stage("a")
    row = OutboxEvent.objects.get()
    Relay(DatabaseEventLog()).move_all()
    row.save(force_insert=True)
    assert Relay(DatabaseEventLog()).move_all() == 1
    assert (EventLogEntry.objects.count(), OutboxEvent.objects.count()) == (1, 0)


def test_moving_costs_the_same_for_one_as_for_many(stage, django_assert_num_queries):
    stage("z")
    Relay(DatabaseEventLog()).move_all()
    for pattern in ("a", "ab" * 2_000):
        stage(pattern)
        with django_assert_num_queries(11 if connection.vendor == "sqlite" else 2):
            Relay(DatabaseEventLog()).move()
    assert (EventLogEntry.objects.count(), OutboxEvent.objects.count()) == (4_002, 0)


def test_shaping_changes_costs_the_same_for_one_transaction_as_for_many(db):
    counts = []
    for number in (1, 300):
        Lead.objects.bulk_create(Lead(last_name=str(place), company="X") for place in range(number))
        for row in RawChange.objects.all():
            RawChange.objects.filter(pk=row.pk).update(transaction_key=uuid.uuid5(uuid.NAMESPACE_OID, str(row.pk)))
        with CaptureQueriesContext(connection) as captured:
            assert Relay(DatabaseEventLog()).move() == number
        counts.append(len(captured))
    # The first one stores the schema and makes the row that counts this hour.
    assert counts[1] <= counts[0]


def test_a_topic_knows_what_it_holds_and_the_hour_what_was_published(stage):
    stage("aab")
    Relay(DatabaseEventLog()).move_all()
    topic = Topic.objects.get(name=TOPIC)
    assert (topic.kept_events, topic.kept_bytes, topic.last_replay_id) == (3, 30, 3)
    usage = EventUsage.objects.get()
    assert (usage.name, usage.event_name, usage.value) == ("PLATFORM_EVENTS_PUBLISHED", "Sample__e", 3)
    assert (usage.end_date - usage.start_date).total_seconds() == 3600


class Killed(BaseException):
    """As if the process ended here."""


def killed_at(statement):
    """Return a wrapper of the connection under which everything ends with that statement."""
    count = itertools.count(1)

    def run(execute, sql, params, many, context):
        if not sql.startswith(("ROLLBACK", "RELEASE", "SAVEPOINT")) and next(count) == statement:
            raise Killed
        return execute(sql, params, many, context)

    return run


def test_a_relay_that_ends_at_any_statement_leaves_all_for_the_next_one(stage):
    stage("z")
    Relay(DatabaseEventLog()).move_all()
    for statement in itertools.count(1):
        OutboxEvent.objects.all().delete()
        EventLogEntry.objects.all().delete()
        stage("abab")
        try:
            with connection.execute_wrapper(killed_at(statement)):
                Relay(DatabaseEventLog()).move_all()
        except Killed:
            assert (EventLogEntry.objects.count(), OutboxEvent.objects.count()) in {(0, 4), (4, 0)}
            Relay(DatabaseEventLog()).move_all()
            assert relayed() == [("a", 1), ("a", 2), ("b", 1), ("b", 2)]
        else:
            break
    assert statement > 3


@override_settings(ISTHMUS_EVENTS_RELAY_BATCH_SIZE=3)
@pytest.mark.parametrize(
    "pattern",
    [
        "a" * 10,  # Larger than a batch.
        "aaaaaaaabbca",  # Smaller ones began later and ended earlier.
        "aabbaabbaabb",
        "abcabcabcabc",
        "aaaabbbbccdda",
        "aaaaabbbbbab",
    ],
)
def test_transactions_larger_than_a_batch_stay_whole_and_in_order(stage, pattern):
    stage(pattern)
    Relay(DatabaseEventLog()).move_all()
    assert "".join(letter for letter, _ in relayed()) == expected(pattern)
    for letter in set(pattern):
        assert [number for of, number in relayed() if of == letter] == list(range(1, pattern.count(letter) + 1))
    assert OutboxEvent.objects.count() == 0


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pattern=st.text("abcdef", min_size=1, max_size=40), batch=st.integers(1, 8))
def test_whatever_the_batch_the_order_is_that_of_the_last_rows(stage, pattern, batch):
    log = MemoryEventLog()
    stage(pattern)
    with override_settings(ISTHMUS_EVENTS_RELAY_BATCH_SIZE=batch):
        Relay(log).move_all()
    assert letters(log) == expected(pattern)


def test_changes_of_one_transaction_share_a_rising_commit_number_and_the_time_of_its_last_change(db):
    for number in range(3):
        with transaction.atomic():
            for name in ("A", "B"):
                Lead.objects.create(last_name=name, company=str(number))
        # Within a test's transaction only a rolled back savepoint would end the key.
        own = RawChange.objects.order_by("-id").values_list("id", flat=True)[:2]
        RawChange.objects.filter(id__in=list(own)).update(transaction_key=uuid.UUID(int=number + 1))
    last = RawChange.objects.order_by("-id")[0].created_at
    Relay(DatabaseEventLog()).move_all()
    headers = [entry.payload["ChangeEventHeader"] for entry in EventLogEntry.objects.order_by("replay_id")]
    assert [header["commitNumber"] for header in headers] == [1, 1, 2, 2, 3, 3]
    assert [header["sequenceNumber"] for header in headers] == [1, 2, 1, 2, 1, 2]
    assert headers[-1]["commitTimestamp"] == int(last.timestamp() * 1000)
    assert len({header["commitTimestamp"] for header in headers[:2]}) == 1
    assert RawChange.objects.count() == 0
