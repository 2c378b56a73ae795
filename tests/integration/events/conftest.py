"""What the tests of events share."""

import itertools
import uuid

import pytest

from events import migrations_done, registry, schemas
from events.avro import AvroSchema
from events.crash_matrix.nats import nats_server_path
from events.definitions import Number, PlatformEvent, Text
from events.logs import NewEvent
from events.logs.jetstream import JetStreamEventLog
from isthmus import clock, ids
from tests.nats_server import NatsServer


@pytest.fixture(autouse=True)
def _declared_only_here():
    with registry.register_temporarily():
        yield
    migrations_done.forget()


@pytest.fixture(scope="session")
def nats_server(tmp_path_factory):
    """A NATS server with JetStream; nobody kills this one."""
    if not nats_server_path():
        pytest.skip("There is no nats-server on this machine.")
    server = NatsServer(tmp_path_factory.mktemp("nats"))
    yield server
    server.kill()


@pytest.fixture
def jetstream(nats_server, db):
    """An event log in a stream of its own."""
    log = JetStreamEventLog([nats_server.url], f"TEST_{ids.new_uuid().hex}")
    yield log
    log.close()


@pytest.fixture
def counted(db):
    """An event that carries a number."""

    class Counted(PlatformEvent):
        """Carries a number."""

        api_name = "Counted__e"
        number = Number("Number__c", required=True)
        note = Text("Note__c", length=20)

    return Counted


@pytest.fixture
def new_event(db):
    """Make events for a log; the schema they refer to is there."""
    schema_id = schemas.keep(AvroSchema("Sample__e", '{"type":"record","name":"Sample__e","fields":[]}'))
    numbers = itertools.count(1)

    def make(topic="/event/Sample__e", **given):
        number = next(numbers)
        return NewEvent(
            **{
                "topic": topic,
                "event_uuid": uuid.UUID(int=number),
                "schema_id": schema_id,
                "payload": {"Number__c": number},
                "created_at": clock.now(),
                "correlation_id": "c",
                "transaction_key": uuid.UUID(int=9),
                "sequence_number": 1,
                **given,
            }
        )

    return make


@pytest.fixture
def seen():
    """A handler that remembers the calls it got."""
    calls = []

    def handle(events):
        calls.append(events)

    handle.calls = calls
    handle.numbers = lambda: [event.payload["Number__c"] for call in calls for event in call]
    return handle
