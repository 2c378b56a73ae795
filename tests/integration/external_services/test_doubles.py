"""Doubles that are made from documents."""

import json
import threading

import pytest
import requests

from callouts import http
from callouts.external_services import external_service
from callouts.external_services.actions import register
from callouts.external_services.description.schemas import compile_schema
from callouts.external_services.document.references import Content
from callouts.external_services.errors import MockUnprepared, RequestRefused, ServiceFailed
from callouts.external_services.mock.samples import sample
from callouts.external_services.mock.serving import make_server
from callouts.external_services.models import CallbackReceipt, ExternalService, Invocation
from callouts.external_services.testing import external_service_mock as external_service_mock
from callouts.testing import UnexpectedCallout
from credentials.actions import create_named_credential
from credentials.models import ExternalCredential
from crm.models import Contact
from tests.integration.external_services.documents import SWAGGER
from tests.service_fixtures import APPLICATION
from tests.service_handlers import Outcome

pytestmark = pytest.mark.django_db


def test_the_whole_story_of_an_asynchronous_operation(mortgages, external_service_mock, jobs):
    bank = external_service_mock("AcmeMortgages")
    answer = mortgages.submit_application(body={"applicant": {"name": "Ada"}}, callback=Outcome, reference="r")
    assert answer.code201.application_number == "text"
    [received] = bank.received
    assert (received.operation, received.method, received.problems, received.status) == (
        "submit_application", "POST", (), 201
    )  # fmt: skip
    response = bank.call_back("applicationOutcomeApproved", {"applicationNumber": "A-1", "status": "approved"})
    assert response.status_code == 200
    assert Invocation.objects.get().state == "Completed"
    assert Contact.objects.get().last_name == "approved A-1"


def test_a_callback_is_made_up_from_the_document(mortgages, external_service_mock, jobs):
    bank = external_service_mock("AcmeMortgages")
    mortgages.submit_application(body={"applicant": {"name": "Ada"}}, callback=Outcome)
    assert bank.call_back("application_outcome_approved").status_code == 200
    assert CallbackReceipt.objects.get().state == "processed"
    with pytest.raises(MockUnprepared, match="'nothing'"):
        bank.call_back("nothing")


def test_a_test_prepares_answers(bank, external_service_mock, jobs):
    double = external_service_mock("Bank")
    double.answer("get_application", status=503)
    double.answer("get_application", json={"applicationNumber": "X"})
    with pytest.raises(ServiceFailed):
        bank.get_application(application_number="1")
    assert bank.get_application(application_number="1").body == {"applicationNumber": "X"}
    with pytest.raises(MockUnprepared):
        double.answer("nothing")


def test_a_request_past_the_document_is_refused_with_the_reason(bank, external_service_mock):
    double = external_service_mock("Bank")
    answer = http.post("callout:Acme_Bank/applications", json={**APPLICATION, "requestedAmount": "much"})
    assert answer.status_code == 422
    assert any(problem.startswith("body/requestedAmount: ") for problem in answer.json()["problems"])
    assert http.get("callout:Acme_Bank/nowhere").status_code == 404
    assert [one.operation for one in double.received] == ["submit_application", ""]


def test_the_caller_prefers_a_status(bank_door, external_service_mock):
    content = {"application/json": {"examples": {"one": {"value": {"n": 1}}, "two": {"value": {"n": 2}}}}}
    answers = {"200": {"description": "", "content": content}, "404": {"description": "", "content": content}}
    prefer = {"name": "Prefer", "in": "header", "schema": {"type": "string"}}
    operation = {"operationId": "get", "parameters": [prefer], "responses": answers}
    register("S", json.dumps({"openapi": "3.0.0", "paths": {"/x": {"get": operation}}}), named_credential=bank_door)
    external_service_mock("S")
    service = external_service("S")
    assert service.get().body == {"n": 1}
    assert service.get(prefer="example=two").body == {"n": 2}
    with pytest.raises(RequestRefused) as refused:
        service.get(prefer="code=404, example=two")
    assert refused.value.body == {"n": 2}


def test_what_no_double_stands_for_is_not_called(bank, external_service_mock):
    external_service_mock("Bank")
    external = ExternalCredential.objects.get()
    create_named_credential("Other", url="https://other.example", external_credential=external,
                            principal=external.principals.get())  # fmt: skip
    with pytest.raises(UnexpectedCallout, match="there are doubles of Acme_Bank"):
        http.get("callout:Other/x")


def test_a_double_of_openapi_2_0(bank_door, external_service_mock):
    register("Old", json.dumps(SWAGGER), named_credential=bank_door)
    double = external_service_mock("Old")
    old = external_service("Old")
    assert old.list(page=1, tags=["a", "b"], ids=["1"]).code200 == [{"name": "text"}]
    assert old.add(body={"name": "x"}).status == 201
    assert [one.problems for one in double.received] == [(), ()]


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "required": ["a"], "properties": {"a": {"type": "string", "minLength": 9, "maxLength": 9}}},
        {"type": "integer", "minimum": 5}, {"type": "integer", "exclusiveMinimum": True, "minimum": 5},
        {"type": "number", "maximum": -3}, {"type": "integer", "multipleOf": 7}, {"enum": ["x", "y"]},
        {"type": "array", "minItems": 3, "items": {"type": "string", "format": "uuid"}},
        {"allOf": [{"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}},
                   {"type": "object", "required": ["b"], "properties": {"b": {"type": "boolean"}}}]},
        {"oneOf": [{"type": "string", "format": "date"}, {"type": "integer"}]},
        {"type": "object", "required": ["next"], "properties": {"next": {"type": "object", "properties": {
            "again": {"$ref": "#/components/schemas/It"}}}}},
        {"type": "string", "pattern": "^AC[0-9a-fA-F]{32}$"}, {"type": "string", "pattern": r"^\d{3}-\w+@[a-z.]+$"},
        {"type": "string", "format": "date-time"}, {"type": "string", "format": "byte"}, {"type": "boolean"},
    ],
)  # fmt: skip
def test_samples_fit_their_schemas(schema):
    pieces = Content({"components": {"schemas": {"It": schema}}})
    value = sample(pieces, "/components/schemas/It")
    assert compile_schema(pieces, "/components/schemas/It", dialect="3.0").problems(value) == []


@pytest.mark.parametrize("pattern", ["(", "a{99999999}", "((a{60}){60}){60}", "(?<=x)y{2}(?P<n>z)(?P=n)", "x" * 5000])
def test_patterns_that_are_too_much_or_none_at_all(pattern):
    pieces = Content({"components": {"schemas": {"It": {"type": "string", "pattern": pattern}}}})
    assert isinstance(sample(pieces, "/components/schemas/It"), str)


@pytest.mark.django_db(transaction=True)
def test_a_double_is_served_on_a_port(bank, live_server, settings, jobs):
    settings.BASE_URL = live_server.url
    server = make_server(ExternalService.objects.get())
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        address, outside = f"http://127.0.0.1:{server.server_address[1]}", requests.Session()
        body = {**APPLICATION, "callbackUrlForOutcomes": {"approved": f"{live_server.url}/services/callbacks/x/y"}}
        headers = {"Idempotency-Key": "3fa85f64-5717-4562-b3fc-2c963f66afa6"}
        answer = outside.post(f"{address}/applications", json=body, headers=headers, timeout=10)
        assert (answer.status_code, answer.headers["Content-Type"]) == (201, "application/json")
        received = outside.get(f"{address}/_received", timeout=10).json()
        assert [(one["operation"], one["status"]) for one in received] == [("submit_application", 201)]
        told = outside.post(f"{address}/_callbacks/applicationOutcomeApproved", timeout=10).json()
        assert (told["status"], told["sentTo"]) == (404, body["callbackUrlForOutcomes"]["approved"])
        unknown = outside.post(f"{address}/_callbacks/nothing", timeout=10)
        assert (unknown.status_code, unknown.json()["code"]) == (409, "MOCK_UNPREPARED")
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
