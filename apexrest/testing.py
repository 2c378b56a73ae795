"""For tests of endpoints: run their methods without a server.

In a project's `conftest.py`: `from apexrest.testing import rest_context as rest_context`. Then

    def test_an_order_is_read(rest_context):
        with rest_context(wildcard="42") as rest:
            answer = Orders().read()
        assert rest.response.status is None
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import AbstractUser
from django.http import QueryDict
from django.utils.datastructures import CaseInsensitiveMapping

from apexrest.rest_context import Exchange, RestRequest, entered

__all__ = ["rest_context", "rest_request"]


@contextmanager
def rest_request(
    *,
    method: str = "GET",
    path: str = "/",
    mapping: str = "",
    wildcard: str = "",
    query: Mapping[str, str | list[str]] | None = None,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    user: AbstractUser | None = None,
) -> Iterator[Exchange]:
    """Let `apexrest.context` be that of such a request while the block runs; yields its request and response.

    Nothing is parsed, checked or committed: call the method with its parameters.
    """
    asked = QueryDict(urlencode(query or {}, doseq=True))
    request = RestRequest(
        method=method,
        path=path,
        mapping=mapping,
        wildcard=wildcard,
        query=asked.dict(),
        query_lists={name: tuple(values) for name, values in asked.lists()},
        headers=CaseInsensitiveMapping(headers or {}),
        body=body,
        user=user,
    )
    with entered(request) as exchange:
        yield exchange


@pytest.fixture
def rest_context() -> Callable[..., AbstractContextManager[Exchange]]:
    """Returns `rest_request`: what an endpoint's method finds in `apexrest.context`, made up for a test."""
    return rest_request
