"""Every app's figures are those of its rows: roll-up, charts, today beside yesterday, lines of connections."""

from datetime import timedelta

import pytest

from apexrest.figures import charts_of_endpoint, charts_of_endpoints
from callouts.figures import charts_of_credential, charts_of_log
from callouts.models import Destination
from credentials.models import ExternalCredential, NamedCredential
from isthmus import clock
from isthmus.console import charts, connections, overview
from isthmus.console.connections import Broker, Connection
from isthmus.console.rollups import rolling
from isthmus.console.rollups.series import MOST_KINDS, all_series
from isthmus.console.rollups.spans import DAY
from isthmus.console.tones import Status, Tone
from isthmus.jobs import schedules
from isthmus.jobs.figures import cause_of, charts_of
from isthmus.jobs.jobs import roll_up_figures
from isthmus.jobs.models import Job, JobState, Schedule
from tests import console_samples as samples

pytestmark = pytest.mark.django_db


def roll_up():
    for _ in rolling.roll_up_everything():
        pass


def ended_job(at, state="Completed", *, waited=1.0, took=2.0, error="", **values):
    begun = at - timedelta(seconds=took)
    due = begun - timedelta(seconds=waited)
    given = {
        "attempts": 1,
        "created_at": due,
        "run_at": due,
        "ready_at": due,
        "started_at": begun,
        "finished_at": at,
        "error": error,
    }
    return samples.make_job(**{"state": state, "reason": "", **given, **values})


def line(kind, name):
    return next(found for found in connections.all_connections()[kind] if found.name == name)


def test_operations(moving_clock):
    now = moving_clock.now()
    for minutes in (20, 100, 300):
        ended_job(now - timedelta(minutes=minutes), took=60)
    ended_job(now - timedelta(minutes=21), "Failed", error="callouts.errors.ConnectFailed: no route to …", waited=30)
    ended_job(now - timedelta(minutes=22), "Failed", error="", reason="worker died 4 times")
    ended_job(now - timedelta(minutes=23), "Aborted", started_at=None)
    ended_job(now - timedelta(hours=26), "Failed", error="ValueError: old")
    samples.make_job(state="Queued", run_at=now)
    roll_up()
    throughput, waits, took, causes = charts_of(DAY)
    assert throughput.summary == "Operations that ended of the last 24 hours: 3 completed, 2 failed, 1 aborted."
    assert [curve.total for curve in throughput.curves] == [3, 2, 1]
    assert (waits.total, took.total) == (5, 5)
    # Right to two in a hundred: they waited 1 s and 30 s.
    assert waits.summary == "In the last 24 hours half of the operations waited at most 993 ms, 95 % at most 29.8 s."
    assert {curve.label: curve.total for curve in causes.curves} == {"ConnectFailed": 1, "worker died": 1}


def test_a_job_that_was_tried_again_does_not_tell_how_long_it_waited(moving_clock):
    ended_job(moving_clock.now() - timedelta(minutes=20), attempts=2)
    ended_job(moving_clock.now() - timedelta(minutes=20))
    ended_job(moving_clock.now() - timedelta(minutes=20), ready_at=None)
    roll_up()
    assert charts_of(DAY)[1].total == 1


@pytest.mark.parametrize(
    ("error", "reason", "cause"),
    [
        ("ValueError: a: b", "", "ValueError"),
        ("app.errors.Refused: no", "", "Refused"),
        ("TimeLimitExceeded", "", "TimeLimitExceeded"),
        ("", "worker died 4 times", "worker died"),
        ("", "", "unknown"),
        ("what is this", "", "unknown"),
    ],
)
def test_causes_are_words_that_others_share(error, reason, cause):
    assert cause_of(error, reason) == cause


def test_exchanges(moving_clock):
    now = moving_clock.now()
    for number in range(10):
        samples.make_log_entry(started_at=now - timedelta(minutes=20 + number), duration_ms=100 * (number + 1))
    samples.make_log_entry(
        started_at=now - timedelta(minutes=30), outcome="failed", status_code=503, named_credential="Other"
    )
    samples.make_log_entry(
        started_at=now - timedelta(minutes=31), outcome="in_doubt", status_code=None, error_code="ANSWER_LOST"
    )
    samples.make_log_entry(started_at=now - timedelta(minutes=32), outcome="refused", status_code=None, duration_ms=0)
    samples.make_log_entry(started_at=now - timedelta(minutes=33), direction="inbound", named_credential="")
    # Still under way: nobody knows how it ends.
    samples.make_log_entry(
        started_at=now - timedelta(seconds=5), outcome="in_doubt", duration_ms=None, status_code=None
    )
    roll_up()
    exchanges, latency, causes = charts_of_log(DAY)
    assert exchanges.summary == "Exchanges of the last 24 hours: 11 succeeded, 1 failed, 1 in doubt, 1 refused."
    assert latency.total == 11
    assert {curve.label: curve.total for curve in causes.curves} == {"HTTP 503": 1, "ANSWER_LOST": 1}
    by_outcome, took = charts_of_credential("Other", DAY)
    assert (by_outcome.total, took.total) == (1, 1)


def test_endpoints_and_their_clients(moving_clock):
    now = moving_clock.now()
    samples.make_call(started_at=now - timedelta(minutes=20), outcome="succeeded", status_code=200, duration_ms=80)
    for outcome, status, code in (("failed", 500, "UNKNOWN_EXCEPTION"), ("refused", 400, "BAD")):
        samples.make_log_entry(
            started_at=now - timedelta(minutes=25),
            direction="inbound",
            operation=f"GET {samples.ENDPOINT}",
            outcome=outcome,
            status_code=status,
            error_code=code,
            duration_ms=40,
        )
    samples.make_log_entry(started_at=now - timedelta(minutes=20), direction="inbound", operation="a callback")
    roll_up()
    calls, latency, causes = charts_of_endpoints(DAY)
    assert calls.summary == "Calls of endpoints of the last 24 hours: 1 succeeded, 1 failed, 1 refused."
    assert latency.total == 3
    assert {curve.label for curve in causes.curves} == {"UNKNOWN_EXCEPTION", "BAD"}
    assert charts_of_endpoint(samples.ENDPOINT, DAY)[0].total == 3
    found = line("API endpoints", samples.ENDPOINT)
    assert (found.status.label, found.number) == ("Works", 3)
    assert found.p95_ms == pytest.approx(80, rel=0.02)
    client = line("API clients", samples.HOSTILE)
    assert (client.number, client.p95_ms) == (3, pytest.approx(80, rel=0.02))


def test_services_are_counted_by_their_names(moving_clock):
    service = samples.make_service()
    now = moving_clock.now()
    samples.make_log_entry(operation=f"{service.name}.submitApplication", started_at=now - timedelta(minutes=20))
    samples.make_log_entry(operation="Nobody.knows", started_at=now - timedelta(minutes=20))
    roll_up()
    found = line("External services", str(service))
    assert (found.number, found.last_success_at) == (1, now - timedelta(minutes=20))
    assert found.status.label == "Cannot be called"


def test_every_series_says_what_it_is(moving_clock):
    roll_up()
    for series in all_series():
        chart = charts.counts("key", series.name, DAY, title="Title")
        assert chart.total == 0
        assert chart.summary == f"{series.subject} of the last 24 hours: none."


def test_today_beside_yesterday_in_words(moving_clock):
    now = moving_clock.now()
    for age in (10, 40, 100, 1_450):
        ended_job(now - timedelta(minutes=age))
    ended_job(now - timedelta(minutes=12), "Failed")
    roll_up()
    found = {one.today.label: one for one in overview.comparisons()}
    completed, failed = found["Operations completed"], found["Operations failed"]
    assert (completed.number, completed.yesterday, completed.direction) == (3, 1, "more")
    assert completed.words == "2 more than yesterday by now (1)"
    assert (failed.words, failed.tone) == ("1 more than yesterday by now (0)", Tone.WARNING)
    assert found["Callouts"].words == "none yesterday by now, too"
    assert failed.url == "/operations/?state=Failed&since=24h"
    moving_clock.move(timedelta(hours=24))
    roll_up()
    found = {one.today.label: one for one in overview.comparisons()}
    assert found["Operations completed"].words == "3 fewer than yesterday by now (3)"
    assert found["Operations failed"].tone == Tone.GOOD


class TestCharts:
    def test_the_most_frequent_causes_stand_alone_and_the_others_together(self, moving_clock):
        at = moving_clock.now() - timedelta(minutes=20)
        for number in range(9):
            for _ in range(9 - number):
                ended_job(at, "Failed", error=f"Error{number}: x")
        roll_up()
        causes = charts_of(DAY)[3]
        assert [curve.label for curve in causes.curves] == [*(f"Error{number}" for number in range(5)), "other causes"]
        assert causes.curves[-1].total == 4 + 3 + 2 + 1
        assert causes.total == sum(curve.total for curve in causes.curves) == 45
        assert len({curve.tone for curve in causes.curves}) == len(causes.curves) < MOST_KINDS

    def test_the_table_has_the_numbers_of_the_drawing(self, moving_clock):
        ended_job(moving_clock.now() - timedelta(minutes=20))
        ended_job(moving_clock.now() - timedelta(hours=5), "Failed")
        roll_up()
        chart = charts_of(DAY)[0]
        assert [values for _, values in chart.rows] == [[1, 0, 0], [0, 1, 0]]
        assert [moment for moment, _ in chart.rows] == sorted((m for m, _ in chart.rows), reverse=True)
        assert '"form":"bars","slot":900.0' in chart.as_json


class TestConnections:
    @pytest.fixture
    def bank(self):
        external = ExternalCredential.objects.create(name="Open", protocol="no_authentication")
        return NamedCredential.objects.create(
            name="Acme_Bank", url="https://bank.example", external_credential=external
        )

    def test_a_credential_tells_its_last_success_and_failure(self, bank, moving_clock):
        now = moving_clock.now()
        assert line("Named credentials", "Acme_Bank").status.label == "Not used lately"
        samples.make_log_entry(started_at=now - timedelta(minutes=30), duration_ms=200)
        assert line("Named credentials", "Acme_Bank").status.label == "Works"
        samples.make_log_entry(started_at=now - timedelta(minutes=20), outcome="failed", status_code=503)
        roll_up()
        found = line("Named credentials", "Acme_Bank")
        assert (found.status.label, found.failure) == ("Failed last", "HTTP 503")
        assert (found.last_success_at, found.last_failure_at) == (
            now - timedelta(minutes=30),
            now - timedelta(minutes=20),
        )
        assert (found.number, found.p95_ms) == (2, pytest.approx(340, rel=0.02))
        Destination.objects.create(named_credential=bank, breaker="open")
        assert line("Named credentials", "Acme_Bank").status.label == "Breaker open"
        NamedCredential.objects.update(is_enabled=False)
        assert line("Named credentials", "Acme_Bank").status.label == "Switched off"

    def test_a_broker_is_asked_with_every_roll_up(self, moving_clock, jobs):
        answers = [True, False]

        def ask():
            if not answers.pop(0):
                raise ConnectionError("away")

        broker = Broker(name="mine", label="My broker", url_name="jobs:schedules", detail=lambda: "a test", ask=ask)
        with connections.register_broker_temporarily(broker):
            assert line("Brokers", "My broker").status.label == "Not asked yet"
            roll_up_figures.enqueue()
            [job] = jobs.run_all()
            assert job.state == JobState.COMPLETED, job.error
            found = line("Brokers", "My broker")
            assert (found.status.label, found.number, found.last_failure_at) == ("Answers", 1, None)
            moving_clock.move(timedelta(minutes=5))
            connections.ask_brokers()
            found = line("Brokers", "My broker")
            assert (found.status.label, found.number) == ("No answer", 2)
            assert found.last_success_at < found.last_failure_at
            with pytest.raises(ValueError, match="'mine' is registered already"):
                connections.register_broker(broker)

    def test_the_platforms_own_brokers_answer(self):
        connections.ask_brokers()
        assert {found.name: found.status.label for found in connections.all_connections()["Brokers"]} == {
            "Event log": "Answers",
            "Job broker": "Answers",
        }

    def test_what_is_unwell_stands_first(self, watcher):
        made = [
            Connection(kind="Things", name=name, status=Status(name, tone), url="/")
            for name, tone in (("a", Tone.GOOD), ("b", Tone.NEUTRAL), ("c", Tone.WARNING), ("d", Tone.BAD))
        ]
        with connections.register_connections_temporarily(lambda: made):
            assert [found.name for found in connections.all_connections()["Things"]] == ["d", "c", "a", "b"]
            text = watcher.get("/connections/").content.decode()
        assert "2 to look at" in text


def test_every_worker_sees_to_it_that_figures_are_rolled_up_every_five_minutes():
    schedules.ensure_declared_schedules()
    found = Schedule.objects.get(name="Roll up figures")
    assert (found.function, found.cron, found.enabled) == (
        "isthmus.jobs.jobs.roll_up_figures",
        "*/5 * * * *",
        True,
    )
    found.full_clean(exclude=["name"])


def test_jobs_of_the_roll_up_end_well_and_say_how_far_they_came(jobs, moving_clock):
    ended_job(clock.now() - timedelta(hours=3))
    roll_up_figures.enqueue()
    [job] = jobs.run_all()
    assert job.state == JobState.COMPLETED
    assert job.result["steps"] >= 3
    assert Job.objects.filter(state="Failed").count() == 0
