"""`/services/apexrest/…`: finds who answers, lets it answer, writes the integration log."""

from datetime import timedelta
from typing import Any, NoReturn

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.datastructures import CaseInsensitiveMapping
from rest_framework.exceptions import MethodNotAllowed
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apexrest import conf, execution, inbound_log, registry
from apexrest.errors import BodyTooLarge, NoSuchAddress
from apexrest.inbound_log import caller_of
from apexrest.rest_context import RestRequest
from isthmus import clock

__all__ = ["EndpointView"]

# Endpoints know the user; who could read these headers could be the user.
_HIDDEN_HEADERS = {"authorization", "cookie"}


class EndpointView(APIView):
    """Answers every custom endpoint."""

    matched: registry.Match | None = None
    """What answers, once it is known."""
    body: bytes = b""
    failure: BaseException | None = None

    @property
    def allowed_methods(self) -> list[str]:
        """What the matched resource answers."""
        return self.matched.resource.http_methods if self.matched else []

    @property
    def default_response_headers(self) -> dict[str, str]:
        """Nothing: `Allow` belongs to 405, and the answer does not vary with `Accept`."""
        return {}

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Let authenticated callers in, and find out whom they want. Raises `NoSuchAddress`."""
        self.started_at, self.started_seconds = clock.now(), clock.monotonic_seconds()
        super().initial(request, *args, **kwargs)
        self.matched = registry.match(kwargs["path"])
        if self.matched is None:
            raise NoSuchAddress

    def answer(self, request: Request, path: str) -> HttpResponseBase:
        """Answer with the endpoint's method for this HTTP method; HEAD is GET without the body."""
        if self.matched is None:
            raise NoSuchAddress
        is_head = request.method == "HEAD"
        endpoint = self.matched.resource.endpoints.get("GET" if is_head else request.method or "")
        if endpoint is None:
            self.http_method_not_allowed(request)
        self.body = _read(request._request)  # noqa: SLF001 - REST framework's own stream would parse it
        answered = execution.run(endpoint, _described(request, self.matched, path, self.body))
        response = HttpResponse(b"" if is_head else answered.content, status=answered.status)
        if answered.content:
            response["Content-Type"] = "application/json;charset=UTF-8"
        else:
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
        return super().handle_exception(exc)

    def finalize_response(self, request: Any, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Complete the answer, then write the log: after the method's transaction, whose end must not touch the row."""
        final = super().finalize_response(request, response, *args, **kwargs)
        if self.matched is None:
            return final
        if isinstance(final, Response):
            final.render()
        inbound_log.write(
            self.matched.resource,
            request,
            final,
            body=self.body,
            failure=self.failure,
            started_at=self.started_at,
            duration=timedelta(seconds=clock.monotonic_seconds() - self.started_seconds),
        )
        return final


def _read(request: HttpRequest) -> bytes:
    """Return the body. Raises `BodyTooLarge` without having taken in much more than is allowed.

    The announced length is only a first look: a chunked body has none.
    """
    limit = conf.options.max_body_bytes
    announced = request.META.get("CONTENT_LENGTH") or ""
    is_too_large = announced.isdigit() and int(announced) > limit
    body = b"" if is_too_large else request.read(limit + 1)
    if is_too_large or len(body) > limit:
        raise BodyTooLarge(f"The request body is larger than {limit} bytes, which is the most this server takes.")
    return body


def _described(request: Request, matched: registry.Match, path: str, body: bytes) -> RestRequest:
    shown = {name: value for name, value in request.headers.items() if name.lower() not in _HIDDEN_HEADERS}
    return RestRequest(
        method=request.method or "",
        path="/" + path.strip("/"),
        mapping=matched.resource.mapping,
        wildcard=matched.wildcard,
        query=request.query_params.dict(),
        query_lists={name: tuple(values) for name, values in request.query_params.lists()},
        headers=CaseInsensitiveMapping(shown),
        body=body,
        user=caller_of(request),
    )
