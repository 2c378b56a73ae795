"""Schedules: fired once when due, never overlapping, in their time zone; missed runs as each one wants it."""

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import IntegrityError
from django.urls import reverse

from isthmus import clock
from isthmus.access.errors import PermissionRefused
from isthmus.jobs import queueable, schedules
from isthmus.jobs.errors import ArgumentsRefused, ScheduleRunning
from isthmus.jobs.models import Job, Schedule
from isthmus.jobs.schedules import ensure_schedule, fire_due, run_now, upcoming
from isthmus.jobs.showing import spoken_times
from isthmus.vault.secret import Secret


@queueable()
def tick(note: str) -> str:
    return note


@queueable()
def tick_with_a_secret(password: Secret) -> None: ...


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
    [
        {},
        {"cron": "17 3 * * *", "interval": timedelta(minutes=1)},
        {"cron": "17 3 * * *", "once_at": datetime(2026, 7, 1, tzinfo=UTC)},
        {"interval": timedelta(minutes=1), "once_at": datetime(2026, 7, 1, tzinfo=UTC)},
        {"cron": "whenever"},
        {"cron": "* * * * * *"},
        {"cron": "0 0 31 2 *"},
        {"cron": "17 3 * * *", "time_zone": "Europe/Atlantis"},
        {"cron": "17 3 * * *", "missed": "perhaps"},
    ],
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


# --- time zones ---
@pytest.mark.parametrize(
    ("time_zone", "now", "cron", "expected"),
    [
        # 02:30 does not exist on 29 March: right after the gap, once.
        ("Europe/Berlin", datetime(2026, 3, 28, 12, tzinfo=UTC), "30 2 * * *", ["29 01:00", "30 00:30"]),
        # It comes twice on 25 October: the first time.
        ("Europe/Berlin", datetime(2026, 10, 24, 12, tzinfo=UTC), "30 2 * * *", ["25 00:30", "26 01:30"]),
        ("America/New_York", datetime(2026, 3, 8, 5, tzinfo=UTC), "30 2 * * *", ["08 07:00", "09 06:30"]),
        ("America/New_York", datetime(2026, 11, 1, 4, tzinfo=UTC), "30 1 * * *", ["01 05:30", "02 06:30"]),
        # Lord Howe moves its clocks by half an hour: 02:00 to 02:30.
        ("Australia/Lord_Howe", datetime(2026, 10, 3, 12, tzinfo=UTC), "15 2 * * *", ["03 15:30", "04 15:15"]),
        ("Australia/Lord_Howe", datetime(2026, 4, 4, 12, tzinfo=UTC), "45 1 * * *", ["04 14:45", "05 15:15"]),
        # Every real hour.
        (
            "Europe/Berlin",
            datetime(2026, 3, 28, 23, 59, tzinfo=UTC),
            "30 * * * *",
            ["29 00:30", "29 01:30", "29 02:30"],
        ),
        (
            "Europe/Berlin",
            datetime(2026, 10, 24, 23, 59, tzinfo=UTC),
            "30 * * * *",
            ["25 00:30", "25 01:30", "25 02:30"],
        ),
        (
            "Australia/Lord_Howe",
            datetime(2026, 4, 4, 14, 31, tzinfo=UTC),
            "45 * * * *",
            ["04 14:45", "04 15:15", "04 16:15"],
        ),
    ],
)
def test_where_clocks_are_put_forward_or_back(jobs, time_zone, now, cron, expected):
    with clock.use(clock.MovableClock(now)) as moving:
        schedule = ensure_schedule("local", tick, cron=cron, time_zone=time_zone, arguments={"note": "t"})
        jobs.run_due_schedules()
        ran = []
        until = moving.now() + timedelta(hours=50)
        while len(ran) < len(expected) and moving.now() < until:
            moving.move(timedelta(minutes=5))
            ran += [f"{job.scheduled_for:%d %H:%M}" for job in jobs.run_due_schedules()]
    assert ran == expected
    assert schedule.time_zone == time_zone


# --- one moment ---
def test_one_moment_runs_once_and_switches_itself_off(jobs, moving_clock):
    moment = moving_clock.now() + timedelta(hours=1)
    schedule = ensure_schedule("once", tick, once_at=moment, arguments={"note": "t"})
    assert jobs.run_due_schedules() == []
    moving_clock.move(timedelta(hours=1, minutes=5))
    [ended] = jobs.run_due_schedules()
    schedule.refresh_from_db()
    assert (ended.scheduled_for, schedule.last_job, schedule.enabled, schedule.next_run_at) == (
        moment,
        ended,
        False,
        None,
    )
    # Switched on again it knows that its moment is over.
    Schedule.objects.update(enabled=True)
    moving_clock.move(timedelta(days=1))
    assert jobs.run_due_schedules() == []
    schedule.refresh_from_db()
    assert (schedule.enabled, schedule.last_error) == (False, "Its moment is over.")


def test_a_moment_that_was_missed_is_skipped_where_that_is_wanted(jobs, moving_clock):
    moment = moving_clock.now() + timedelta(hours=1)
    schedule = ensure_schedule("once", tick, once_at=moment, missed="skip", arguments={"note": "t"})
    fire_due()
    moving_clock.move(timedelta(hours=1, seconds=61))
    assert jobs.run_due_schedules() == []
    schedule.refresh_from_db()
    assert (schedule.enabled, schedule.last_error) == (False, "Missed the run of 2026-06-01 13:00 UTC.")


# --- missed runs ---
def missing(moving_clock, missed, minutes):
    """Make a schedule of every ten minutes and let so many minutes pass unseen."""
    schedule = ensure_schedule("ticking", tick, cron="*/10 * * * *", missed=missed, arguments={"note": "t"})
    fire_due()
    moving_clock.move(timedelta(minutes=minutes))
    return schedule


def times_of(ran):
    return [f"{job.scheduled_for:%H:%M}" for job in ran]


def test_missed_runs_are_made_up_by_one(jobs, moving_clock):
    schedule = missing(moving_clock, "once", 45)
    assert times_of(jobs.run_due_schedules()) == ["12:10"]
    schedule.refresh_from_db()
    assert f"{schedule.next_run_at:%H:%M}" == "12:50"


@pytest.mark.parametrize(("minutes", "expected"), [(45, []), (40, ["12:40"]), (41, ["12:40"]), (42, [])])
def test_missed_runs_are_skipped(jobs, moving_clock, minutes, expected):
    schedule = missing(moving_clock, "skip", minutes)
    assert times_of(jobs.run_due_schedules()) == expected
    schedule.refresh_from_db()
    assert f"{schedule.next_run_at:%H:%M}" == "12:50"


def test_each_missed_run_is_made_up_in_order_and_one_at_a_time(jobs, moving_clock):
    missing(moving_clock, "all", 45)
    assert fire_due() == 1
    assert fire_due() == 0
    assert Job.objects.count() == 1
    assert times_of(jobs.run_due_schedules()) == ["12:10", "12:20", "12:30", "12:40"]
    assert jobs.run_due_schedules() == []
    moving_clock.move(timedelta(minutes=5))
    assert times_of(jobs.run_due_schedules()) == ["12:50"]


def test_a_long_run_makes_none_of_them_lost(jobs, moving_clock):
    missing(moving_clock, "all", 10)
    assert fire_due() == 1
    moving_clock.move(timedelta(minutes=20))
    assert fire_due() == 0
    assert times_of(jobs.run_due_schedules()) == ["12:10", "12:20", "12:30"]


def test_each_missed_beat_of_an_interval_is_made_up(jobs, moving_clock):
    ensure_schedule("ticking", tick, interval=timedelta(minutes=10), missed="all", arguments={"note": "t"})
    fire_due()
    moving_clock.move(timedelta(minutes=34))
    assert times_of(jobs.run_due_schedules()) == ["12:10", "12:20", "12:30"]


def test_where_no_run_may_be_lost_a_refusal_keeps_the_place(jobs, moving_clock):
    schedule = missing(moving_clock, "all", 25)
    Schedule.objects.filter(pk=schedule.pk).update(function="isthmus.jobs.jobs.gone")
    for _ in range(2):
        assert fire_due() == 0
    schedule.refresh_from_db()
    assert ("gone is not declared" in schedule.last_error, f"{schedule.next_run_at:%H:%M}") == (True, "12:10")
    Schedule.objects.filter(pk=schedule.pk).update(function=tick.declaration.name)
    assert times_of(jobs.run_due_schedules()) == ["12:10", "12:20"]
    schedule.refresh_from_db()
    assert schedule.last_error == ""


def test_of_two_workers_that_sweep_one_enqueues(jobs, moving_clock):
    schedule = missing(moving_clock, "all", 25)
    seen = Schedule.objects.get(pk=schedule.pk)
    assert fire_due() == 1
    jobs.run_all()
    assert schedules._fire(seen) is False
    assert Job.objects.count() == 1


def test_a_run_that_was_started_by_hand_makes_none_of_them_lost(jobs, moving_clock):
    schedule = missing(moving_clock, "all", 25)
    schedule.refresh_from_db()
    run_now(schedule)
    # As if the run by hand came after this sweep had looked.
    assert schedules._fire(schedule) is False
    assert fire_due() == 0
    assert times_of(jobs.run_due_schedules()[1:]) == ["12:10", "12:20"]


# --- what is shown, what operators do ---
def test_the_next_times_are_told(moving_clock):
    every = ensure_schedule("ticking", tick, interval=timedelta(hours=1), arguments={"note": "t"})
    assert [f"{time:%H}" for time in upcoming(every)] == ["13", "14", "15", "16", "17"]
    fire_due()
    every.refresh_from_db()
    moving_clock.move(timedelta(minutes=150))
    assert [f"{time:%H}" for time in upcoming(every)] == ["13", "15", "16", "17", "18"]
    every.missed = "all"
    assert [f"{time:%H}" for time in upcoming(every)] == ["13", "14", "15", "16", "17"]
    once = ensure_schedule("once", tick, once_at=datetime(2026, 7, 1, tzinfo=UTC), arguments={"note": "t"})
    assert upcoming(once) == [datetime(2026, 7, 1, tzinfo=UTC)]
    once.enabled = False
    assert upcoming(once) == []


def test_a_run_can_be_started_beside_the_set_times(jobs, moving_clock):
    schedule = ensure_schedule("nightly", tick, cron="17 3 * * *", arguments={"note": "t"})
    fire_due()
    schedule.refresh_from_db()
    due = schedule.next_run_at
    job = run_now(schedule, User.objects.create_superuser("operator"))
    with pytest.raises(ScheduleRunning):
        run_now(schedule)
    jobs.run_all()
    schedule.refresh_from_db()
    job.refresh_from_db()
    assert (job.state, job.scheduled_for, schedule.next_run_at, schedule.last_job) == ("Completed", None, due, job)
    assert schedule.last_run_at == moving_clock.now()


def test_whoever_may_not_operate_starts_none(jobs):
    schedule = ensure_schedule("nightly", tick, cron="17 3 * * *", arguments={"note": "t"})
    with pytest.raises(PermissionRefused, match=r"console\.operate"):
        run_now(schedule, User.objects.create_user("stranger"))
    assert not Job.objects.exists()


@pytest.fixture
def administrator(client):
    client.force_login(User.objects.create_superuser("administrator"))
    return client


def test_the_set_up_shows_the_next_five_runs_and_starts_one(administrator, jobs, moving_clock):
    schedule = ensure_schedule("n", tick, cron="30 2 * * *", time_zone="Europe/Berlin", arguments={"note": "t"})
    text = administrator.get(reverse("admin:jobs_schedule_change", args=[schedule.pk])).content.decode()
    assert text.count("02:30 CEST</li>") == 5
    administrator.post(
        reverse("admin:jobs_schedule_changelist"), {"action": "run_chosen_now", "_selected_action": [schedule.pk]}
    )
    assert Job.objects.get().state == "Queued"


def test_other_times_are_worked_out_at_once_in_the_set_up(administrator, moving_clock):
    schedule = ensure_schedule("n", tick, cron="30 2 * * *", arguments={"note": "t"})
    fire_due()
    schedule.refresh_from_db()
    form = {"name": "n", "function": schedule.function, "arguments": '{"note": "t"}', "cron": "30 2 * * *"}
    form |= {"time_zone": "Europe/Berlin", "interval_seconds": "", "missed": "once", "enabled": "on"}
    form |= {"next_run_at_0": f"{schedule.next_run_at:%Y-%m-%d}", "next_run_at_1": f"{schedule.next_run_at:%H:%M:%S}"}
    answer = administrator.post(reverse("admin:jobs_schedule_change", args=[schedule.pk]), form)
    assert answer.status_code == 302
    schedule.refresh_from_db()
    assert schedule.next_run_at == datetime(2026, 6, 2, 0, 30, tzinfo=UTC)


def test_the_page_shows_the_next_five_runs_and_starts_one(administrator, jobs, moving_clock):
    schedule = ensure_schedule("n", tick, cron="30 2 * * *", time_zone="Europe/Berlin", arguments={"note": "t"})
    text = administrator.get(reverse("jobs:schedules")).content.decode()
    assert text.count("02:30 CEST</li>") == 5
    answer = administrator.post(reverse("jobs:run-schedule", args=[schedule.pk]))
    job = Job.objects.get()
    assert answer.headers["Location"] == reverse("jobs:detail", args=[job.pk])
    answer = administrator.post(reverse("jobs:run-schedule", args=[schedule.pk]), follow=True)
    assert "A run of this schedule is under way" in answer.content.decode()
    assert Job.objects.count() == 1


@pytest.mark.parametrize(
    ("seconds", "said"), [(900, "every 15 min"), (5_400, "every 90 min"), (86_400, "every 1 d"), (61, "every 61 s")]
)
def test_an_interval_is_said_in_its_largest_unit(seconds, said):
    assert spoken_times(Schedule(interval_seconds=seconds)) == said


def test_a_schedule_whose_times_cannot_be_read_hinders_no_page(administrator):
    Schedule.objects.bulk_create(
        [
            Schedule(name="zone", function="x", cron="1 2 * * *", time_zone="Europe/Atlantis"),
            Schedule(name="cron", function="x", cron="whenever it is"),
        ]
    )
    assert administrator.get(reverse("jobs:schedules")).status_code == 200
    assert fire_due() == 0
    assert all(Schedule.objects.values_list("last_error", flat=True))


def test_a_schedule_keeps_no_secrets():
    with pytest.raises(ArgumentsRefused, match="keeps no secrets"):
        ensure_schedule("odd", tick_with_a_secret, cron="17 3 * * *", arguments={"password": "hunter2"})
    schedule = Schedule(name="odd", function=tick_with_a_secret.declaration.name, cron="17 3 * * *")
    schedule.arguments = {"password": "hunter2"}
    with pytest.raises(ValidationError, match="keeps no secrets"):
        schedule.full_clean()
