"""Writes what came in, and what was answered, into the integration log."""

from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.db import DatabaseError
from django.http import HttpResponse
from rest_framework.request import Request

from apexrest.errors import EndpointFailed, EndpointRefused
from apexrest.registry import Resource
from callouts import integration_log
from callouts.models import Direction, Outcome
from isthmus.errors import IsthmusError
from isthmus.logs import get_logger

__all__ = ["caller_of", "write"]

log = get_logger(__name__)


def write(
    resource: Resource,
    request: Request,
    response: HttpResponse,
    *,
    body: bytes,
    failure: BaseException | None,
    started_at: datetime,
    duration: timedelta,
    entry_id: UUID,
) -> None:
    """Write one exchange. The answer is worth more than its entry: a database that fails now is only reported."""
    exchanged = integration_log.Exchanged(
        method=request.method or "",
        url=settings.BASE_URL + request.get_full_path(),
        request_headers=dict(request.headers),
        request_body=body,
        response_headers=dict(response.items()),
        response_body=response.content,
        status_code=response.status_code,
    )
    try:
        integration_log.record(
            exchanged,
            integration_log.About(
                operation=f"{request.method} {resource.mapping}", principal=_client_of(request), user=caller_of(request)
            ),
            direction=Direction.INBOUND,
            outcome=_outcome(response.status_code),
            error=_described(response, failure),
            started_at=started_at,
            duration_ms=int(duration / timedelta(milliseconds=1)),
            entry_id=entry_id,
        )
    except DatabaseError:
        log.exception("endpoint.log_incomplete", mapping=resource.mapping)


def caller_of(request: Request) -> AbstractUser | None:
    """Return who calls; `None` for somebody who did not say so."""
    return request.user if isinstance(request.user, AbstractUser) else None


def _client_of(request: Request) -> str:
    client = getattr(request.auth, "application", None)
    return str(client) if client is not None else ""


def _outcome(status: int) -> Outcome:
    if status < 400:
        return Outcome.SUCCEEDED
    return Outcome.REFUSED if status < 500 else Outcome.FAILED


def _described(response: HttpResponse, failure: BaseException | None) -> BaseException | None:
    """Return the error as operators should read it: what was answered, but for a bug the kind of bug."""
    if failure is None:
        return None
    if isinstance(failure, EndpointFailed) and failure.__cause__ is not None:
        return EndpointFailed(f"{type(failure.__cause__).__qualname__} in the endpoint; the log has its trace.")
    told = getattr(response, "data", None)
    if isinstance(failure, IsthmusError) or not told:
        return failure
    return EndpointRefused(str(told[0]["message"]), code=str(told[0]["errorCode"]))
