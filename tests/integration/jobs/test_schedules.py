"""Schedules: fired once when due, never overlapping, missed runs are not caught up."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError

from isthmus.jobs import queueable, schedules
from isthmus.jobs.models import Job, Schedule
from isthmus.jobs.schedules import ensure_schedule, fire_due


@queueable()
def tick(note: str) -> str:
    return note


pytestmark = pytest.mark.django_db


def test_an_interval_keeps_its_beat(jobs, moving_clock):
    ensure_schedule("ticking", tick, interval=timedelta(minutes=10), arguments={"note": "t"})
    start = moving_clock.now()
    assert fire_due() == 0
    moving_clock.move(timedelta(minutes=10))
    assert fire_due() == 1
    assert fire_due() == 0
    [ended] = jobs.run_all()
    assert (ended.kind, ended.result, ended.subject_type) == ("Scheduled", "t", "Schedule")
    # Three runs are missed, one is made up, and the beat stays.
    moving_clock.move(timedelta(minutes=34))
    assert fire_due() == 1
    assert Schedule.objects.get().next_run_at == start + timedelta(minutes=50)
    assert Schedule.objects.get().last_run_at == start + timedelta(minutes=44)


def test_a_cron_expression_names_the_times(jobs, moving_clock):
    ensure_schedule("nightly", tick, cron="17 3 * * *", arguments={"note": "t"})
    fire_due()
    assert Schedule.objects.get().next_run_at == datetime(2026, 6, 2, 3, 17, tzinfo=UTC)
    moving_clock.move(timedelta(hours=15, minutes=17))
    assert fire_due() == 1
    assert Schedule.objects.get().next_run_at == datetime(2026, 6, 3, 3, 17, tzinfo=UTC)


def test_runs_do_not_overlap(jobs, moving_clock):
    ensure_schedule("ticking", tick, interval=timedelta(minutes=1), arguments={"note": "t"})
    fire_due()
    for _ in range(3):
        moving_clock.move(timedelta(minutes=1))
        fire_due()
    assert Job.objects.count() == 1
    jobs.run_all()
    moving_clock.move(timedelta(minutes=1))
    fire_due()
    assert Job.objects.count() == 2


def test_a_disabled_schedule_does_nothing(jobs, moving_clock):
    schedule = ensure_schedule("ticking", tick, interval=timedelta(minutes=1), arguments={"note": "t"})
    fire_due()
    Schedule.objects.filter(pk=schedule.pk).update(enabled=False)
    moving_clock.move(timedelta(minutes=5))
    assert fire_due() == 0
    assert not Job.objects.exists()


def test_ensuring_again_keeps_what_an_operator_changed():
    schedule = ensure_schedule("ticking", tick, interval=timedelta(minutes=1), arguments={"note": "t"})
    Schedule.objects.filter(pk=schedule.pk).update(interval_seconds=7200)
    assert (
        ensure_schedule("ticking", tick, interval=timedelta(minutes=1), arguments={"note": "t"}).interval_seconds
        == 7200
    )
    assert Schedule.objects.count() == 1


def test_a_schedule_that_cannot_run_says_why_and_hinders_no_other(jobs, moving_clock):
    broken = ensure_schedule("broken", tick, interval=timedelta(minutes=1), arguments={"note": "t"})
    ensure_schedule("sound", tick, interval=timedelta(minutes=1), arguments={"note": "t"})
    fire_due()
    Schedule.objects.filter(pk=broken.pk).update(function="isthmus.jobs.jobs.gone")
    moving_clock.move(timedelta(minutes=1))
    assert fire_due() == 1
    broken.refresh_from_db()
    assert "gone is not declared" in broken.last_error
    assert broken.next_run_at == moving_clock.now() + timedelta(hours=1)


@pytest.mark.parametrize(
    "times",
    [{}, {"cron": "17 3 * * *", "interval": timedelta(minutes=1)}, {"cron": "whenever"}, {"cron": "* * * * * *"}],
)
def test_impossible_times_are_refused(times):
    with pytest.raises(ValidationError):
        ensure_schedule("odd", tick, arguments={"note": "t"}, **times)
    assert not Schedule.objects.exists()


def test_the_database_refuses_a_schedule_without_times():
    with pytest.raises(IntegrityError):
        Schedule.objects.create(name="odd", function="x")


def test_what_apps_register_is_there_once_a_worker_has_looked():
    schedules.ensure_declared_schedules()
    schedules.ensure_declared_schedules()
    made = Schedule.objects.get(name="Audit the use of credentials")
    assert made.cron == "*/5 * * * *"
    with pytest.raises(ValueError, match="registered already"):
        schedules.register_schedule(made.name, None, cron=made.cron)
