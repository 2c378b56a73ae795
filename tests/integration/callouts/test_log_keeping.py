"""What the log masks by rule, what code adds to it, how long it is kept, who resolves doubt, curl, and health."""

import shlex
import subprocess
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse

from callouts import http, integration_log, log, redaction_rules
from callouts.credential_health import health_of
from callouts.curl import as_curl
from callouts.models import IntegrationLogEntry, RedactionRule, Resolution
from callouts.retention import remove_old_entries
from isthmus import clock
from isthmus.audit.models import AuditEntry
from tests.fault_server import Answer

pytestmark = pytest.mark.django_db


def rule(kind, expression, named_credential=None):
    made = RedactionRule(kind=kind, expression=expression, named_credential=named_credential)
    made.full_clean()
    made.save()
    return made


@pytest.fixture(autouse=True)
def _no_rules_of_other_tests():
    redaction_rules.forget()
    yield
    redaction_rules.forget()


def test_rules_mask_by_name_by_path_and_by_pattern(bank, server):
    rule("header", "X-Customer")
    rule("json_path", "$.customer.iban")
    rule("json_path", "$..lines[?@.kind=='private'].text", bank)
    rule("pattern", r"\b\d{3}-\d{2}-\d{4}\b")
    server.answers["/typed"] = lambda _: Answer(200, b'{"note": "123-45-6789"}', {"Content-Type": "application/json"})
    http.post(
        "callout:Bank/typed",
        params={"x-customer": "canary"},
        json={
            "customer": {"iban": "canary", "name": "Ada"},
            "lines": [{"kind": "private", "text": "canary"}, {"kind": "public", "text": "shown"}],
        },
        headers={"X-Customer": "canary", "X-Note": "is 123-45-6789"},
    )
    entry = IntegrationLogEntry.objects.get()
    assert "canary" not in str(vars(entry))
    assert "123-45" not in str(vars(entry))
    assert '"name": "Ada"' in entry.request_body
    assert "shown" in entry.request_body
    # The other side got everything.
    assert server.requests[0].body.count(b"canary") == 2


def test_a_rule_of_another_credential_masks_nothing_here(bank, server, open_door):
    from credentials.actions import create_named_credential

    other = create_named_credential("Other", url="https://other.example", external_credential=open_door)
    rule("json_path", "$.a", other)
    http.post("callout:Bank/echo", json={"a": "shown"})
    assert "shown" in IntegrationLogEntry.objects.get().request_body


def test_json_that_cannot_be_searched_by_path_is_not_shown(bank, server):
    rule("json_path", "$.a")
    http.post("callout:Bank/echo", data=b'{"a": "canary"', headers={"Content-Type": "application/json"})
    assert "canary" not in IntegrationLogEntry.objects.get().request_body


@pytest.mark.parametrize(
    ("kind", "expression"),
    [("json_path", "customer"), ("json_path", "$["), ("pattern", "("), ("pattern", "x*"), ("header", "two words")],
)
def test_rules_that_mean_nothing_are_refused(kind, expression):
    with pytest.raises(ValidationError):
        rule(kind, expression)


def test_a_rule_is_there_once(bank):
    rule("header", "X-A")
    with pytest.raises(ValidationError):
        rule("header", "X-A")


def test_a_pattern_takes_time_in_proportion_to_the_text(bank, server):
    # The classic that takes a backtracking engine for ever.
    rule("pattern", "(a+)+$")
    http.post("callout:Bank/echo", data=b"a" * 50_000 + b"!")
    assert IntegrationLogEntry.objects.get().outcome == "succeeded"


def test_code_adds_entries_of_its_own(admin_client):
    made = log.failure(
        "Warehouse", "Import stock", "Line 7: password=canary", payload={"line": 7, "secret": "canary"}, record="r1"
    )
    log.success("Warehouse", "Import stock", payload=b"\x00\x01")
    entry = IntegrationLogEntry.objects.get(pk=made)
    assert (entry.direction, entry.outcome, entry.operation) == ("noted", "failed", "Import stock")
    assert (entry.named_credential, entry.record_id, entry.error_code) == ("Warehouse", "r1", "NOTED_FAILURE")
    assert "canary" not in str(vars(entry))
    page = admin_client.get(reverse("callouts:entry", args=[made])).content.decode()
    assert "Line 7" in page
    assert "Copy as curl" not in page
    assert "Import stock" in admin_client.get(reverse("callouts:log")).content.decode()


def entry(**fields):
    given = {"method": "POST", "url": "http://x/a", "outcome": "in_doubt", "duration_ms": 5}
    return IntegrationLogEntry.objects.create(**{**given, **fields})


def test_each_outcome_is_kept_as_long_as_is_said_and_doubt_until_it_is_resolved():
    old = clock.now() - timedelta(days=400)
    for outcome in ("succeeded", "failed", "refused", "in_doubt"):
        entry(outcome=outcome, started_at=old)
    recent = entry(outcome="failed", started_at=clock.now() - timedelta(days=60))
    resolved = entry(started_at=old, resolution="acted", resolved_at=old)
    assert remove_old_entries()["removed"] == {"succeeded": 1, "failed": 1, "refused": 1, "in_doubt": 1}
    left = set(IntegrationLogEntry.objects.values_list("outcome", "resolution"))
    assert left == {("in_doubt", ""), ("failed", "")}
    assert IntegrationLogEntry.objects.filter(pk=recent.pk).exists()
    assert not IntegrationLogEntry.objects.filter(pk=resolved.pk).exists()


def test_a_person_resolves_doubt_once(admin_client, admin_user):
    doubtful = entry()
    page = reverse("callouts:entry", args=[doubtful.pk])
    assert "What became of it?" in admin_client.get(page).content.decode()
    address = reverse("callouts:resolve", args=[doubtful.pk])
    told = admin_client.post(address, {"resolution": "acted", "note": "order 7"}, follow=True)
    assert "order 7" in told.content.decode()
    assert not integration_log.resolve(doubtful, Resolution.NOT_ACTED)
    doubtful.refresh_from_db()
    assert (doubtful.resolution, doubtful.resolved_by) == ("acted", admin_user)
    assert AuditEntry.objects.get(action="callouts.entry_resolved").actor == "admin"
    unresolved = admin_client.get(reverse("callouts:log"), {"outcome": "unresolved"}).content.decode()
    assert str(doubtful.pk) not in unresolved


@pytest.mark.parametrize("fields", [{"outcome": "succeeded"}, {"queued_callout_id": 5}])
def test_what_is_not_to_be_resolved_here_is_not(admin_client, fields):
    found = entry(**fields)
    admin_client.post(reverse("callouts:resolve", args=[found.pk]), {"resolution": "acted"})
    found.refresh_from_db()
    assert found.resolution == ""


def test_resolving_takes_the_right_to_operate(client, django_user_model):
    client.force_login(django_user_model.objects.create_user("ada"))
    assert client.post(reverse("callouts:resolve", args=[entry().pk])).status_code == 403


def test_curl_repeats_the_request_with_secrets_as_placeholders(bank, server, oauth_bank):
    http.post(
        "callout:Oauth_Bank/echo?sig=canary",
        json={"name": "O'Hara", "password": "canary"},
        headers={"X-Plain": "it's $HOME"},
    )
    logged = IntegrationLogEntry.objects.get(named_credential="Oauth_Bank")
    command = as_curl(logged)
    assert "canary" not in command
    assert '"${AUTHORIZATION}"' in command
    server.requests.clear()
    done = subprocess.run(
        ["sh", "-c", command],
        env={"AUTHORIZATION": "Bearer let-me-in", "SECRET": "s3", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        check=False,
        timeout=20,
    )
    assert done.returncode == 0, done.stderr
    [arrived] = server.requests
    assert arrived.headers["authorization"] == "Bearer let-me-in"
    assert arrived.headers["x-plain"] == "it's $HOME"
    assert arrived.body == b'{"name": "O\'Hara", "password": "s3"}'
    assert arrived.query == {"sig": "s3"}


def test_curl_tells_what_the_log_does_not_have(bank):
    shown = as_curl(entry(request_body="[20 bytes, not text; SHA-256 ab]"))
    assert "--data-binary @body" in shown
    assert "only its beginning" in as_curl(entry(request_body="x… [cut; 100 bytes in all]"))
    assert shlex.split(as_curl(entry(request_body="[1, 2]")))[-1] == "[1, 2]"


def test_health_in_figures(bank):
    for number in range(20):
        entry(named_credential="Bank", outcome="succeeded", status_code=200, duration_ms=number + 1)
    failed = entry(named_credential="Bank", outcome="failed", status_code=500, duration_ms=900)
    entry(named_credential="Bank", outcome="refused", error_code="CIRCUIT_OPEN")
    entry(named_credential="Bank", outcome="succeeded", started_at=clock.now() - timedelta(hours=25))
    found = health_of("Bank")
    assert (found.calls, found.last_error) == (21, failed)
    # Percentiles come out of buckets.
    assert (found.p50_ms, found.p95_ms) == (pytest.approx(11, rel=0.02), pytest.approx(20, rel=0.02))
    assert found.success_rate == pytest.approx(20 / 21)
    nothing = health_of("Other")
    assert (nothing.calls, nothing.success_rate, nothing.p50_ms, nothing.last_error) == (0, None, None, None)
