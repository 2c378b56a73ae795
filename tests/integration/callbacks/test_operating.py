"""What an operator does by hand: cancel, extend, simulate, route."""

import json
from datetime import timedelta

import pytest

from callouts.callbacks.operating import route, simulate
from callouts.external_services.actions import extend
from callouts.external_services.errors import HandlerRefused, InvocationFinished, ReceiptSettled
from callouts.external_services.models import CallbackReceipt, Invocation
from crm.models import Contact
from isthmus import clock
from isthmus.access.errors import PermissionRefused
from isthmus.audit.models import AuditEntry
from tests import console_samples as samples
from tests.service_fixtures import callback_path
from tests.service_handlers import Failing, Repeating

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator(db):
    return samples.user_with("view", "operate")


def contacts():
    return list(Contact.objects.order_by("pk").values_list("last_name", flat=True))


def test_a_simulated_callback_does_what_a_real_one_does(submitted, operator, jobs, approve):
    invocation = submitted().invocation
    answer = simulate(invocation, operator, callback_name="applicationOutcomeApproved", body=json.dumps(approve))
    assert answer.status == 200
    receipt = CallbackReceipt.objects.get()
    assert (receipt.state, receipt.simulated_by) == ("processed", operator)
    invocation.refresh_from_db()
    assert (invocation.state, contacts()) == ("Completed", ["approved A-1"])
    assert AuditEntry.objects.filter(action="external_service.callback_simulated", actor=operator.username).exists()


def test_a_simulated_callback_is_checked_too(submitted, operator):
    invocation = submitted().invocation
    assert simulate(invocation, operator, callback_name="applicationOutcomeApproved", body="{}x").status == 422
    with pytest.raises(HandlerRefused):
        simulate(invocation, operator, callback_name="nothing", body="{}")


def test_a_late_callback_is_routed_and_the_invocation_stays_as_it_ended(submitted, operator, jobs, moving_clock):
    sent = submitted()
    moving_clock.move(timedelta(hours=25))
    jobs.run_all()
    assert sent.invocation.state == "TimedOut"
    assert sent.call_back().status_code == 408
    receipt = CallbackReceipt.objects.get()
    route(receipt, operator)
    jobs.run_all()
    receipt.refresh_from_db()
    assert (receipt.state, receipt.routed_by) == ("processed", operator)
    assert "was late; routed by" in receipt.reason
    assert sent.invocation.state == "TimedOut"
    assert contacts() == ["TimedOut lead-1", "approved A-1"]
    with pytest.raises(ReceiptSettled):
        route(receipt, operator)


def test_an_unknown_callback_is_routed_to_where_it_belongs(submitted, operator, jobs, client, approve):
    sent = submitted()
    path = sent.path().replace(sent.path().split("/")[3], "a-token-that-nobody-gave")
    assert client.post(path, json.dumps(approve), content_type="application/json").status_code == 404
    receipt = CallbackReceipt.objects.get()
    with pytest.raises(HandlerRefused, match="to which invocation"):
        route(receipt, operator)
    with pytest.raises(HandlerRefused, match="choose one"):
        route(receipt, operator, invocation=sent.invocation, callback_name="nothing")
    route(receipt, operator, invocation=sent.invocation, callback_name="applicationOutcomeApproved")
    jobs.run_all()
    assert (sent.invocation.state, contacts()) == ("Completed", ["approved A-1"])


def test_a_routed_callback_whose_handler_fails_waits_for_its_retry(submitted, operator, jobs):
    Failing.is_broken = True
    sent = submitted(handler=Failing)
    assert sent.call_back(body={"other": 1}, content_type="text/plain").status_code == 415
    receipt = CallbackReceipt.objects.get()
    CallbackReceipt.objects.update(body='{"applicationNumber": "A"}', headers={"Content-Type": "application/json"})
    job = route(receipt, operator)
    jobs.run_all()
    job.refresh_from_db()
    # It is tried again later, as with any job.
    assert (job.state, job.attempts, contacts(), sent.invocation.state) == ("Queued", 1, [], "Waiting")


def test_a_wait_is_extended(submitted, operator, jobs, moving_clock):
    sent = submitted()
    until = clock.now() + timedelta(hours=48)
    extend(sent.invocation, operator, until=until)
    moving_clock.move(timedelta(hours=25))
    jobs.run_all()
    assert sent.invocation.state == "Waiting"
    assert sent.call_back().status_code == 200
    assert sent.invocation.state == "Completed"
    with pytest.raises(InvocationFinished):
        extend(sent.invocation, operator, until=until + timedelta(hours=1))


def test_an_extended_wait_ends_too(submitted, operator, jobs, moving_clock):
    sent = submitted()
    extend(sent.invocation, operator, until=clock.now() + timedelta(hours=48))
    with pytest.raises(InvocationFinished, match="waits until then"):
        extend(sent.invocation, operator, until=clock.now() + timedelta(hours=1))
    moving_clock.move(timedelta(hours=49))
    jobs.run_all()
    assert sent.invocation.state == "TimedOut"


def test_whoever_may_not_operate_may_do_none_of_it(submitted, django_user_model):
    sent = submitted()
    sent.call_back(body="[]")
    stranger = django_user_model.objects.create_user("stranger")
    receipt = CallbackReceipt.objects.get()
    for act in (
        lambda: extend(sent.invocation, stranger, until=clock.now()),
        lambda: simulate(sent.invocation, stranger, callback_name="applicationError", body=""),
        lambda: route(receipt, stranger),
    ):
        with pytest.raises(PermissionRefused):
            act()


def test_the_console_offers_all_of_it(submitted, operator, client, jobs, approve):
    sent = submitted()
    client.force_login(operator)
    page = f"/external-services/invocations/{sent.invocation.pk}/"
    text = client.get(f"{page}?simulate=applicationError").content.decode()
    assert 'value="applicationError"' in text
    client.post(f"{page}extend/", {"hours": "48"})
    assert sent.invocation.expires_at - sent.invocation.submitted_at > timedelta(hours=71)
    answer = client.post(f"{page}extend/", {"hours": "soon"}, follow=True)
    assert "Hours are a number" in answer.content.decode()
    given = {"callback": "applicationOutcomeApproved", "body": json.dumps(approve), "content_type": "application/json"}
    answer = client.post(f"{page}simulate/", given, follow=True)
    assert "The outside would have been told 200" in answer.content.decode()
    answer = client.post(f"{page}cancel/", follow=True)
    assert "cannot be cancelled" in answer.content.decode()
    sent.call_back(body={"applicationNumber": "B", "status": "other"})
    late = CallbackReceipt.objects.get(state="late")
    receipt_page = f"/external-services/callbacks/{late.pk}/"
    assert "Route it by hand" in client.get(receipt_page).content.decode()
    answer = client.post(f"{receipt_page}route/", {"invocation": "nobody", "callback": "x"}, follow=True)
    assert "There is no invocation nobody." in answer.content.decode()
    client.post(f"{receipt_page}route/", {"invocation": "lead-1", "callback": "applicationOutcomeApproved"})
    jobs.run_all()
    late.refresh_from_db()
    assert late.state == "processed"


def test_a_callback_that_repeats_does_not_end_the_wait(submitted, jobs):
    sent = submitted(handler=Repeating)
    for number in (1, 2):
        body = {"applicationNumber": f"A-{number}", "status": "approved"}
        assert sent.call_back(body=body).status_code == 200
        assert sent.invocation.state == "Waiting"
    assert contacts() == ["Waiting A-1", "Waiting A-2"]
    # The same one again is still the same one.
    assert sent.call_back(body={"applicationNumber": "A-2", "status": "approved"}).status_code == 200
    assert len(contacts()) == 2
    assert (
        sent.call_back(name="applicationOutcomeRejected", body={"applicationNumber": "A", "status": "no"}).status_code
        == 200
    )
    assert sent.invocation.state == "Completed"


def test_a_handler_may_ignore_what_it_does_not_handle(submitted, jobs):
    sent = submitted(handler=Repeating)
    path = callback_path(sent.call, "applicationError")
    assert sent.client.post(path, "{}", content_type="application/json").status_code == 200
    assert CallbackReceipt.objects.get().state == "unhandled"
    assert Invocation.objects.get().state == "Waiting"
