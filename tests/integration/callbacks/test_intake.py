"""Many callbacks at once are taken together, and each gets what it would have got alone."""

import asyncio
import json
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from asgiref.testing import ApplicationCommunicator
from django.test import override_settings

from callouts.callbacks import intake
from callouts.callbacks.addresses import token_digest
from callouts.callbacks.door import Door
from callouts.callbacks.inbox import Delivery
from callouts.callbacks.intake import Arrival
from callouts.external_services.models import CallbackReceipt, Invocation
from callouts.models import IntegrationLogEntry
from crm.models import Contact
from isthmus import clock, ids
from isthmus.jobs.models import Job
from tests.service_handlers import Failing, Gathering

pytestmark = pytest.mark.django_db(transaction=True)


def arrival(sent, body=None, name="applicationOutcomeApproved", **more):
    body = {"applicationNumber": "A-1", "status": "approved"} if body is None else body
    token = sent.path().split("/")[3]
    delivery = Delivery(
        name=name,
        rest="",
        method=more.pop("method", "POST"),
        headers={"Content-Type": "application/json"},
        body=json.dumps(body).encode(),
    )
    return Arrival(token=token, delivery=delivery, path=f"/services/callbacks/{token}/{name}", correlation_id="c")


def statuses(arrivals):
    return [told.status for told in intake.take(arrivals)]


def states():
    return sorted(CallbackReceipt.objects.values_list("state", flat=True))


def test_ordinary_ones_are_handled_without_a_job_each(submitted, django_assert_max_num_queries):
    sent = [submitted(reference=f"r{number}") for number in range(20)]
    with django_assert_max_num_queries(110):
        assert statuses([arrival(one) for one in sent]) == [200] * 20
    assert {invocation.state for invocation in Invocation.objects.all()} == {"Completed"}
    assert states() == ["processed"] * 20
    assert Contact.objects.count() == 20
    assert not Job.objects.filter(function__endswith="handle_callback").exists()
    assert IntegrationLogEntry.objects.filter(direction="inbound", status_code=200).count() == 20
    by_invocation = dict(
        IntegrationLogEntry.objects.filter(direction="inbound").values_list("invocation_id", "correlation_id")
    )
    assert by_invocation == dict(Invocation.objects.values_list("pk", "correlation_id"))


def test_odd_ones_among_them_get_what_they_would_have_got_alone(submitted, admin_user):
    good, other, done, late, wrong = (submitted(reference=f"r{number}") for number in range(5))
    done.call_back()
    Invocation.objects.filter(pk=late.invocation.pk).update(expires_at=clock.now() - timedelta(hours=1))
    unknown = arrival(good)
    unknown = Arrival(token="guess", delivery=unknown.delivery, path="/x", correlation_id="c")
    assert statuses(
        [
            arrival(good), arrival(other), arrival(good), arrival(done), arrival(late), arrival(wrong, {"status": 1}),
            unknown, arrival(wrong, name="nothing"), arrival(wrong, method="PUT"),
        ]
    ) == [200, 200, 200, 200, 408, 422, 404, 404, 405]  # fmt: skip
    assert states() == ["invalid", "invalid", "late", "processed", "processed", "processed", "repeated", "repeated",
                        "unknown", "unknown"]  # fmt: skip
    assert Contact.objects.count() == 3


def test_the_handler_of_one_that_fails_harms_no_other(submitted, jobs):
    Failing.is_broken = True
    good, bad, fine = submitted(reference="a"), submitted(handler=Failing, reference="b"), submitted(reference="c")
    assert statuses([arrival(good), arrival(bad), arrival(fine)]) == [200, 500, 200]
    assert (good.invocation.state, bad.invocation.state, fine.invocation.state) == ("Completed", "Waiting", "Completed")
    assert states() == ["failed", "processed", "processed"]
    assert Contact.objects.count() == 2
    Failing.is_broken = False
    jobs.run_all(ignore_delays=True)
    assert bad.invocation.state == "Completed"
    assert Contact.objects.count() == 3


def test_a_handler_may_take_lists(submitted):
    Gathering.sizes.clear()
    sent = [submitted(handler=Gathering, reference=f"r{number}") for number in range(7)]
    assert (
        statuses([arrival(one, {"applicationNumber": f"A-{n}", "status": "x"}) for n, one in enumerate(sent)])
        == [200] * 7
    )
    assert Gathering.sizes == [3, 3, 1]


def test_what_a_dead_process_accepted_is_adopted(submitted, settings):
    settings.ISTHMUS_CALLBACKS_ADOPT_AFTER_SECONDS = 30
    sent = submitted()
    CallbackReceipt.objects.create(
        invocation=sent.invocation,
        callback_name="applicationOutcomeApproved",
        method="POST",
        headers={"Content-Type": "application/json"},
        body='{"applicationNumber": "A-9", "status": "approved"}',
        body_digest="0" * 64,
        correlation_id=sent.invocation.correlation_id,
        received_at=clock.now() - timedelta(seconds=10),
    )
    assert intake.adopt() == 0
    CallbackReceipt.objects.update(received_at=clock.now() - timedelta(seconds=31))
    assert intake.adopt() == 1
    assert (sent.invocation.state, states()) == ("Completed", ["processed"])
    assert intake.adopt() == 0


@pytest.fixture
def door():
    door = Door()
    yield door
    door.close()


async def ask(door, path, body=b"{}", method="POST", headers=()):
    scope = {
        "type": "http", "method": method, "path": path, "raw_path": path.encode(errors="replace"), "query_string": b"",
        "headers": [(b"content-type", b"application/json"), *headers],
    }  # fmt: skip
    link = ApplicationCommunicator(door, scope)
    half = len(body) // 2
    await link.send_input({"type": "http.request", "body": body[:half], "more_body": True})
    await link.send_input({"type": "http.request", "body": body[half:]})
    start = await link.receive_output(timeout=20)
    end = await link.receive_output(timeout=20)
    return start["status"], {name.decode(): value.decode() for name, value in start["headers"]}, end["body"]


def test_the_door_answers_as_django_does(submitted, door):
    one, other = submitted(reference="a"), submitted(reference="b")
    body = json.dumps({"applicationNumber": "A-1", "status": "approved"}).encode()
    path = urlsplit(one.path()).path
    through_django = other.call_back()

    async def run():
        first = await ask(door, path, body, headers=[(b"x-request-id", b"mine")])
        return first, await ask(door, "/services/callbacks/guess/x"), await ask(door, path, method="HEAD", body=b"")

    (status, headers, text), unknown, head = asyncio.run(run())
    assert status == through_django.status_code == 200
    assert set(json.loads(text)) == set(through_django.json())
    assert (headers["x-request-id"], headers["cache-control"]) == ("mine", "no-store")
    assert headers["x-content-type-options"] == "nosniff"
    assert (unknown[0], json.loads(unknown[2])[0]["errorCode"]) == (404, "NOT_FOUND")
    assert (head[0], head[2]) == (405, b"")
    assert one.invocation.state == "Completed"


@override_settings(ISTHMUS_CALLBACKS_MAX_BODY_BYTES=1024)
def test_the_door_keeps_nothing_of_what_is_too_large(submitted, door):
    path = urlsplit(submitted().path()).path
    status, _, text = asyncio.run(ask(door, path, b"x" * 5000))
    assert (status, json.loads(text)[0]["errorCode"]) == (413, "REQUEST_BODY_TOO_LARGE")
    assert CallbackReceipt.objects.get().body == ""


def test_a_thousand_at_once(submitted, door):
    """Far more than the process can take at once wait their turn, and none is lost."""
    count = 1_000
    first = submitted(reference="r0").invocation
    tokens = [ids.new_token(32) for _ in range(count)]
    Invocation.objects.bulk_create(
        Invocation(
            service_id=first.service_id, version_id=first.version_id, operation_id=first.operation_id,
            idempotency_key=str(ids.new_uuid()), callback_token=token, callback_token_digest=token_digest(token),
            state="Waiting", request={}, request_digest="0" * 64, expires_at=first.expires_at,
            correlation_id=f"c{number}", handler=first.handler,
        )
        for number, token in enumerate(tokens)
    )  # fmt: skip
    body = json.dumps({"applicationNumber": "A", "status": "approved"}).encode()

    async def run():
        paths = [f"/services/callbacks/{token}/applicationOutcomeApproved" for token in tokens]
        return await asyncio.gather(*(ask(door, path, body) for path in paths))

    with override_settings(ISTHMUS_CALLBACKS_INTAKE_WAITING=count):
        told = asyncio.run(run())
    assert {status for status, _, _ in told} == {200}
    assert Contact.objects.count() == count
    assert Invocation.objects.filter(state="Completed").count() == count


@pytest.mark.parametrize("ending", ["%00", "\ud800", "a" * 4000, "\x00/\x00"])
def test_odd_addresses_name_nothing_and_are_filed(submitted, door, ending):
    sent = submitted()
    base = sent.path().rpartition("/")[0]
    for path in (f"{base}/{ending}", f"/services/callbacks/{ending}"):
        status, _, _ = asyncio.run(ask(door, path))
        assert status == 404
    assert sent.client.post(f"{base}/%00", "{}", content_type="application/json").status_code == 404
    assert states() == ["unknown"] * 3


@override_settings(ISTHMUS_CALLBACKS_INTAKE_WAITING=1)
def test_who_comes_when_too_many_wait_is_told_to_come_again(submitted, door):
    path = urlsplit(submitted().path()).path

    async def run():
        return await asyncio.gather(*(ask(door, path) for _ in range(30)))

    told = asyncio.run(run())
    busy = [(status, headers.get("retry-after")) for status, headers, _ in told if status == 503]
    assert busy
    assert set(busy) == {(503, "1")}
