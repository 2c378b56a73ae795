"""`/services/apexrest/…`: finds who answers, lets it answer, writes the integration log."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, NoReturn

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.datastructures import CaseInsensitiveMapping
from rest_framework.exceptions import MethodNotAllowed
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apexrest import admission, conf, execution, formats, inbound_log, registry
from apexrest.errors import BodyTooLarge, NoSuchAddress, RowAmbiguous
from apexrest.inbound_log import caller_of
from apexrest.limits import Limits
from apexrest.rest_context import RestRequest
from apexrest.signatures import Endpoint
from apexrest.webhook_signatures import Verified, user_of, verify
from isthmus import causes, clock, ids
from isthmus.access import api_use
from isthmus.access.client_address import client_address
from isthmus.objects.addresses import record_path

__all__ = ["EndpointView"]

_HTTP_DATE = "%a, %d %b %Y %H:%M:%S GMT"
# Endpoints know the user; who could read these headers could be the user.
_HIDDEN_HEADERS = {"authorization", "cookie"}


class EndpointView(APIView):
    """Answers every custom endpoint."""

    renderer_classes = formats.RENDERERS
    content_negotiation_class = formats.EndpointNegotiation
    matched: registry.Match | None = None
    """What answers, once it is known."""
    body: bytes | None = None
    """`None` while it is not read."""
    delivery: Verified | None = None
    failure: BaseException | None = None

    @property
    def allowed_methods(self) -> list[str]:
        """What the matched resource answers."""
        return self.matched.resource.http_methods if self.matched else []

    @property
    def default_response_headers(self) -> dict[str, str]:
        """Only what the answer varies with: `Allow` belongs to 405."""
        return {"Vary": "Accept"}

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Let authenticated callers in, and find out whom they want. Raises `NoSuchAddress`."""
        self.started_at, self.started_seconds = clock.now(), clock.monotonic_seconds()
        self.entry_id = ids.new_uuid()
        matched = registry.match(kwargs["path"])
        if matched is not None and matched.resource.webhook is not None:
            self._let_delivery_in(request, matched)
            return
        super().initial(request, *args, **kwargs)
        api_use.require_allowance()
        self.matched = matched
        if matched is None:
            raise NoSuchAddress

    def _let_delivery_in(self, request: Request, matched: registry.Match) -> None:
        """Let a delivery in by its signature. Raises `WebhookRefused`, `BodyTooLarge`."""
        self.matched = matched
        resource = matched.resource
        webhook = resource.webhook
        assert webhook is not None  # noqa: S101 - for the type checker: the caller has looked
        limits = admission.limits_in_force(resource.mapping, resource.limits)
        self.body = _read(request._request, limits)  # noqa: SLF001 - REST framework's own stream would parse it
        self.delivery = verify(webhook, request.headers, self.body)
        request.user = user_of(webhook)
        request.auth = None
        api_use.require_allowance()

    def answer(self, request: Request, path: str) -> HttpResponseBase:
        """Answer with the endpoint's method for this HTTP method; HEAD is GET without the body."""
        if self.matched is None:
            raise NoSuchAddress
        is_head = request.method == "HEAD"
        endpoint = self.matched.resource.endpoints.get("GET" if is_head else request.method or "")
        if endpoint is None:
            self.http_method_not_allowed(request)
        resource = self.matched.resource
        limits = admission.limits_in_force(resource.mapping, resource.limits)
        described = _described(request, self.matched, path)
        admission.admit(resource.mapping, limits, caller=described.caller, address=described.client_address)
        if self.body is None:
            self.body = _read(request._request, limits)  # noqa: SLF001 - REST framework's own stream would parse it
        described = replace(
            described,
            body=self.body,
            delivery_id=self.delivery.delivery_id if self.delivery is not None else "",
            parsed_query=_parsed_query(endpoint, described),
        )
        with causes.bind(f"call:{self.entry_id}"):
            answered = execution.run(
                resource, endpoint, described, limits=limits, wanted=formats.wanted_format(request)
            )
        response = HttpResponse(b"" if is_head else answered.content, status=answered.status)
        del response["Content-Type"]
        for name, value in answered.headers.items():
            response[name] = value
        return response

    get = head = post = put = patch = delete = options = trace = answer  # type: ignore[assignment]  # one for all

    def http_method_not_allowed(self, request: Any, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse, and say what is allowed."""
        self.headers["Allow"] = ", ".join(self.allowed_methods)
        raise MethodNotAllowed(request.method)

    def handle_exception(self, exc: Exception) -> Response:
        """Keep the error for the log."""
        self.failure = exc
        if isinstance(exc, RowAmbiguous):
            return Response([record_path(found) for found in exc.candidates], status=exc.status)
        return super().handle_exception(exc)

    def finalize_response(self, request: Any, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Complete the answer, then write the log: after the method's transaction, whose end must not touch the row."""
        final = super().finalize_response(request, response, *args, **kwargs)
        if isinstance(request, Request) and request.auth is not None:
            api_use.set_limit_info(final)
        if self.matched is None:
            return final
        _tell_of_age(self.matched.resource, final)
        if isinstance(final, Response):
            final.render()
        spent = clock.monotonic_seconds() - self.started_seconds
        api_use.note(
            api_use.Call(
                surface="apexrest",
                target=f"{request.method} {self.matched.resource.mapping}",
                user=caller_of(request),
                client=getattr(request.auth, "application", None),
                status=final.status_code,
                milliseconds=int(spent * 1000),
            )
        )
        inbound_log.write(
            self.matched.resource,
            request,
            final,
            body=self.body or b"",
            failure=self.failure,
            started_at=self.started_at,
            duration=timedelta(seconds=spent),
            entry_id=self.entry_id,
        )
        return final


def _read(request: HttpRequest, limits: Limits) -> bytes:
    """Return the body. Raises `BodyTooLarge` without having taken in much more than is allowed.

    The announced length is only a first look: a chunked body has none. The door says by `is_cut_off` that it has not
    kept all of a body.
    """
    limit = limits.max_body_bytes or conf.options.max_body_bytes
    announced = request.META.get("CONTENT_LENGTH") or ""
    is_too_large = getattr(request, "is_cut_off", False) or (announced.isdigit() and int(announced) > limit)
    body = b"" if is_too_large else request.read(limit + 1)
    if is_too_large or len(body) > limit:
        raise BodyTooLarge(f"The request body is larger than {limit} bytes, which is the most this endpoint takes.")
    return body


def _parsed_query(endpoint: Endpoint, request: RestRequest) -> Any:
    """Return the query as the method declares it, `None` when it does not. Raises `FieldsRefused`."""
    return endpoint.parse_query(request.query_lists) if endpoint.parse_query is not None else None


def _tell_of_age(resource: registry.Resource, response: HttpResponse) -> None:
    """Say that the resource is deprecated (RFC 9745) and when it goes away (RFC 8594)."""
    if resource.deprecated is not None:
        response["Deprecation"] = f"@{int(_midnight(resource.deprecated).timestamp())}"
    if resource.sunset is not None:
        response["Sunset"] = _midnight(resource.sunset).strftime(_HTTP_DATE)
    if resource.successor:
        address = f"/services/apexrest{resource.successor.removesuffix('/*')}"
        response["Link"] = f'<{address}>; rel="successor-version"'


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _described(request: Request, matched: registry.Match, path: str) -> RestRequest:
    shown = {name: value for name, value in request.headers.items() if name.lower() not in _HIDDEN_HEADERS}
    return RestRequest(
        method=request.method or "",
        path="/" + path.strip("/"),
        mapping=matched.resource.mapping,
        wildcard=matched.wildcard,
        query=request.query_params.dict(),
        query_lists={name: tuple(values) for name, values in request.query_params.lists()},
        headers=CaseInsensitiveMapping(shown),
        user=caller_of(request),
        client_id=getattr(getattr(request.auth, "application", None), "client_id", "") or "",
        client_address=client_address(request),
    )
