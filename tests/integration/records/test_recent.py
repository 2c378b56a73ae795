"""The records that a caller dealt with last."""

from datetime import timedelta

import pytest

from crm.models import Account, Case
from isthmus.objects import catalogue
from isthmus.objects.models import ObjectSharing
from records import recently
from records.models import RecentRecord

pytestmark = pytest.mark.django_db(transaction=True)


def test_what_the_caller_made_or_changed_comes_first(salesforce, api):
    first = salesforce.Account.create({"Name": "A"})["id"]
    second = salesforce.Case.create({"Subject": "B"})["id"]
    salesforce.Account.update(first, {"Phone": "1"})
    Account.objects.create(name="By somebody else")
    assert salesforce.restful("recent") == [
        {
            "attributes": {"type": "Account", "url": f"/services/data/v59.0/sobjects/Account/{first}"},
            "Id": first,
            "Name": "A",
        },
        {
            "attributes": {"type": "Case", "url": f"/services/data/v59.0/sobjects/Case/{second}"},
            "Id": second,
            "Name": Case.objects.get().case_number,
        },
    ]
    assert [one["Id"] for one in salesforce.restful("recent", {"limit": "1"})] == [first]
    assert [one["Id"] for one in salesforce.Case.metadata()["recentItems"]] == [second]
    salesforce.Account.delete(first)
    assert [one["Id"] for one in salesforce.restful("recent")] == [second]
    assert not RecentRecord.objects.exists()


def test_looking_counts_when_the_caller_says_so(api, moving_clock):
    account = Account.objects.create(name="A")
    other = Account.objects.create(name="B")
    assert api.get(f"sobjects/Account/{account.record_id}").status_code == 200
    assert api.get("recent").json() == []
    for one in (account, other, account):
        moving_clock.move(timedelta(seconds=1))
        api.send("GET", f"sobjects/Account/{one.record_id}", Sforce_Mru="updateMru=true")
    assert [one["Name"] for one in api.get("recent").json()] == ["A", "B"]
    assert RecentRecord.objects.count() == 2
    moving_clock.move(timedelta(seconds=1))
    api.patch(f"sobjects/Account/{other.record_id}", {"Phone": "1"}, Sforce_Mru="updateMru=true")
    Account.objects.filter(pk=other.pk).update(last_modified_by=None)
    assert [one["Name"] for one in api.get("recent").json()] == ["B", "A"]


def test_no_more_than_two_hundred_are_remembered(clerk, moving_clock):
    user, object_type = clerk[0], catalogue.get_object("Account")
    recently.note(user, object_type, [1])
    moving_clock.move(timedelta(seconds=1))
    recently.note(user, object_type, list(range(2, 300)))
    assert sorted(RecentRecord.objects.values_list("record_pk", flat=True)) == list(range(2, 202))
    recently.note(user, object_type, [])
    moving_clock.move(timedelta(seconds=1))
    recently.note(user, object_type, [1, 1])
    assert RecentRecord.objects.count() == recently.MOST
    assert RecentRecord.objects.filter(record_pk=1).exists()


def test_what_is_not_seen_any_more_is_not_told(make_caller):
    user, door = make_caller("ann", [("object", "edit", "Case"), ("object", "create", "Case")])
    made = door.post("sobjects/Case", {}).json()["id"]
    assert [one["Id"] for one in door.get("recent").json()] == [made]
    ObjectSharing.objects.create(object_name="Case", default="private")
    Case.objects.update(owner=None, last_modified_by=user)
    assert door.get("recent").json() == []
    _, stranger = make_caller("bob", [])
    assert stranger.get("recent").json() == []


@pytest.mark.parametrize("limit", ["0", "-1", "many", "1.5", "", "٣", "1" * 30])
def test_limits_that_are_none(api, limit):
    answer = api.send("GET", f"recent?limit={limit}")
    assert (answer.status_code, answer.json()[0]["errorCode"]) == (400, "INVALID_PARAMETER")


def test_more_than_there_are_is_all(api):
    api.post("sobjects/Account", {"Name": "A"})
    assert len(api.get("recent", limit="5000").json()) == 1
