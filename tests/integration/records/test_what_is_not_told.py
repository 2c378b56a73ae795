"""Nobody learns of objects, fields or records that are not granted or shared: not by refusals, not by trial."""

import json

import pytest
from django.contrib.auth.models import User

from crm.models import Account, Case, Order
from isthmus.objects import sharing
from isthmus.objects.models import ObjectSharing, SharingDefault

pytestmark = pytest.mark.django_db

OF_ACCOUNTS = [("object", action, "Account") for action in ("create", "read", "edit", "delete")]


def alike(api, method, path, hidden, missing, body=None):
    """Return whether the answers for what is hidden and what is not there differ in nothing but the name."""
    answers = []
    for name in (hidden, missing):
        given = None if body is None else json.loads(json.dumps(body).replace("NAME", name))
        answer = api.send(method, path.replace("NAME", name), given)
        answers.append((answer.status_code, answer.content.decode().replace(name, "NAME")))
    return answers[0] == answers[1] and answers[0][0] >= 400


@pytest.fixture
def private_accounts(db):
    ObjectSharing.objects.create(object_name="Account", default=SharingDefault.PRIVATE)
    sharing.forget_settings()


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "sobjects/NAME", None),
        ("GET", "sobjects/NAME/describe", None),
        ("GET", "sobjects/NAME/003000000000001AAA", None),
        ("POST", "sobjects/NAME", {}),
        ("PATCH", "sobjects/NAME/003000000000001AAA", {}),
        ("PATCH", "sobjects/NAME/Id/003000000000001AAA", {}),
        ("PATCH", "sobjects/NAME/External_Reference__c/R-1", {}),
        ("DELETE", "sobjects/NAME/003000000000001AAA", None),
        ("POST", "composite/tree/NAME", {"records": []}),
        ("PATCH", "composite/sobjects/NAME/External_Reference__c", {"records": []}),
        ("GET", "composite/sobjects/NAME?ids=003000000000001AAA&fields=Id", None),
        ("GET", "query?q=SELECT+Id+FROM+NAME", None),
    ],
)
def test_an_object_that_is_not_granted_is_not_there(make_caller, method, path, body):
    _, caller = make_caller("caller", OF_ACCOUNTS)
    assert alike(caller, method, path, "Contact", "Nothing", body)


def test_a_record_of_an_object_that_is_not_granted_fails_in_a_collection_as_any_unknown_one(make_caller):
    _, caller = make_caller("caller", OF_ACCOUNTS)
    told = [
        caller.post("composite/sobjects", {"records": [{"attributes": {"type": name}}]}).json()[0]["errors"]
        for name in ("Contact", "Nothing")
    ]
    assert told[0] == told[1]


def test_relationships_that_are_not_granted_are_not_there(make_caller):
    _, caller = make_caller("caller", [*OF_ACCOUNTS, ("object", "read", "Case")])
    account = Account.objects.create(name="Acme")
    path = f"sobjects/Account/{account.record_id}/NAME"
    # Of contacts the object is not granted, of cases the field is not.
    for hidden in ("Contacts", "Cases"):
        for method, body in (("GET", None), ("PATCH", {}), ("DELETE", None)):
            assert alike(caller, method, path, hidden, "Nothings", body)
        branch = {"records": [{"attributes": {"type": "Nothing", "referenceId": "b"}}]}
        tree = {"records": [{"attributes": {"type": "Account", "referenceId": "a"}, "Name": "A", "NAME": branch}]}
        assert alike(caller, "POST", "composite/tree/Account", hidden, "Nothings", tree)


def test_describe_names_no_object_that_is_not_granted(make_caller):
    _, caller = make_caller("caller", [("object", "read", "Contact"), ("field", "read", "Contact.*")])
    described = caller.get("sobjects/Contact/describe")
    fields = {field["name"]: field for field in described.json()["fields"]}
    assert (fields["AccountId"]["referenceTo"], fields["AccountId"]["relationshipName"]) == ([], None)
    assert (fields["OwnerId"]["referenceTo"], fields["OwnerId"]["relationshipName"]) == (["User"], "Owner")


def test_a_reference_by_external_id_tells_of_no_field_that_is_not_granted(make_caller):
    Account.objects.create(name="Acme", external_reference="R-1")
    grants = [*OF_ACCOUNTS, ("field", "edit", "Account.ParentId")]
    _, caller = make_caller("caller", grants)
    told = [
        caller.post("sobjects/Account", {"Name": "B", "Parent": {name: value}}).json()[0]["message"].replace(name, "X")
        for name, value in (("External_Reference__c", "R-1"), ("External_Reference__c", "R-2"), ("Nothing__c", "R-1"))
    ]
    assert len(set(told)) == 1


def test_an_external_id_that_is_not_granted_finds_nothing(make_caller):
    Account.objects.create(name="Acme", external_reference="R-1")
    _, caller = make_caller("caller", OF_ACCOUNTS)
    for method, body in (("GET", None), ("PATCH", {"Name": "B"}), ("DELETE", None)):
        assert alike(caller, method, "sobjects/Account/NAME/R-1", "External_Reference__c", "Nothing__c", body)
    path = "composite/sobjects/Account/NAME"
    body = {"records": [{"attributes": {"type": "Account"}, "NAME": "R-1", "Name": "B"}]}
    assert alike(caller, "PATCH", path, "External_Reference__c", "Nothing__c", body)
    assert Account.objects.get().name == "Acme"


def test_an_ambiguous_external_id_names_only_records_that_are_shared(make_caller, private_accounts):
    user, caller = make_caller("caller", [*OF_ACCOUNTS, ("field", "edit", "Account.*")])
    other = User.objects.create_user("other")
    hidden = Account.objects.create(name="Hidden", owner=other, external_reference="R-1")
    path = "sobjects/Account/External_Reference__c/R-1"
    assert caller.patch(path, {"Name": "X"}).status_code == 404
    mine = Account.objects.create(name="Mine", owner=user, external_reference="R-1")
    # One that is seen is the one that is meant, as it is when it is read.
    assert caller.get(path).json()["Name"] == "Mine"
    assert caller.patch(path, {"Name": "Still mine"}).status_code == 200
    also = Account.objects.create(name="Also mine", owner=user, external_reference="R-1")
    told = caller.patch(path, {"Name": "X"})
    assert told.status_code == 300
    assert [one.rsplit("/", 1)[-1] for one in told.json()] == [mine.record_id, also.record_id]
    assert hidden.record_id not in told.content.decode()
    hidden.refresh_from_db()
    assert hidden.name == "Hidden"


def test_a_taken_value_names_its_record_to_those_who_see_it(make_caller):
    ObjectSharing.objects.create(object_name="Case", default=SharingDefault.PRIVATE)
    sharing.forget_settings()
    grants = [("object", "create", "Case"), ("object", "read", "Case"), ("field", "edit", "Case.*")]
    user, caller = make_caller("caller", grants)
    case = Case.objects.create(subject="Hidden", external_reference="R-1")
    refused = caller.post("sobjects/Case", {"Subject": "X", "External_Reference__c": "R-1"}).json()[0]
    assert refused["errorCode"] == "DUPLICATE_VALUE"
    assert "<unknown>" in refused["message"]
    Case.objects.filter(pk=case.pk).update(owner=user)
    refused = caller.post("sobjects/Case", {"Subject": "X", "External_Reference__c": "R-1"}).json()[0]
    assert case.record_id in refused["message"]


def test_what_keeps_a_record_from_being_deleted_is_named_to_those_who_may_see_it(make_caller):
    account = Account.objects.create(name="Acme")
    Order.objects.create(account=account)
    for username, grants, named in (
        ("stranger", OF_ACCOUNTS, "other records"),
        ("seller", [*OF_ACCOUNTS, ("object", "read", "Order")], "orders"),
    ):
        _, caller = make_caller(username, grants)
        answer = caller.delete(f"sobjects/Account/{account.record_id}")
        assert answer.json()[0]["errorCode"] == "DELETE_FAILED"
        assert f"because {named} refer to it" in answer.json()[0]["message"]
