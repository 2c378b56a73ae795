"""Callouts as people write them, with `requests` in mind.

    from callouts import http

    answer = http.post("callout:AcmeMortgages/applications", json={"amount": 250_000}, user=user)
    answer.raise_for_status()

    customer = http.get("callout:Crm/customers/{id}", path={"id": 7}, json_as=Customer)

    answer = await http.aget("callout:Crm/customers", params={"name": "O'Hara & Sons"})

The address names a named credential; where that is and how to log in there is set up by an administrator. The answer
is a `requests.Response`, whatever its status. What has no answer raises an error of `callouts.errors`, whose class
says whether anything was sent. A credential that cannot be used raises an error of `credentials.errors`.

Arguments of all functions: `params`, `json` (a dataclass too), `files` and `headers` as in requests; `data`: text,
bytes, form fields, a file opened in binary mode or an iterator of bytes; `path`: values for the `{name}` places of the
address's path, escaped; `timeout` in seconds for the whole callout, retries included, `None` for the default (10 s);
`stream`: leave the answer's body to be read piece by piece; `retry`: when to try again while the caller waits
(`RetryPolicy.quick()`), `None`: not at all; `user` whose permissions count, `None` for who acts here, whom the job runs
for, or else the automated process; `idempotency_key` sent as `Idempotency-Key`, which tells that repeating is safe;
`operation` and `record` (a record or its id) name the callout in the integration log, and `invocation_id` joins it to
an external service's invocation.

`json_as`: return the answer's JSON as a value of this type (a dataclass, `list[...]`, a `TypedDict`). An answer that
does not fit it, or has an error status, raises `AnswerDoesNotFit` or `ErrorAnswered` with the answer as `response`.

The functions whose names begin with `a` are awaitable and do not block the event loop.
"""

import uuid
from collections.abc import Mapping
from typing import Any, TypedDict, TypeVar, Unpack, overload

import requests
from django.contrib.auth.models import AbstractUser
from django.db.models import Model

from callouts import waiting
from callouts.client import Callout, perform
from callouts.requesting import Data, Files, Params, Request
from callouts.retrying import RetryPolicy
from callouts.sessions import CalloutSession
from callouts.typed_answers import as_type

__all__ = [
    "Arguments",
    "CalloutSession",
    "Request",
    "RetryPolicy",
    "adelete",
    "aget",
    "ahead",
    "aoptions",
    "apatch",
    "apost",
    "aput",
    "arequest",
    "delete",
    "get",
    "head",
    "options",
    "patch",
    "post",
    "put",
    "request",
]

T = TypeVar("T")


class Arguments(TypedDict, total=False):
    """The arguments that every function here takes by name."""

    path: Mapping[str, object] | None
    params: Params
    json: Any
    data: Data
    files: Files
    headers: Mapping[str, str] | None
    timeout: float | None
    stream: bool
    retry: RetryPolicy | None
    user: AbstractUser | None
    idempotency_key: str | None
    operation: str
    record: str | Model | None
    invocation_id: uuid.UUID | None


@overload
def request(method: str, url: str, *, json_as: type[T], **arguments: Unpack[Arguments]) -> T: ...
@overload
def request(method: str, url: str, **arguments: Unpack[Arguments]) -> requests.Response: ...
def request(method: str, url: str, *, json_as: Any = None, **arguments: Unpack[Arguments]) -> Any:
    """Make a callout and return its answer."""
    answer = perform(Callout(method=method, url=url, **arguments))
    return answer if json_as is None else as_type(answer, json_as)


@overload
def get(url: str, *, json_as: type[T], **arguments: Unpack[Arguments]) -> T: ...
@overload
def get(url: str, **arguments: Unpack[Arguments]) -> requests.Response: ...
def get(url: str, *, json_as: Any = None, **arguments: Unpack[Arguments]) -> Any:
    """Make a GET callout."""
    return request("GET", url, json_as=json_as, **arguments)


@overload
def post(url: str, *, json_as: type[T], **arguments: Unpack[Arguments]) -> T: ...
@overload
def post(url: str, **arguments: Unpack[Arguments]) -> requests.Response: ...
def post(url: str, *, json_as: Any = None, **arguments: Unpack[Arguments]) -> Any:
    """Make a POST callout."""
    return request("POST", url, json_as=json_as, **arguments)


@overload
def put(url: str, *, json_as: type[T], **arguments: Unpack[Arguments]) -> T: ...
@overload
def put(url: str, **arguments: Unpack[Arguments]) -> requests.Response: ...
def put(url: str, *, json_as: Any = None, **arguments: Unpack[Arguments]) -> Any:
    """Make a PUT callout."""
    return request("PUT", url, json_as=json_as, **arguments)


@overload
def patch(url: str, *, json_as: type[T], **arguments: Unpack[Arguments]) -> T: ...
@overload
def patch(url: str, **arguments: Unpack[Arguments]) -> requests.Response: ...
def patch(url: str, *, json_as: Any = None, **arguments: Unpack[Arguments]) -> Any:
    """Make a PATCH callout."""
    return request("PATCH", url, json_as=json_as, **arguments)


@overload
def delete(url: str, *, json_as: type[T], **arguments: Unpack[Arguments]) -> T: ...
@overload
def delete(url: str, **arguments: Unpack[Arguments]) -> requests.Response: ...
def delete(url: str, *, json_as: Any = None, **arguments: Unpack[Arguments]) -> Any:
    """Make a DELETE callout."""
    return request("DELETE", url, json_as=json_as, **arguments)


def head(url: str, **arguments: Unpack[Arguments]) -> requests.Response:
    """Make a HEAD callout."""
    return request("HEAD", url, **arguments)


def options(url: str, **arguments: Unpack[Arguments]) -> requests.Response:
    """Make an OPTIONS callout."""
    return request("OPTIONS", url, **arguments)


@overload
async def arequest(method: str, url: str, *, json_as: type[T], **arguments: Unpack[Arguments]) -> T: ...
@overload
async def arequest(method: str, url: str, **arguments: Unpack[Arguments]) -> requests.Response: ...
async def arequest(method: str, url: str, *, json_as: Any = None, **arguments: Unpack[Arguments]) -> Any:
    """Make a callout and return its answer, without blocking the event loop."""
    return await waiting.outside_the_loop(request, method, url, json_as=json_as, **arguments)


@overload
async def aget(url: str, *, json_as: type[T], **arguments: Unpack[Arguments]) -> T: ...
@overload
async def aget(url: str, **arguments: Unpack[Arguments]) -> requests.Response: ...
async def aget(url: str, *, json_as: Any = None, **arguments: Unpack[Arguments]) -> Any:
    """Make a GET callout, without blocking the event loop."""
    return await arequest("GET", url, json_as=json_as, **arguments)


@overload
async def apost(url: str, *, json_as: type[T], **arguments: Unpack[Arguments]) -> T: ...
@overload
async def apost(url: str, **arguments: Unpack[Arguments]) -> requests.Response: ...
async def apost(url: str, *, json_as: Any = None, **arguments: Unpack[Arguments]) -> Any:
    """Make a POST callout, without blocking the event loop."""
    return await arequest("POST", url, json_as=json_as, **arguments)


@overload
async def aput(url: str, *, json_as: type[T], **arguments: Unpack[Arguments]) -> T: ...
@overload
async def aput(url: str, **arguments: Unpack[Arguments]) -> requests.Response: ...
async def aput(url: str, *, json_as: Any = None, **arguments: Unpack[Arguments]) -> Any:
    """Make a PUT callout, without blocking the event loop."""
    return await arequest("PUT", url, json_as=json_as, **arguments)


@overload
async def apatch(url: str, *, json_as: type[T], **arguments: Unpack[Arguments]) -> T: ...
@overload
async def apatch(url: str, **arguments: Unpack[Arguments]) -> requests.Response: ...
async def apatch(url: str, *, json_as: Any = None, **arguments: Unpack[Arguments]) -> Any:
    """Make a PATCH callout, without blocking the event loop."""
    return await arequest("PATCH", url, json_as=json_as, **arguments)


@overload
async def adelete(url: str, *, json_as: type[T], **arguments: Unpack[Arguments]) -> T: ...
@overload
async def adelete(url: str, **arguments: Unpack[Arguments]) -> requests.Response: ...
async def adelete(url: str, *, json_as: Any = None, **arguments: Unpack[Arguments]) -> Any:
    """Make a DELETE callout, without blocking the event loop."""
    return await arequest("DELETE", url, json_as=json_as, **arguments)


async def ahead(url: str, **arguments: Unpack[Arguments]) -> requests.Response:
    """Make a HEAD callout, without blocking the event loop."""
    return await arequest("HEAD", url, **arguments)


async def aoptions(url: str, **arguments: Unpack[Arguments]) -> requests.Response:
    """Make an OPTIONS callout, without blocking the event loop."""
    return await arequest("OPTIONS", url, **arguments)
