"""The pages of queued callouts, batches and destinations."""

import html
from datetime import timedelta

import pytest
from django.urls import reverse

import callouts
from callouts import http
from callouts.models import Destination
from callouts.queue.models import QueuedCallout
from isthmus import clock, health
from isthmus.audit.models import AuditEntry
from tests import queue_functions

pytestmark = pytest.mark.django_db


@pytest.fixture
def queue(bank, server, callout_queue):
    def add(path="/echo", run=True, **arguments):
        request = http.Request(method="POST", url=f"callout:Bank{path}", json={"a": 1, "password": "canary"})
        row = callouts.enqueue("Submit order", request, **arguments)
        if run:
            callout_queue.run_all()
        return QueuedCallout.objects.get(pk=row.pk)

    return add


def page(client, name, *args, **query):
    answer = client.get(reverse(f"callout_queue:{name}", args=args), query)
    assert answer.status_code == 200
    return answer.content.decode()


def post(client, name, *args, **given):
    return client.post(reverse(f"callout_queue:{name}", args=args), given, follow=True).content.decode()


def test_the_empty_list_says_what_belongs_here(admin_client):
    assert "Nothing was queued yet" in page(admin_client, "list")
    assert "No batch yet" in page(admin_client, "batches")


def test_the_list_and_its_filters(admin_client, queue):
    done, failed, waiting = queue(), queue("/not-found"), queue(run=False, record="r1")
    links = {row: reverse("callout_queue:detail", args=[row.pk]) for row in (done, failed, waiting)}
    for query, found in (
        ({}, {done, failed, waiting}),
        ({"state": "open"}, {waiting}),
        ({"state": "dead"}, {failed}),
        ({"state": "succeeded"}, {done}),
        ({"credential": "Other"}, set()),
        ({"q": f"#{done.pk}"}, {done}),
        ({"q": "r1"}, {waiting}),
        ({"q": "answered 404"}, {failed}),
    ):
        shown = page(admin_client, "list", **query)
        assert {row for row, link in links.items() if f'href="{link}"' in shown} == found, query


def test_a_failed_callout_says_why_and_what_can_be_done(admin_client, queue):
    failed = queue("/not-found")
    shown = page(admin_client, "detail", failed.pk)
    assert "The other side answered 404." in shown
    for button in ("Resend", "Edit and resend", "Cancel"):
        assert button in shown
    assert "canary" not in shown
    assert "callout:Bank/not-found" in shown
    assert "Attempt 1" in shown
    told = post(admin_client, "decide", failed.pk, "resend")
    assert "It leaves again" in told
    assert "Sent again by admin." in told


def test_one_in_doubt_is_decided(admin_client, queue):
    doubtful = queue("/close-after-request")
    assert "nothing is sent twice unasked" in page(admin_client, "detail", doubtful.pk)
    told = post(admin_client, "decide", doubtful.pk, "acted", note="order 7")
    assert "It counts as succeeded" in told
    assert "order 7" in told
    assert "It is not in doubt." in post(admin_client, "decide", doubtful.pk, "not-acted")


def test_one_that_waits_in_order_says_behind_which(admin_client, queue):
    first = queue("/close-after-request", record="r1", in_order=True)
    second = queue(record="r1", in_order=True)
    assert f'It waits behind <a href="{reverse("callout_queue:detail", args=[first.pk])}"' in page(
        admin_client, "detail", second.pk
    )


def test_editing_in_the_page(admin_client, queue, server, callout_queue):
    failed = queue("/not-found")
    form = page(admin_client, "edit", failed.pk)
    assert "callout:Bank/not-found" in form
    assert "canary" not in form
    # Left as it is shown, the masked body leaves as it was.
    body = '{"a": 1, "password": "********"}'
    assert html.escape(body) in form
    post(admin_client, "edit", failed.pk, url="callout:Bank/echo", headers="", body=body)
    callout_queue.run_all()
    assert server.requests[-1].body == b'{"a": 1, "password": "canary"}'
    failed = queue("/not-found")
    given = {"url": "callout:Bank/echo", "headers": "Content-Type: text/plain", "body": "one\r\ntwo"}
    told = post(admin_client, "edit", failed.pk, **given)
    assert f"Edited from #{failed.pk} by admin." in told
    callout_queue.run_all()
    assert server.requests[-1].body == b"one\ntwo"
    masked = {**given, "body": '{"a": 2, "password": "********"}'}
    assert "Replace what is masked too" in post(admin_client, "edit", queue("/not-found").pk, **masked)
    refused = post(admin_client, "edit", failed.pk, **given)
    assert "only what failed can be edited" in refused
    assert "A header is written as" in post(admin_client, "edit", queue("/not-found").pk, **{**given, "headers": "x"})


def test_recovering_shows_the_number_first(admin_client, queue, callout_queue, jobs):
    for _ in range(2):
        queue("/not-found")
    since = (clock.now() - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M")
    assert "Send 2 again" in page(admin_client, "recover", since=since)
    assert "Nothing failed since then" in page(admin_client, "recover", since=since, credential="Other")
    assert "By now 2 callouts failed" in post(admin_client, "recover", since=since, expected=1)
    assert "resend_many" in post(admin_client, "recover", since=since, expected=2)
    jobs.run_all()
    assert QueuedCallout.objects.filter(state="waiting").count() == 2


def test_a_batch_page(admin_client, bank, server, jobs, callout_queue):
    server.answers["/bulk"] = server.answers["/error"]
    batch = callouts.send_batch("Publish prices", queue_functions.chunk_request, ["1", "2", "3"], chunk_size=2)
    jobs.run_all()
    assert "0 of 3 records" in page(admin_client, "batch", batch.pk)
    callout_queue.run_all()
    jobs.run_all()
    shown = page(admin_client, "batch", batch.pk)
    assert "Partly failed" in shown
    assert "Restart what failed" in shown
    assert "Publish prices" in page(admin_client, "batches")
    assert "Chunks that leave again: 2." in post(admin_client, "batch-act", batch.pk, "restart")
    assert "chunks given up: 2." in post(admin_client, "batch-act", batch.pk, "cancel")


def test_who_may_only_look_may_not_act(client, django_user_model, queue):
    failed = queue("/not-found")
    client.force_login(django_user_model.objects.create_user("ada"))
    for name, args in (("decide", [failed.pk, "resend"]), ("edit", [failed.pk]), ("recover", [])):
        assert client.post(reverse(f"callout_queue:{name}", args=args)).status_code == 403


def test_the_health_of_a_destination_and_its_switches(admin_client, bank, server, queue):
    Destination.objects.create(named_credential=bank, breaker_threshold=1)
    server.answers["/a"] = server.answers["/unavailable"]
    queue("/a")
    address = reverse("named_credentials:detail", args=["Bank"])
    shown = admin_client.get(address).content.decode()
    assert "Breaker open" in shown
    assert "It failed 1 times in a row" in shown
    assert "0.0 %" in shown
    assert "Breaker open" in admin_client.get(reverse("named_credentials:list")).content.decode()

    def act(what):
        return admin_client.post(
            reverse("named_credentials:destination", args=["Bank"]), {"what": what}, follow=True
        ).content.decode()

    assert "Breaker closed" in act("reset")
    assert "There was nothing to do." in act("reset")
    assert "Nothing is sent" in act("dry-run-on")
    assert "Callouts are sent again." in act("dry-run-off")
    Destination.objects.update(held_since=clock.now(), hold_reason="The other side answered 401.")
    assert "answered 401" in admin_client.get(address).content.decode()
    assert "What was held leaves again." in act("release")
    actions = AuditEntry.objects.filter(action__startswith="callouts.").order_by("pk").values_list("action", "actor")
    assert list(actions) == [
        ("callouts.breaker_reset", "admin"),
        ("callouts.dry_run_switched", "admin"),
        ("callouts.dry_run_switched", "admin"),
        ("callouts.destination_released", "admin"),
    ]


def test_the_set_up_pages_change_limits_and_rules_and_say_so(admin_client, bank):
    added = admin_client.post(
        reverse("admin:callouts_destination_add"),
        {
            "named_credential": bank.pk,
            "retry_delays": "[0, 5]",
            "max_per_second": "2.5",
            "max_at_once": "3",
            "breaker_threshold": "4",
            "breaker_seconds": "10",
        },
    )
    assert added.status_code == 302
    assert Destination.objects.get().retry_delays == [0, 5]
    refused = admin_client.post(
        reverse("admin:callouts_redactionrule_add"), {"kind": "json_path", "expression": "nonsense"}
    )
    assert "This is not a JSON path" in refused.content.decode()
    admin_client.post(reverse("admin:callouts_redactionrule_add"), {"kind": "header", "expression": "X-Customer"})
    audited = AuditEntry.objects.filter(action__startswith="callouts.").order_by("pk")
    assert [one.action for one in audited] == ["callouts.destination_changed", "callouts.redaction_rule_changed"]
    assert audited[0].details["max_per_second"] == 2.5
    for name in ("queuedcallout", "calloutbatch"):
        assert admin_client.get(reverse(f"admin:callout_queue_{name}_changelist")).status_code == 200


def test_the_probe_tells_of_dead_letters_and_of_a_queue_that_stands_still(queue, moving_clock):
    def probe():
        return next(found for one, found in health.probe_all() if one.name == "callout_queue")

    assert probe().ok
    queue("/not-found")
    assert probe().summary == "Callouts that wait for a decision: 1."
    queue(run=False)
    moving_clock.move(timedelta(minutes=6))
    assert "Is a worker running" in probe().summary
