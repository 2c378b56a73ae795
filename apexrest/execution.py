"""Runs one request through one endpoint: permission, body, the method in its transaction, the answer's bytes."""

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.http import Http404
from rest_framework.exceptions import APIException

from apexrest import admission, formats, idempotency, json_bodies, xml_bodies
from apexrest.answers import Answer
from apexrest.conf import options
from apexrest.errors import EndpointFailed, EndpointRefused, EndpointTooSlow, IdempotencyKeyMissing, RowAmbiguous
from apexrest.formats import Format
from apexrest.idempotency import Recorder
from apexrest.limits import Limits
from apexrest.registry import Resource
from apexrest.rest_context import RestRequest, RestResponse, entered
from apexrest.signatures import SAFE_METHODS, Endpoint
from isthmus import correlation
from isthmus.access import policy
from isthmus.errors import IsthmusError
from isthmus.logs import get_logger
from isthmus.objects.capture import acting_as
from isthmus.objects.sharing import enforced, without_sharing

__all__ = ["ORIGIN", "run"]

log = get_logger(__name__)

ORIGIN = "com/isthmus/apexrest"
"""What change events say about where a change came from."""


def run(
    resource: Resource, endpoint: Endpoint, request: RestRequest, *, limits: Limits, wanted: Format = Format.JSON
) -> Answer:
    """Return the endpoint's answer.

    Everything the method writes is committed with it, or nothing is: when it raises, when what it returns cannot be
    written in the format that is wanted, and when it sets a status of 400 or more. An unsafe request with an
    `Idempotency-Key` has its effect once. Raises refusals as they are, and `EndpointFailed` for what the method did not
    mean to raise.
    """
    policy.require(request.user, "endpoint", endpoint.http_method.lower(), request.mapping)
    call = _Call(resource, endpoint, limits, wanted)
    key = None if endpoint.http_method in SAFE_METHODS else idempotency.key_of(request)
    if key is not None:
        return idempotency.once(request, key, lambda record: call.perform(request, record))
    if endpoint.options.needs_idempotency_key:
        raise IdempotencyKeyMissing
    return call.perform(request, None)


class _Call:
    """One call of one method."""

    def __init__(self, resource: Resource, endpoint: Endpoint, limits: Limits, wanted: Format) -> None:
        self._resource = resource
        self._endpoint = endpoint
        self._limits = limits
        self._wanted = wanted

    def perform(self, request: RestRequest, record: Recorder | None) -> Answer:
        """Read the body, call the method, and let `record` have the answer in the transaction of the effect."""
        arguments = self._arguments(request)
        try:
            with admission.one_at_a_place(request.mapping, self._limits):
                return self._call(arguments, request, record)
        except (APIException, EndpointRefused, EndpointTooSlow, Http404, PermissionDenied, RowAmbiguous):
            raise
        except ValidationError as error:
            raise _told(error) from error
        except Exception as error:
            if isinstance(error, IsthmusError) and error.status < 500:
                raise
            endpoint = self._endpoint
            log.exception(
                "endpoint.failed", endpoint=f"{endpoint.cls.__module__}.{endpoint.cls.__qualname__}.{endpoint.name}"
            )
            told = f"An unexpected error occurred. Give this id to support: {correlation.current_or_new()}"
            raise EndpointFailed(told) from error

    def _arguments(self, request: RestRequest) -> dict[str, object]:
        endpoint = self._endpoint
        if not endpoint.takes_body:
            return {}
        if not request.body.strip():
            return endpoint.no_arguments()
        if formats.format_of_body(request.headers.get("Content-Type", "")) is Format.XML:
            body = xml_bodies.read(request.body, endpoint.annotations, endpoint.envelope, max_depth=options.max_depth)
        else:
            body = json_bodies.read(request.body, max_depth=options.max_depth)
        return endpoint.arguments(body)

    def _call(self, arguments: dict[str, object], request: RestRequest, record: Recorder | None) -> Answer:
        is_timed = self._limits.max_seconds != options.max_seconds
        sharing = enforced(request.user) if self._resource.with_sharing else without_sharing()
        with (
            entered(request) as exchange,
            transaction.atomic(),
            acting_as(request.user, ORIGIN),
            sharing,
            admission.within_time(self._limits, is_declared=is_timed),
        ):
            returned = self._endpoint.call(arguments)
            answer = self._answer(returned, exchange.response)
            if answer.status >= 400:
                transaction.set_rollback(True)
            elif record is not None:
                record(answer)
            return answer

    def _answer(self, returned: object, response: RestResponse) -> Answer:
        status = response.status if response.status is not None else 204 if returned is None else 200
        if not 200 <= status <= 599:
            raise ValueError(f"{status} is not the status of an answer.")
        for name, value in response.headers.items():
            if any(sign in f"{name}{value}" for sign in "\r\n\0"):
                raise ValueError(f"The header {name!r} has a line break in it.")
        if returned is None or status in {204, 304}:
            return Answer(status=status, headers=dict(response.headers))
        headers = {"Content-Type": formats.content_type(self._wanted), **response.headers}
        return Answer(status=status, content=formats.dumps(returned, self._wanted), headers=headers)


def _told(error: ValidationError) -> EndpointRefused:
    """Return Django's refusal, which full_clean() and validators raise, as one that names each field."""
    if not hasattr(error, "error_dict"):
        return EndpointRefused("; ".join(error.messages))
    by_field = error.message_dict
    fields = [name for name in by_field if name != "__all__"]
    texts = [text if name == "__all__" else f"{name}: {text}" for name, found in by_field.items() for text in found]
    return EndpointRefused("; ".join(texts), fields=fields)
