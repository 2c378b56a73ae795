"""References in the parts of composite requests: where the value lands, and as what."""

from decimal import Decimal

import pytest

from records.calls import Answer
from records.composite.references import MAX_FILLED_CHARACTERS, References, names_in
from records.composite.subrequests import read_address
from records.errors import BodyRefused, NoReferredValue, PartLimitExceeded

ANSWERS = {
    "a": Answer(
        status=201,
        body={
            "id": "001",
            "Name": "O'Brien & Söhne/100% +\\",
            "records": [{"Id": "x", "N": 3, "D": Decimal("1E+2"), "Yes": True, "Nothing": None, "Url.x": 1}],
        },
    ),
    "list": Answer(body=[{"id": "002"}]),
    "bad": Answer(status=400, body=[{"errorCode": "X", "message": "m"}]),
    "gone": Answer(status=204),
}


@pytest.fixture
def references():
    return References(ANSWERS)


def filled(url):
    address = read_address(f"/services/data/v60.0/{url}", "u").filled(References(ANSWERS))
    return "/".join(address.pieces), dict(address.parameters)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("@{a.id}", "001"),
        ("<@{a.id}|@{list[0].id}>", "<001|002>"),
        ("@{a.records[0].N}", 3),
        ("n=@{a.records[0].N}", "n=3"),
        ("@{a.records[0].D}", Decimal("1E+2")),
        ("n=@{a.records[0].D}", "n=100"),
        ("@{a.records[0].Yes}", True),
        ("is @{a.records[0].Yes}", "is true"),
        ("@{a.records[0].Nothing}", None),
        ("@{list[0]}", {"id": "002"}),
        ("a@b.example {x} @ { @{ unclosed", "a@b.example {x} @ { @{ unclosed"),
    ],
)
def test_a_value_keeps_its_type_where_it_stands_alone(references, text, value):
    assert references.in_value({"@{a.id}": [text]}) == {"@{a.id}": [value]}


@pytest.mark.parametrize(
    "text",
    [
        "@{}",
        "@{a}",
        "@{a.Id}",
        "@{a.records[1].Id}",
        "@{a.records.Id}",
        "@{a[0]}",
        "@{a.id.x}",
        "@{a.id[0]}",
        "@{list[99999999999].id}",
        "@{_a.id}",
        "@{a .id}",
        "@{bad[0].message}",
        "@{gone.id}",
        "@{nobody.id}",
        "x @{a.records}",
        "x @{a.records[0].Nothing}",
    ],
)
def test_what_no_earlier_part_answered_has_no_value(references, text):
    with pytest.raises(NoReferredValue, match=r"Invalid reference specified\. No value for "):
        references.in_value([text])


def test_values_land_in_their_place_in_an_address():
    assert filled("sobjects/Contact/External_Reference__c/@{a.Name}?fields=Id") == (
        "sobjects/Contact/External_Reference__c/O'Brien & Söhne/100% +\\",
        {"fields": "Id"},
    )
    assert filled("sobjects/Account/@{a.id}?fields=@{a.Name}&x=1") == (
        "sobjects/Account/001",
        {"fields": "O'Brien & Söhne/100% +\\", "x": "1"},
    )


@pytest.mark.parametrize(
    ("url", "query"),
    [
        ("query?q=SELECT+Id+FROM+A+WHERE+B='@{a.id}'", "SELECT Id FROM A WHERE B='001'"),
        ("query/?q=SELECT%20Id%20FROM%20A%20WHERE%20B%3D%27%40%7Ba.id%7D%27", "SELECT Id FROM A WHERE B='001'"),
        ("query?q=SELECT Id FROM A WHERE B='@{a.Name}'", "SELECT Id FROM A WHERE B='O\\'Brien & Söhne/100% +\\\\'"),
        ("query?q=B='it\\'s @{a.Name}' AND C=@{a.records[0].N}", "B='it\\'s O\\'Brien & Söhne/100% +\\\\' AND C=3"),
        ("query?q=B='x' AND C=@{a.records[0].N} AND D='@{a.id}%25'", "B='x' AND C=3 AND D='001%'"),
    ],
)
def test_a_value_between_quotes_of_a_query_stays_there(url, query):
    assert filled(url)[1] == {"q": query}


def test_addresses():
    assert filled("//sobjects//Account/") == ("sobjects/Account", {})
    assert read_address("//services//data/v60.0", "u").pieces == ()
    long = "x" * 100_000
    assert filled(f"query?q={long}") == ("query", {"q": long})
    for url in (
        "sobjects/Account",
        "/services/data/v99.0/x",
        "/services/data/60.0/x",
        "https://h/services/data/v60.0/x",
    ):
        with pytest.raises(BodyRefused):
            read_address(url, "u")
    with pytest.raises(BodyRefused):
        read_address("/services/data/v60.0/x?" + "&".join(["a=1"] * 1_001), "u")


def test_short_references_cannot_become_boundless_text():
    references = References({"a": Answer(body={"x": "y" * 1_000_000, "list": [1] * 1_000_000})})
    with pytest.raises(PartLimitExceeded):
        references.in_value("@{a.x} " * (MAX_FILLED_CHARACTERS // 1_000_000 + 1))
    with pytest.raises(PartLimitExceeded):
        references.in_value(["@{a.list}"] * (MAX_FILLED_CHARACTERS // 1_000_000 + 1))


def test_whom_a_part_refers_to():
    assert set(names_in({"a": ["@{x.id} @{y[0]}", {"b": "@{z.a.b}"}, 1, None, "@{q}"]})) == {"x", "y", "z"}
