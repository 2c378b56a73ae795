"""A time line as a file: what is in it, and what is never in it."""

import io
import json
import zipfile
from importlib.metadata import version

import pytest

from apexrest.models import RecordedAnswer
from callouts import redaction_rules
from callouts.models import RedactionRule
from credentials.actions import ensure_external_credential, ensure_named_credential, ensure_principal
from events.actions import synchronise
from events.models import OutboxEvent
from isthmus import clock
from isthmus.console import bundles, timeline
from isthmus.console.tones import Status, Tone
from isthmus.jobs.models import JobLogLine
from tests import console_samples as samples
from tests.integration.credentials.test_canaries import found_in

pytestmark = pytest.mark.django_db

CANARY = "cnry-bundle-x7Q9x7Q9x7Q9"


def opened(answer):
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    assert archive.testzip() is None
    return {name: archive.read(name).decode() for name in archive.namelist()}


def test_a_bundle_has_the_line_each_entrys_page_and_says_what_it_is(watcher):
    made = samples.make_everything()
    answer = watcher.get("/timeline-bundle/correlation-1")
    assert answer.headers["Content-Type"] == "application/zip"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="time-line-correlation-1.zip"'
    assert answer.headers["Cache-Control"] == "no-store"
    files = opened(answer)
    line = json.loads(files["time-line.json"])
    assert line["software"] == {"name": "isthmus", "version": version("isthmus")}
    assert line["made_by"] == "user-view"
    assert [entry["number"] for entry in line["entries"]] == list(range(1, len(line["entries"]) + 1))
    for entry in line["entries"]:
        has_page = entry["id"].partition(":")[0] not in {"outbox", "invocation-end"}
        assert (entry["file"] in files) == has_page, entry["id"]
    exchange = next(json.loads(files[one["file"]]) for one in line["entries"] if one["kind"] == "Callout")
    assert exchange["id"] == str(made["entry"].pk)
    assert exchange["request"]["url"].startswith("https://bank.example.org/")
    assert exchange["response"]["status_code"] == 201
    readme = files["README.txt"]
    assert "What was redacted" in readme
    assert version("isthmus") in readme
    assert "Not everything is here" not in readme


def test_a_name_is_no_way_out_of_the_folder(watcher):
    samples.make_log_entry(correlation_id="../../etc/x@y")
    answer = watcher.get("/timeline-bundle/../../etc/x@y")
    assert bundles.file_name("../../etc/x@y") == "time-line-etc-x-y.zip"
    assert bundles.file_name("///") == "time-line-bundle.zip"
    assert answer.status_code in {200, 404}


def test_a_line_that_is_cut_says_so(watcher):
    entries = [
        timeline.Entry(at=clock.now(), kind="Tick", icon="dot", title="T", status=Status("Done", Tone.GOOD), url="")
    ] * 500
    with timeline.register_source_temporarily(lambda _asked, limit: entries[:limit]):
        files = opened(watcher.get("/timeline-bundle/x"))
    assert "each kind of entry ends with its first 500" in files["README.txt"]
    assert json.loads(files["time-line.json"])["is_cut"] is True


def test_only_who_may_look_gets_it(client):
    assert client.get("/timeline-bundle/x").status_code == 302
    client.force_login(samples.user_with())
    assert client.get("/timeline-bundle/x").status_code == 403


def test_nothing_secret_leaves_whatever_row_it_stands_in(watcher):
    """A canary goes into every row of every app under names and shapes that are known for secrets."""
    secrets = {"canary": CANARY}
    external = ensure_external_credential("AcmeBank", protocol="basic")
    ensure_principal(external, "Desk", secrets={"username": "u", "password": CANARY})
    ensure_named_credential("Acme_Bank", url="https://bank.example.org", external_credential=external)
    hiding = {"password": CANARY, "nested": [{"access_token": CANARY}, {"name": "api_key", "value": CANARY}]}
    text = f"Authorization: Bearer {CANARY} and password={CANARY}"
    job = samples.make_job(
        arguments=hiding, result=hiding, error=text, error_trace=text, reason=text, state="Completed"
    )
    JobLogLine.objects.create(job=job, attempt=1, message=text, fields=hiding)
    # What bypassed the masking on its way in is masked on its way out.
    samples.make_log_entry(
        request_headers={"Authorization": CANARY, "X-Api-Key": CANARY}, request_body=json.dumps(hiding),
        response_headers={"Set-Cookie": CANARY}, response_body=json.dumps(hiding), error_message=text,
        url=f"https://bank.example.org/x?api_key={CANARY}",
    )  # fmt: skip
    samples.make_call(
        correlation_id="correlation-1", request_headers={"Cookie": CANARY}, request_body=f"password={CANARY}"
    )
    samples.make_queued(
        headers={"X-Auth-Token": CANARY, "Content-Type": "application/json"}, body=json.dumps(hiding).encode(),
        context=hiding, reason=text, url=f"callout:Acme_Bank/x?token={CANARY}", answer_headers={"Set-Cookie": CANARY},
        answer_body=CANARY.encode(),
    )  # fmt: skip
    service = samples.make_service()
    invocation = samples.make_invocation(
        service, callback_token=CANARY, callback_token_digest=CANARY, request=hiding, response_body=hiding,
        response_headers={"Set-Cookie": CANARY}, reason=text,
    )  # fmt: skip
    samples.make_receipt(
        invocation, headers={"authorization": CANARY}, query=f"token={CANARY}", body=json.dumps(hiding), reason=text
    )
    synchronise()
    samples.make_event(1, payload={"Api_Key__c": CANARY, "Note__c": text, "Nested__c": hiding})
    OutboxEvent.objects.create(
        topic=samples.make_topic(), schema=samples.make_schema(), payload=hiding, size=2, created_at=clock.now(),
        transaction_key="0" * 32, correlation_id="correlation-1",
    )  # fmt: skip
    RecordedAnswer.objects.create(
        caller="1:2", key="k", fingerprint="x", method="POST", path="/v1/x", status=201, content=CANARY.encode(),
        headers={"Set-Cookie": CANARY}, correlation_id="correlation-1", expires_at=clock.now(),
    )  # fmt: skip
    files = opened(watcher.get("/timeline-bundle/correlation-1"))
    kinds = {entry["kind"] for entry in json.loads(files["time-line.json"])["entries"]}
    assert kinds >= {"Operation", "Callout", "Call from outside", "Queued callout", "Invocation submitted", "Callback", "Event"}  # noqa: E501 # fmt: skip
    for name, text in files.items():
        assert found_in(text, secrets) == [], name
        if name.startswith("entries/"):
            assert "********" in text, name


@pytest.mark.parametrize(("kind", "expression"), [("pattern", "IBAN [A-Z0-9]+"), ("json_path", "$..iban")])
def test_the_installations_own_rules_hold_here_too(watcher, kind, expression):
    RedactionRule.objects.create(kind=kind, expression=expression)
    samples.make_job(arguments={"iban": "IBAN DE02120300000000202051"})
    text = "".join(opened(watcher.get("/timeline-bundle/correlation-1")).values())
    assert "DE02120300000000202051" not in text


def test_what_a_masker_does_is_done_to_everything(watcher):
    samples.make_job(arguments={"pet": "Rex"})
    with bundles.register_masker_temporarily(lambda value: json.loads(json.dumps(value).replace("Rex", "***"))):
        text = "".join(opened(watcher.get("/timeline-bundle/correlation-1")).values())
    assert "Rex" not in text


def test_a_bundle_costs_the_same_whatever_is_in_it(watcher, django_assert_max_num_queries):
    def cost():
        # They are remembered for a second.
        redaction_rules.forget()
        with django_assert_max_num_queries(60) as captured:
            assert watcher.get("/timeline-bundle/correlation-1").status_code == 200
        return len(captured)

    made = samples.make_everything()
    watcher.get("/")
    few = cost()
    for number in range(2, 12):
        JobLogLine.objects.create(job=samples.make_job(), attempt=1, message="x")
        samples.make_log_entry()
        samples.make_queued()
        samples.make_receipt(samples.make_invocation(made["service"]))
        samples.make_event(number)
    assert cost() == few


def test_every_source_that_has_pages_tells_them(db):
    """Whoever adds a source says what its pages tell; the relay's queues have none."""
    silent = {source.reads.__name__ for source in timeline._sources if source.details is None}
    assert silent == {"waiting_events", "waiting_changes"}
