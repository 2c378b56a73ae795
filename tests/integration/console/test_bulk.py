"""Bulk actions: what is shown before, that nothing happens before it was asked, and that no row is done twice."""

import re
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import Q

from isthmus import clock
from isthmus.access.errors import PermissionRefused
from isthmus.access.models import PermissionSetAssignment
from isthmus.audit.models import AuditEntry
from isthmus.console import bulk
from isthmus.console.bulk import BulkAct, Selection
from isthmus.console.errors import BulkActUnknown, BulkChanged, BulkOvertaken, BulkRefused
from isthmus.console.listings import find_listing
from isthmus.console.models import BulkOperation, BulkRefusal
from isthmus.errors import IsthmusError
from isthmus.jobs.bulk import BulkRunner, remove_old_bulk_actions
from isthmus.jobs.models import Job
from tests import console_samples as samples

pytestmark = pytest.mark.django_db


class Refused(IsthmusError):
    """This one not."""

    status = 400


def selection(listing="operations", act="retry", *, keys=None, asked_at=None, **filters):
    return Selection(
        listing=find_listing(listing),
        act=bulk.find_act(listing, act),
        filters=filters,
        keys=keys,
        asked_at=asked_at or clock.now(),
    )


@pytest.fixture
def olga(db):
    return samples.user_with("operate", name="olga")


def hidden_fields(text):
    form = text[text.index('<form method="post" action="/bulk/') :]
    found = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form)
    fields = {}
    for name, value in found:
        fields.setdefault(name, []).append(value)
    return fields


# --- before ---------------------------------------------------------------------------------------------------------


def test_the_preview_tells_how_many_what_and_which_and_nothing_happens(operator):
    for number in range(10):
        samples.make_job(function=f"failing.{number}")
    samples.make_job(function="fine", state="Completed", error="")
    samples.make_job(function="old", created_at=clock.now() - timedelta(days=3))
    text = operator.get("/bulk/operations/?act=retry&scope=all&since=1h").content.decode()
    assert "Retry: 10 rows?" in text
    assert "Nothing has happened yet." in text
    assert "Each failed or aborted operation gets fresh attempts" in text
    assert "Time: Last hour" in text
    assert re.search(r"<dt>Match now</dt><dd>11</dd>", text)
    assert re.search(r"<dt>Left as they are</dt><dd>1 ", text)
    assert text.count('<th scope="row">') == 8
    assert "8 of 10" in text
    assert not BulkOperation.objects.exists()
    assert Job.objects.filter(state="Queued").count() == 0


def test_rows_can_be_chosen_one_by_one(operator, jobs):
    chosen, other = samples.make_job(), samples.make_job()
    running = samples.make_job(state="Processing")
    text = operator.get(
        "/bulk/operations/", {"act": "retry", "scope": "chosen", "key": [chosen.pk, running.pk]}
    ).content.decode()
    assert "Retry: 1 row?" in text
    assert re.search(r"<dt>Chosen</dt><dd>2</dd>", text)
    operator.post("/bulk/operations/", hidden_fields(text))
    bulk_job = Job.objects.get(kind="Bulk")
    jobs.run_all()
    states = {job.pk: job.attempts for job in Job.objects.all()}
    assert states[chosen.pk] == 2
    assert states[other.pk] == 1
    assert states[running.pk] == 1
    bulk_job.refresh_from_db()
    assert bulk_job.result["done"] == 1


def test_nothing_chosen_leads_back_with_a_word(operator):
    samples.make_job()
    answer = operator.get("/bulk/operations/?act=retry&scope=chosen&state=Failed", follow=True)
    assert answer.redirect_chain == [("/operations/?state=Failed", 302)]
    assert "Choose rows first, or all that match." in answer.content.decode()


@pytest.mark.parametrize(
    "query", ["act=retry&scope=all&state=Nonsense", "act=retry&scope=chosen&key=nonsense", "act=retry&scope=all&sate=x"]
)
def test_what_makes_no_sense_is_refused(query, operator):
    samples.make_job()
    answer = operator.get(f"/bulk/operations/?{query}", follow=True)
    assert 'class="message message-error"' in answer.content.decode()
    assert not BulkOperation.objects.exists()


@pytest.mark.parametrize(
    "address", ["/bulk/weather/?act=retry", "/bulk/operations/?act=explode", "/bulk/topics/?act=x"]
)
def test_what_does_not_exist_is_not_found(address, operator):
    assert operator.get(address).status_code == 404
    assert operator.post(address).status_code == 404


@pytest.mark.parametrize("method", ["get", "post"])
def test_whoever_may_only_look_is_refused(method, watcher):
    samples.make_job()
    answer = getattr(watcher, method)("/bulk/operations/", {"act": "retry", "scope": "all", "expected": 9})
    assert answer.status_code == 403
    assert not BulkOperation.objects.exists()


def test_hostile_filters_and_rows_are_escaped(operator):
    samples.make_everything()
    for listing, act in (("queued-callouts", "resend"), ("operations", "retry"), ("parked-events", "redrive")):
        for query in ({"scope": "all"}, {"scope": "all", "q": samples.HOSTILE}):
            text = operator.get(f"/bulk/{listing}/", {"act": act, **query}, follow=True).content.decode()
            assert samples.HOSTILE not in text


@pytest.mark.parametrize(
    ("address", "listing"),
    [
        ("/operations/", "operations"),
        ("/queued-callouts/", "queued-callouts"),
        ("/queued-callouts/batches/", "callout-batches"),
        ("/integration-log/", "integration-log"),
        ("/external-services/invocations/", "invocations"),
        ("/external-services/callbacks/", "callbacks"),
        ("/events/parked/", "parked-events"),
        ("/events/", "subscriptions"),
    ],
)
def test_pages_offer_their_actions_to_those_who_may_act(address, listing, operator, watcher):
    samples.make_everything()
    text = operator.get(address).content.decode()
    assert f'action="/bulk/{listing}/"' in text
    assert 'name="key"' in text
    for act in bulk.acts_of(listing):
        assert f'name="act" value="{act.name}"' in text
    text = watcher.get(address).content.decode()
    assert "/bulk/" not in text
    assert 'name="key"' not in text
    with bulk.use_runner(None):
        assert "/bulk/" not in operator.get(address).content.decode()


def test_the_bar_carries_the_filters_of_the_page(operator):
    samples.make_job()
    text = operator.get("/operations/?state=Failed&cursor=").content.decode()
    assert '<input type="hidden" name="state" value="Failed">' in text
    assert 'name="cursor"' not in text
    assert "All that match" in text


# --- doing it -------------------------------------------------------------------------------------------------------


def test_one_operation_does_it_and_its_page_tells(operator, jobs):
    failed = [samples.make_job(function="gone.module.f") for _ in range(3)]
    text = operator.get("/bulk/operations/?act=retry&scope=all&state=Failed").content.decode()
    answer = operator.post("/bulk/operations/", hidden_fields(text))
    operation = BulkOperation.objects.get()
    assert answer.headers["Location"] == f"/bulk-operations/{operation.pk}/"
    page = operator.get(answer.headers["Location"]).content.decode()
    assert "0 of 3" in page
    assert "data-live=" in page
    assert operation.url in page
    job = Job.objects.get(kind="Bulk")
    assert (job.user.username, job.subject_id) == ("user-operate", str(operation.pk))

    jobs.run_all()
    job.refresh_from_db()
    assert job.state == "Completed"
    assert (job.progress_done, job.progress_total) == (3, 3)
    assert job.result == {"done": 3, "refused": 0, "page": f"/bulk-operations/{operation.pk}/"}
    assert [line.message for line in job.log_lines.all()] == ["Done: 3, left as they are: 0."]
    for each in failed:
        each.refresh_from_db()
        assert each.attempts == 2
    page = operator.get(answer.headers["Location"]).content.decode()
    assert "3 of 3" in page
    assert "data-live=" not in page
    entry = AuditEntry.objects.get(action="console.bulk_asked")
    assert entry.details["rows"] == 3


def test_what_came_since_the_preview_is_left_alone(operator, jobs):
    first = samples.make_job(function="gone.f")
    text = operator.get("/bulk/operations/?act=retry&scope=all").content.decode()
    late = samples.make_job(function="gone.f")
    operator.post("/bulk/operations/", hidden_fields(text))
    jobs.run_all()
    first.refresh_from_db()
    late.refresh_from_db()
    assert (first.attempts, late.attempts) == (2, 1)


def test_if_more_match_than_were_shown_it_is_shown_again(operator):
    samples.make_job()
    old = samples.make_job(state="Completed")
    text = operator.get("/bulk/operations/?act=retry&scope=all&state=Failed").content.decode()
    Job.objects.filter(pk=old.pk).update(state="Failed")
    answer = operator.post("/bulk/operations/", hidden_fields(text), follow=True)
    assert "By now 2 rows match, not 1. Look again." in answer.content.decode()
    assert "Retry: 2 rows?" in answer.content.decode()
    assert not BulkOperation.objects.exists()


def test_the_last_hour_is_the_one_that_was_shown(olga, jobs, moving_clock):
    job = samples.make_job(created_at=clock.now() - timedelta(minutes=59))
    chosen = selection(since="1h", act="retry")
    moving_clock.move(timedelta(minutes=30))
    bulk.start(chosen, olga, expected=1)
    jobs.run_all()
    job.refresh_from_db()
    assert job.attempts == 2


def test_rows_whose_own_action_refuses_are_listed_and_the_others_done(olga, jobs, client):
    live = samples.make_job(state="Queued", unique_key="k", run_at=clock.now() + timedelta(hours=1))
    keyed = samples.make_job(unique_key="k", function="keyed")
    plain = samples.make_job(function="gone.f")
    operation = bulk.start(selection(), olga, expected=2)
    jobs.run_all()
    operation.refresh_from_db()
    assert (operation.done, operation.refused) == (1, 1)
    refusal = BulkRefusal.objects.get()
    assert (refusal.key, refusal.reason) == (str(keyed.pk), "Another operation with the key 'k' is under way.")
    job = Job.objects.get(kind="Bulk")
    assert job.log_lines.first().message == f"Left as it is: keyed (Failed): {refusal.reason}"
    plain.refresh_from_db()
    live.refresh_from_db()
    assert plain.attempts == 2
    client.force_login(olga)
    page = client.get(f"/bulk-operations/{operation.pk}/").content.decode()
    assert "Another operation with the key" in page


def test_a_button_that_is_pressed_twice_begins_it_once(operator):
    samples.make_job()
    fields = hidden_fields(operator.get("/bulk/operations/?act=retry&scope=all").content.decode())
    first = operator.post("/bulk/operations/", fields)
    second = operator.post("/bulk/operations/", fields)
    assert second.headers["Location"] == first.headers["Location"]
    assert BulkOperation.objects.count() == Job.objects.filter(kind="Bulk").count() == 1


class PressedMeanwhile(BulkRunner):
    """Presses the button again while the first press is under way."""

    def __init__(self, press):
        self._press = press
        self.pressed = None

    def start(self, operation, user):
        if self.pressed is None:
            self.pressed = self._press()
            # Time to find nothing begun and to come to the row that is not committed yet.
            time.sleep(0.5)
        return super().start(operation, user)


@pytest.mark.django_db(transaction=True)
def test_a_button_that_is_pressed_again_meanwhile_begins_it_once():
    olga = samples.user_with("operate", name="olga")
    samples.make_job()
    chosen = selection()

    def begin():
        try:
            return bulk.start(chosen, olga, expected=1)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        runner = PressedMeanwhile(lambda: pool.submit(begin))
        with bulk.use_runner(runner):
            first = bulk.start(chosen, olga, expected=1)
            assert runner.pressed.result(20) == first
    assert BulkOperation.objects.count() == Job.objects.filter(kind="Bulk").count() == 1


@pytest.mark.parametrize("lost", [{"act": "explode"}, {"listing": "weather"}, {"filters": {"colour": "red"}}])
def test_what_the_code_has_no_more_is_not_found(lost, watcher):
    operation = samples.make_bulk()
    BulkOperation.objects.filter(pk=operation.pk).update(**lost)
    assert watcher.get(f"/bulk-operations/{operation.pk}/").status_code == 404


def test_who_asks_must_be_allowed_to(db):
    samples.make_job()
    with pytest.raises(PermissionRefused):
        bulk.start(selection(), samples.user_with("view"), expected=1)
    assert not BulkOperation.objects.exists()


def test_nothing_that_suits_is_refused_and_more_than_expected_too(olga):
    with pytest.raises(BulkRefused, match="None of these rows suits"):
        bulk.start(selection(), olga, expected=0)
    samples.make_job()
    with pytest.raises(BulkChanged):
        bulk.start(selection(), olga, expected=0)
    assert not Job.objects.filter(kind="Bulk").exists()


# --- in pieces ------------------------------------------------------------------------------------------------------


class Counter:
    """An action that notes what it did, and does something else at one row."""

    def __init__(self):
        self.did = []
        self.at = {}

    def perform(self, row, user):
        number = len(self.did) + 1
        row.reason = f"done by {user.username}"
        row.save(update_fields=["reason"])
        if act := self.at.pop(number, None):
            answer = act()
            if answer is not None:
                return answer
        self.did.append(row.pk)
        return ""

    def act(self):
        return BulkAct(
            name="count",
            label="Count",
            icon="check",
            told="Counts.",
            suits=lambda: Q(kind="Sample"),
            perform=self.perform,
        )


@pytest.fixture
def counter():
    found = Counter()
    with bulk.register_acts_temporarily("operations", found.act()):
        yield found


@pytest.fixture
def counted(olga, counter):
    for _ in range(6):
        samples.make_job(kind="Sample", reason="")
    return bulk.start(selection(act="count"), olga, expected=6)


def raises(error):
    def act():
        raise error

    return act


def test_what_was_cut_off_goes_on_and_does_no_row_twice(counted, counter, jobs):
    counter.at[4] = raises(RuntimeError("the machine fails"))
    [job] = jobs.run_all()
    assert job.state == "Queued"
    assert len(counter.did) == 3
    # What the fourth row had begun was undone with it.
    assert Job.objects.filter(reason__startswith="done").count() == 3
    jobs.run_all(ignore_delays=True)
    job.refresh_from_db()
    counted.refresh_from_db()
    assert job.state == "Completed"
    assert len(counter.did) == len(set(counter.did)) == 6
    assert (counted.done, counted.refused) == (6, 0)


def test_a_row_is_undone_with_its_refusal_and_kept_with_its_reason(counted, counter, jobs):
    counter.at[2] = raises(Refused())
    jobs.run_all()
    counted.refresh_from_db()
    assert (counted.done, counted.refused) == (5, 1)
    assert BulkRefusal.objects.get().reason == "This one not."
    assert Job.objects.filter(reason__startswith="done").count() == 5


def test_a_reason_that_is_returned_keeps_what_was_written(counted, counter, jobs):
    counter.at[2] = lambda: "It failed again."
    jobs.run_all()
    counted.refresh_from_db()
    assert (counted.done, counted.refused) == (5, 1)
    assert Job.objects.filter(reason__startswith="done").count() == 6


def test_it_ends_when_its_operation_is_aborted(counted, counter, jobs, operator):
    def abort():
        job = Job.objects.get(kind="Bulk")
        operator.post(f"/operations/{job.pk}/abort/")

    counter.at[2] = abort
    [job] = jobs.run_all()
    counted.refresh_from_db()
    assert job.state == "Aborted"
    assert len(counter.did) == 2
    assert (counted.done, counted.finished_at) == (2, None)
    assert "Aborted" in operator.get(f"/bulk-operations/{counted.pk}/").content.decode()
    # Taken up again, it goes on where it was.
    operator.post(f"/operations/{job.pk}/retry/")
    jobs.run_all()
    assert len(counter.did) == len(set(counter.did)) == 6


def test_it_ends_when_the_user_may_no_longer_act(counted, counter, jobs):
    counter.at[3] = lambda: PermissionSetAssignment.objects.all().delete() and None
    [job] = jobs.run_all()
    assert job.state == "Failed"
    assert "console.operate" in job.error
    assert len(counter.did) == 3


def test_it_ends_when_the_user_is_gone(counted, counter, jobs):
    counter.at[1] = lambda: User.objects.filter(username="olga").update(is_active=False) and None
    [job] = jobs.run_all()
    assert job.state == "Failed"
    assert len(counter.did) == 1


def test_of_two_holders_one_comes_too_late_and_its_row_is_undone(counted, counter):
    first, second = (bulk.steps(counted.pk, stops=()) for _ in range(2))
    assert next(first).number == 1
    assert next(second).number == 2
    Job.objects.update(reason="")
    with pytest.raises(BulkOvertaken):
        next(first)
    assert not Job.objects.filter(reason__startswith="done").exists()


def test_a_row_that_is_gone_is_told(counted, counter, jobs):
    stop = bulk.steps(counted.pk, stops=())
    next(stop)
    rest = Job.objects.filter(kind="Sample").order_by("pk")
    rest.filter(pk=rest[3].pk).delete()
    assert [step.reason for step in stop] == ["", "", "It is gone.", "", ""]


def test_old_bulk_actions_are_removed_unless_one_still_runs(olga, settings):
    settings.ISTHMUS_JOBS_RETENTION_DAYS = 7
    samples.make_job()
    running = bulk.start(selection(), olga, expected=1)
    old, new = samples.make_bulk(), samples.make_bulk()
    BulkOperation.objects.filter(pk__in=[running.pk, old.pk]).update(created_at=clock.now() - timedelta(days=8))
    assert remove_old_bulk_actions() == {"removed": 1}
    assert set(BulkOperation.objects.values_list("pk", flat=True)) == {running.pk, new.pk}


# --- what the apps have ---------------------------------------------------------------------------------------------

SUBJECTS = {
    ("operations", "retry"): lambda made: (made["job"], "state", "Failed", "Queued"),
    ("operations", "abort"): lambda made: (samples.make_job(state="Holding"), "state", "Holding", "Aborted"),
    ("queued-callouts", "resend"): lambda made: (made["queued"], "state", "failed", "waiting"),
    ("queued-callouts", "cancel"): lambda made: (made["queued"], "state", "failed", "cancelled"),
    ("queued-callouts", "acted"): lambda made: (made["doubtful"], "state", "in_doubt", "succeeded"),
    ("queued-callouts", "not-acted"): lambda made: (made["doubtful"], "state", "in_doubt", "waiting"),
    ("callout-batches", "cancel"): lambda made: (running(made["batch"]), "state", "running", "cancelled"),
    ("callout-batches", "restart"): lambda made: (made["batch"], "state", "partly_failed", "running"),
    ("integration-log", "acted"): lambda made: (in_doubt(made["entry"]), "resolution", "", "acted"),
    ("integration-log", "not-acted"): lambda made: (in_doubt(made["entry"]), "resolution", "", "not_acted"),
    ("integration-log", "no-matter"): lambda made: (in_doubt(made["entry"]), "resolution", "", "no_matter"),
    ("invocations", "cancel"): lambda made: (made["invocation"], "state", "Waiting", "Cancelled"),
    ("callbacks", "route"): lambda made: (late(made["receipt"]), "state", "late", "received"),
    ("parked-events", "discard"): lambda made: (parked(made), "state", "parked", "discarded"),
    ("parked-events", "redrive"): lambda made: (parked(made), "state", "parked", "parked"),
    ("subscriptions", "pause"): lambda made: (made["subscription"], "state", "retrying", "paused"),
    ("subscriptions", "resume"): lambda made: (made["subscription"], "state", "retrying", "running"),
}


def _with(row, **values):
    type(row).objects.filter(pk=row.pk).update(**values)
    row.refresh_from_db()
    return row


def running(batch):
    return _with(batch, state="running")


def in_doubt(entry):
    return _with(entry, outcome="in_doubt")


def late(receipt):
    return _with(receipt, state="late", callback_name="approved")


def parked(made):
    return made["subscription"].parked_events.get()


def test_every_action_of_the_apps_is_tried_here():
    registered = {(name, act.name) for name in bulk._acts for act in bulk.acts_of(name)}
    assert registered == set(SUBJECTS)


@pytest.mark.parametrize(("listing", "act"), sorted(SUBJECTS))
def test_each_action_does_what_its_single_one_does(listing, act, olga):
    made = samples.make_everything()
    row, field, before, after = SUBJECTS[listing, act](made)
    assert getattr(row, field) == before
    operation = bulk.start(selection(listing, act, keys=[str(row.pk)]), olga, expected=1)
    steps = list(bulk.steps(operation.pk, stops=()))
    row.refresh_from_db()
    assert getattr(row, field) == after
    # The sample's subscriber is declared nowhere, which its own action refuses.
    assert [bool(step.reason) for step in steps] == [act == "redrive"]


@pytest.mark.parametrize(("listing", "act"), sorted(SUBJECTS))
def test_an_action_does_not_count_rows_that_it_does_not_suit(listing, act, olga):
    made = samples.make_everything()
    row, *_ = SUBJECTS[listing, act](made)
    suited = selection(listing, act).suited()
    assert row in suited
    operation = bulk.start(selection(listing, act, keys=[str(row.pk)]), olga, expected=1)
    list(bulk.steps(operation.pk, stops=()))
    # What its own action refuses still suits, and so does a batch of which nothing could leave again.
    if act not in {"redrive", "restart"}:
        assert not selection(listing, act).suited().filter(pk=row.pk).exists()


@pytest.mark.parametrize(("listing", "act"), sorted(SUBJECTS))
def test_a_preview_costs_the_same_for_many_rows(listing, act, operator, django_assert_max_num_queries):
    def count():
        with django_assert_max_num_queries(25) as captured:
            assert operator.get(f"/bulk/{listing}/?act={act}&scope=all").status_code == 200
        return len(captured)

    made = samples.make_everything()
    SUBJECTS[listing, act](made)
    operator.get("/")
    before = count()
    for number in range(2, 5):
        samples.make_job()
        samples.make_job(state="Holding")
        samples.make_log_entry(outcome="in_doubt")
        samples.make_queued()
        samples.make_queued(state="in_doubt")
        samples.make_batch()
        service = samples.make_service(f"Service{number}")
        samples.make_receipt(samples.make_invocation(service), state="late")
        samples.make_parked(samples.make_subscription(name=f"reader-{number}"))
    assert count() == before


# --- the registry ---------------------------------------------------------------------------------------------------


def test_an_action_is_registered_once_and_for_a_table():
    act = Counter().act()
    with bulk.register_acts_temporarily("operations", act), pytest.raises(ValueError, match="has an action 'count'"):
        bulk.register_acts("operations", act)
    with pytest.raises(TypeError, match="endpoints"):
        bulk.register_acts("endpoints", act)
    with pytest.raises(BulkActUnknown):
        bulk.find_act("operations", "count")


def test_without_a_runner_nothing_is_begun(olga):
    samples.make_job()
    with bulk.use_runner(None), pytest.raises(BulkRefused, match="Nobody"):
        bulk.start(selection(), olga, expected=1)
    assert not BulkOperation.objects.exists()
