"""Trees of records: all of them are created, or none."""

import pytest
from django.apps import apps
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from oauth2_provider.models import get_access_token_model, get_refresh_token_model

from crm.models import Account, Case, Contact, Opportunity, Order
from isthmus.access.actions import issue_access_token
from isthmus.objects import catalogue
from isthmus.objects.registry import expose, get_object
from isthmus.objects.relationships import child_relationships
from tests.integration.records.conftest import Api, everything_about
from tests.integration.records.test_composite import refused

pytestmark = pytest.mark.django_db


def node(kind, reference_id, **values):
    branches = {name: {"records": given} if isinstance(given, list) else given for name, given in values.items()}
    return {"attributes": {"type": kind, "referenceId": reference_id}, **branches}


def planted(api, *records, kind="Account"):
    return api.post(f"composite/tree/{kind}", {"records": list(records)})


def problems(answer):
    assert answer.status_code == 400, answer.content
    found = answer.json()
    assert found["hasErrors"] is True
    return {one["referenceId"]: [error["statusCode"] for error in one["errors"]] for one in found["results"]}


def nothing_is_kept():
    return not any(model.all_objects.exists() for model in (Account, Contact, Case, Opportunity, Order))


def test_simple_salesforce_plants_a_tree(transactional_db, salesforce):
    records = [
        node(
            "Account",
            "a",
            Name="A",
            Contacts=[
                node("Contact", "c1", LastName="C1", Cases=[node("Case", "s", Subject="S")]),
                node("contact", "c2", LastName="C2"),
            ],
            Orders=[node("Order", "o", AccountId=None) | {"attributes": {"type": "Order", "referenceId": "o"}}],
        ),
        node("Account", "b", Name="B", contacts=[]),
    ]
    del records[0]["Orders"]["records"][0]["AccountId"]
    answer = salesforce.restful("composite/tree/Account/", method="POST", json={"records": records})
    assert answer["hasErrors"] is False
    ids = {one["referenceId"]: one["id"] for one in answer["results"]}
    assert list(ids) == ["a", "b", "c1", "c2", "o", "s"]
    account, contact = Account.objects.get(name="A"), Contact.objects.get(last_name="C1")
    assert (ids["a"], ids["c1"]) == (account.record_id, contact.record_id)
    assert [one.account for one in Contact.objects.all()] == [account, account]
    assert Case.objects.get().contact == contact
    assert Order.objects.get().account == account


def test_it_answers_201(api):
    answer = planted(api, node("Account", "a", Name="A"))
    assert answer.status_code == 201
    assert answer.json() == {
        "hasErrors": False,
        "results": [{"referenceId": "a", "id": Account.objects.get().record_id}],
    }


def test_a_failure_keeps_nothing_and_names_the_failed(api):
    children = [node("Contact", "c1", LastName="C"), node("Contact", "c2"), node("Contact", "c3", LastName="x" * 81)]
    orders = [node("Order", "o", Status={"x": 1})]
    answer = planted(
        api, node("Account", "a", Name="A", Contacts=children, Orders=orders), node("Account", "b", Name="B")
    )
    assert problems(answer) == {
        "c2": ["REQUIRED_FIELD_MISSING"],
        "c3": ["STRING_TOO_LONG"],
        "o": ["INVALID_TYPE_ON_FIELD_IN_RECORD"],
    }
    error = answer.json()["results"][0]["errors"][0]
    message = "Required fields are missing: [LastName]"
    assert error == {"statusCode": "REQUIRED_FIELD_MISSING", "message": message, "fields": ["LastName"]}
    assert nothing_is_kept()


def test_a_parent_that_fails_lets_nobody_else_be_blamed(api):
    assert problems(planted(api, node("Account", "a", Contacts=[node("Contact", "c")]))) == {
        "a": ["REQUIRED_FIELD_MISSING"]
    }
    assert nothing_is_kept()


def test_parents_outside_the_tree_may_be_named_by_reference(api):
    Account.objects.create(name="Parent", external_reference="P")
    contact = node("Contact", "c", LastName="C", Account={"External_Reference__c": "P"})
    assert planted(api, contact, kind="contact").status_code == 201
    assert Contact.objects.get().account.name == "Parent"


def test_wrong_trees(api):
    repeated = [
        node("Account", "a", Name="A", Contacts=[node("Contact", "a", LastName="C")]),
        node("Account", "a", Name="B"),
    ]
    assert problems(planted(api, *repeated)) == {"a": ["INVALID_INPUT"]}
    wrong_type = [node("Contact", "a", LastName="A"), node("Account", "b", Name="B", Contacts=[node("Lead", "c")])]
    assert problems(planted(api, *wrong_type)) == {"a": ["INVALID_INPUT"], "c": ["INVALID_INPUT"]}
    assert problems(planted(api, node("Account", "a", Name="A", Nothing=[]))) == {"a": ["INVALID_FIELD"]}
    parent = Account.objects.create(name="P")
    given = node("Account", "a", Name="A", Contacts=[node("Contact", "c", LastName="C", accountid=parent.record_id)])
    assert problems(planted(api, given)) == {"c": ["INVALID_INPUT"]}
    assert not Contact.all_objects.exists()
    assert planted(api, node("Nothing__c", "a"), kind="Nothing__c").status_code == 404


def levels(count):
    records = []
    for place in range(count, 0, -1):
        records = [node("Account", f"r{place}", Name="A", **({"Children": records} if records else {}))]
    return records


def test_limits(api):
    assert planted(api, *levels(5)).status_code == 201
    assert refused(planted(api, *levels(6))) == "LIMIT_EXCEEDED"
    assert refused(planted(api, *levels(15))) == "LIMIT_EXCEEDED"
    assert Account.objects.count() == 5
    many = [node("Contact", f"c{place}", LastName="C") for place in range(200)]
    assert planted(api, node("Account", "a", Name="A", Contacts=many[:199])).status_code == 201
    assert refused(planted(api, node("Account", "a", Name="A", Contacts=many))) == "EXCEEDED_ID_LIMIT"
    assert refused(planted(api, *many, many[0], kind="Contact")) == "EXCEEDED_ID_LIMIT"
    assert Contact.objects.count() == 199


def test_five_objects(api):
    opportunity = {"Name": "O", "StageName": "S", "CloseDate": "2026-01-01"}
    account = node(
        "Account",
        "a",
        Name="A",
        Contacts=[node("Contact", "c", LastName="C", Cases=[node("Case", "s")])],
        Opportunities=[node("Opportunity", "p", **opportunity, Orders=[node("Order", "o")])],
    )
    assert planted(api, account).status_code == 201
    assert [model.objects.count() for model in (Account, Contact, Case, Opportunity, Order)] == [1] * 5


def test_one_save_an_object_and_level(api):
    def statements(count):
        contacts = [
            node("Contact", f"c{count}-{place}", LastName="C", Cases=[node("Case", f"s{count}-{place}")])
            for place in range(count)
        ]
        with CaptureQueriesContext(connection) as captured:
            assert planted(api, node("Account", "a", Name="A", Contacts=contacts)).status_code == 201
        return len(captured.captured_queries)

    assert statements(2) == statements(60)


def test_who_may_not(make_caller):
    grants = [*everything_about("Account"), ("object", "read", "Contact"), ("field", "read", "Contact.AccountId")]
    _, writer = make_caller("writer", grants)
    answer = planted(writer, node("Account", "a", Name="A", Contacts=[node("Contact", "c", LastName="C")]))
    assert problems(answer) == {"c": ["INSUFFICIENT_ACCESS"]}
    grants = [*everything_about("Account"), ("object", "create", "Contact"), ("field", "read", "Contact.AccountId")]
    _, reader = make_caller("reader", grants)
    answer = planted(reader, node("Account", "a", Name="A", Contacts=[node("Contact", "c", LastName="C")]))
    assert problems(answer) == {"c": ["INVALID_FIELD_FOR_INSERT_UPDATE"]}
    assert nothing_is_kept()


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        {"records": {}},
        {"records": [None]},
        {"records": [{}]},
        {"records": [{"attributes": []}]},
        {"records": [{"attributes": {"referenceId": "a"}}]},
        {"records": [{"attributes": {"type": "Account"}}]},
        {"records": [node("Account", "")]},
        {"records": [node("Account", 1)]},
        {"records": [node(1, "a")]},
        {"records": [node("Account", "a", Contacts={"records": None})]},
        {"records": [node("Account", "a", Contacts=[1])]},
        {"records": [node("Account", "a", Contacts=[{"LastName": "C"}])]},
    ],
)
def test_malformed_requests(api, body):
    assert refused(api.post("composite/tree/Account", body)) == "JSON_PARSER_ERROR"


def test_no_sixth_object():
    """The standard objects have no tree of six; what hangs on a user has."""
    models = [LogEntry, *(apps.get_model("oauth2_provider", name) for name in ("IDToken", "Grant"))]
    models += [get_access_token_model(), get_refresh_token_model()]
    api = Api(issue_access_token(User.objects.create_superuser("root")))
    exposed = []
    try:
        for place, model in enumerate(models):
            exposed.append(expose(model, api_name=f"Hung_{place}__c", fields=["user"]))
        relationships = child_relationships(get_object("User"))
        names = {one.owner: one.name for one in relationships if one.owner in exposed}
        branches = {name: [node(owner.api_name, owner.api_name)] for owner, name in names.items()}
        assert len(branches) == 5
        assert refused(planted(api, node("User", "u", **branches), kind="User")) == "LIMIT_EXCEEDED"
        branches.popitem()
        assert problems(planted(api, node("User", "u", **branches), kind="User")) == {
            "u": ["CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY"]
        }
    finally:
        for object_type in exposed:
            catalogue.unregister(object_type)
