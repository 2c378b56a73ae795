"""Every callback is answered and kept with the reason; its effect happens once."""

import json
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client, override_settings

from callouts.external_services import external_service
from callouts.external_services.actions import cancel, register
from callouts.external_services.models import CallbackReceipt, Invocation
from callouts.models import IntegrationLogEntry
from crm.models import Contact
from isthmus.jobs.models import Job
from tests import service_handlers
from tests.service_handlers import Failing, Keeping

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _fresh_handlers():
    Failing.is_broken = True
    Keeping.kept.clear()


def names():
    return sorted(Contact.objects.values_list("last_name", flat=True))


def receipts():
    return [(found.state, found.callback_name) for found in CallbackReceipt.objects.order_by("received_at", "pk")]


def refused(response, status, code):
    [error] = response.json()
    assert (response.status_code, error["errorCode"]) == (status, code)
    assert set(error) == {"message", "errorCode"}
    return error["message"]


def test_a_callback_completes_the_invocation(submitted, approve, teller):
    sent = submitted(user=teller)
    response = sent.call_back(body=approve)
    assert response.status_code == 200
    assert response.json() == {
        "success": True,
        "message": "The callback was processed.",
        "correlationId": sent.invocation.correlation_id,
    }
    assert (sent.invocation.state, sent.invocation.reason) == ("Completed", "called back: applicationOutcomeApproved")
    contact = Contact.objects.get()
    assert (contact.last_name, contact.created_by) == ("approved A-1", teller)
    assert receipts() == [("processed", "applicationOutcomeApproved")]
    job = CallbackReceipt.objects.get().job
    assert (job.state, job.result, job.subject_id) == ("Completed", {"outcome": "processed"}, str(sent.invocation.pk))


def test_what_a_handler_is_given(submitted, approve):
    sent = submitted(handler=Keeping)
    sent.call_back(body=approve)
    [callback] = Keeping.kept
    found = sent.invocation
    assert callback.invocation_id == found.pk
    assert (callback.reference, callback.status, callback.correlation_id) == (
        "lead-1",
        "Completed",
        found.correlation_id,
    )
    assert callback.request == {"body": {"applicant": {"name": "Ada"}}}
    assert (callback.submit_time, callback.callback_timeout) == (found.submitted_at, found.expires_at)
    assert callback.response.body == approve
    assert callback.response.headers == {"Content-Type": "application/json"}
    assert callback.first_response == {"applicationNumber": "A-1"}


def test_a_callback_in_a_query_parameter_with_a_header_of_its_own(submitted):
    sent = submitted()
    response = sent.call_back("applicationError", {"errorMessage": "late"}, headers={"applicationNumber": "A-7"})
    assert response.status_code == 200
    assert names() == ["error A-7"]


def test_a_callback_that_is_delivered_twice_has_its_effect_once(submitted):
    sent = submitted()
    assert [sent.call_back().status_code for _ in range(3)] == [200, 200, 200]
    assert names() == ["approved A-1"]
    assert (
        receipts() == [("processed", "applicationOutcomeApproved")] + [("repeated", "applicationOutcomeApproved")] * 2
    )
    assert Job.objects.filter(function__endswith="handle_callback").count() == 1


def test_after_the_first_callback_others_are_late(submitted):
    sent = submitted()
    sent.call_back()
    refused(sent.call_back("applicationError", {}, headers={"applicationNumber": "A-1"}), 408, "CALLBACK_TIMED_OUT")
    refused(sent.call_back(body={"applicationNumber": "A-2", "status": "approved"}), 408, "CALLBACK_TIMED_OUT")
    assert names() == ["approved A-1"]
    assert [state for state, _ in receipts()] == ["processed", "late", "late"]
    assert CallbackReceipt.objects.filter(state="late").first().reason == "the invocation was Completed"


def test_a_handler_that_fails_leaves_nothing_and_is_run_again(submitted, jobs):
    sent = submitted(handler=Failing)
    message = refused(sent.call_back(), 500, "CALLBACK_FAILED")
    assert "trouble" not in message
    assert sent.invocation.correlation_id in message
    assert (names(), sent.invocation.state) == ([], "Waiting")
    receipt = CallbackReceipt.objects.get()
    assert (receipt.state, "secret trouble" in receipt.reason) == ("failed", True)
    Failing.is_broken = False
    jobs.run_all(ignore_delays=True)
    receipt.refresh_from_db()
    assert (names(), sent.invocation.state, receipt.state) == (["approved"], "Completed", "processed")
    assert sent.call_back().status_code == 200
    assert names() == ["approved"]


def test_a_delivery_after_all_attempts_failed_starts_it_again(submitted, jobs):
    sent = submitted(handler=Failing)
    sent.call_back()
    job = CallbackReceipt.objects.get().job
    while not job.is_terminal:
        jobs.run_all(ignore_delays=True)
        job.refresh_from_db()
    assert (job.state, sent.invocation.state) == ("Failed", "Waiting")
    Failing.is_broken = False
    assert sent.call_back().status_code == 200
    assert (names(), sent.invocation.state) == (["approved"], "Completed")
    assert [state for state, _ in receipts()] == ["processed", "repeated"]


def test_a_callback_that_no_method_handles(submitted):
    sent = submitted()
    refused(sent.call_back("applicationOutcomeRejected", {"errorMessage": "no"}), 404, "CALLBACK_NOT_HANDLED")
    assert receipts() == [("unhandled", "applicationOutcomeRejected")]
    assert "tests.service_handlers.Outcome" in CallbackReceipt.objects.get().reason
    assert sent.invocation.state == "Waiting"
    assert sent.call_back().status_code == 200


def test_a_handler_that_is_gone_does_not_lose_the_callback(submitted, jobs):
    sent = submitted()
    Invocation.objects.update(handler="tests.service_handlers.Gone")
    refused(sent.call_back(), 500, "CALLBACK_FAILED")
    assert "is not there" in CallbackReceipt.objects.get().reason
    Invocation.objects.update(handler="tests.service_handlers.Outcome")
    assert sent.call_back().status_code == 200
    assert names() == ["approved A-1"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"status": "approved"}, '/: "applicationNumber" is a required property'),
        ({"applicationNumber": 5, "status": "x"}, '/applicationNumber: the value is not of type "string"'),
        ("{", "the body is not JSON"),
        (b'"\xff"', "the body is not UTF-8"),
        ("NaN", "the body is not JSON"),
    ],
)
def test_a_body_that_does_not_fit_the_document(submitted, body, reason):
    sent = submitted()
    message = refused(sent.call_back(body=body), 422, "INVALID_CALLBACK")
    assert "applicationNumber" not in message
    receipt = CallbackReceipt.objects.get()
    assert (receipt.state, receipt.reason, receipt.job) == ("invalid", reason, None)
    assert (names(), sent.invocation.state) == ([], "Waiting")


def test_json_that_only_json_allows_is_kept(submitted):
    sent = submitted(handler=Keeping)
    assert sent.call_back(body='{"applicationNumber": "\\u0000\\ud800", "status": "x"}').status_code == 200
    assert Keeping.kept[0].response.body["applicationNumber"] == "\x00\ud800"


@pytest.mark.parametrize("content_type", ["text/plain", "application/xml", "", "application/jsonp"])
def test_another_content_type(submitted, content_type):
    sent = submitted()
    refused(sent.call_back(content_type=content_type), 415, "UNSUPPORTED_MEDIA_TYPE")
    assert receipts() == [("invalid", "applicationOutcomeApproved")]


def test_parameters_of_the_content_type_do_not_matter(submitted):
    assert submitted().call_back(content_type="Application/JSON; charset=utf-8").status_code == 200


@override_settings(ISTHMUS_CALLBACKS_MAX_BODY_BYTES=2000)
def test_a_body_that_is_too_large(submitted):
    sent = submitted()
    refused(sent.call_back(body=json.dumps({"status": "x" * 2000})), 413, "REQUEST_BODY_TOO_LARGE")
    receipt = CallbackReceipt.objects.get()
    assert (receipt.state, receipt.body, receipt.reason) == ("invalid", "", "the body has more than 2000 bytes")


@pytest.mark.parametrize("method", ["get", "put", "delete", "patch", "options"])
def test_another_method(submitted, method):
    sent = submitted()
    response = getattr(sent.client, method)(sent.path())
    refused(response, 405, "METHOD_NOT_ALLOWED")
    assert response["Allow"] == "POST"
    assert CallbackReceipt.objects.get().reason == f"{method.upper()} is not one of POST"


def test_an_unknown_token(submitted, db):
    submitted()
    response = Client().post("/services/callbacks/guess/applicationError", "{}", content_type="application/json")
    refused(response, 404, "NOT_FOUND")
    receipt = CallbackReceipt.objects.get()
    assert (receipt.state, receipt.invocation, receipt.callback_name) == ("unknown", None, "applicationError")
    assert receipt.reason == "no invocation has this token"


@override_settings(ISTHMUS_CALLBACKS_UNKNOWN_KEPT_AN_HOUR=2)
def test_guessing_does_not_fill_the_database(db):
    for number in range(5):
        assert Client().post(f"/services/callbacks/guess{number}/x", "{}", content_type="text/plain").status_code == 404
    assert CallbackReceipt.objects.count() == 2
    assert not IntegrationLogEntry.objects.exists()


@pytest.mark.parametrize("ending", ["/nothing", "", "/applicationError/more", "/"])
def test_an_unknown_callback_name(submitted, ending):
    sent = submitted()
    path = sent.path().rpartition("/")[0] + ending
    response = sent.client.post(path, "{}", content_type="application/json")
    refused(response, 404, "NOT_FOUND")
    assert (CallbackReceipt.objects.get().state, CallbackReceipt.objects.get().invocation) == (
        "unknown",
        sent.invocation,
    )


def test_a_cancelled_invocation_takes_no_callback(submitted, admin_user):
    sent = submitted()
    cancel(sent.invocation, admin_user, "by mistake")
    refused(sent.call_back(), 408, "CALLBACK_TIMED_OUT")
    assert (names(), sent.invocation.state) == ([], "Cancelled")
    assert sent.invocation.reason == "cancelled by admin: by mistake"


def test_csrf_does_not_apply(submitted, approve):
    sent = submitted()
    sent.client = Client(enforce_csrf_checks=True)
    assert sent.call_back(body=approve).status_code == 200


def test_both_sides_are_logged_without_the_token(submitted):
    sent = submitted()
    sent.call_back()
    token = sent.invocation.callback_token.reveal()
    entry = IntegrationLogEntry.objects.get(direction="inbound")
    assert (entry.operation, entry.status_code) == ("AcmeMortgages.SubmitApplication applicationOutcomeApproved", 200)
    assert (entry.invocation_id, entry.outcome) == (sent.invocation.pk, "succeeded")
    assert entry.correlation_id == sent.invocation.correlation_id
    assert json.loads(entry.request_body) == {"applicationNumber": "A-1", "status": "approved"}
    assert token not in entry.url
    assert "/services/callbacks/********/applicationOutcomeApproved" in entry.url
    assert service_handlers.Outcome.__name__ not in entry.response_body


@pytest.mark.django_db(transaction=True)
def test_deliveries_at_the_same_time_have_one_effect(submitted):
    from threading import Barrier, Thread

    from django.db import connection

    sent = submitted()
    barrier, statuses = Barrier(6), []

    def deliver():
        barrier.wait()
        try:
            client = Client()
            body = {"applicationNumber": "A-1", "status": "approved"}
            statuses.append(client.post(sent.path(), body, content_type="application/json").status_code)
        finally:
            connection.close()

    threads = [Thread(target=deliver) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 6
    assert names() == ["approved A-1"]
    assert sorted(state for state, _ in receipts()) == ["processed"] + ["repeated"] * 5


def test_callbacks_that_share_an_address_differ_by_what_the_outside_appends(bank_door, callout_mock, jobs):
    taken = {"post": {"requestBody": {"content": {"application/json": {"schema": {"type": "object"}}}}}}
    callbacks = {"applicationOutcomeApproved": {"{$request.query.back}/yes": taken}}
    callbacks["applicationError"] = {"{$request.query.back}/no?why=1": taken}
    operation = {"operationId": "ask", "callbacks": callbacks, "responses": {"204": {"description": ""}}}
    register(
        "Asking", json.dumps({"openapi": "3.1.0", "paths": {"/ask": {"post": operation}}}), named_credential=bank_door
    )
    callout_mock.post("callout:Acme_Bank/ask", status=204)
    external_service("Asking").ask(callback=Keeping)
    path = urlsplit(parse_qs(urlsplit(callout_mock.calls[0].url).query)["back"][0]).path
    client = Client()
    assert client.post(f"{path}/no?why=1", {"a": 1}, content_type="application/json").status_code == 404
    assert client.post(path, {"a": 1}, content_type="application/json").status_code == 404
    assert client.post(f"{path}/yes", {"a": 1}, content_type="application/json").status_code == 200
    assert [callback.response.body for callback in Keeping.kept] == [{"a": 1}]
    assert [found for found in receipts() if found[0] != "unknown"] == [
        ("unhandled", "applicationError"),
        ("processed", "applicationOutcomeApproved"),
    ]
