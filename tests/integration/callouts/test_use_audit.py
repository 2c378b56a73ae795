"""Who used which credential is in the audit trail a few minutes later, completely and once."""

from datetime import timedelta

import pytest

from callouts import http
from callouts.models import IntegrationLogEntry
from callouts.use_audit import audit_uses, chain_uses
from credentials.errors import UnknownNamedCredential
from isthmus import clock
from isthmus.audit.actions import check_chain
from isthmus.audit.models import AuditEntry

pytestmark = pytest.mark.django_db


def uses():
    rows = AuditEntry.objects.filter(action__in=["credentials.used", "credentials.refused"]).order_by("sequence")
    return [(row.action, row.target, row.outcome, row.details["exchanges"]) for row in rows]


def test_uses_are_counted_by_credential_user_and_outcome(bank, server):
    for _ in range(3):
        http.get("callout:Bank/json")
    http.get("callout:Bank/error")
    with pytest.raises(UnknownNamedCredential):
        http.get("callout:Nowhere/x")
    later = clock.now() + timedelta(seconds=1)
    chain_uses(until=later)
    assert uses() == [
        ("credentials.used", "Bank", "failed", 1),
        ("credentials.used", "Bank", "done", 3),
        ("credentials.refused", "Nowhere", "refused", 1),
    ]
    assert check_chain().broken_at is None


def test_a_second_run_counts_nothing_twice(bank, server):
    http.get("callout:Bank/json")
    moment = clock.now() + timedelta(seconds=1)
    assert chain_uses(until=moment) == 1
    assert chain_uses(until=moment) == 0
    http.get("callout:Bank/json")
    IntegrationLogEntry.objects.order_by("-started_at")[:1].get()
    IntegrationLogEntry.objects.filter(pk=IntegrationLogEntry.objects.latest("started_at").pk).update(started_at=moment)
    assert chain_uses(until=moment + timedelta(seconds=1)) == 1
    assert [count for *_, count in uses()] == [1, 1]


def test_what_may_still_be_under_way_waits(bank, server):
    http.get("callout:Bank/json")
    audit_uses()
    assert uses() == []


def test_the_digest_shows_what_was_in_the_log(bank, server):
    http.get("callout:Bank/json")
    chain_uses(until=clock.now() + timedelta(seconds=1))
    entry = AuditEntry.objects.get(action="credentials.used")
    assert len(entry.details["digest"]) == 64
    assert entry.details["principal"] == "Open_Door.Anybody"
