"""One box for every id: what leads where, what is said about the rest, and what a search costs."""

import re

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction

from apexrest.models import RecordedAnswer
from credentials.actions import ensure_external_credential, ensure_named_credential
from crm.models import Account, Lead
from isthmus import clock
from isthmus.access.actions import assign, ensure_permission_set
from isthmus.console import finding
from isthmus.console.finding import Match
from isthmus.jobs.models import Schedule
from isthmus.objects.models import ObjectSharing
from isthmus.objects.record_ids import record_id_of
from tests import console_samples as samples

pytestmark = pytest.mark.django_db


@pytest.fixture
def seer():
    """Somebody who may look at the console and at everything of the standard objects."""
    user = samples.user_with("view", name="sara")
    reads = [(kind, "read", target) for name in ("Account", "Lead") for kind, target in (("object", name), ("field", f"{name}.*"))]  # fmt: skip # noqa: E501
    assign(ensure_permission_set("Reads", "Reads", reads), user)
    return user


@pytest.fixture
def box(client, seer):
    """Return where a search leads: an address, or the kinds of things that are listed, or nothing."""
    client.force_login(seer)

    def ask(text):
        answer = client.get("/search/", {"q": text})
        if answer.status_code == 302:
            return answer.headers["Location"]
        page = answer.content.decode()
        listed = re.findall(r'class="feed-kind">([^<]+)</span><a href="([^"]+)"', page)
        assert listed or "goes by" in page
        return listed

    return ask


def test_the_id_of_everything_that_happened_leads_to_its_time_line(box):
    made = samples.make_everything()
    for name in ("job", "entry", "receipt", "invocation"):
        assert box(str(made[name].pk)) == f"/timeline/{made[name].pk}", name
    assert box(str(made["event"].event_uuid)) == f"/timeline/{made['event'].event_uuid}"
    assert box("correlation-1") == "/timeline/correlation-1"
    assert box(" correlation-1 ") == "/timeline/correlation-1"


def test_a_record_is_found_by_both_spellings_and_by_its_external_id(box):
    account = Account.objects.create(name="Acme", external_reference="ACME-7")
    whole = record_id_of(account)
    assert box(whole) == f"/timeline/{whole}"
    assert box(whole[:15]) == f"/timeline/{whole}"
    assert box("ACME-7") == f"/timeline/{whole}"
    # As the API compares them.
    assert box("acme-7") == f"/timeline/{whole}"


def test_several_things_of_one_id_are_a_short_list(box):
    account = Account.objects.create(name="Acme", external_reference="7")
    lead = Lead.objects.create(last_name="Ada", company="X", external_reference="7")
    event = samples.make_event(7)
    assert box("7") == [
        ("Account", f"/timeline/{record_id_of(account)}"),
        ("Lead", f"/timeline/{record_id_of(lead)}"),
        ("Event", f"/timeline/{event.event_uuid}"),
    ]


def test_a_replay_id_is_found_with_its_topic_and_by_itself(box):
    event = samples.make_event(17)
    address = f"/timeline/{event.event_uuid}"
    for text in ("17", "/event/Sample__e 17", "Sample__e:17", "/event/Sample__e/17", "Sample__e #17"):
        assert box(text) == address, text
    assert box("Other__e 17") == []
    assert box(str(event.transaction_key)) == address


def test_idempotency_keys_are_found_wherever_they_were_used(box):
    made = samples.make_everything()
    samples.make_queued(idempotency_key="key-of-the-queue", correlation_id="q-1")
    samples.make_log_entry(idempotency_key="key-of-an-exchange", correlation_id="e-1")
    now = clock.now()
    RecordedAnswer.objects.create(
        caller="1:2", key="key-from-outside", fingerprint="x", method="POST", path="/v1/x", status=201,
        correlation_id="c-1", expires_at=now,
    )  # fmt: skip
    assert box("key-of-the-queue") == "/timeline/q-1"
    assert box("key-of-an-exchange") == "/timeline/e-1"
    assert box("key-from-outside") == "/timeline/c-1"
    assert box(made["invocation"].idempotency_key) == f"/timeline/{made['invocation'].pk}"
    assert box(f"job-{made['job'].pk}") == f"/timeline/{made['job'].pk}"


def test_names_lead_to_their_pages(box):
    made = samples.make_everything()
    Schedule.objects.create(name="Tidy up", function="sample.jobs.sweep", cron="17 3 * * *")
    external = ensure_external_credential("Acme_OAuth", protocol="basic")
    ensure_named_credential("Acme", url="https://acme.example.org", external_credential=external)
    assert box("Tidy up") == "/operations/schedules/"
    assert box("Acme") == "/named-credentials/Acme/"
    assert box("Acme_OAuth") == "/named-credentials/Acme/"
    assert box(made["service"].name) == [
        ("Schedule", "/operations/schedules/"),
        ("External service", "/external-services/services/AcmeMortgages/"),
    ]
    assert box(made["subscription"].name) == f"/events/subscriptions/{made['subscription'].pk}/"
    assert box("Made__e") == "/events/log/?topic=/event/Made__e"


def test_what_carries_no_correlation_leads_to_its_page(box):
    job = samples.make_job(correlation_id="")
    queued = samples.make_queued(correlation_id="", record_id="")
    assert ("Background operation", f"/operations/{job.pk}/") in box(str(job.pk)) or box(str(job.pk)) == f"/operations/{job.pk}/"  # noqa: E501 # fmt: skip
    assert box(f"#{queued.pk}") == f"/queued-callouts/{queued.pk}/"


def test_whoever_searches_in_vain_is_told_what_was_looked_at(client, seer):
    client.force_login(seer)
    page = client.get("/search/", {"q": "no-such-thing"}).content.decode()
    assert "Nothing that you may see goes by “no-such-thing”" in page
    for what in ("Records by id", "Schedules by name", "Answers that are kept for an idempotency key", "Events by id"):
        assert what in page
    assert 'href="/timeline/no-such-thing"' in page


def test_a_record_that_is_hidden_is_not_there(client):
    account = Account.objects.create(name="Acme", external_reference="ACME-7", owner=User.objects.create_user("owner"))
    client.force_login(samples.user_with("view"))
    for text in (record_id_of(account), "ACME-7"):
        page = client.get("/search/", {"q": text})
        assert page.status_code == 200, text
        assert "Nothing that you may see" in page.content.decode()


def test_a_record_that_is_not_shared_is_not_there(box):
    account = Account.objects.create(name="Acme", external_reference="ACME-7", owner=User.objects.create_user("owner"))
    ObjectSharing.objects.create(object_name="Account", default="private")
    assert box(record_id_of(account)) == []
    assert box("ACME-7") == []


def test_an_external_id_that_may_not_be_read_finds_nothing(client):
    account = Account.objects.create(name="Acme", external_reference="ACME-7")
    user = samples.user_with("view", name="half")
    assign(ensure_permission_set("Half", "Half", [("object", "read", "Account")]), user)
    client.force_login(user)
    assert client.get("/search/", {"q": "ACME-7"}).status_code == 200
    assert client.get("/search/", {"q": record_id_of(account)}).status_code == 302


def test_more_than_a_list_holds_is_cut_and_said(client, seer):
    client.force_login(seer)
    many = [Match(kind="Pigeon", icon="bolt", title=str(number), url=f"/{number}") for number in range(30)]
    with finding.register_finder_temporarily("Pigeons by ring", lambda _user, text: many if text == "ring" else []):
        page = client.get("/search/", {"q": "ring"}).content.decode()
    assert page.count(">Pigeon<") == finding.MOST_FOUND
    assert "There are more of one kind than are listed" in page


def test_what_people_type_is_never_markup(client, seer):
    client.force_login(seer)
    page = client.get("/search/", {"q": samples.HOSTILE}).content.decode()
    assert samples.HOSTILE not in page
    assert "Nothing that you may see" in page


TEXTS = ["correlation-1", "17", "Sample__e 17", "00Q000000000001AAA", "Acme", "no-such-thing"]


@pytest.mark.parametrize("text", TEXTS)
def test_a_search_costs_the_same_whatever_there_is(seer, text, django_assert_max_num_queries):
    def cost():
        with django_assert_max_num_queries(60) as captured:
            finding.find(User.objects.get(pk=seer.pk), text)
        return len(captured)

    few = cost()
    for number in range(12):
        samples.make_job(correlation_id=f"c-{number}")
        samples.make_log_entry(correlation_id=f"c-{number}", idempotency_key=f"k-{number}", record_id="")
        samples.make_queued(correlation_id=f"c-{number}", record_id="")
        samples.make_event(1_000 + number)
        Lead.objects.create(last_name="Ada", company="X", external_reference=f"L-{number}")
    assert cost() <= few + 1  # What is found by a time line is not looked for any further.


# Tables that hold what somebody set up, a few dozen rows; the relay's queues, empty but for moments.
SMALL = {
    "external_services_externalserviceversion",
    "credentials_namedcredential", "credentials_externalcredential", "jobs_schedule", "events_topic",
    "external_services_externalservice", "events_subscription", "objects_rawchange", "events_outboxevent", "auth_user",
    "access_grant", "access_permissionset", "access_permissionsetassignment", "auth_group", "objects_objectsharing",
    "objects_sharingrule", "auth_user_groups", "external_services_operation", "events_eventdefinition",
}  # fmt: skip


@pytest.mark.parametrize("text", [*TEXTS, "2f1c1f0e-6c1e-4c2a-9a57-0b8f4d1c7a11"])
def test_a_search_looks_at_indexes_only(seer, text, django_assert_max_num_queries):
    samples.make_everything()
    with django_assert_max_num_queries(60) as captured:
        finding.find(User.objects.get(pk=seer.pk), text)
    scanned = [found for query in captured for found in scans(query["sql"]) if found not in SMALL]
    assert scanned == []


def scans(sql):
    """Return the tables that the database would read row by row."""
    if not sql.startswith("SELECT"):
        return []
    with transaction.atomic(), connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
            steps = [row[3] for row in cursor.fetchall()]
            return [found[1] for step in steps if (found := re.match(r"SCAN (\w+)", step))]
        # A small table is always read whole, unless that is forbidden.
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN {sql}")
        return re.findall(r"Seq Scan on (\w+)", "\n".join(row[0] for row in cursor.fetchall()))
