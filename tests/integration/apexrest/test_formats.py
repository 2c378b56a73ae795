"""XML beside JSON, and problem details for who asks for them."""

import json

import pytest

pytestmark = pytest.mark.django_db

XML = b"""<?xml version="1.0" encoding="UTF-8"?>
<request><order>
  <number>A-1</number>
  <lines><sku>x</sku><quantity>2</quantity><price>1.50</price></lines>
  <lines><sku>y</sku><quantity>1</quantity></lines>
  <urgent>true</urgent><due>2026-06-01</due><channel>shop</channel>
  <notes><entry key="a b">c</entry><d>e</d></notes>
</order></request>"""
UNDERSTOOD = {
    "number": "A-1",
    "lines": [{"sku": "x", "quantity": 2, "price": 1.5}, {"sku": "y", "quantity": 1, "price": 0}],
    "urgent": True,
    "due": "2026-06-01",
    "channel": "shop",
    "notes": {"a b": "c", "d": "e"},
}


def test_xml_means_what_json_means(api):
    answer = api.send("POST", "/v1/orders", XML, content_type="application/xml")
    assert answer.status_code == 200, answer.content
    assert answer["Content-Type"] == "application/json;charset=UTF-8"
    assert answer.json() == UNDERSTOOD


def test_the_only_parameter_may_be_the_root(api):
    bare = XML.replace(b"<order>", b"").replace(b"</order>", b"")
    assert api.send("POST", "/v1/orders", bare, content_type="text/xml; charset=utf-8").json() == UNDERSTOOD


def test_an_answer_is_xml_for_who_asks_for_it(api):
    answer = api.send("POST", "/v1/orders", XML, content_type="application/xml", Accept="application/xml")
    assert answer["Content-Type"] == "application/xml;charset=UTF-8"
    again = answer.content.replace(b"<response>", b"<request>").replace(b"</response>", b"</request>")
    assert api.send("POST", "/v1/orders", again, content_type="application/xml").json() == UNDERSTOOD


def test_null_is_nil_both_ways(api):
    nil = b'<request xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><count xsi:nil="true"/></request>'
    answer = api.send("POST", "/t/optional", nil, content_type="application/xml", Accept="text/xml")
    assert b'<count xsi:nil="true" />' in answer.content


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        (b"<request><order>", "JSON_PARSER_ERROR", "is not XML at [line:1"),
        (b'<!DOCTYPE r [<!ENTITY a "b">]><request>&a;</request>', "JSON_PARSER_ERROR", "document type"),
        (b"<r>" * 60 + b"</r>" * 60, "JSON_PARSER_ERROR", "nested more than 50"),
        (b'<?xml version="1.0" encoding="x-no"?><r/>', "JSON_PARSER_ERROR", "an encoding that is not known"),
        (
            b"<r><number>1</number><lines><sku>x</sku><quantity>many</quantity></lines></r>",
            "JSON_PARSER_ERROR",
            "lines[0].quantity must be a whole number, not a text",
        ),
        (b"<r><number>1</number><number>2</number><lines/></r>", "JSON_PARSER_ERROR", "number must be a text"),
        (b"<r><lines><sku>x</sku><quantity>1</quantity></lines></r>", "REQUIRED_FIELD_MISSING", "number"),
        (
            b"<r><number>1</number><lines><sku>x</sku><quantity>1</quantity></lines><odd/></r>",
            "JSON_PARSER_ERROR",
            "odd is not known here",
        ),
    ],
)
def test_xml_is_read_as_strictly_as_json(api, body, code, message):
    answer = api.send("POST", "/v1/orders", body, content_type="application/xml")
    (error,) = answer.json()
    assert (answer.status_code, error["errorCode"]) == (400, code)
    assert message in error["message"]


def test_refusals_are_xml_for_who_asks_for_it(api):
    answer = api.post("/v1/orders", {"number": "\x01<&>"}, Accept="application/xml")
    assert answer["Content-Type"] == "application/xml; charset=UTF-8"
    assert answer.content.startswith(b"<?xml version='1.0' encoding='UTF-8'?>\n<Errors><Error><message>")
    assert b"<errorCode>REQUIRED_FIELD_MISSING</errorCode><fields>lines</fields></Error></Errors>" in answer.content


def test_refusals_are_problem_details_for_who_asks_for_them(api):
    answer = api.post("/v1/orders", {"lines": [{"sku": 1}]}, Accept="application/problem+json, application/json")
    assert answer.status_code == 400
    assert answer["Content-Type"] == "application/problem+json"
    problem = json.loads(answer.content)
    assert problem.pop("correlationId") == answer["X-Request-Id"]
    assert problem == {
        "type": "about:blank",
        "title": "Bad Request",
        "status": 400,
        "detail": "lines[0].sku must be a text, not a whole number; lines[0].quantity is missing; number is missing",
        "errorCode": "JSON_PARSER_ERROR",
        "errors": [
            {"field": "lines[0].sku", "pointer": "/lines/0/sku"},
            {"field": "lines[0].quantity", "pointer": "/lines/0/quantity"},
            {"field": "number", "pointer": "/number"},
        ],
    }


@pytest.mark.parametrize("accept", ["application/problem+json", "application/xml", "*/*", "text/csv"])
def test_every_refusal_has_the_form_that_is_asked_for(nobody, accept):
    answer = nobody.get("/v1/orders", Accept=accept)
    assert answer.status_code == 401
    wanted = {"application/problem+json": "application/problem+json", "application/xml": "application/xml"}
    assert answer["Content-Type"].startswith(wanted.get(accept, "application/json"))
    assert b"INVALID_SESSION_ID" in answer.content


def test_the_query_is_read_into_the_class_that_the_method_declares(api):
    assert api.get("/v1/orders/7?status=new&status=late&limit=5&open=true").json() == {
        "status": ["new", "late"],
        "limit": 5,
        "open": True,
        "wildcard": "7",
    }
    assert api.get("/v1/orders").json() == {"status": [], "limit": 10, "open": None, "wildcard": ""}


def test_a_query_that_the_method_does_not_know_is_refused(api):
    (error,) = api.get("/v1/orders?limit=many&odd=1&open=1&open=0").json()
    assert error["errorCode"] == "JSON_PARSER_ERROR"
    assert error["fields"] == ["limit", "odd", "open"]
