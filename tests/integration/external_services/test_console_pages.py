"""The pages of external services: reading, trying, switching versions, connecting."""

import json
import re

import pytest
from django.contrib.auth.models import User

from callouts.external_services.actions import register
from callouts.external_services.models import ExternalService, Invocation
from callouts.models import IntegrationLogEntry
from credentials.models import NamedCredential
from isthmus.access import actions as access
from tests import console_samples as samples
from tests.service_fixtures import BANK_DOCUMENT

pytestmark = pytest.mark.django_db

SUBMIT = "/external-services/services/Bank/operations/submit_application/"
GET = "/external-services/services/Bank/operations/get_application/"
SERVICE = "/external-services/services/Bank/"


@pytest.fixture
def operator(client):
    user = samples.user_with("view", "operate")
    grants = [("principal", "use", "Open_Door.Anybody"), ("external_service", "call", "*")]
    access.assign(access.ensure_permission_set("Tryers", "Tryers", grants=grants), user)
    client.force_login(user)
    return client


def text_of(answer):
    text = answer.content.decode().replace("<wbr>", "")
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text))


def test_operations_are_found_by_their_words(bank, operator):
    page = text_of(operator.get(SERVICE))
    assert "submit_application()" in page
    assert "get_application()" in page
    found = text_of(operator.get(f"{SERVICE}?q=Read+one"))
    assert "get_application()" in found
    assert "submit_application()" not in found
    assert "Nothing" in text_of(operator.get(f"{SERVICE}?q=nothing-like-that"))


def test_many_operations_come_in_pages(bank_door, operator):
    paths = {f"/{number:03}": {"get": {"operationId": f"op{number:03}"}} for number in range(60)}
    register("Many", json.dumps({"openapi": "3.0.0", "paths": paths}))
    page = text_of(operator.get("/external-services/services/Many/?page=3"))
    assert "Page 3 of 3" in page
    assert ("op050()" in page, "op049()" in page) == (True, False)


def test_an_operation_is_described(bank, operator):
    page = text_of(operator.get(SUBMIT))
    for words in (
        "Submit a new mortgage application", "applicant * required Contact", "requestedAmount * required number",
        "applicationOutcomeApproved", "submit_application(body={…}",
    ):  # fmt: skip
        assert words in page, words
    # What the platform fills in is not asked for.
    form = operator.get(SUBMIT).content.decode()
    assert 'name="p.callback_url_for_error_cases"' not in form
    assert 'name="b.callbackUrlForOutcomes"' not in form
    assert 'name="p.idempotency_key"' not in form


def test_how_an_operation_turns_pages_is_told(bank_door, operator):
    names = [{"name": name, "in": "query", "schema": {"type": "string"}} for name in ("page_token", "page_size")]
    answer = {"properties": {"next_page_token": {"type": "string"}, "items": {"type": "array"}}}
    success = {"description": "", "content": {"application/json": {"schema": answer}}}
    listing = {"operationId": "things", "parameters": names, "responses": {"200": success}}
    register("Paged", json.dumps({"openapi": "3.0.0", "paths": {"/things": {"get": listing}}}))
    page = text_of(operator.get("/external-services/services/Paged/operations/things/"))
    assert "follows /next_page_token ; page_size says how many a page holds" in page


def test_a_preview_sends_nothing(bank, operator, callout_mock):
    given = {"what": "preview", "b.applicant": '{"name": "Ada"}', "b.requestedAmount": "250000", "reference": "r-1"}
    page = text_of(operator.post(SUBMIT, given))
    assert "What would leave" in page
    assert "https://bank.example/applications" in page
    assert "curl --request POST" in page
    assert "&quot;requestedAmount&quot;:250000" in page
    assert "services/callbacks/made-when-it-is-sent/applicationOutcomeApproved" in page
    assert callout_mock.calls == []
    assert not Invocation.objects.exists()


def test_what_is_wrong_is_told_at_its_field(bank, operator, callout_mock):
    given = {"what": "send", "b.applicant": "{", "b.requestedAmount": "much"}
    page = text_of(operator.post(SUBMIT, given))
    assert "/applicant it is JSON here" in page
    assert "/requestedAmount it is a number here" in page
    page = text_of(operator.post(SUBMIT, {"what": "preview", "b.applicant": '{"name": 1}', "b.requestedAmount": "1"}))
    assert "/body/applicant/name the value is not of type" in page
    assert callout_mock.calls == []


def test_a_call_is_made_and_its_answer_shown(bank, operator, callout_mock):
    callout_mock.get("callout:Acme_Bank/applications/A%2F1", json={"applicationNumber": "A/1", "password": "hunter2"})
    answer = operator.post(GET, {"what": "send", "p.application_number": "A/1"})
    page = text_of(answer)
    assert "Answered 200" in page
    assert "A/1" in page
    assert "hunter2" not in page
    entry = IntegrationLogEntry.objects.get()
    assert f"/integration-log/{entry.pk}/" in answer.content.decode()
    assert entry.user == User.objects.get()
    assert "calls 1" in text_of(operator.get(GET)).lower().replace("calls, 24 h", "calls")


def test_an_error_is_an_answer_too(bank, operator, callout_mock):
    callout_mock.get("callout:Acme_Bank/applications/1", status=404, json={"message": "no such application"})
    page = text_of(operator.post(GET, {"what": "send", "p.application_number": "1"}))
    assert "Answered 404" in page
    assert "no such application" in page
    assert "OPERATION_REFUSED" in page


@pytest.mark.django_db(transaction=True)
def test_an_asynchronous_operation_is_tried_with_its_callbacks(bank, operator, callout_mock, jobs):
    callout_mock.post("callout:Acme_Bank/applications", status=201, json={"applicationNumber": "A-1"})
    given = {"what": "send", "raw": '{"applicant": {"name": "Ada"}, "requestedAmount": 1}'}
    answer = operator.post(SUBMIT, given)
    invocation = Invocation.objects.get()
    assert f"/external-services/invocations/{invocation.pk}/" in answer.content.decode()
    url = callout_mock.calls[0].json()["callbackUrlForOutcomes"]["approved"]
    body = {"applicationNumber": "A-1", "status": "approved", "approvedAmount": 1}
    back = operator.post("/services" + url.partition("/services")[2], json.dumps(body), "application/json")
    assert back.status_code == 200, back.content
    invocation.refresh_from_db()
    assert invocation.state == "Completed"


def test_a_sample_fills_the_form(bank, operator):
    page = operator.post(SUBMIT, {"what": "sample"}).content.decode()
    assert "&quot;applicant&quot;: {" in page


@pytest.mark.parametrize(
    ("grants", "told"),
    [
        (["view"], "needs the grant console.operate"),
        (["view", "operate"], "needs the grant external_service.call"),
    ],
)
def test_who_may_not_call_cannot_try(bank, client, callout_mock, grants, told):
    client.force_login(samples.user_with(*grants))
    page = text_of(client.get(GET))
    assert told in page
    assert "name=&quot;what&quot;" not in page
    client.post(GET, {"what": "send", "p.application_number": "1"})
    assert callout_mock.calls == []


def test_versions_are_compared_switched_and_downloaded(bank, operator):
    text = BANK_DOCUMENT.read_text().replace("operationId: GetApplication", "operationId: ReadApplication")
    assert text != BANK_DOCUMENT.read_text()
    register("Bank", text)
    assert "Version 2 is registered and waits" in text_of(operator.get(SERVICE))
    page = text_of(operator.get(f"{SERVICE}versions/2/"))
    assert "1 breaking" in page
    assert "get_application removed" in page
    assert "read_application added" in page
    operator.post(f"{SERVICE}versions/2/activate/")
    assert ExternalService.objects.get().active_version.number == 2
    assert "roll back" in text_of(operator.get(f"{SERVICE}versions/1/"))
    operator.post(f"{SERVICE}versions/1/activate/")
    assert ExternalService.objects.get().active_version.number == 1
    source = ExternalService.objects.get().versions.get(number=2).sources.get()
    answer = operator.get(f"{SERVICE}versions/2/source/{source.pk}/")
    assert answer.content.decode() == text
    assert answer.headers["Content-Disposition"] == 'attachment; filename="Bank-2.yaml"'
    assert operator.get(f"{SERVICE}versions/1/source/{source.pk}/").status_code == 404


def test_who_only_watches_cannot_switch(bank, client):
    client.force_login(samples.user_with("view"))
    assert client.post(f"{SERVICE}versions/1/activate/").status_code == 403
    assert client.post(f"{SERVICE}connect/").status_code == 403


def test_a_service_is_connected_from_its_document(admin_client, callout_mock):
    document = {
        "openapi": "3.0.0",
        "servers": [{"url": "https://{region}.api.example/v1/", "variables": {"region": {"default": "eu"}}}],
        "paths": {"/things": {"get": {"operationId": "things", "responses": {}}}},
        "components": {"securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "X-Key"}}},
    }
    register("Things", json.dumps(document))
    page = admin_client.get("/external-services/services/Things/").content.decode()
    assert 'value="https://eu.api.example/v1"' in page
    assert "key (custom_headers)" in page
    answer = admin_client.post(
        "/external-services/services/Things/connect/",
        {"url": "https://eu.api.example/v1", "scheme": "key"},
        follow=True,
    )
    assert "Still to be entered in Set-up, Principals: ApiKey." in text_of(answer)
    credential = NamedCredential.objects.get()
    assert (credential.name, credential.url) == ("Things", "https://eu.api.example/v1")
    assert credential.external_credential.settings["headers"] == "X-Key: {ApiKey}"
    assert ExternalService.objects.get().named_credential == credential


def test_connecting_needs_the_permission_to_add_credentials(bank_door, operator):
    register("Things", json.dumps({"openapi": "3.0.0", "paths": {"/x": {"get": {}}}}))
    answer = operator.post("/external-services/services/Things/connect/", {"url": "https://x.example"}, follow=True)
    assert "needs an administrator" in text_of(answer)
    assert ExternalService.objects.get().named_credential is None
