"""Asking for what is not there gives a named error with a stable code, and changes nothing."""

import json

import pytest
from django.contrib.auth.models import User

from callouts import http
from callouts.external_services import external_service
from callouts.external_services.errors import UnknownExternalService, UnknownOperation
from callouts.external_services.models import CallbackReceipt, Invocation
from callouts.models import IntegrationLogEntry
from credentials.errors import PrincipalAccessRefused, UnknownNamedCredential
from crm.models import Case, Contact
from examples.mortgage.callbacks import SubmitApplicationCallback
from isthmus.access.actions import assign, ensure_permission_set, issue_access_token
from isthmus.objects.actions import Operation, save
from isthmus.objects.errors import UnknownObject

BODY = {"applicant": {"name": "Ada"}, "requestedAmount": 1}


def test_an_unknown_object(desk):
    with pytest.raises(UnknownObject) as caught:
        save(User.objects.get(username="admin"), "Nonesuch__c", Operation.CREATE, [{}])
    assert caught.value.code == "INVALID_TYPE"


def test_an_unknown_field(desk):
    [result] = save(User.objects.get(username="admin"), "Contact", Operation.CREATE, [{"LastName": "X", "Nope__c": 1}])
    assert [error.code for error in result.errors] == ["INVALID_FIELD"]
    assert not Contact.objects.exists()


def test_an_unknown_service_and_an_unknown_operation(desk):
    with pytest.raises(UnknownExternalService) as service:
        external_service("Nonesuch")
    with pytest.raises(UnknownOperation) as operation:
        external_service("AcmeMortgages").nonesuch(body={})
    assert (service.value.code, operation.value.code) == ("UNKNOWN_EXTERNAL_SERVICE", "UNKNOWN_OPERATION")


def test_an_unknown_credential_is_refused_and_logged(desk):
    with pytest.raises(UnknownNamedCredential) as caught:
        http.get("callout:Nonesuch/x")
    [entry] = IntegrationLogEntry.objects.all()
    assert (entry.outcome, entry.error_code) == ("refused", caught.value.code)


def test_a_user_without_the_principal_sends_nothing(desk):
    stranger = User.objects.create_user("stranger")
    callers = ensure_permission_set("Callers", "Callers", grants=[("external_service", "call", "*")])
    assign(callers, stranger)
    with pytest.raises(PrincipalAccessRefused):
        external_service("AcmeMortgages").submit_application(
            body=BODY, callback=SubmitApplicationCallback, reference="x", user=stranger
        )
    assert desk.applications == []
    assert desk.bank.tokens_issued == 0
    assert not Invocation.objects.filter(state="Waiting").exists()


@pytest.mark.parametrize("path", ["callouts", "credentials"])
def test_a_malformed_body_is_a_400_with_a_code_and_no_case(desk, client, path):
    token = issue_access_token(User.objects.get(username="integration"))
    answer = client.post(
        "/services/apexrest/v1/support-requests/",
        data="{" if path == "callouts" else json.dumps({"subject": 5}),
        content_type="application/json",
        headers={"Authorization": f"Bearer {token}"},
    )
    assert answer.status_code == 400
    assert answer.json()[0]["errorCode"] == "JSON_PARSER_ERROR"
    assert not Case.objects.exists()
    assert IntegrationLogEntry.objects.get(direction="inbound").status_code == 400


def test_a_callback_for_an_unknown_invocation_is_kept_and_answered_404(desk, client):
    answer = client.post(
        "/services/callbacks/no-such-token/applicationOutcomeApproved",
        data=json.dumps({"applicationNumber": "A", "status": "approved"}),
        content_type="application/json",
    )
    assert answer.status_code == 404
    assert CallbackReceipt.objects.get().state == "unknown"


def test_a_callback_for_a_finished_or_expired_invocation_is_kept_and_changes_nothing(desk, client):
    desk.submit()
    body = json.loads(desk.applications[0]["body"])
    url = body["callbackUrlForOutcomes"]["approved"].split("/services", 1)[1]
    told = json.dumps({"applicationNumber": "ACME-00001", "status": "approved", "approvedAmount": 250000})

    def call(data):
        return client.post(f"/services{url}", data=data, content_type="application/json").status_code

    assert call(told) == 200
    assert Contact.objects.count() == 1
    assert call(told) == 200
    assert call(told.replace("250000", "1")) == 408
    assert Contact.objects.count() == 1
    assert sorted(CallbackReceipt.objects.values_list("state", flat=True)) == ["late", "processed", "repeated"]
