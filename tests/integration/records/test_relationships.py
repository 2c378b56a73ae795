"""Records by way of others: parents, children, and how they are told from external ids."""

import pytest

from crm.models import Account, Case, Contact
from isthmus.objects.models import ObjectSharing
from records.resources import related

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def account(clerk):
    return Account.objects.create(name="Acme", owner=clerk[0], external_reference="R-1")


@pytest.fixture
def contact(account):
    return Contact.objects.create(last_name="Ann", account=account)


def test_parents_and_their_parents(salesforce, account, contact):
    path = f"sobjects/Contact/{contact.record_id}"
    found = salesforce.restful(f"{path}/account")
    assert (found["attributes"]["type"], found["Id"], found["Name"]) == ("Account", account.record_id, "Acme")
    assert salesforce.restful(f"{path}/Account/Owner", {"fields": "Username"})["Username"] == "clerk"
    assert salesforce.restful(f"{path}/Account/Contacts")["totalSize"] == 1


def test_children(salesforce, account, contact):
    found = salesforce.restful(f"sobjects/Account/{account.record_id}/Contacts", {"fields": "Id,LastName"})
    url = f"/services/data/v59.0/sobjects/Contact/{contact.record_id}"
    assert found == {
        "totalSize": 1,
        "done": True,
        "records": [
            {"attributes": {"type": "Contact", "url": url}, "Id": contact.record_id, "LastName": "Ann"},
        ],
    }
    contact.delete()
    empty = salesforce.restful(f"sobjects/Account/{account.record_id}/Contacts")
    assert empty == {"totalSize": 0, "done": True, "records": []}


def test_many_children_come_in_pages(api, account):
    Contact.objects.bulk_create(Contact(last_name=f"{n}", account=account) for n in range(related.PAGE_SIZE * 2 + 1))
    page = api.get(f"sobjects/Account/{account.record_id}/Contacts", fields="LastName").json()
    names = []
    while True:
        assert page["totalSize"] == related.PAGE_SIZE * 2 + 1
        names += [one["LastName"] for one in page["records"]]
        if page["done"]:
            break
        page = api.send("GET", page["nextRecordsUrl"]).json()
    assert names == [str(n) for n in range(related.PAGE_SIZE * 2 + 1)]
    assert "nextRecordsUrl" not in page


def test_writing_acts_on_the_parent(api, account, contact):
    path = f"sobjects/Contact/{contact.record_id}/Account"
    assert api.patch(path, {"Phone": "1"}).status_code == 204
    account.refresh_from_db()
    assert account.phone == "1"
    assert api.patch(path, {"Id": account.record_id}).json()[0]["errorCode"] == "INVALID_FIELD"
    refused = api.patch(f"sobjects/Account/{account.record_id}/Contacts", {"LastName": "X"})
    assert (refused.status_code, refused["Allow"]) == (405, "GET")
    assert api.delete(f"sobjects/Account/{account.record_id}/Contacts").status_code == 405
    assert api.delete(path).status_code == 204
    assert api.get(path).status_code == 404
    assert Account.all_objects.get().is_deleted


def test_external_ids_are_still_found(api, account):
    assert api.get("sobjects/Account/External_Reference__c/R-1").json()["Id"] == account.record_id
    assert api.get(f"sobjects/Account/Id/{account.record_id}").json()["Name"] == "Acme"
    assert api.get("sobjects/Account/Nothing__c/R-1").status_code == 404
    assert api.patch("sobjects/Account/External_Reference__c/R-1", {"Phone": "2"}).status_code == 200


@pytest.mark.parametrize(
    "tail", ["Nothing", "Owner", "Parent", "Contacts/Account", "Nothing/Owner", "describe", "Name", "AccountId"]
)
def test_paths_that_lead_nowhere(api, tail):
    account = Account.objects.create(name="Acme")
    for method in ("GET", "DELETE"):
        answer = api.send(method, f"sobjects/Account/{account.record_id}/{tail}")
        assert (answer.status_code, answer.json()[0]["errorCode"]) == (404, "NOT_FOUND")
    assert Account.objects.exists()


def test_bad_parameters(api, account):
    path = f"sobjects/Account/{account.record_id}/Contacts"
    for query, code in (
        ({"fields": "Nothing"}, "INVALID_FIELD"),
        ({"after": "nonsense"}, "INVALID_PARAMETER"),
        ({"after": account.record_id}, "INVALID_PARAMETER"),
    ):
        answer = api.get(path, **query)
        assert (answer.status_code, answer.json()[0]["errorCode"]) == (400, code)
    assert api.get(path, after="003zzzzzzzzzzzz").json()["records"] == []
    deep = api.get(f"sobjects/Account/{account.record_id}/" + "/".join(["Parent"] * 6))
    assert (deep.status_code, deep.json()[0]["errorCode"]) == (400, "INVALID_PARAMETER")
    assert api.get("sobjects/Account/001zzzzzzzzzzzz/Contacts").status_code == 404


def test_nothing_is_seen_by_a_detour(make_caller, account, contact):
    case = Case.objects.create(account=account, contact=contact)
    _, reader = make_caller("reader", [("object", "read", "Account"), ("object", "read", "Case")])
    assert reader.get(f"sobjects/Account/{account.record_id}/Contacts").status_code == 404
    assert reader.get(f"sobjects/Account/{account.record_id}/Owner").status_code == 404
    # The case itself is seen, but not which account it has.
    assert reader.get(f"sobjects/Case/{case.record_id}/Account").status_code == 404
    assert reader.get(f"sobjects/Account/{account.record_id}/Cases").status_code == 404
    both = [("field", "read", "Case.AccountId"), ("field", "read", "Case.OwnerId")]
    _, sharer = make_caller("sharer", [("object", "read", "Account"), ("object", "read", "Case"), *both])
    assert sharer.get(f"sobjects/Case/{case.record_id}/Account").status_code == 200
    assert sharer.get(f"sobjects/Case/{case.record_id}/Owner").status_code == 404
    ObjectSharing.objects.create(object_name="Case", default="private")
    assert sharer.get(f"sobjects/Account/{account.record_id}/Cases").json()["totalSize"] == 0
    assert sharer.patch(f"sobjects/Account/{account.record_id}/Owner", {"Email": "x@example.org"}).status_code == 404
