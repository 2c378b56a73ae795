"""The way that callbacks take through Django: what comes by ASGI has a door of its own (`callouts.callbacks.door`)."""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from callouts.callbacks import intake
from callouts.callbacks.conf import options
from callouts.callbacks.inbox import Delivery
from callouts.callbacks.intake import Arrival
from callouts.external_services.document.reading import storable
from isthmus import correlation

__all__ = ["receive"]


# The token in the address authenticates; there is no session that a forged request could use.
@csrf_exempt
def receive(request: HttpRequest, token: str, name: str = "", rest: str = "") -> HttpResponse:
    """Answer a callback that came through Django."""
    [told] = intake.take([_arrival(request, token, name, rest)])
    return HttpResponse(told.body, status=told.status, headers=dict(told.headers))


def _arrival(request: HttpRequest, token: str, name: str, rest: str) -> Arrival:
    delivery = Delivery(
        name=storable(name),
        rest=storable(rest),
        method=request.method or "",
        headers=request.headers,
        query=request.GET.dict(),
        query_text=request.META.get("QUERY_STRING", ""),
        body=_body(request),
    )
    return Arrival(
        token=token, delivery=delivery, path=request.get_full_path(), correlation_id=correlation.current_or_new()
    )


def _body(request: HttpRequest) -> bytes | None:
    """Return the body, or `None` if it is larger than we take: then it is not read to its end."""
    declared = request.META.get("CONTENT_LENGTH") or "0"
    if declared.isdecimal() and int(declared) > options.max_body_bytes:
        return None
    body = request.read(options.max_body_bytes + 1)
    return body if len(body) <= options.max_body_bytes else None
