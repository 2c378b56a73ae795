"""jsforce, unmodified, at the record API. What it did is in tests/peers/jsforce_client.mjs, in the same order.

Left out: the Bulk API and streaming, which are not part of the record API, and logins, which have tests of their own.
"""

import pytest

from crm.models import Account, Contact
from isthmus.access.identity import identity_url, organization_id, user_id
from tests.peers.jsforce import require_jsforce, walk

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(params=["50.0", "60.0"])
def got(request, live_server, settings, clerk):
    """What the client got, with its default version of the API and a later one."""
    require_jsforce()
    settings.BASE_URL = live_server.url
    for _ in range(2):
        Contact.objects.create(last_name="Twin", external_reference="twice")
    found = walk(live_server.url, clerk[1].token, request.param)
    return found | {"user": clerk[0], "path": f"/services/data/v{request.param}"}


def test_the_client_gets_what_it_asks_for(got):
    check_discovery(got)
    check_single_records(got)
    check_many_records(got)
    check_queries(got)
    check_the_rest(got)
    check_refusals(got)


def check_discovery(got):
    assert got["versions"][-1]["url"] == f"/services/data/v{got['versions'][-1]['version']}"
    assert got["identity"]["id"] == got["userInfo"]["url"] == identity_url(got["user"])
    assert (got["identity"]["user_id"], got["identity"]["username"]) == (user_id(got["user"]), "clerk")
    assert got["userInfo"]["organizationId"] == organization_id()
    assert {"Account", "Contact", "User"} <= {one["name"] for one in got["global"]["sobjects"]}
    assert got["describe"] == got["described"]
    assert {"Id", "AccountId", "LastName"} <= {one["name"] for one in got["describe"]["fields"]}
    assert got["limits"]["DailyApiRequests"]["Max"] == got["usage"]["apiUsage"]["limit"]
    assert (got["tabs"], got["theme"]) == ([], {"themeItems": []})


def check_single_records(got):
    record_id = got["created"]["id"]
    assert got["created"] == got["updated"] == got["destroyed"] == {"id": record_id, "success": True, "errors": []}
    attributes = {"type": "Account", "url": f"{got['path']}/sobjects/Account/{record_id}"}
    assert got["retrieved"]["attributes"] == attributes
    assert (got["retrieved"]["Name"], got["retrieved"]["NumberOfEmployees"]) == ("Acme", 12)
    assert got["some"] == {"attributes": attributes, "Name": "Acme", "AnnualRevenue": 10.5}
    assert got["record"]["Phone"] == "1"
    contact = got["upserted"]["id"]
    assert got["upserted"] == {"id": contact, "success": True, "errors": [], "created": True}
    assert got["upsertedAgain"] == got["upserted"] | {"created": False}
    assert not Account.objects.filter(name="Acme").exists()


def check_many_records(got):
    assert [one["success"] for one in got["createdMany"]] == [True] * 250
    assert [one and one["LastName"] for one in got["retrievedMany"]] == ["C00001", None, "C00000"]
    assert list(got["retrievedWhole"][0]) == ["attributes", *(field["name"] for field in got["describe"]["fields"])]
    assert [one["success"] for one in got["updatedMany"]] == [True] * 3
    assert [one.get("created") for one in got["upsertedMany"]] == [False, True, False]
    assert got["upsertedMany"][2]["errors"][0]["statusCode"] == "REQUIRED_FIELD_MISSING"
    assert [one["errors"][0]["statusCode"] for one in got["allOrNone"]] == [
        "ALL_OR_NONE_OPERATION_ROLLED_BACK",
        "REQUIRED_FIELD_MISSING",
    ]
    assert not Account.all_objects.filter(name="Kept?").exists()
    assert [one["success"] for one in got["destroyedMany"]] == [True, False]


def check_queries(got):
    assert (got["first"]["totalSize"], got["first"]["done"], len(got["first"]["records"])) == (253, False, 200)
    assert (got["more"]["done"], len(got["more"]["records"])) == (True, 53)
    assert got["fetched"]["records"] == got["first"]["records"] + got["more"]["records"]
    assert (got["capped"], got["evented"], got["scanned"], got["counted"]) == (230, 253, 254, 3)
    assert [(one["f"], one["n"]) for one in got["aggregated"]] == [(None, 249), ("F", 3), ("B", 1)]
    [built] = got["built"]
    assert list(built) == ["attributes", "Id", "Name", "CreatedDate", "Owner", "Contacts"]
    assert (built["Id"], built["Owner"]["Username"]) == (got["created"]["id"], "clerk")
    assert [one["LastName"] for one in built["Contacts"]["records"]] == ["C00002", "C00001"]
    assert (got["one"]["LastName"], got["one"]["Account"]["Name"]) == ("C00001", "Acme")
    assert got["quoted"] == []
    assert [set(one) for one in got["every"]] == [
        {"attributes", *(field["name"] for field in got["describe"]["fields"])}
    ]
    assert got["explained"]["plans"][0]["sobjectType"] == "Contact"
    assert [one["success"] for one in got["massUpdated"]] == [True] * 3
    assert [one["success"] for one in got["massDestroyed"]] == [True]
    changed = Contact.all_objects.get(last_name="C00001")
    assert (changed.title, changed.description) == ("Dr", "C00001")


def check_the_rest(got):
    record_id = got["created"]["id"]
    assert [(one["Id"], one["Name"]) for one in got["search"]["searchRecords"]] == [(record_id, "Acme")]
    assert len(got["recent"]) == 2
    assert [one["Id"] for one in got["recentOf"]] == [record_id]
    assert got["changed"]["ids"] == [record_id]
    deleted = [got["createdMany"][number]["id"] for number in (249, 10)]
    assert [one["id"] for one in got["gone"]["deletedRecords"]] == deleted
    made, found = got["composite"]["compositeResponse"]
    assert (made["httpStatusCode"], found["body"]["records"][0]["Name"]) == (201, "Cog")
    assert "patched" not in got
    assert got["got"]["Fax"] == "2"


def check_refusals(got):
    assert {name: refusal["errorCode"] for name, refusal in got["refusals"].items()} == {
        "field": "INVALID_FIELD",
        "missing": "REQUIRED_FIELD_MISSING",
        "object": "NOT_FOUND",
        "record": "NOT_FOUND",
        "query": "MALFORMED_QUERY",
        "column": "INVALID_FIELD",
        "locator": "INVALID_QUERY_LOCATOR",
        "search": "MALFORMED_SEARCH",
        "deleted": "ENTITY_IS_DELETED",
        "session": "INVALID_SESSION_ID",
    }
    assert got["refusals"]["missing"]["data"]["fields"] == ["LastName", "Company"]
    twins = [one.record_id for one in Contact.objects.filter(external_reference="twice").order_by("pk")]
    assert got["several"]["errorCode"] == "MULTIPLE_CHOICES"
    assert got["several"]["data"] == [f"{got['path']}/sobjects/Contact/{one}" for one in twins]
