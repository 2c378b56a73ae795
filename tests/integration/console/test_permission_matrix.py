"""Every page and every act of the console, for everybody who may ask: who gets what."""

import re

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client
from django.urls import get_resolver, reverse

from credentials.actions import ensure_external_credential, ensure_named_credential
from crm.models import Account
from isthmus.access.actions import assign
from isthmus.access.models import PermissionSet
from isthmus.access.setting_up import sets_up
from isthmus.jobs.models import Schedule
from isthmus.objects.record_ids import record_id_of
from tests import console_samples as samples

ROLES = ("anonymous", "nobody", "viewer", "operator", "administrator")
CONSOLE = {
    "console", "jobs", "callouts", "named_credentials", "external_services", "callout_queue", "events",
    "apexrest_pages", "records_pages", "credentials",
}  # fmt: skip
VIEW, OPERATE, ADMINISTER, SIGNED_IN, OPEN = "view", "operate", "administer", "signed in", "open"
LEVELS = {
    VIEW: {"viewer", "operator", "administrator"},
    OPERATE: {"operator", "administrator"},
    ADMINISTER: {"administrator"},
    SIGNED_IN: {"nobody", "viewer", "operator", "administrator"},
    OPEN: set(ROLES),
}


def rows(made):
    """Return name, method, level, keyword arguments of every page and act."""
    job, entry, service = {"job_id": made["job"].pk}, {"entry_id": made["entry"].pk}, {"name": made["service"].name}
    account = record_id_of(Account.objects.create(name="Acme"))
    invocation, receipt = {"invocation_id": made["invocation"].pk}, {"receipt_id": made["receipt"].pk}
    subscription = {"subscription_id": made["subscription"].pk}
    external = ensure_external_credential("Acme", protocol="basic")
    ensure_named_credential("Acme", url="https://acme.example.org", external_credential=external)
    return [
        ("console:home", "get", VIEW, {}),
        ("console:login", "get", OPEN, {}),
        ("console:logout", "post", OPEN, {}),
        ("console:search", "get", VIEW, {}),
        ("console:why", "get", VIEW, {}),
        ("console:demo-data", "get", ADMINISTER, {}),
        ("console:demo-data", "post", ADMINISTER, {}),
        ("console:time-line", "get", VIEW, {"reference": "correlation-1"}),
        ("console:time-line-bundle", "get", VIEW, {"reference": "correlation-1"}),
        ("console:connections", "get", VIEW, {}),
        ("console:limits", "get", VIEW, {}),
        ("console:live", "get", VIEW, {}),
        ("console:listings", "get", VIEW, {}),
        ("console:listing", "get", VIEW, {"name": "operations"}),
        ("console:bulk", "get", OPERATE, {"name": "operations"}),
        ("console:bulk-operation", "get", VIEW, {"operation_id": made["bulk"].pk}),
        ("console:healthz", "get", OPEN, {}),
        ("console:readyz", "get", OPEN, {}),
        ("console:metrics", "get", OPEN, {}),
        ("jobs:list", "get", VIEW, {}),
        ("jobs:schedules", "get", VIEW, {}),
        ("jobs:detail", "get", VIEW, job),
        ("jobs:abort", "post", OPERATE, job),
        ("jobs:retry", "post", OPERATE, job),
        ("jobs:retry-failed", "post", OPERATE, job),
        ("jobs:run-schedule", "post", OPERATE, {"schedule_id": Schedule.objects.first().pk}),
        ("callouts:log", "get", VIEW, {}),
        ("callouts:entry", "get", VIEW, entry),
        ("callouts:resolve", "post", OPERATE, entry),
        ("named_credentials:list", "get", VIEW, {}),
        ("named_credentials:detail", "get", VIEW, {"name": "Acme"}),
        ("named_credentials:destination", "post", OPERATE, {"name": "Acme"}),
        ("external_services:list", "get", VIEW, {}),
        ("external_services:invocations", "get", VIEW, {}),
        ("external_services:invocation", "get", VIEW, invocation),
        ("external_services:act", "post", OPERATE, {**invocation, "what": "extend"}),
        ("external_services:receipts", "get", VIEW, {}),
        ("external_services:receipt", "get", VIEW, receipt),
        ("external_services:route", "post", OPERATE, receipt),
        ("external_services:service", "get", VIEW, service),
        ("external_services:connect", "post", OPERATE, service),
        ("external_services:version", "get", VIEW, {**service, "number": 2}),
        ("external_services:activate", "post", OPERATE, {**service, "number": 2}),
        ("external_services:source", "get", VIEW, {**service, "number": 2, "pk": 1}),
        ("external_services:operation", "get", VIEW, {**service, "operation_name": "submit_application"}),
        ("callout_queue:list", "get", VIEW, {}),
        ("callout_queue:recover", "get", OPERATE, {}),
        ("callout_queue:batches", "get", VIEW, {}),
        ("callout_queue:batch", "get", VIEW, {"pk": made["batch"].pk}),
        ("callout_queue:batch-act", "post", OPERATE, {"pk": made["batch"].pk, "what": "restart"}),
        ("callout_queue:detail", "get", VIEW, {"pk": made["queued"].pk}),
        ("callout_queue:edit", "get", OPERATE, {"pk": made["queued"].pk}),
        ("callout_queue:decide", "post", OPERATE, {"pk": made["queued"].pk, "what": "resend"}),
        ("events:why", "get", VIEW, {}),
        ("events:monitor", "get", VIEW, {}),
        ("events:log", "get", VIEW, {}),
        ("events:event", "get", VIEW, {"replay_id": 1}),
        ("events:parked", "get", VIEW, {}),
        (
            "events:decide",
            "post",
            OPERATE,
            {"parked_id": made["subscription"].parked_events.get().pk, "act": "discard"},
        ),
        ("events:publish", "get", OPERATE, {"api_name": made["definition"].api_name}),
        ("events:subscription", "get", VIEW, subscription),
        ("events:steer", "post", OPERATE, {**subscription, "act": "pause"}),
        ("apexrest_pages:documentation", "get", SIGNED_IN, {}),
        ("apexrest_pages:openapi", "get", SIGNED_IN, {"version": "v1"}),
        ("apexrest_pages:document", "get", SIGNED_IN, {"version": "v1"}),
        ("apexrest_pages:endpoints", "get", VIEW, {}),
        ("apexrest_pages:test", "get", VIEW, {"entry_id": made["call"].pk}),
        ("apexrest_pages:endpoint", "get", VIEW, {"mapping": samples.ENDPOINT.strip("/")}),
        ("records_pages:explorer", "get", VIEW, {}),
        ("records_pages:download", "get", VIEW, {}),
        ("records_pages:fields", "get", VIEW, {"name": "Account"}),
        ("records_pages:describe", "get", VIEW, {"name": "Account"}),
        ("records_pages:record", "get", VIEW, {"name": "Account", "record_id": account}),
        ("credentials:my_connections", "get", SIGNED_IN, {}),
        ("credentials:connect", "post", SIGNED_IN, {"principal_id": 1}),
        ("credentials:disconnect", "post", SIGNED_IN, {"principal_id": 1}),
        ("credentials:callback", "get", SIGNED_IN, {"name": "Acme"}),
    ]


def browser_of(role):
    client = Client()
    if role == "anonymous":
        return client, None
    user = User.objects.create_user(role, password=samples.PASSWORD)
    if role != "nobody":
        assign(PermissionSet.objects.get(name=f"Console_{role.capitalize()}"), user)
    client.force_login(user)
    return client, user


def outcome(answer):
    """Return what became of a request: let in, refused, or sent to the sign-in."""
    if answer.streaming:
        # What is not read to its end counts as open.
        b"".join(answer.streaming_content)
    if answer.status_code == 302 and answer.headers["Location"].startswith("/sign-in/?next="):
        return "signs in"
    if answer.status_code == 401:
        return "signs in"  # The document that programs read asks for a token.
    return "refused" if answer.status_code == 403 else "let in"


def names_of(resolver, namespace=""):
    for pattern in resolver.url_patterns:
        if hasattr(pattern, "url_patterns"):
            yield from names_of(pattern, f"{pattern.namespace}:" if pattern.namespace else namespace)
        elif namespace.rstrip(":") in CONSOLE:
            yield f"{namespace}{pattern.name}"


@pytest.fixture
def made(db):
    return samples.make_everything()


def test_the_matrix_knows_every_address_of_the_console(made):
    assert {name for name, *_ in rows(made)} == set(names_of(get_resolver()))


@pytest.mark.parametrize("role", ROLES)
def test_who_gets_what(role, made):
    client, _ = browser_of(role)
    signs_in, refused = ("signs in", "refused")
    wrong = []
    # Signing out is the last thing that somebody does.
    for name, method, level, kwargs in sorted(rows(made), key=lambda row: row[0] == "console:logout"):
        expected = "let in" if role in LEVELS[level] else signs_in if role == "anonymous" else refused
        found = outcome(getattr(client, method)(reverse(name, kwargs=kwargs)))
        # Without a state of our own nobody comes back from an identity provider.
        if name == "credentials:callback" and found == "refused" and role != "anonymous":
            found = expected
        if found != expected:
            wrong.append((name, method, found, expected))
    assert wrong == []


@pytest.mark.parametrize("role", ROLES[1:])
def test_the_navigation_shows_what_is_allowed_and_nothing_else(role, made):
    client, user = browser_of(role)
    text = client.get("/my-connections/").content.decode()
    shown = set(re.findall(r'<li><a href="([^"]+)"', text))
    for address in shown - {"/admin/"}:
        assert outcome(client.get(address)) == "let in", address
    assert ("/admin/" in shown) == (role == "administrator") == sets_up(user)
    assert ("/operations/" in shown) == (role in LEVELS[VIEW])


@pytest.mark.parametrize("role", ROLES)
def test_only_administrators_set_up_and_records_are_not_among_it(role, db):
    client, _ = browser_of(role)
    for model in admin.site._registry:
        options = model._meta
        answer = client.get(reverse(f"admin:{options.app_label}_{options.model_name}_changelist"))
        is_ours = options.app_label not in {"crm", "django_q", "mortgage"}
        expected = {200} if role == "administrator" and is_ours else {403} if role == "administrator" else {302}
        assert {answer.status_code} == expected, options.label
