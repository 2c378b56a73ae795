"""Graphs: each all or none, its nodes in the order of their references, and none of another's business."""

import pytest

from crm.models import Account, Contact
from records.composite import graph as graphs_module
from tests.integration.records.test_composite import HALTED, account, part, refused, statuses

pytestmark = pytest.mark.django_db


def graph(graph_id, *nodes):
    return {"graphId": graph_id, "compositeRequest": list(nodes)}


def drawn(api, *graphs):
    answer = api.post("composite/graph", {"graphs": list(graphs)})
    assert answer.status_code == 200, answer.content
    found = answer.json()["graphs"]
    assert [one["graphId"] for one in found] == [one["graphId"] for one in graphs]
    for one, given in zip(found, graphs, strict=True):
        names = [node["referenceId"] for node in one["graphResponse"]["compositeResponse"]]
        assert names == [node["referenceId"] for node in given["compositeRequest"]]
    return [(one["isSuccessful"], one["graphResponse"]["compositeResponse"]) for one in found]


def contact(reference_id="c", of="a", **values):
    return part(reference_id, "POST", "sobjects/Contact", {"LastName": "Ann", "AccountId": f"@{{{of}.id}}", **values})


def bad():
    return account("bad", Name=None)


def test_simple_salesforce_sends_graphs(transactional_db, salesforce):
    request = {"graphs": [graph("g1", contact(), account()), graph("g-2.x_3", account(), bad())]}
    found = salesforce.restful("composite/graph", method="POST", json=request)["graphs"]
    assert [(one["graphId"], one["isSuccessful"]) for one in found] == [("g1", True), ("g-2.x_3", False)]
    first, second = (one["graphResponse"]["compositeResponse"] for one in found)
    assert statuses(first) == [201, 201]
    assert second[0]["body"] == HALTED
    assert second[1]["body"][0]["errorCode"] == "REQUIRED_FIELD_MISSING"
    assert Account.all_objects.count() == 1
    assert Contact.objects.get().account == Account.objects.get()


def test_nodes_may_come_in_any_order(api):
    ((is_successful, found),) = drawn(
        api,
        graph(
            "g",
            part("read", "GET", "sobjects/Contact/@{c.id}?fields=LastName"),
            part("change", "PATCH", "sobjects/Contact/@{c.id}", {"FirstName": "@{up.id}"}),
            contact(LastName="Bob"),
            part("up", "PATCH", "sobjects/Account/External_Reference__c/R", {"Name": "@{a.id}"}),
            account(),
            part("gone", "DELETE", "sobjects/Account/External_Reference__c/@{never}"),
        ),
    )
    assert not is_successful
    assert found[5]["body"][0]["message"].startswith("Invalid reference specified.")
    ((is_successful, found),) = drawn(
        api,
        graph(
            "g",
            part("read", "GET", "sobjects/Contact/@{c.id}?fields=LastName"),
            part("change", "PATCH", "sobjects/Contact/@{c.id}", {"FirstName": "@{up.id}"}),
            contact(LastName="Bob"),
            part("up", "PATCH", "sobjects/Account/External_Reference__c/R", {"Name": "@{a.id}"}),
            account(),
        ),
    )
    assert is_successful
    assert statuses(found) == [200, 204, 201, 201, 201]
    assert Contact.objects.get().first_name == Account.objects.get(external_reference="R").record_id


def test_nodes_without_references_keep_their_order(api):
    first = part("x", "PATCH", "sobjects/Account/External_Reference__c/R", {"Name": "A"})
    chain = [first, part("y", "PATCH", "sobjects/Account/@{x.id}", {"Phone": "1"})]
    last = part("z", "PATCH", "sobjects/Account/External_Reference__c/R", {"Phone": "2"})
    ((is_successful, found),) = drawn(api, graph("g", *chain, last))
    assert (is_successful, statuses(found)) == (True, [201, 204, 200])
    assert Account.objects.get().phone == "2"


def test_a_circle_is_told_and_harms_no_other_graph(api):
    circle = [
        part("x", "PATCH", "sobjects/Account/@{y.id}", {"Name": "A"}),
        part("y", "PATCH", "sobjects/Account/@{x.id}", {"Name": "A"}),
    ]
    itself = part("s", "PATCH", "sobjects/Account/@{s.id}", {"Name": "A"})
    (first, second, third) = drawn(api, graph("1", account(), *circle), graph("2", itself), graph("3", account()))
    assert [one[0] for one in (first, second, third)] == [False, False, True]
    assert first[1][0]["body"] == HALTED
    for node in (*first[1][1:], *second[1]):
        assert node["body"][0]["errorCode"] == "INVALID_INPUT"
        assert node["body"][0]["message"].startswith("These nodes refer to each other in a circle: ")
    assert Account.objects.count() == 1


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "sobjects"),
        ("GET", "sobjects/Account"),
        ("GET", "sobjects/Account/describe"),
        ("PUT", "sobjects/Account"),
        ("GET", "limits"),
        ("GET", ""),
        ("POST", "composite/sobjects"),
        ("POST", "composite/graph"),
        ("POST", "composite"),
        ("GET", "nothing"),
    ],
)
def test_what_cannot_be_a_node(api, method, path):
    ((is_successful, found),) = drawn(api, graph("g", account(), part("x", method, path, {})))
    assert not is_successful
    assert found[0]["body"] == HALTED
    assert found[1]["body"][0]["errorCode"] in {"INVALID_INPUT", "NOT_FOUND"}
    assert not Account.objects.exists()


def test_rows_by_external_id(api):
    path = "sobjects/Account/External_Reference__c/R"
    nodes = [
        part("new", "POST", "sobjects/Account/Id", {"Name": "A", "External_Reference__c": "R"}),
        part("read", "GET", f"{path}?fields=Name,@{{new.success}}"),
    ]
    ((is_successful, found),) = drawn(api, graph("g", *nodes))
    assert not is_successful
    assert found[1]["body"][0]["errorCode"] == "INVALID_FIELD"
    nodes[1] = part("read", "GET", path)
    ((is_successful, found),) = drawn(api, graph("g", *nodes, part("d", "DELETE", path)))
    assert is_successful
    assert (statuses(found), found[1]["body"]["Name"]) == ([201, 200, 204], "A")


def chain(length):
    links = [
        part(
            f"n{place}", "PATCH", f"sobjects/Account/External_Reference__c/R{place}", {"Name": f"@{{n{place - 1}.id}}"}
        )
        for place in range(1, length)
    ]
    return [account("n0"), *links]


def test_limits_of_a_graph(api):
    (deep, too_deep) = drawn(api, graph("1", *chain(15)), graph("2", *chain(16)))
    assert deep[0]
    assert not too_deep[0]
    assert too_deep[1][15]["body"][0]["errorCode"] == "LIMIT_EXCEEDED"
    names = ("Account", "Contact", "Case", "Lead", "Opportunity", "Order")
    kinds = [(method, name) for method in ("GET", "PATCH", "DELETE") for name in names][:16]
    nodes = [part(f"k{place}", method, f"sobjects/{name}/nothing", {}) for place, (method, name) in enumerate(kinds)]
    ((_, found),) = drawn(api, graph("g", *nodes))
    assert [node["body"][0]["errorCode"] for node in found] == ["PROCESSING_HALTED"] * 15 + ["LIMIT_EXCEEDED"]
    ((_, found),) = drawn(api, graph("g", *nodes[:15], part("again", "GET", "sobjects/account/x")))
    assert found[0]["body"][0]["errorCode"] == "NOT_FOUND"


def test_limits_of_a_request(api):
    many = [graph(f"g{place}", account(f"a{place}")) for place in range(76)]
    assert refused(api.post("composite/graph", {"graphs": many})) == "LIMIT_EXCEEDED"
    assert all(one[0] for one in drawn(api, *many[:75]))
    nodes = [part(f"n{place}", "GET", "sobjects/Account/x") for place in range(251)]
    answer = api.post("composite/graph", {"graphs": [graph("1", *nodes), graph("2", *nodes[:250])]})
    assert refused(answer) == "LIMIT_EXCEEDED"
    drawn(api, graph("1", *nodes[:250]), graph("2", *nodes[:250]))
    assert Account.objects.count() == 75


def test_after_fourteen_failures_the_rest_is_halted(api):
    failing = [graph(f"f{place}", bad()) for place in range(graphs_module.MAX_FAILED)]
    found = drawn(api, graph("before", account()), *failing, graph("after", account("a"), account("b")))
    assert [one[0] for one in found] == [True, *[False] * 15]
    assert [node["body"][0]["errorCode"] for node in found[-1][1]] == ["PROCESSING_HALTED"] * 2
    assert Account.objects.count() == 1
    found = drawn(api, *failing[1:], graph("after", account("a")))
    assert found[-1][0]


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        {"graphs": []},
        {"graphs": {}},
        {"graphs": [None]},
        {"graphs": [graph(None, account())]},
        {"graphs": [graph("", account())]},
        {"graphs": [graph(1, account())]},
        {"graphs": [graph("-a", account())]},
        {"graphs": [graph("a" * 41, account())]},
        {"graphs": [graph("a b", account())]},
        {"graphs": [graph("a", account()), graph("a", account())]},
        {"graphs": [graph("a")]},
        {"graphs": [{"graphId": "a"}]},
        {"graphs": [graph("a", account(), account())]},
        {"graphs": [graph("a", 1)]},
    ],
)
def test_malformed_requests(api, body):
    assert refused(api.post("composite/graph", body)) == "JSON_PARSER_ERROR"
    assert not Account.objects.exists()
