"""How callers of the API say who they are, and how every refusal and failure is answered.

The one place that turns an error into an answer of the REST API: a list of
`{"message": …, "errorCode": …, "fields": […]}`, which is what Salesforce's clients read.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import connections
from django.db.models import Q
from django.http import Http404, UnreadablePostError
from oauth2_provider.models import AccessToken
from rest_framework import exceptions
from rest_framework.authentication import BaseAuthentication
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.permissions import BasePermission
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from isthmus import clock, correlation
from isthmus.access import known_tokens
from isthmus.access.client_address import client_address
from isthmus.access.conf import AccessOptions
from isthmus.access.models import ApiClient, Scope
from isthmus.database_troubles import Trouble, trouble_of
from isthmus.errors import IsthmusError
from isthmus.logs import get_logger

__all__ = [
    "AccessTokenAuthentication",
    "AlwaysJson",
    "ApiRenderer",
    "HasApiScope",
    "QueryTokenAuthentication",
    "SessionInvalid",
    "error_answer",
    "exception_handler",
]

log = get_logger(__name__)

_SCHEMES = {"bearer", "oauth"}


class ApiRenderer(JSONRenderer):
    """JSON that names its character set, as clients that compare content types expect it."""

    charset = "UTF-8"


class AlwaysJson(BaseContentNegotiation):
    """Every answer is JSON, whatever `Accept` or a query parameter `format` say: the latter belongs to the endpoint."""

    def select_parser(self, request: Request, parsers: Iterable[Any]) -> Any:
        """Return the first parser; it decides itself what it takes."""
        return next(iter(parsers))

    def select_renderer(self, request: Request, renderers: Iterable[Any], format_suffix: str | None = None) -> Any:
        """Return the first renderer and what it makes."""
        renderer = next(iter(renderers))
        return renderer, renderer.media_type


class SessionInvalid(exceptions.AuthenticationFailed):
    """The token is missing, unknown, expired, or its user may not log in; callers are not told which."""

    default_detail = "Session expired or invalid"
    default_code = "INVALID_SESSION_ID"


class AccessTokenAuthentication(BaseAuthentication):
    """Reads the access token of a request: `Authorization: Bearer <token>` or, as older clients write it, `OAuth`."""

    def authenticate(self, request: Request) -> tuple[AbstractBaseUser, AccessToken] | None:
        """Return the user and the token, or `None` without any `Authorization`. Raises `SessionInvalid`."""
        text = self.presented(request)
        if text is None:
            return None
        token = known_tokens.find(text) if text else None
        if token is None or token.expires <= clock.now() or token.user is None or not token.user.is_active:
            raise SessionInvalid
        if not token.allows_audience(settings.BASE_URL + request.path):
            raise SessionInvalid
        client: ApiClient | None = token.application
        if client is not None and (client.is_expired or not client.allows_address(client_address(request))):
            raise SessionInvalid
        _note_use(client)
        return token.user, token

    def presented(self, request: Request) -> str | None:
        """Return the token that the request brings: "" for one that cannot be any, `None` for none at all."""
        header = request.headers.get("Authorization", "")
        if not header:
            return None
        scheme, _, text = header.partition(" ")
        return text.strip() if scheme.lower() in _SCHEMES else ""

    def authenticate_header(self, request: Request) -> str:
        """Return the challenge of a 401 (without one REST framework would answer 403)."""
        return 'Bearer realm="Isthmus"'


class QueryTokenAuthentication(AccessTokenAuthentication):
    """Reads the access token out of the address (`?oauth_token=`), as one client asks who its user is."""

    def presented(self, request: Request) -> str | None:
        text: str | None = request.query_params.get("oauth_token")
        return text


class HasApiScope(BasePermission):
    """The token is for the use of the API."""

    message = "The access token is not for the use of the API: its scopes include neither api nor full."

    def has_permission(self, request: Request, view: Any) -> bool:
        """Return whether the token's scopes say so; a request without a token is another permission's business."""
        scope = getattr(request.auth, "scope", None)
        return scope is None or bool({Scope.API, Scope.FULL} & set(scope.split()))


def _note_use(client: ApiClient | None) -> None:
    """Keep when the client was last seen; at most one write in a while, so that reading stays reading."""
    if client is None:
        return
    moment = clock.now()
    before = moment - timedelta(seconds=AccessOptions().last_used_precision_seconds)
    if client.last_used_at is None or client.last_used_at <= before:
        stale = Q(last_used_at=None) | Q(last_used_at__lte=before)
        ApiClient.objects.filter(stale, pk=client.pk).update(last_used_at=moment)


def error_answer(
    status: int, code: str, message: str, *, fields: Sequence[str] = (), headers: Mapping[str, str] | None = None
) -> Response:
    """Return the answer for one refusal or failure."""
    body: dict[str, object] = {"message": message, "errorCode": code}
    if fields:
        body["fields"] = list(fields)
    return Response([body], status=status, headers=dict(headers or {}))


def exception_handler(error: Exception, context: Mapping[str, Any]) -> Response:
    """Answer an error that ended a request (REST framework's `EXCEPTION_HANDLER`). Nothing goes on to an HTML page."""
    _roll_back()
    if isinstance(error, IsthmusError):
        if error.status >= 500:
            log.error("api.failed", error_code=error.code, exc_info=error)
        wait = getattr(error, "retry_after", None)
        return Response([error.as_body()], status=error.status, headers={"Retry-After": str(wait)} if wait else None)
    if isinstance(error, exceptions.APIException):
        return _framework_answer(error, context)
    if isinstance(error, Http404):
        return _framework_answer(exceptions.NotFound(), context)
    if isinstance(error, PermissionDenied):
        return _framework_answer(exceptions.PermissionDenied(), context)
    if isinstance(error, RequestDataTooBig):
        return error_answer(413, "EXCEEDED_MAX_SIZE_REQUEST", "The request body is larger than this server takes.")
    if isinstance(error, SuspiciousOperation):
        return error_answer(400, "BAD_REQUEST", "The request is not one that this server takes.")
    if isinstance(error, UnreadablePostError):
        return error_answer(400, "CLIENT_NOT_ACCESSIBLE", "The request body could not be read to its end.")
    if (trouble := trouble_of(error)) is not None:
        status, code, told, wait_seconds = _TROUBLES[trouble]
        log.warning("api.database_trouble", error_code=code, exc_info=error)
        return error_answer(status, code, told, headers={"Retry-After": str(wait_seconds)})
    log.error("api.failed", error_code="UNKNOWN_EXCEPTION", exc_info=error)
    told = f"An unexpected error occurred. Give this id to support: {correlation.current_or_new()}"
    return error_answer(500, "UNKNOWN_EXCEPTION", told)


_TROUBLES: Mapping[Trouble, tuple[int, str, str, int]] = {
    Trouble.CONFLICT: (
        400,
        "UNABLE_TO_LOCK_ROW",
        "unable to obtain exclusive access to this record: somebody else is changing it. Try again.",
        1,
    ),
    Trouble.UNAVAILABLE: (503, "SERVER_UNAVAILABLE", "The database cannot be reached. Try again later.", 5),
}
"""Status, code, message, and after how many seconds to try again."""


def _roll_back() -> None:
    """Undo what the view did where requests run in a transaction.

    REST framework has this function too, in a module that cannot be imported before this one.
    """
    for connection in connections.all(initialized_only=True):
        if connection.settings_dict["ATOMIC_REQUESTS"] and connection.in_atomic_block:
            connection.set_rollback(True)


_CODES: Mapping[type[exceptions.APIException], str] = {
    exceptions.ParseError: "JSON_PARSER_ERROR",
    exceptions.PermissionDenied: "INSUFFICIENT_ACCESS",
    exceptions.NotFound: "NOT_FOUND",
    exceptions.MethodNotAllowed: "METHOD_NOT_ALLOWED",
    exceptions.NotAcceptable: "NOT_ACCEPTABLE",
    exceptions.UnsupportedMediaType: "UNSUPPORTED_MEDIA_TYPE",
    exceptions.Throttled: "REQUEST_LIMIT_EXCEEDED",
}


def _framework_answer(error: exceptions.APIException, context: Mapping[str, Any]) -> Response:
    """Answer one of REST framework's own errors in Salesforce's words."""
    if isinstance(error, exceptions.NotAuthenticated | exceptions.AuthenticationFailed):
        challenge = {"WWW-Authenticate": getattr(error, "auth_header", "Bearer")}
        return error_answer(401, "INVALID_SESSION_ID", "Session expired or invalid", headers=challenge)
    if isinstance(error, exceptions.ValidationError):
        found = list(_flattened(error.detail))
        message = "; ".join(f"{path}: {text}" if path else text for path, text in found)
        fields = list(dict.fromkeys(path for path, _ in found if path))
        return error_answer(400, "FIELD_INTEGRITY_EXCEPTION", message, fields=fields)
    if isinstance(error, exceptions.MethodNotAllowed):
        return _method_not_allowed(context)
    if isinstance(error, exceptions.NotFound):
        return error_answer(404, "NOT_FOUND", "The requested resource does not exist")
    if isinstance(error, exceptions.Throttled):
        # 403 is what Salesforce says here; clients that back off look at the code.
        wait: float | None = getattr(error, "wait", None)
        headers = {"Retry-After": str(math.ceil(wait))} if wait else {}
        return error_answer(403, "REQUEST_LIMIT_EXCEEDED", str(error.detail), headers=headers)
    code = next((code for kind, code in _CODES.items() if isinstance(error, kind)), "UNKNOWN_EXCEPTION")
    return error_answer(error.status_code, code, str(error.detail))


def _method_not_allowed(context: Mapping[str, Any]) -> Response:
    view, request = context["view"], context["request"]
    # REST framework answers HEAD and OPTIONS by itself, and writes the `Allow` header.
    allowed = [method for method in view.allowed_methods if method not in {"HEAD", "OPTIONS"}]
    message = f"HTTP Method '{request.method}' not allowed. Allowed are {','.join(allowed)}"
    return error_answer(405, "METHOD_NOT_ALLOWED", message)


def _flattened(detail: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield the path and the text of each refusal inside REST framework's nested form."""
    if isinstance(detail, Mapping):
        for name, below in detail.items():
            yield from _flattened(below, f"{path}.{name}" if path else "" if name == "non_field_errors" else str(name))
    elif isinstance(detail, Sequence) and not isinstance(detail, str):
        for position, below in enumerate(detail):
            nested = isinstance(below, Mapping)
            yield from _flattened(below, f"{path}[{position}]" if nested else path)
    else:
        yield path, str(detail)
