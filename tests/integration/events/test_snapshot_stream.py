"""The state of the records and all later changes: no hole, no double."""

import random
import threading

import pytest
from django.db import connections, transaction

from crm.models import Contact
from events.relay import Relay
from events.snapshot_stream import SnapshotStream
from isthmus.access.actions import assign, ensure_permission_set
from isthmus.objects.errors import UnknownObject
from isthmus.objects.reading import as_wire, live_rows, told_fields
from isthmus.objects.record_ids import encode
from isthmus.objects.registry import get_object
from tests import console_samples as samples

pytestmark = pytest.mark.django_db


def types_of(events):
    return [event.payload["ChangeEventHeader"]["changeType"] for event in events]


def batches(stream):
    found = []
    while events := stream.next_batch():
        found.append(events)
    return found


def test_records_come_first_and_then_their_changes(event_bus):
    first, second, third = (Contact.objects.create(last_name=name) for name in "ABC")
    third.delete()
    stream = SnapshotStream("Contact", chunk_size=1)
    [one], [two] = batches(stream)
    assert types_of([one, two]) == ["SNAPSHOT", "SNAPSHOT"]
    assert [one.payload["LastName"], two.payload["LastName"]] == ["A", "B"]
    # What the snapshot shows is not told again when the relay comes to it.
    event_bus.relay()
    assert batches(stream) == []
    Contact.objects.filter(pk__in=[first.pk, second.pk]).update(phone="1")
    event_bus.relay()
    [[event]] = batches(stream)
    assert event.payload["ChangeEventHeader"]["recordIds"] == [first.record_id, second.record_id]
    assert stream.is_snapshot_done


@pytest.mark.django_db(transaction=True)
def test_a_change_between_two_pieces_is_told_of_the_earlier_records_only(event_bus):
    first, second = (Contact.objects.create(last_name=name) for name in "AB")
    stream = SnapshotStream("Contact", chunk_size=1)
    [one] = stream.next_batch()
    Contact.objects.all().update(phone="1")
    [two] = stream.next_batch()
    assert ("Phone" in one.payload, two.payload["Phone"]) == (False, "1")
    event_bus.relay()
    [[event]] = batches(stream)
    assert event.payload["ChangeEventHeader"]["recordIds"] == [first.record_id]
    assert second.pk


def test_another_stream_goes_on_where_one_was(event_bus):
    for name in "ABC":
        Contact.objects.create(last_name=name)
    stream = SnapshotStream("Contact", chunk_size=2)
    assert len(stream.next_batch()) == 2
    other = SnapshotStream("Contact", chunk_size=2, state=stream.state)
    [last] = other.next_batch()
    assert last.payload["LastName"] == "C"
    event_bus.relay()
    assert other.next_batch() == []
    Contact.objects.create(last_name="D")
    event_bus.relay()
    again = SnapshotStream("Contact", state=other.state)
    assert types_of(again.next_batch()) == ["CREATE"]
    assert len(again.state) < 200


def test_an_object_without_records_has_changes_only(event_bus):
    stream = SnapshotStream("Contact")
    assert stream.next_batch() == []
    Contact.objects.create(last_name="A")
    event_bus.relay()
    assert types_of(stream.next_batch()) == ["CREATE"]


def test_a_user_sees_the_fields_that_they_may_read(event_bus):
    Contact.objects.create(last_name="A", email="a@example.org", phone="1")
    user = samples.user_with()
    assign(ensure_permission_set("Phones", "Phones", [("field", "read", "Contact.Phone")]), user)
    [event] = SnapshotStream("Contact", user=user).next_batch()
    assert event.payload["Phone"] == "1"
    assert "Email" not in event.payload


def test_what_has_no_records_cannot_be_streamed():
    with pytest.raises(UnknownObject):
        SnapshotStream("Nothing")


def rebuilt(stream, records):
    """Apply what comes, and complain about a hole or a double."""
    for events in batches(stream):
        for event in events:
            header = event.payload["ChangeEventHeader"]
            body = {name: value for name, value in event.payload.items() if name != "ChangeEventHeader"}
            for record_id in header["recordIds"]:
                change_type, known = header["changeType"], record_id in records
                assert known == (change_type in {"UPDATE", "DELETE"}), (change_type, record_id)
                if change_type == "DELETE":
                    del records[record_id]
                elif change_type == "UPDATE":
                    records[record_id].update(body)
                else:
                    records[record_id] = dict(body)


class Work:
    """Writers that create, change and delete contacts in long and short transactions, some rolled back, and a relay."""

    def __init__(self, event_log, seeds):
        self.errors = []
        self._log = event_log
        self._done = threading.Event()
        self._writers = [threading.Thread(target=self._guarded, args=[self._write, seed]) for seed in seeds]
        self._relay = threading.Thread(target=self._guarded, args=[self._move])
        for thread in (self._relay, *self._writers):
            thread.start()

    def goes_on(self):
        return any(writer.is_alive() for writer in self._writers)

    def end(self):
        for writer in self._writers:
            writer.join()
        self._done.set()
        self._relay.join()

    def _guarded(self, work, *arguments):
        try:
            work(*arguments)
        except Exception as error:
            self.errors.append(error)
        finally:
            connections.close_all()

    def _write(self, seed):
        chance = random.Random(seed)
        for _ in range(25):
            with transaction.atomic():
                self._write_some(chance)
                if chance.random() < 0.2:
                    transaction.set_rollback(True)

    def _write_some(self, chance):
        pks = list(Contact.objects.order_by("pk").values_list("pk", flat=True))
        # One transaction touches records in the order of their keys, so that none waits in a circle.
        for pk in sorted(chance.sample(pks, chance.choice([0, 1, 1, 3]))):
            if chance.random() < 0.7:
                Contact.objects.filter(pk=pk).update(phone=str(chance.random()))
            else:
                Contact.objects.filter(pk=pk).delete()
        if chance.random() < 0.4:
            Contact.objects.create(last_name=f"W{chance.random()}")

    def _move(self):
        while not self._done.is_set():
            if not Relay(self._log).move():
                self._done.wait(0.01)


@pytest.mark.django_db(transaction=True)
def test_under_concurrent_writes_the_stream_tells_exactly_what_becomes_of_the_records(event_bus):
    for number in range(60):
        Contact.objects.create(last_name=f"N{number}")
    work = Work(event_bus.log, seeds=(1, 2))
    records: dict[str, dict[str, object]] = {}
    stream = SnapshotStream("Contact", chunk_size=7)
    while work.goes_on():
        rebuilt(stream, records)
    work.end()
    event_bus.relay()
    rebuilt(stream, records)
    assert work.errors == []
    assert {record_id: told(values) for record_id, values in records.items()} == held()


def told(values):
    """Return what is set, without the stamps that move when nothing else changes."""
    stamps = {"LastModifiedDate", "LastModifiedById"}
    return {name: value for name, value in values.items() if value is not None and name not in stamps}


def held():
    """Return what the table holds, by record id."""
    contact = get_object("Contact")
    fields = told_fields(contact)
    rows = live_rows(Contact).values("pk", *(field.attname for field in fields))
    return {encode(contact.key_prefix, row["pk"]): told(as_wire(fields, row)) for row in rows}
