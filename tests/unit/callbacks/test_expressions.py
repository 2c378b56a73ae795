"""Runtime expressions follow OpenAPI: what can be parsed, read from an exchange, and where an address can be placed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callouts.callbacks import expressions
from callouts.callbacks.expressions import Exchange, Expression, Placement, evaluate, expand, parse, parse_expression
from callouts.external_services.document import pointers

EXCHANGE = Exchange(
    url="http://example.org/subscribe/myevent?queryUrl=http://clientdomain.com/stillrunning",
    method="POST",
    request_headers={"Content-Type": "application/json"},
    request_query={"queryUrl": "http://clientdomain.com/stillrunning"},
    request_path={"eventType": "myevent"},
    request_body={
        "failedUrl": "http://clientdomain.com/failed",
        "successUrls": ["http://clientdomain.com/fast"],
        "n": 3,
    },
    status_code=201,
    response_headers={"Location": "http://example.org/subscription/1"},
    response_body={"status": {"ok": True}},
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$url", "http://example.org/subscribe/myevent?queryUrl=http://clientdomain.com/stillrunning"),
        ("$method", "POST"),
        ("$statusCode", 201),
        ("$request.path.eventType", "myevent"),
        ("$request.query.queryUrl", "http://clientdomain.com/stillrunning"),
        ("$request.header.content-type", "application/json"),
        ("$request.body#/failedUrl", "http://clientdomain.com/failed"),
        ("$request.body#/successUrls/0", "http://clientdomain.com/fast"),
        ("$request.body", EXCHANGE.request_body),
        ("$response.header.Location", "http://example.org/subscription/1"),
        ("$response.body#/status", {"ok": True}),
    ],
)
def test_the_examples_of_the_specification(text, value):
    assert evaluate(parse_expression(text), EXCHANGE) == value


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{$request.body#/failedUrl}", "http://clientdomain.com/failed"),
        ("$request.body#/failedUrl", "http://clientdomain.com/failed"),
        ("http://x/{$request.body#/n}?m={$method}", "http://x/3?m=POST"),
        ("{$request.query.queryUrl}/data", "http://clientdomain.com/stillrunning/data"),
        ("http://fixed", "http://fixed"),
        ("{$response.body#/status}", '{"ok":true}'),
    ],
)
def test_expressions_within_texts(template, text):
    assert expand(parse(template), EXCHANGE) == text


@pytest.mark.parametrize(
    "text",
    [
        "$", "$x", "$request", "$request.", "$request.query.", "$request.header.", "$request.header.a b",
        "$request.body#x", "$request.body.x", "$request.body#/a~2", "$response.query.x", "$response.path.x",
        "$statuscode", "$request.cookie.x",
        "{$nothing}", "a{$request.}b",
    ],
)  # fmt: skip
def test_what_is_no_expression(text):
    with pytest.raises(expressions.InvalidExpression):
        parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "$request.query.x",
        "$request.header.X",
        "$request.path.x",
        "$request.body#/x",
        "$response.header.X",
        "$response.body#/x",
    ],
)
def test_what_the_exchange_does_not_have(text):
    with pytest.raises(expressions.Unresolved):
        evaluate(parse_expression(text), EXCHANGE)


@pytest.mark.parametrize("text", ["$statusCode", "$response.body", "$response.header.Location"])
def test_before_the_answer_nothing_of_it_is_known(text):
    with pytest.raises(expressions.Unresolved, match="no answer yet"):
        evaluate(parse_expression(text), Exchange(url="http://x", method="GET"))


@pytest.mark.parametrize(
    ("template", "placed"),
    [
        ("{$request.query.u}", Placement("query", "u")),
        ("{$request.header.X-Url}", Placement("header", "X-Url")),
        ("{$request.path.u}", Placement("path", "u")),
        ("{$request.body#/a/b}", Placement("body", "/a/b")),
        ("$request.body#/a/b", Placement("body", "/a/b")),
        ("{$request.query.u}/done", Placement("query", "u", "/done")),
        ("{$request.query.u}?id=1", Placement("query", "u", "?id=1")),
        (
            "{$request.query.u}/{$request.body#/id}?code={$statusCode}",
            Placement("query", "u", "/{$request.body#/id}?code={$statusCode}"),
        ),
    ],
)
def test_where_an_address_is_placed(template, placed):
    assert expressions.placement(parse(template)) == placed


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("http://fixed/url", "no expression reads"),
        ("{$request.query.u}{$request.query.v}", "would change the address"),
        ("https://{$request.query.host}/x", "a text before"),
        ("{$response.body#/url}", "read from the answer"),
        ("{$response.header.Location}", "read from the answer"),
        ("{$url}", "nothing can be placed"),
        ("{$request.body}", "the whole body"),
        ("{$request.query.u}.example.org", "would change the address"),
    ],
)
def test_where_no_address_can_be_placed(template, reason):
    with pytest.raises(expressions.NotPlaceable, match=reason):
        expressions.placement(parse(template))


NAMES = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=8)
POINTER_PARTS = st.lists(st.text(st.characters(exclude_characters="{}")), max_size=4)
EXPRESSIONS = (
    st.sampled_from([Expression("url"), Expression("method"), Expression("statusCode")])
    | st.builds(Expression, st.just("header"), st.sampled_from(["request", "response"]), NAMES)
    | st.builds(Expression, st.sampled_from(["query", "path"]), st.just("request"), NAMES)
    | st.builds(
        lambda message, parts: Expression("body", message, pointers.join(*parts)),
        st.sampled_from(["request", "response"]),
        POINTER_PARTS,
    )
)


@given(EXPRESSIONS)
def test_an_expression_is_parsed_back(expression):
    assert parse_expression(str(expression)) == expression
    assert parse(f"{{{expression}}}").parts == (expression,)


@given(st.text())
def test_any_text_is_parsed_or_refused(text):
    try:
        template = parse(text)
    except expressions.InvalidExpression:
        return
    assert parse(str(template)) == template


@given(POINTER_PARTS.filter(bool), st.sampled_from(["", "/done", "?a=b"]))
def test_what_is_placed_is_what_the_outside_reads(parts, suffix):
    """Placing is the inverse of evaluating."""
    template = parse(f"{{{Expression('body', 'request', pointers.join(*parts))}}}{suffix}")
    place = expressions.placement(template)
    body = pointers.placed({}, place.name, "https://us.example/cb")
    exchange = Exchange(url="http://bank", method="POST", request_body=body)
    assert expand(template, exchange) == f"https://us.example/cb{suffix}"
