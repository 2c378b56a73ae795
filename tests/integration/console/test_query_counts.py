"""What each page costs: a number of queries that is written down here, and the same for one row and for sixty."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import get_resolver, resolve

from tests import console_samples as samples

pytestmark = pytest.mark.django_db

QUERIES = {
    "home": 66,
    "search": 19,
    "time-line": 16,
    "connections": 33,
    "my-connections": 5,
    "limits": 17,
    "why": 7,
    "jobs": 16,
    "job": 8,
    "schedules": 5,
    "log": 13,
    "entry": 4,
    "queue": 4,
    "queued": 6,
    "doubtful": 6,
    "batches": 7,
    "batch": 11,
    "services": 6,
    "service": 10,
    "operation": 6,
    "version": 14,
    "invocations": 4,
    "invocation": 18,
    "callbacks": 4,
    "callback": 4,
    "endpoints": 15,
    "endpoint": 17,
    "endpoint-test": 4,
    "events": 21,
    "event-log": 8,
    "event": 7,
    "subscription": 7,
    "parked": 4,
    "explorer": 3,
    "bulk-operation": 6,
    "why-fired": 13,
    "found": 31,
    "credentials": 10,
    "credential": 23,
    "publish": 3,
    "edit": 4,
    "recover": 4,
    "bulk": 6,
    "two-step": 4,
    "documentation": 6,
    "record": 9,
}
"""Queries of each page, the session's and the user's among them. A page that is missing here fails the test."""

PAGES_OF_OTHERS = {"console:login", "access:second-factor", "access:authorize", "apexrest_pages:documentation"}
"""Signing in and agreeing, which have tests of their own, and a page that leads to another one."""

NO_PAGES = {
    # Answers for machines and parts of pages.
    "console:healthz", "console:readyz", "console:metrics", "apexrest_pages:openapi", "records_pages:download",
    "records_pages:fields", "records_pages:describe", "external_services:source",
    "console:live", "console:listings", "console:listing", "console:time-line-bundle",
    # A page that tells what a press of its button adds.
    "console:demo-data",
    # What is only posted to.
    "console:logout", "credentials:connect", "credentials:disconnect", "credentials:callback", "jobs:abort",
    "jobs:retry-failed", "jobs:run-schedule",
    "jobs:retry", "callouts:resolve", "named_credentials:destination", "external_services:act",
    "external_services:route", "external_services:connect", "external_services:activate", "callout_queue:batch-act",
    "callout_queue:decide", "events:decide", "events:steer",
}  # fmt: skip


def every_address(made):
    return {
        **samples.page_addresses(made),
        **samples.operating_addresses(made),
        **samples.further_addresses(made),
    }


def counts(client, addresses):
    found = {}
    for name, address in addresses.items():
        with CaptureQueriesContext(connection) as captured:
            assert client.get(address).status_code == 200, name
        found[name] = len(captured)
    return found


def test_each_page_costs_what_is_written_down_for_one_row_and_for_sixty(admin_user, moving_clock):
    client = Client()
    client.force_login(admin_user)
    made = samples.make_everything()
    addresses = every_address(made)
    # The first request of a session notes that it is in use, the first one of a page fills what a process remembers;
    # the clock stands, so that nothing is forgotten meanwhile.
    counts(client, addresses)
    assert counts(client, addresses) == QUERIES
    samples.make_more(made, range(2, 61))
    assert counts(client, addresses) == QUERIES


def names_of(resolver, namespace=""):
    for one in resolver.url_patterns:
        if hasattr(one, "url_patterns"):
            yield from names_of(one, f"{one.namespace}:" if one.namespace else namespace)
        else:
            yield f"{namespace}{one.name}"


def test_every_page_is_among_the_samples():
    """Whatever answers at an address is a page of the samples, or named here for what it is."""
    apis = {"admin", "access", "apexrest", "records", "callbacks", "None"}
    every = {name for name in names_of(get_resolver()) if name.partition(":")[0] not in apis}
    made = samples.make_everything()
    sampled = {resolve(address.partition("?")[0]).view_name for address in every_address(made).values()}
    assert every - sampled - NO_PAGES - PAGES_OF_OTHERS == set()
