"""Callouts as people write them, with `requests` in mind.

    from callouts import http

    answer = http.post("callout:AcmeMortgages/applications", json={"amount": 250_000}, user=user)
    answer.raise_for_status()

The address names a named credential; where that is and how to log in there is set up by an administrator. The answer
is a `requests.Response`, whatever its status. What has no answer raises an error of `callouts.errors`, whose class
says whether anything was sent. A credential that cannot be used raises an error of `credentials.errors`.

Arguments of all functions: `params`, `json`, `data` (text, bytes or form fields) and `headers` as in requests;
`timeout` in seconds for the whole callout, `None` for the default (10 s); `user` whose permissions count, `None` for
the automated process; `idempotency_key` sent as `Idempotency-Key`, which tells that repeating is safe; `operation` and
`record` (a record or its id) name the callout in the integration log, and `invocation_id` joins it to an external
service's invocation.
"""

import uuid
from collections.abc import Mapping
from typing import Any, TypedDict, Unpack

import requests
from django.contrib.auth.models import AbstractUser
from django.db.models import Model

from callouts.client import Callout, perform
from callouts.requesting import Data, Params
from callouts.sessions import CalloutSession

__all__ = ["Arguments", "CalloutSession", "delete", "get", "patch", "post", "put", "request"]


class Arguments(TypedDict, total=False):
    """The arguments that every function here takes by name."""

    params: Params
    json: Any
    data: Data
    headers: Mapping[str, str] | None
    timeout: float | None
    user: AbstractUser | None
    idempotency_key: str | None
    operation: str
    record: str | Model | None
    invocation_id: uuid.UUID | None


def request(method: str, url: str, **arguments: Unpack[Arguments]) -> requests.Response:
    """Make a callout and return its answer."""
    return perform(Callout(method=method, url=url, **arguments))


def get(url: str, **arguments: Unpack[Arguments]) -> requests.Response:
    """Make a GET callout."""
    return request("GET", url, **arguments)


def post(url: str, **arguments: Unpack[Arguments]) -> requests.Response:
    """Make a POST callout."""
    return request("POST", url, **arguments)


def put(url: str, **arguments: Unpack[Arguments]) -> requests.Response:
    """Make a PUT callout."""
    return request("PUT", url, **arguments)


def patch(url: str, **arguments: Unpack[Arguments]) -> requests.Response:
    """Make a PATCH callout."""
    return request("PATCH", url, **arguments)


def delete(url: str, **arguments: Unpack[Arguments]) -> requests.Response:
    """Make a DELETE callout."""
    return request("DELETE", url, **arguments)
