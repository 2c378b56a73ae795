"""Fixtures for tests of external services and callbacks."""

import json
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from callouts.external_services import external_service
from callouts.external_services.actions import register
from callouts.external_services.models import Invocation
from credentials.actions import create_external_credential, create_named_credential, create_principal
from isthmus.access import actions as access
from tests import service_handlers

ROOT = Path(__file__).parent.parent
SEED_DOCUMENT = ROOT / "tests" / "service_documents" / "acme_mortgages.json"
BANK_DOCUMENT = ROOT / "examples" / "bank" / "openapi.yaml"
APPLICATION = {"applicant": {"name": "Ada"}, "requestedAmount": 250_000}
SUBMIT = "callout:Acme_Bank/applications"


@pytest.fixture
def bank_door(db):
    """`callout:Acme_Bank/…`, which asks for nothing."""
    external = create_external_credential("Open_Door", protocol="no_authentication")
    principal = create_principal(external, "Anybody", kind="anonymous")
    return create_named_credential(
        "Acme_Bank",
        url="https://bank.example",
        external_credential=external,
        principal=principal,
        allow_internal_addresses=True,
    )


@pytest.fixture
def mortgages(bank_door):
    """The service of the published document, which has no idempotency key."""
    register("AcmeMortgages", SEED_DOCUMENT.read_bytes(), named_credential=bank_door)
    return external_service("AcmeMortgages")


@pytest.fixture
def bank(bank_door):
    """The service of the example bank, whose submissions can be repeated."""
    register("Bank", BANK_DOCUMENT.read_bytes(), named_credential=bank_door)
    return external_service("Bank")


@pytest.fixture
def teller(db):
    """A user who may use the bank's credential."""
    user = get_user_model().objects.create_user("teller", is_active=True)
    grants = [("principal", "use", "Open_Door.Anybody"), ("external_service", "call", "*")]
    access.assign(access.ensure_permission_set("Tellers", "Tellers", grants=grants), user)
    return user


def callback_path(call, name):
    """Return the path of the address that a submission gave for a callback."""
    if name == "applicationError":
        url = parse_qs(urlsplit(call.url).query)["callbackUrlForErrorCases"][0]
    else:
        url = call.json()["callbackUrlForOutcomes"][name.removeprefix("applicationOutcome").lower()]
    return urlsplit(url).path


class Submitted:
    """A submission that has been answered, and what the bank can do with it."""

    def __init__(self, answer, call):
        self.answer = answer
        self.call = call
        self.client = Client()

    @property
    def invocation(self):
        return Invocation.objects.get(pk=self.answer.invocation_id)

    def path(self, name="applicationOutcomeApproved"):
        return callback_path(self.call, name)

    def call_back(self, name="applicationOutcomeApproved", body=None, **more):
        body = {"applicationNumber": "A-1", "status": "approved"} if body is None else body
        given = body if isinstance(body, str | bytes) else json.dumps(body)
        return self.client.post(
            self.path(name), given, content_type=more.pop("content_type", "application/json"), **more
        )


@pytest.fixture
def submitted(mortgages, callout_mock, jobs):
    """Submits an application; returns what the bank then knows."""
    callout_mock.post(SUBMIT, status=201, json={"applicationNumber": "A-1"})

    def submit(handler=service_handlers.Outcome, reference="lead-1", **more):
        answer = mortgages.submit_application(
            body={"applicant": {"name": "Ada"}}, callback=handler, reference=reference, **more
        )
        return Submitted(answer, callout_mock.calls[-1])

    return submit


@pytest.fixture
def approve():
    """The body of an approval."""
    return {"applicationNumber": "A-1", "status": "approved", "approvedAmount": 250_000}
