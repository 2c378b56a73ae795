"""Runs one request through one endpoint: permission, body, the method in its transaction, the answer's bytes."""

from dataclasses import dataclass, field

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.http import Http404
from rest_framework.exceptions import APIException

from apexrest import json_bodies, serialising
from apexrest.conf import options
from apexrest.errors import EndpointFailed, EndpointRefused
from apexrest.rest_context import RestRequest, RestResponse, entered
from apexrest.signatures import Endpoint
from isthmus import correlation
from isthmus.access import policy
from isthmus.errors import IsthmusError
from isthmus.logs import get_logger
from isthmus.objects.capture import acting_as

__all__ = ["ORIGIN", "Answer", "run"]

log = get_logger(__name__)

ORIGIN = "com/isthmus/apexrest"
"""What change events say about where a change came from."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What is sent back."""

    status: int
    content: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


def run(endpoint: Endpoint, request: RestRequest) -> Answer:
    """Return the endpoint's answer.

    Everything the method writes is committed with it, or nothing is: when it raises, when what it returns cannot be
    written as JSON, and when it sets a status of 400 or more. Raises refusals as they are, and `EndpointFailed` for
    what the method did not mean to raise.
    """
    policy.require(request.user, "endpoint", endpoint.http_method.lower(), request.mapping)
    arguments = _arguments(endpoint, request)
    try:
        return _call(endpoint, arguments, request)
    except (APIException, EndpointRefused, Http404, PermissionDenied):
        raise
    except ValidationError as error:
        raise _told(error) from error
    except Exception as error:
        if isinstance(error, IsthmusError) and error.status < 500:
            raise
        log.exception(
            "endpoint.failed", endpoint=f"{endpoint.cls.__module__}.{endpoint.cls.__qualname__}.{endpoint.name}"
        )
        told = f"An unexpected error occurred. Give this id to support: {correlation.current_or_new()}"
        raise EndpointFailed(told) from error


def _arguments(endpoint: Endpoint, request: RestRequest) -> dict[str, object]:
    if not endpoint.takes_body:
        return {}
    if not request.body.strip():
        return endpoint.no_arguments()
    json_bodies.require_json(request.headers.get("Content-Type", ""))
    return endpoint.arguments(json_bodies.read(request.body, max_depth=options.max_depth))


def _call(endpoint: Endpoint, arguments: dict[str, object], request: RestRequest) -> Answer:
    with entered(request) as exchange, transaction.atomic(), acting_as(request.user, ORIGIN):
        returned = endpoint.call(arguments)
        answer = _answer(returned, exchange.response)
        if answer.status >= 400:
            transaction.set_rollback(True)
        return answer


def _answer(returned: object, response: RestResponse) -> Answer:
    status = response.status if response.status is not None else 204 if returned is None else 200
    if not 200 <= status <= 599:
        raise ValueError(f"{status} is not the status of an answer.")
    for name, value in response.headers.items():
        if any(sign in f"{name}{value}" for sign in "\r\n\0"):
            raise ValueError(f"The header {name!r} has a line break in it.")
    content = b"" if returned is None or status in {204, 304} else serialising.dumps(returned)
    return Answer(status=status, content=content, headers=dict(response.headers))


def _told(error: ValidationError) -> EndpointRefused:
    """Return Django's refusal, which full_clean() and validators raise, as one that names each field."""
    if not hasattr(error, "error_dict"):
        return EndpointRefused("; ".join(error.messages))
    by_field = error.message_dict
    fields = [name for name in by_field if name != "__all__"]
    texts = [text if name == "__all__" else f"{name}: {text}" for name, found in by_field.items() for text in found]
    return EndpointRefused("; ".join(texts), fields=fields)
