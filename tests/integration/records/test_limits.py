"""What may be used, what is left of it, and how many records there are."""

import pytest

from crm.models import Account, Contact
from events.conf import options
from events.platform_events import CredentialConnectionFailed
from isthmus.access import api_use
from isthmus.access.limits import UNLIMITED, Limit, register_limits_temporarily
from isthmus.objects import sharing
from isthmus.objects.models import ObjectSharing, SharingDefault

pytestmark = pytest.mark.django_db(transaction=True)


def test_every_limit_has_a_maximum_and_a_rest(salesforce):
    found = salesforce.limits()
    assert all(set(one) == {"Max", "Remaining"} and one["Remaining"] > 0 for one in found.values())
    assert {"DailyBulkApiBatches", "DailyBulkV2QueryJobs", "DataStorageMB", "FileStorageMB"} <= found.keys()
    assert found["DailyBulkApiBatches"] == {"Max": UNLIMITED, "Remaining": UNLIMITED}
    assert found["DailyApiRequests"] == {"Max": api_use.allowance(), "Remaining": api_use.allowance()}
    salesforce.limits()
    assert salesforce.limits()["DailyApiRequests"]["Remaining"] == api_use.allowance() - 2


def test_events_that_were_published_are_missing_from_what_is_left(salesforce, settings):
    settings.ISTHMUS_EVENTS_DAILY_PUBLISH_ALLOCATION = 1_000
    most = options.hourly_publish_allocation
    assert salesforce.limits()["HourlyPublishedPlatformEvents"] == {"Max": most, "Remaining": most}
    event = CredentialConnectionFailed(principal="Bank.Main", username="ann", error_code="X", reason="Y")
    assert event.publish()
    found = salesforce.limits()
    assert found["HourlyPublishedPlatformEvents"] == {"Max": most, "Remaining": most - 1}
    assert found["DailyStandardVolumePlatformEvents"] == {"Max": 1_000, "Remaining": 999}


def test_whoever_counts_contributes(api):
    mine = Limit(
        group="Bulk",
        label="Batches",
        maximum=5,
        used=2,
        per="24 hours",
        setting="nothing",
        when_reached="It waits.",
        names=("DailyBulkApiBatches",),
    )
    with register_limits_temporarily(lambda: [mine]):
        assert api.get("limits").json()["DailyBulkApiBatches"] == {"Max": 5, "Remaining": 3}
    assert api.get("limits/").json()["DailyBulkApiBatches"]["Max"] == UNLIMITED


def test_live_records_are_counted_of_what_the_caller_sees(salesforce, api, make_caller):
    Account.objects.create(name="A")
    Account.objects.create(name="B").delete()
    Contact.objects.create(last_name="C")
    found = salesforce.restful("limits/recordCount", {"sObjects": "Contact, account,Nothing,Order_Ready__e"})
    assert found == {"sObjects": [{"count": 1, "name": "Account"}, {"count": 1, "name": "Contact"}]}
    everything = {one["name"]: one["count"] for one in api.get("limits/recordCount").json()["sObjects"]}
    assert everything["Lead"] == 0
    assert everything["User"] > 0
    _, reader = make_caller("reader", [("object", "read", "Account")])
    assert reader.get("limits/recordCount").json() == {
        "sObjects": [{"count": 1, "name": "Account"}, {"count": 1, "name": "Organization"}]
    }
    assert reader.get("limits/recordCount", sObjects="Contact").json() == {"sObjects": []}
    assert api.get("limits/recordCount", sObjects="").json() == {"sObjects": []}


def test_limits_are_only_read(api):
    assert api.post("limits", {}).status_code == 405
    assert api.get("limits/nothing").status_code == 404


def test_only_records_that_are_shared_are_counted(make_caller):
    ObjectSharing.objects.create(object_name="Account", default=SharingDefault.PRIVATE)
    sharing.forget_settings()
    user, reader = make_caller("reader", [("object", "read", "Account")])
    Account.objects.create(name="Hidden")
    Account.objects.create(name="Mine", owner=user)
    assert reader.get("limits/recordCount", sObjects="Account").json()["sObjects"] == [{"count": 1, "name": "Account"}]
