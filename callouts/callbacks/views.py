"""The door that callbacks come through: translates HTTP to the inbox and back, and logs both sides."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from callouts import integration_log
from callouts.callbacks import inbox
from callouts.callbacks.conf import options
from callouts.callbacks.inbox import Answer, Delivery
from callouts.external_services.models import Invocation
from callouts.integration_log import About, Exchanged
from callouts.models import Direction, Outcome
from isthmus import clock, correlation

__all__ = ["receive"]


# The token in the address authenticates; there is no session that a forged request could use.
@csrf_exempt
def receive(request: HttpRequest, token: str, name: str = "", rest: str = "") -> HttpResponse:
    """Answer a callback."""
    began = clock.monotonic_seconds()
    started_at = clock.now()
    invocation = inbox.find_invocation(token)
    delivery = _delivery(request, name, rest)
    known = invocation.correlation_id if invocation else correlation.current_or_new()
    with correlation.bind(known):
        answer = inbox.receive(invocation, delivery)
        response = _response(answer, known)
        if invocation is not None:
            exchanged = Exchanged(
                method=request.method or "",
                url=settings.BASE_URL + request.get_full_path(),
                request_headers=dict(request.headers),
                request_body=delivery.body,
                response_headers=dict(response.items()),
                response_body=response.content,
                status_code=response.status_code,
            )
            integration_log.record(
                exchanged,
                _about(invocation, name, answer),
                direction=Direction.INBOUND,
                outcome=Outcome.SUCCEEDED if answer.status < 400 else Outcome.FAILED,
                started_at=started_at,
                duration_ms=round((clock.monotonic_seconds() - began) * 1_000),
            )
    return response


def _delivery(request: HttpRequest, name: str, rest: str) -> Delivery:
    return Delivery(
        name=name,
        rest=rest,
        method=request.method or "",
        headers=request.headers,
        query=request.GET.dict(),
        query_text=request.META.get("QUERY_STRING", ""),
        body=_body(request),
    )


def _body(request: HttpRequest) -> bytes | None:
    """Return the body, or `None` if it is larger than we take: then it is not read to its end."""
    declared = request.META.get("CONTENT_LENGTH") or "0"
    if declared.isdecimal() and int(declared) > options.max_body_bytes:
        return None
    body = request.read(options.max_body_bytes + 1)
    return body if len(body) <= options.max_body_bytes else None


def _response(answer: Answer, correlation_id: str) -> HttpResponse:
    if answer.code:
        text = f"{answer.message} Quote {correlation_id} when you ask about it."
        body: object = [{"message": text, "errorCode": answer.code}]
    else:
        body = {"success": True, "message": answer.message, "correlationId": correlation_id}
    response = JsonResponse(body, status=answer.status, safe=False, headers=dict(answer.headers))
    response["Cache-Control"] = "no-store"
    return response


def _about(invocation: Invocation, name: str, answer: Answer) -> About:
    credential = invocation.service.named_credential
    return About(
        operation=f"{invocation.service.name}.{invocation.operation.operation_id} {name}",
        named_credential=credential.name if credential else "",
        user=invocation.user,
        record_id=invocation.record_id,
        job_id=answer.job.pk if answer.job else None,
        invocation_id=invocation.pk,
    )
