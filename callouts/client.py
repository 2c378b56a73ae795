"""The one way out: every callout passes here, whichever door it came through.

Refused or allowed (uncommitted work, head-room, credential, permission), logged, signed, sent through the egress gate,
followed through redirects within its origin, logged again.
"""

import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import requests
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractUser
from django.db.models import Model

from callouts import authentication, egress, integration_log, limits, redirects, requesting, uncommitted_work
from callouts.authentication import AuthenticationFlow
from callouts.conf import options
from callouts.egress.client_certificates import ClientCertificate
from callouts.errors import InvalidCallout, TooManyRedirects
from callouts.integration_log import About, Exchanged
from callouts.records import record_id_of
from callouts.requesting import Data, Params
from credentials.origins import Origin
from credentials.resolver import ResolvedCredential, resolve
from isthmus import clock, correlation
from isthmus.access.policy import system_user
from isthmus.errors import IsthmusError
from isthmus.jobs import current_job_or_none
from isthmus.objects.capture import acting_user

__all__ = ["SAFE_METHODS", "Callout", "perform"]

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that only read (https://www.rfc-editor.org/rfc/rfc9110#section-9.2.1): repeating them is safe."""


@dataclass(frozen=True, kw_only=True)
class Callout:
    """What user code asks for."""

    method: str
    url: str
    params: Params = None
    json: Any = None
    data: Data = None
    headers: Mapping[str, str] | None = None
    timeout: float | None = None
    """Seconds for the whole callout; `None` means the default."""
    user: AbstractUser | None = None
    """Whose permissions count; `None` means who acts here, whom the job runs for, or else the automated process."""
    idempotency_key: str | None = None
    operation: str = ""
    record: str | Model | None = None
    invocation_id: uuid.UUID | None = None


@dataclass(frozen=True, kw_only=True)
class _Departure:
    """A callout that may leave."""

    request: requests.PreparedRequest
    route: egress.Route
    new_flow: Callable[[], AuthenticationFlow]
    about: About
    seconds: float
    origin: Origin
    """What no redirect leaves."""
    masked_names: frozenset[str]


@dataclass
class _Trace:
    """What the log will tell: the last signed request and the last answer to one."""

    request: requests.PreparedRequest
    answer: requests.Response | None = None
    history: list[requests.Response] = field(default_factory=list)


def perform(callout: Callout) -> requests.Response:
    """Make the callout and return the answer, whatever its status.

    Raises errors of `callouts.errors` and, when the credential cannot be used, of `credentials.errors`.
    """
    with ExitStack() as stack:
        stack.enter_context(correlation.bind(correlation.current_or_new()))
        with _refusals_logged(callout):
            uncommitted_work.refuse_if_pending()
            # From here on whatever is written (the automated process's user, tokens, the log) is the platform's own.
            stack.enter_context(uncommitted_work.bookkeeping())
            departure = _departure(callout)
            seconds_left = stack.enter_context(limits.spend())
        return _sent(departure, egress.Deadline.within(min(departure.seconds, seconds_left)))


def _departure(callout: Callout) -> _Departure:
    name, rest = requesting.parse_callout_url(callout.url)
    seconds = _seconds(callout.timeout)
    user = callout.user or acting_user() or _user_of_job() or system_user()
    credential = resolve(name, user)
    max_body_bytes = _max_body_bytes()
    request = requesting.prepare(
        callout.method.upper(),
        credential.url_for(rest),
        params=callout.params,
        json=callout.json,
        data=callout.data,
        headers=callout.headers,
        idempotency_key=callout.idempotency_key,
        max_body_bytes=max_body_bytes,
    )
    route = egress.Route(
        named_credential=name,
        callout_url=_with_query(callout.url, request),
        allow_internal_addresses=credential.allow_internal_addresses,
        max_body_bytes=max_body_bytes,
        client_certificate=_client_certificate(credential),
        ca_bundle=credential.ca_bundle,
    )
    return _Departure(
        request=request,
        route=route,
        new_flow=credential.authentication,
        about=_about(callout, named_credential=name, principal=credential.principal_name, user=user),
        seconds=seconds,
        origin=credential.origin,
        masked_names=credential.masked_names,
    )


def _sent(departure: _Departure, deadline: egress.Deadline) -> requests.Response:
    trace = _Trace(request=departure.request)
    entry = integration_log.begin(Exchanged.of(departure.request, None), departure.about)
    began = clock.monotonic_seconds()
    error: BaseException | None = None
    try:
        return _followed(departure, deadline, trace)
    except BaseException as raised:
        error = raised
        raise
    finally:
        exchanged = Exchanged.of(trace.request, trace.answer, masked_names=departure.masked_names)
        integration_log.complete(
            entry,
            exchanged,
            outcome=integration_log.outcome_of(exchanged.status_code, error),
            error=error,
            duration_ms=round((clock.monotonic_seconds() - began) * 1000),
        )


def _followed(departure: _Departure, deadline: egress.Deadline, trace: _Trace) -> requests.Response:
    """Return the answer at the end of the redirects."""
    request = departure.request
    while True:
        answer = _signed_and_sent(departure, request, deadline, trace)
        follow_up = redirects.next_request(request, answer, within=departure.origin)
        if follow_up is None:
            answer.history = list(trace.history)
            return answer
        if len(trace.history) >= options.max_redirects:
            raise TooManyRedirects(f"More than {options.max_redirects} redirects, one after another.")
        trace.history.append(answer)
        request = follow_up


def _signed_and_sent(
    departure: _Departure, request: requests.PreparedRequest, deadline: egress.Deadline, trace: _Trace
) -> requests.Response:
    def send(outgoing: requests.PreparedRequest, is_callout: bool) -> requests.Response:
        if not is_callout:
            return egress.sender().send(outgoing, route=_side_route(departure.route), deadline=deadline)
        trace.request, trace.answer = outgoing, None
        trace.answer = egress.sender().send(outgoing, route=departure.route, deadline=deadline)
        return trace.answer

    answer = authentication.drive(departure.new_flow(), request, send)
    # The signed request stays in here: what user code holds, prints or dumps has no credentials in it.
    answer.request = request
    return answer


def _side_route(route: egress.Route) -> egress.Route:
    return egress.Route(
        named_credential=route.named_credential,
        allow_internal_addresses=route.allow_internal_addresses,
        max_body_bytes=route.max_body_bytes,
        client_certificate=route.client_certificate,
        ca_bundle=route.ca_bundle,
    )


def _client_certificate(credential: ResolvedCredential) -> ClientCertificate | None:
    key = credential.client_certificate
    if key is None:
        return None
    return ClientCertificate(
        certificate_pem=key.certificate_pem, private_key_pem=key.private_key_pem, fingerprint=key.fingerprint
    )


@contextmanager
def _refusals_logged(callout: Callout) -> Iterator[None]:
    try:
        yield
    except IsthmusError as error:
        name = callout.url.removeprefix("callout:").split("/", 1)[0].split("?", 1)[0]
        integration_log.record_refusal(
            Exchanged(method=callout.method, url=callout.url),
            _about(callout, named_credential=name, user=callout.user),
            error=error,
        )
        raise


def _about(callout: Callout, *, named_credential: str, user: AbstractUser | None, principal: str = "") -> About:
    job = current_job_or_none()
    return About(
        operation=callout.operation,
        job_id=job.id if job else None,
        attempt=job.attempt if job else 1,
        named_credential=named_credential,
        principal=principal,
        user=user,
        record_id=record_id_of(callout.record),
        invocation_id=callout.invocation_id,
    )


def _with_query(url: str, request: requests.PreparedRequest) -> str:
    query = urlsplit(request.url or "").query
    place = url.partition("?")[0]
    return f"{place}?{query}" if query else place


def _seconds(timeout: float | None) -> float:
    if timeout is None:
        return options.timeout_seconds
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not timeout > 0:
        raise InvalidCallout("A callout's timeout is a number of seconds above 0.")
    if timeout > options.max_timeout_seconds:
        raise InvalidCallout(f"A callout's timeout is at most {options.max_timeout_seconds:g} s.")
    return float(timeout)


def _max_body_bytes() -> int:
    return options.max_body_bytes if current_job_or_none() is None else options.max_body_bytes_in_jobs


def _user_of_job() -> AbstractUser | None:
    job = current_job_or_none()
    if job is None or job.user_id is None:
        return None
    return get_user_model().objects.get(pk=job.user_id)
