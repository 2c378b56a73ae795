"""Filters stand in the address, and an invalid one is named instead of applied."""

from datetime import timedelta

import pytest

from isthmus import clock
from tests import console_samples as samples

pytestmark = pytest.mark.django_db


def listed(client, address):
    """Return the keys of the rows on a page, by the links to them."""
    answer = client.get(address)
    assert answer.status_code == 200
    context = answer.context
    rows = context["rows"] if "rows" in context else [(row,) for row in context["page"].rows]
    return {row[0].pk for row in rows}


def test_jobs_by_state_kind_time_and_text(watcher, moving_clock):
    old = samples.make_job(state="Completed", created_at=clock.now() - timedelta(hours=30), error="")
    failed = samples.make_job(function="shop.jobs.charge", kind="Batch")
    queued = samples.make_job(state="Queued", error="", correlation_id="correlation-2")
    assert listed(watcher, "/operations/") == {old.pk, failed.pk, queued.pk}
    assert listed(watcher, "/operations/?state=Failed") == {failed.pk}
    assert listed(watcher, "/operations/?state=live") == {queued.pk}
    assert listed(watcher, "/operations/?since=24h") == {failed.pk, queued.pk}
    assert listed(watcher, "/operations/?kind=batch") == {failed.pk}
    assert listed(watcher, "/operations/?q=CHARGE") == {failed.pk}
    assert listed(watcher, "/operations/?q=correlation-2") == {queued.pk}
    assert listed(watcher, f"/operations/?q={old.pk}") == {old.pk}
    assert listed(watcher, f"/operations/?q={old.pk}&since=1h") == set()


def test_the_integration_log_by_outcome_direction_credential_time_and_text(watcher, moving_clock):
    sent = samples.make_log_entry()
    came = samples.make_log_entry(direction="inbound", named_credential="", operation="", outcome="failed")
    old = samples.make_log_entry(started_at=clock.now() - timedelta(days=2), record_id="other", error_code="LOST")
    assert listed(watcher, "/integration-log/") == {sent.pk, came.pk, old.pk}
    assert listed(watcher, "/integration-log/?outcome=failed") == {came.pk}
    assert listed(watcher, "/integration-log/?direction=outbound&since=24h") == {sent.pk}
    assert listed(watcher, "/integration-log/?credential=Acme_Bank") == {sent.pk, old.pk}
    assert listed(watcher, "/integration-log/?q=submit") == {sent.pk, old.pk}
    assert listed(watcher, "/integration-log/?q=other") == {old.pk}
    assert listed(watcher, "/integration-log/?q=lost") == {old.pk}
    assert listed(watcher, f"/integration-log/?q={came.pk}") == {came.pk}


def test_invocations_and_callbacks_by_state_service_and_text(watcher):
    service = samples.make_service()
    other = samples.make_service("Warehouse")
    waiting = samples.make_invocation(service)
    done = samples.make_invocation(other, state="Completed", reference="Order-7")
    address = "/external-services/invocations/"
    assert listed(watcher, f"{address}?state=open") == {waiting.pk}
    assert listed(watcher, f"{address}?state=Completed") == {done.pk}
    assert listed(watcher, f"{address}?service=warehouse") == {done.pk}
    assert listed(watcher, f"{address}?q=order-7") == {done.pk}
    assert listed(watcher, f"{address}?q={waiting.pk}") == {waiting.pk}
    good = samples.make_receipt(waiting)
    late = samples.make_receipt(done, state="late")
    unknown = samples.make_receipt(None, state="unknown", callback_name="")
    address = "/external-services/callbacks/"
    assert listed(watcher, f"{address}?state=attention") == {late.pk, unknown.pk}
    assert listed(watcher, f"{address}?state=processed") == {good.pk}
    assert listed(watcher, f"{address}?q={done.pk}") == {late.pk}


def test_events_by_topic_union_and_text(watcher):
    order = samples.make_event(1)
    contact = samples.make_event(2, samples.make_topic("/data/ContactChangeEvent", "data"), correlation_id="c-2")
    samples.make_topic("/data/ChangeEvents", "union")
    assert listed(watcher, "/events/log/?topic=/event/Sample__e") == {order.pk}
    assert listed(watcher, "/events/log/?topic=/data/ChangeEvents") == {contact.pk}
    assert listed(watcher, "/events/log/?q=2") == {contact.pk}
    assert listed(watcher, "/events/log/?q=c-2") == {contact.pk}
    assert listed(watcher, f"/events/log/?q={order.event_uuid}") == {order.pk}
    assert listed(watcher, f"/events/log/?q={'9' * 40}") == set()


@pytest.mark.parametrize(
    "address",
    [
        "/operations/?state=Nowhere",
        "/operations/?since=yesterday",
        "/integration-log/?outcome=perhaps",
        "/external-services/invocations/?state=x",
        "/external-services/callbacks/?state=x",
        "/events/log/?topic=/event/None__e",
    ],
)
def test_an_invalid_filter_is_named_and_not_applied(watcher, address):
    samples.make_everything()
    answer = watcher.get(address)
    text = answer.content.decode()
    assert answer.status_code == 200
    assert "is not one of the available choices" in text
    assert answer.context["page"].rows


def test_a_filter_survives_turning_the_page(watcher):
    for _ in range(51):
        samples.make_log_entry()
    text = watcher.get("/integration-log/?outcome=succeeded").content.decode()
    assert 'href="?outcome=succeeded&amp;cursor=older.' in text
