"""Each list as a file, as JSON and on the command line: the same rows, the same filters, the same redaction."""

import csv
import io
import json
import re
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.handlers.asgi import ASGIRequest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from isthmus import clock
from isthmus.access.actions import issue_access_token
from isthmus.access.models import ApiUse
from isthmus.console import listings
from isthmus.console.errors import FilterRefused, ListingUnknown
from isthmus.console.listings import Column, QueryListing, ShortListing, find_listing
from isthmus.jobs.models import Job
from tests import console_samples as samples
from tests.asgi import scope_of

pytestmark = pytest.mark.django_db

NAMES = [
    "callbacks", "callout-batches", "connections", "endpoints", "events", "external-services", "integration-log",
    "invocations", "limits", "named-credentials", "operations", "parked-events", "queued-callouts", "schedules",
    "service-operations", "subscriptions", "topics",
]  # fmt: skip
PERSONAL = ["my-connections"]
"""What everybody has of their own; tests/integration/credentials/test_my_connections.py"""
ALL_NAMES = sorted([*NAMES, *PERSONAL])
WITH_EXPORT = [name for name in NAMES if name not in {"service-operations", "topics"}]


def exported(client, name, **query):
    answer = client.get(reverse(find_listing(name).url_name), {**query, "format": "csv"})
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8; header=present"
    assert answer.headers["Content-Disposition"].startswith(f'attachment; filename="{name}-')
    return list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))


def printed(*arguments):
    out = StringIO()
    call_command("listing", *arguments, stdout=out)
    return out.getvalue()


def steady(rows):
    """Return rows without the one that tells how much room is left on the disk, which others use, too."""
    return [row for row in rows if row.get("limit") != "Database"]


def test_every_list_is_registered():
    assert [listing.name for listing in listings.listings()] == ALL_NAMES


@pytest.mark.parametrize("name", NAMES)
def test_json_the_file_and_the_command_tell_the_same_rows(name, watcher, moving_clock):
    samples.make_everything()
    # What the page of endpoints counts itself is written by the first look.
    watcher.get(f"/api/console/{name}")
    answer = watcher.get(f"/api/console/{name}", {"limit": 500})
    assert answer.status_code == 200, answer.content
    rows = answer.json()["rows"]
    assert answer.json()["next"] is None
    if name != "named-credentials":
        assert rows
    rows = steady(rows)
    assert steady(json.loads(line) for line in printed(name, "--json").splitlines()) == rows
    if name in WITH_EXPORT:
        cells = steady(exported(watcher, name))
        assert cells == steady(csv.DictReader(io.StringIO(printed(name, "--csv"))))
        assert len(cells) == len(rows)
        assert all(set(cell) == set(row) for cell, row in zip(cells, rows, strict=True))


@pytest.mark.parametrize("name", WITH_EXPORT)
def test_pages_offer_the_export_of_what_their_filters_let_through(name, watcher):
    samples.make_everything()
    text = watcher.get(reverse(find_listing(name).url_name), {"cursor": "", "since": ""}).content.decode()
    if name != "named-credentials":
        assert 'href="?since=&amp;format=csv" download>' in text or 'href="?format=csv' in text


def test_a_page_with_two_lists_exports_each(watcher):
    samples.make_everything()
    answer = watcher.get("/events/?format=csv&list=topics")
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="topics-')
    assert "/event/Sample__e" in b"".join(answer.streaming_content).decode()
    other = watcher.get("/events/?format=csv&list=operations")
    assert other.headers["Content-Disposition"].startswith('attachment; filename="subscriptions-')
    assert "list=topics" in watcher.get("/events/").content.decode()


def test_a_service_exports_its_operations(watcher):
    samples.make_service()
    samples.make_service("Other")
    text = watcher.get("/external-services/services/AcmeMortgages/?q=appl").content.decode()
    [address] = re.findall(r'href="([^"]+list=service-operations[^"]+)"', text)
    answer = watcher.get(address.replace("&amp;", "&"))
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="service-operations-')
    rows = list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))
    assert [(row["service"], row["version"], row["name"]) for row in rows] == [
        ("AcmeMortgages", "1", "submit_application")
    ]
    assert len(json.loads(watcher.get("/api/console/service-operations").content)["rows"]) == 2


def test_filters_narrow_all_of_them_alike(watcher):
    samples.make_job(function="first", state="Failed")
    samples.make_job(function="second", state="Completed")
    samples.make_job(function="third", state="Failed", created_at=clock.now() - timedelta(days=2))
    for query, expected in (
        ({"state": "Failed"}, ["first", "third"]),
        ({"state": "Failed", "since": "1h"}, ["first"]),
        ({"q": "econ"}, ["second"]),
    ):
        assert [row["operation"] for row in exported(watcher, "operations", **query)] == expected
        rows = watcher.get("/api/console/operations", query).json()["rows"]
        assert [row["operation"] for row in rows] == expected
        options = [f"--{name}={value}" for name, value in query.items()]
        assert [json.loads(line)["operation"] for line in printed("operations", *options, "--json").splitlines()] == (
            expected
        )


def test_an_export_has_every_row_and_reads_some_at_a_time(watcher, django_assert_num_queries):
    Job.objects.bulk_create(Job(function=f"sample.{number}") for number in range(1_201))
    watcher.get("/")
    # Session, user, device, grants; then one for five hundred rows.
    with django_assert_num_queries(4 + 3):
        rows = exported(watcher, "operations")
    assert len({row["id"] for row in rows}) == 1_201


def test_an_export_sends_its_first_rows_before_it_reads_the_last(watcher, django_assert_max_num_queries):
    Job.objects.bulk_create(Job(function=f"sample.{number}") for number in range(1_100))
    answer = watcher.get("/operations/?format=csv")
    with django_assert_max_num_queries(1):
        assert next(iter(answer.streaming_content)).count(b"\n") == 501
    answer.close()


def test_under_asgi_the_pieces_are_asked_for_one_by_one():
    from isthmus.console import listing_views

    request = ASGIRequest(scope_of("GET", "/operations/", []), io.BytesIO())
    listing = find_listing("operations")
    answer = listing_views._as_file(request, listing, listing.form(request.GET))
    assert answer.is_async


def test_cells_are_no_formulas(watcher):
    """https://owasp.org/www-community/attacks/CSV_Injection"""
    texts = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1", "＝1", '=HYPERLINK("x","y")']
    for text in texts:
        samples.make_job(function="f", reason=text, error="")
    samples.make_job(function="f", reason='plain, "quoted"\nand long', error="")
    found = {row["reason"] for row in exported(watcher, "operations")}
    assert found == {*(f"'{text}" for text in texts), 'plain, "quoted"\nand long'}
    # JSON is for programs: they get what there is.
    rows = watcher.get("/api/console/operations").json()["rows"]
    assert {row["reason"] for row in rows} == {*texts, 'plain, "quoted"\nand long'}


def test_values_have_one_form():
    row = object()
    listing = ShortListing(
        name="values",
        label="Values",
        url_name="console:home",
        all_rows=lambda: [row],
        columns=[
            Column(str(number), "", lambda _row, value=value: value)
            for number, value in enumerate((None, True, 7, -1, "x", datetime(2026, 1, 2, tzinfo=UTC)))
        ],
    )
    assert list(listing.as_dict(row).values()) == [None, True, 7, -1, "x", "2026-01-02T00:00:00+00:00"]
    assert listing.as_cells(row) == ["", "true", "7", "-1", "x", "2026-01-02T00:00:00+00:00"]


def test_secrets_stay_where_they_are(watcher):
    samples.make_everything()
    samples.make_queued(url="callout:Acme_Bank/orders?api_key=the-secret-key")
    for name in NAMES:
        for text in (watcher.get(f"/api/console/{name}").content.decode(), printed(name, "--csv")):
            assert "the-callback-token" not in text
            assert "the-secret-key" not in text


def test_an_export_asks_for_the_grant(client):
    assert client.get("/operations/?format=csv").status_code == 302
    client.force_login(samples.user_with())
    assert client.get("/operations/?format=csv").status_code == 403


def test_a_wrong_filter_leads_back_to_the_page_that_says_so(watcher):
    answer = watcher.get("/operations/?state=Nonsense&format=csv")
    assert answer.status_code == 302
    assert answer.headers["Location"] == "/operations/?state=Nonsense"


def test_a_question_for_the_head_reads_no_rows(watcher):
    answer = watcher.head("/operations/?format=csv")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/csv")


# --- JSON ---------------------------------------------------------------------------------------------------------


def bearer(user):
    return {"Authorization": f"Bearer {issue_access_token(user)}"}


def test_programs_come_with_a_token_and_browsers_with_their_session(client, watcher):
    samples.make_job()
    headers = bearer(samples.user_with("view", name="robot"))
    by_token = client.get("/api/console/operations", headers=headers)
    assert by_token.status_code == 200
    assert by_token.json() == watcher.get("/api/console/operations").json()


def test_what_programs_ask_counts_against_their_allowance(client, watcher, settings):
    headers = bearer(samples.user_with("view", name="robot"))
    answer = client.get("/api/console/operations", headers=headers)
    assert answer.headers["Sforce-Limit-Info"].startswith("api-usage=1/")
    assert ApiUse.objects.get().target == "GET operations"
    settings.ISTHMUS_ACCESS_DAILY_API_REQUESTS = 1
    refused = client.get("/api/console/operations", headers=headers)
    assert (refused.status_code, refused.json()[0]["errorCode"]) == (403, "REQUEST_LIMIT_EXCEEDED")
    # People who look at pages do not.
    assert watcher.get("/api/console/operations").status_code == 200


@pytest.mark.parametrize("address", ["/api/console/", "/api/console/operations"])
def test_others_are_refused_in_json(address, client):
    samples.make_job()
    nobody = client.get(address)
    assert (nobody.status_code, nobody.json()[0]["errorCode"]) == (401, "INVALID_SESSION_ID")
    assert nobody.headers["WWW-Authenticate"].startswith("Bearer")
    wrong = client.get(address, headers={"Authorization": "Bearer made-up"})
    assert wrong.status_code == 401
    stranger = client.get(address, headers=bearer(samples.user_with()))
    assert stranger.status_code == 403
    assert "console.view" in stranger.content.decode()
    assert "mortgages" not in stranger.content.decode()


def test_pages_of_json_lead_through_every_row_and_back(watcher):
    for number in range(7):
        samples.make_job(function=f"job-{number}")
    seen, address = [], "/api/console/operations?limit=3"
    while address:
        answer = watcher.get(address).json()
        seen += [row["operation"] for row in answer["rows"]]
        last, address = answer, answer["next"]
    assert seen == [f"job-{number}" for number in range(6, -1, -1)]
    back = watcher.get(last["previous"]).json()
    assert [row["operation"] for row in back["rows"]] == ["job-3", "job-2", "job-1"]


def test_short_lists_have_pages_too(watcher):
    listing = ShortListing(
        name="mine",
        label="Mine",
        url_name="console:home",
        all_rows=lambda: [1, 2, 3],
        columns=[Column("number", "Number", lambda number: number)],
    )
    with listings.register_listing_temporarily(listing):
        first = watcher.get("/api/console/mine?limit=2").json()
        second = watcher.get(first["next"]).json()
        assert [first["rows"], second["rows"]] == [[{"number": 1}, {"number": 2}], [{"number": 3}]]
        assert (first["previous"], second["next"]) == (None, None)
        assert watcher.get(second["previous"]).json()["rows"] == first["rows"]
        assert watcher.get("/api/console/mine?cursor=nonsense").json()["rows"][0] == {"number": 1}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("state=Nonsense", "state"),
        ("sate=Failed", "sate"),
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("limit=x", "limit"),
    ],
)
def test_what_is_asked_wrongly_is_refused_and_not_left_out(query, field, watcher):
    answer = watcher.get(f"/api/console/operations?{query}")
    assert answer.status_code == 400
    assert answer.json()[0]["errorCode"] == "FILTER_REFUSED"
    assert answer.json()[0]["fields"] == [field]


def test_an_unknown_list_is_not_found(watcher):
    answer = watcher.get("/api/console/weather")
    assert (answer.status_code, answer.json()[0]["errorCode"]) == (404, "LISTING_UNKNOWN")
    with pytest.raises(ListingUnknown):
        find_listing("weather")


def test_the_lists_are_described(watcher):
    found = {one["name"]: one for one in watcher.get("/api/console/").json()["listings"]}
    assert sorted(found) == ALL_NAMES
    operations = found["operations"]
    assert operations["url"] == "/api/console/operations"
    assert operations["page"] == "/operations/"
    assert set(operations["filters"]) == {"q", "since", "state", "kind"}
    assert {"name": "added_at", "label": "Added"} in operations["columns"]


def test_nothing_is_changed_through_it(watcher):
    for method in ("post", "put", "patch", "delete"):
        assert getattr(watcher, method)("/api/console/operations").status_code == 405


@pytest.mark.parametrize("name", NAMES)
def test_ten_times_the_rows_cost_not_one_query_more(name, watcher, django_assert_max_num_queries):
    def count():
        with django_assert_max_num_queries(40) as captured:
            assert watcher.get(f"/api/console/{name}").status_code == 200
        return len(captured)

    made = samples.make_everything()
    watcher.get("/")
    before = count()
    for number in range(2, 8):
        samples.JobDependency.objects.create(job=samples.make_job(), predecessor=made["job"])
        samples.make_log_entry()
        samples.make_queued()
        samples.make_batch()
        service = samples.make_service(f"Service{number}")
        samples.make_receipt(samples.make_invocation(service))
        topic = samples.make_topic(f"/event/Sample{number}__e")
        samples.make_event(number, topic)
        samples.make_parked(samples.make_subscription(name=f"reader-{number}", topic=topic))
        samples.Schedule.objects.create(name=f"s{number}", function="f", cron="1 1 * * *")
    assert count() == before


# --- the command ----------------------------------------------------------------------------------------------------


def test_the_command_names_the_lists():
    assert [line.split()[0] for line in printed().splitlines()] == ALL_NAMES


def test_a_table_says_when_there_is_more(capsys):
    for number in range(3):
        samples.make_job(function=f"job-{number}\x1b[31m")
    err = StringIO()
    out = StringIO()
    call_command("listing", "operations", "--limit", "2", stdout=out, stderr=err)
    assert len(out.getvalue().splitlines()) == 3
    assert "\x1b" not in out.getvalue()
    assert "more than 2" in err.getvalue()
    err = StringIO()
    call_command("listing", "operations", stdout=StringIO(), stderr=err)
    assert err.getvalue() == ""


def test_a_limit_cuts_json_and_csv():
    for _ in range(3):
        samples.make_job()
    assert len(printed("operations", "--json", "--limit=2").splitlines()) == 2
    assert len(list(csv.reader(io.StringIO(printed("operations", "--csv", "--limit=2"))))) == 3


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["operations", "--state=Nonsense"], "FILTER_REFUSED"),
        (["operations", "--limit=0"], "at least 1"),
        (["weather"], "invalid choice"),
        (["operations", "--colour=red"], "unrecognized"),
    ],
)
def test_the_command_refuses_what_makes_no_sense(arguments, told):
    with pytest.raises(CommandError, match=told):
        printed(*arguments)


# --- the registry ---------------------------------------------------------------------------------------------------


def test_a_list_is_registered_once_and_under_a_plain_name():
    listing = ShortListing(name="mine", label="Mine", url_name="console:home", all_rows=list, columns=())
    with listings.register_listing_temporarily(listing), pytest.raises(ValueError, match="'mine' is registered"):
        listings.register_listing(listing)
    with pytest.raises(ListingUnknown):
        find_listing("mine")
    for name in ("", "a b", "Upper", "a/b"):
        with pytest.raises(ValueError, match="small letters"):
            listings.register_listing(
                ShortListing(name=name, label="", url_name="console:home", all_rows=list, columns=())
            )


def test_filters_are_told_in_words():
    form = find_listing("operations").strict_form({"state": "Failed", "since": "1h", "q": "bank"})
    assert form.in_words() == [("Search", "bank"), ("State", "Failed"), ("Time", "Last hour")]
    with pytest.raises(FilterRefused):
        find_listing("schedules").strict_form({"q": "x"})


def test_a_list_of_another_app_works_without_more():
    listing = QueryListing(
        name="mine",
        label="Mine",
        url_name="console:home",
        rows=Job.objects.all,
        moment="created_at",
        columns=[Column("function", "Function", lambda job: job.function)],
    )
    samples.make_job(function="x")
    with listings.register_listing_temporarily(listing):
        client = Client()
        client.force_login(samples.user_with("view"))
        assert client.get("/api/console/mine").json()["rows"] == [{"function": "x"}]
