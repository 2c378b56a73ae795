"""What was changed and deleted lately."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, connections, transaction

from crm.models import Account, Case
from isthmus import clock
from isthmus.objects import catalogue
from isthmus.objects.models import ObjectSharing
from records import changes
from records.changes import Interval
from records.errors import TooManyChanges

pytestmark = pytest.mark.django_db(transaction=True)

MINUTE = timedelta(minutes=1)


def _written(moment):
    return moment.astimezone(UTC).isoformat()


@pytest.fixture
def account():
    return Account.objects.create(name="Acme")


def test_records_that_were_made_or_changed(salesforce, account):
    now = clock.now()
    Account.objects.create(name="Gone").delete()
    found = salesforce.Account.updated(now - MINUTE, now + MINUTE)
    assert found["ids"] == [account.record_id]
    assert found["latestDateCovered"].endswith("+0000")
    # A change that took its time by now may still wait for a connection or a lock.
    assert now - MINUTE <= datetime.fromisoformat(found["latestDateCovered"]) <= clock.now() - changes.ON_ITS_WAY


def test_records_that_were_deleted(salesforce, account):
    now = clock.now()
    account.delete()
    found = salesforce.Account.deleted(now - MINUTE, now + MINUTE)
    [told] = found["deletedRecords"]
    assert told["id"] == account.record_id
    deleted = datetime.fromisoformat(told["deletedDate"])
    assert deleted == account.system_modstamp.replace(microsecond=account.system_modstamp.microsecond // 1000 * 1000)
    assert datetime.fromisoformat(found["earliestDateAvailable"]) < now - timedelta(days=29)
    assert salesforce.Account.updated(now - MINUTE, now + MINUTE)["ids"] == []
    account.undelete()
    assert salesforce.Account.deleted(now - MINUTE, now + MINUTE)["deletedRecords"] == []


def test_intervals_that_follow_each_other_tell_each_change_once(account):
    user, object_type = account.created_by, catalogue.get_object("Account")
    at = account.system_modstamp
    assert changes.updated_ids(user, object_type, Interval(at - MINUTE, at)) == []
    assert changes.updated_ids(user, object_type, Interval(at, at + MINUTE)) == [account.record_id]
    Account.objects.create(name="B")
    with pytest.raises(TooManyChanges):
        changes.updated_ids(user, object_type, Interval(at, at + MINUTE), most=1)
    Account.objects.all().delete()
    with pytest.raises(TooManyChanges):
        changes.deleted_ids(user, object_type, Interval(at, at + MINUTE), most=1)


def test_what_an_open_transaction_may_still_bring_is_not_covered(api, account):
    if connection.vendor != "postgresql":
        pytest.skip("On SQLite a reader of changes waits for the writer.")
    entered, leave = threading.Event(), threading.Event()

    def write():
        with transaction.atomic():
            Account.objects.create(name="Late")
            entered.set()
            leave.wait(20)
        connections.close_all()

    before = clock.now()
    writer = threading.Thread(target=write)
    writer.start()
    assert entered.wait(20)
    times = {"start": _written(before - MINUTE), "end": _written(clock.now() + MINUTE)}
    found = api.get("sobjects/Account/updated", **times).json()
    leave.set()
    writer.join()
    late = Account.objects.get(name="Late")
    assert late.record_id not in found["ids"]
    assert datetime.fromisoformat(found["latestDateCovered"]) <= late.system_modstamp


@pytest.mark.parametrize("form", ["%Y-%m-%dT%H:%M:%S+00:00", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S.000+0000"])
@pytest.mark.parametrize("what", ["updated", "deleted"])
def test_the_ways_in_which_clients_write_times(api, form, what):
    now = clock.now().astimezone(UTC)
    times = {"start": f"{now - MINUTE:{form}}", "end": f"{now + MINUTE:{form}}"}
    assert api.get(f"sobjects/Account/{what}/", **times).status_code == 200
    # A plus that the client did not encode arrives as a blank.
    raw = "&".join(f"{name}={value}" for name, value in times.items())
    assert api.send("GET", f"sobjects/Account/{what}/?{raw}").status_code == 200


@pytest.mark.parametrize("what", ["updated", "deleted"])
@pytest.mark.parametrize(
    ("start", "end", "code"),
    [
        (None, "2026-01-01T00:00:00Z", "INVALID_PARAMETER"),
        ("2026-01-01T00:00:00Z", None, "INVALID_PARAMETER"),
        ("yesterday", "2026-01-01T00:00:00Z", "INVALID_PARAMETER"),
        ("2026-01-01T00:00:00", "2026-01-02T00:00:00Z", "INVALID_PARAMETER"),
        ("2026-13-01T00:00:00Z", "2026-01-02T00:00:00Z", "INVALID_PARAMETER"),
        ("2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z", "INVALID_REPLICATION_DATE"),
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z", "INVALID_REPLICATION_DATE"),
        ("2020-01-01T00:00:00Z", "2026-01-01T00:00:00Z", "INVALID_REPLICATION_DATE"),
        ("0001-01-01T00:00:00+14:00", "2026-01-01T00:00:00Z", "INVALID_PARAMETER"),
        ("2026-01-01T00:00:00Z", "9999-12-31T23:59:59-12:00", "INVALID_PARAMETER"),
    ],
)
def test_times_that_are_refused(api, what, start, end, code):
    times = {name: value for name, value in (("start", start), ("end", end)) if value is not None}
    answer = api.get(f"sobjects/Account/{what}", **times)
    assert (answer.status_code, answer.json()[0]["errorCode"]) == (400, code)


def test_the_last_day_of_all_is_no_failure(api):
    times = {"start": _written(clock.now()), "end": "9999-12-31T23:59:59Z"}
    assert api.get("sobjects/Account/updated", **times).status_code == 200


def test_who_and_what_is_refused(api, make_caller):
    times = {"start": _written(clock.now() - MINUTE), "end": _written(clock.now())}
    _, stranger = make_caller("stranger", [])
    for what in ("updated", "deleted"):
        assert stranger.get(f"sobjects/Account/{what}", **times).status_code == 404
        assert api.get(f"sobjects/Nothing/{what}", **times).status_code == 404
        refused = api.get(f"sobjects/User/{what}", **times)
        assert (refused.status_code, refused.json()[0]["errorCode"]) == (400, "INVALID_TYPE")
        assert api.send("DELETE", f"sobjects/Account/{what}").status_code == 405


def test_only_records_that_are_shared(make_caller, clerk):
    ObjectSharing.objects.create(object_name="Case", default="private")
    reader, door = make_caller("reader", [("object", "read", "Case")])
    mine, other = Case.objects.create(subject="Mine", owner=reader), Case.objects.create(subject="X", owner=clerk[0])
    times = {"start": _written(clock.now() - MINUTE), "end": _written(clock.now() + MINUTE)}
    assert door.get("sobjects/Case/updated", **times).json()["ids"] == [mine.record_id]
    mine.delete()
    other.delete()
    told = door.get("sobjects/Case/deleted", **times).json()["deletedRecords"]
    assert [one["id"] for one in told] == [mine.record_id]
