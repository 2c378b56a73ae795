"""The record API over HTTP: who asks, how much is left, what is asked, and the answer in bytes."""

import re
from collections.abc import Mapping
from typing import Any, cast

import msgspec
from django.contrib.auth.models import User
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from isthmus import clock
from isthmus.access import api_use
from isthmus.objects.capture import acting_as
from records import routing, versions
from records.calls import Answer, Call
from records.conf import options
from records.errors import NoSuchResource

__all__ = ["DataView", "VersionsView"]

_JSON = "application/json;charset=UTF-8"
_CLIENT = re.compile(r"\bclient\s*=\s*([^,;]{1,80})", re.IGNORECASE)
_encoder = msgspec.json.Encoder(decimal_format="number")


class DataView(APIView):
    """Everything below `/services/data/vNN.0`."""

    http_method_names = ("get", "post", "put", "patch", "delete", "head", "options")
    is_authenticated = False

    @property
    def default_response_headers(self) -> dict[str, str]:
        """Nothing: which methods there are, the resource says."""
        return {}

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Let authenticated callers in. Raises `NoSuchResource`, `ApiLimitReached`."""
        self.started_seconds = clock.monotonic_seconds()
        self.target = ""
        super().initial(request, *args, **kwargs)
        api_use.require_allowance()
        if not versions.is_answered(kwargs["version"]):
            raise NoSuchResource

    def perform_authentication(self, request: Request) -> None:
        """Find out who calls, and note whether anybody does: who could not be found out is not asked for again."""
        super().perform_authentication(request)
        self.is_authenticated = request.auth is not None

    def answer(self, request: Request, version: str, path: str) -> HttpResponse:
        """Answer whatever method it is."""
        call = _call(request, version, path.strip("/"))
        self.target = routing.find_route(call.path)[0].name
        with acting_as(call.user, origin(call)):
            try:
                found = routing.answer(call)
            except Exception as error:  # noqa: BLE001 - the edge of the API: whatever ends a request is answered
                found = routing.refusal(error, call)
        return _in_bytes(found)

    get = post = put = patch = delete = answer
    options = answer  # type: ignore[assignment]  # an answer in bytes already, as of the other methods

    def finalize_response(self, request: Any, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Tell how much of the allowance is used, and count."""
        final = super().finalize_response(request, response, *args, **kwargs)
        if self.is_authenticated:
            api_use.set_limit_info(final)
            api_use.note(
                api_use.Call(
                    surface="data",
                    target=f"{request.method} {self.target}".strip(),
                    user=cast("User", request.user),
                    client=getattr(request.auth, "application", None),
                    status=final.status_code,
                    milliseconds=int((clock.monotonic_seconds() - self.started_seconds) * 1000),
                )
            )
        return final


class VersionsView(APIView):
    """`GET /services/data`: which versions there are; nobody has to say who they are."""

    authentication_classes = ()
    permission_classes = ()

    def get(self, _request: Request) -> Response:
        """List the versions, the newest last."""
        return Response(versions.listing())


def origin(call: Call) -> str:
    """Return what change events say about where a change came from."""
    client = f"client={call.client}" if call.client else ""
    return f"com/salesforce/api/rest/{call.version};{client}".rstrip(";")


def _call(request: Request, version: str, path: str) -> Call:
    told = _CLIENT.search(request.headers.get("Sforce-Call-Options", ""))
    raw: HttpRequest = request._request  # noqa: SLF001 - the body as it came; its content type is not asked
    return Call(
        method=(request.method or "GET").upper(),
        path=path,
        version=version,
        user=cast("User", request.user),
        query=cast("Mapping[str, str]", request.query_params.dict()),
        headers=request.headers,
        body=_read(raw),
        client=told[1].strip() if told else "",
    )


def _read(request: HttpRequest) -> bytes:
    """Return the body. Raises `RequestDataTooBig` without having taken in much more than is allowed.

    The announced length is only a first look: a chunked body has none. The door says by `is_cut_off` that it has not
    kept all of a body.
    """
    limit = options.max_body_bytes
    announced = request.META.get("CONTENT_LENGTH") or ""
    is_too_large = getattr(request, "is_cut_off", False) or (announced.isdigit() and int(announced) > limit)
    body = b"" if is_too_large else request.read(limit + 1)
    if is_too_large or len(body) > limit:
        raise RequestDataTooBig
    return body


def _in_bytes(answer: Answer) -> HttpResponse:
    if answer.status in {204, 304} or (answer.body is None and answer.status < 300):
        found = HttpResponse(b"", status=answer.status)
        del found["Content-Type"]
    elif isinstance(answer.body, bytes):
        found = HttpResponse(answer.body, status=answer.status)
    else:
        found = HttpResponse(_encoder.encode(answer.body), status=answer.status, content_type=_JSON)
    for name, value in answer.headers.items():
        found[name] = value
    return found
