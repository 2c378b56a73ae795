"""`apexrest.context`, and its double for tests."""

import pytest

from apexrest import context
from apexrest.errors import EndpointRefused, OutsideEndpoint


def test_there_is_no_context_outside_an_endpoint():
    with pytest.raises(OutsideEndpoint):
        _ = context.request
    with pytest.raises(OutsideEndpoint):
        _ = context.response


def test_the_double_gives_what_a_request_would(rest_context):
    with rest_context(
        method="POST",
        path="/v1/orders/42",
        wildcard="42",
        query={"a": "1", "b": ["2", "3"]},
        headers={"X-Thing": "yes"},
        body=b"raw",
    ) as rest:
        assert context.request.path == "/v1/orders/42"
        assert context.request.wildcard == "42"
        assert context.request.query == {"a": "1", "b": "3"}
        assert context.request.query_lists["b"] == ("2", "3")
        assert context.request.headers["x-thing"] == "yes"
        assert context.request.body == b"raw"
        context.response.status = 201
        context.response.headers["Location"] = "/x"
    assert (rest.response.status, rest.response.headers) == (201, {"Location": "/x"})


def test_contexts_do_not_mix(rest_context):
    with rest_context(wildcard="outer"):
        with rest_context(wildcard="inner"):
            assert context.request.wildcard == "inner"
        assert context.request.wildcard == "outer"


def test_a_refusal_has_the_code_and_status_that_its_author_gives():
    refused = EndpointRefused("Shipped.", code="ORDER_SHIPPED", status=409, fields=["orderId"])
    assert refused.status == 409
    assert refused.as_body() == {"message": "Shipped.", "errorCode": "ORDER_SHIPPED", "fields": ["orderId"]}
    assert EndpointRefused("No.").status == 400
    with pytest.raises(ValueError, match="400 to 599"):
        EndpointRefused("No.", status=200)
