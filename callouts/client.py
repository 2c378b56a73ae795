"""The one way out: every callout passes here, whichever door it came through.

Refused or allowed (uncommitted work, head-room, credential, permission), logged, signed, sent through the egress gate,
followed through redirects within its origin, logged again.
"""

import itertools
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import requests
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractUser
from django.db import DatabaseError, transaction
from django.db.models import Model

from callouts import (
    authentication,
    destinations,
    egress,
    integration_log,
    limits,
    redirects,
    requesting,
    uncommitted_work,
)
from callouts.authentication import AuthenticationFlow
from callouts.bodies import SpooledBody, is_readable
from callouts.conf import options
from callouts.egress.client_certificates import ClientCertificate
from callouts.errors import CalloutError, InvalidCallout, LeaseExpired, TooManyRedirects
from callouts.integration_log import About, Exchanged, OpenEntry
from callouts.log_rows import AlongWith
from callouts.records import record_id_of
from callouts.redaction import Described
from callouts.requesting import Data, Files, Params
from callouts.retrying import Next, RetryPolicy
from credentials import recent_resolutions
from credentials.errors import CredentialError
from credentials.origins import Origin
from credentials.resolver import ResolvedCredential, resolve
from isthmus import clock, correlation
from isthmus.errors import IsthmusError
from isthmus.jobs import current_job_or_none
from isthmus.objects.capture import acting_user

__all__ = ["SAFE_METHODS", "Callout", "PlainEnd", "QueuedAttempt", "check_timeout", "perform", "running_user"]

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that only read (https://www.rfc-editor.org/rfc/rfc9110#section-9.2.1): repeating them is safe."""


@dataclass(frozen=True, kw_only=True)
class QueuedAttempt:
    """What a queued callout brings along to one of its attempts."""

    id: int
    attempt: int
    expires_at: datetime
    """After that moment another worker may have taken it: nothing leaves any more."""
    settle: "Settle"
    """Called in the transaction that writes how the attempt ended, with the log entry's id, the answer, the error."""
    plain_end: "Callable[[requests.Response | None, BaseException | None], PlainEnd | None]"
    """What to change in place of `settle` where that is one row; `None` where it is more."""


@dataclass(frozen=True, kw_only=True)
class PlainEnd:
    """A settlement that is nothing but the change of one row."""

    change: AlongWith
    made: Callable[[uuid.UUID, bool], None]
    """Called afterwards, with the log entry's id, and whether the row was changed."""


Settle = Callable[[uuid.UUID | None, requests.Response | None, BaseException | None], None]


@dataclass(frozen=True, kw_only=True)
class Callout:
    """What user code asks for."""

    method: str
    url: str
    path: Mapping[str, object] | None = None
    """Values for the `{name}` places of the address's path."""
    params: Params = None
    json: Any = None
    data: "Data | SpooledBody" = None
    files: Files = None
    headers: Mapping[str, str] | None = None
    timeout: float | None = None
    """Seconds for the whole callout; `None` means the default."""
    user: AbstractUser | None = None
    """Whose permissions count; `None` means who acts here, whom the job runs for, or else the automated process."""
    idempotency_key: str | None = None
    operation: str = ""
    record: str | Model | None = None
    invocation_id: uuid.UUID | None = None
    stream: bool = False
    """Whether the answer's body is left to be read piece by piece."""
    retry: RetryPolicy | None = None
    """When to try again while the caller waits; `None`: not at all."""
    queued: QueuedAttempt | None = None

    @property
    def is_repeatable(self) -> bool:
        """Whether repeating it is known to be safe."""
        return self.idempotency_key is not None or self.method.upper() in SAFE_METHODS


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
    destination: destinations.Known
    queued: QueuedAttempt | None


@dataclass
class _Trace:
    """What the log will tell: the last signed request and the last answer to one."""

    request: requests.PreparedRequest
    started_at: datetime
    began: float
    """A reading of the monotonic clock at that moment."""
    entry: OpenEntry | None = None
    """`None` until the callout itself leaves."""
    answer: requests.Response | None = None
    history: list[requests.Response] = field(default_factory=list)
    timing: egress.Timing = field(default_factory=egress.Timing)


def perform(callout: Callout) -> requests.Response:
    """Make the callout and return the answer, whatever its status.

    Raises errors of `callouts.errors` and, when the credential cannot be used, of `credentials.errors`.
    """
    with correlation.bind(correlation.current_or_new()), _readable_again(callout) as callout:
        if callout.retry is None:
            return _attempted(callout, attempt=None, seconds=None)
        return _tried_again(callout, callout.retry)


@contextmanager
def _readable_again(callout: Callout) -> Iterator[Callout]:
    """Give the callout with a body that can be sent more than once: what must be read is read now."""
    if not is_readable(callout.data):
        yield callout
        return
    body = requesting.spooled(callout.data, max_body_bytes=_max_body_bytes())
    try:
        yield replace(callout, data=body)
    finally:
        if isinstance(body, SpooledBody) and body is not callout.data:
            body.close()


def _tried_again(callout: Callout, policy: RetryPolicy) -> requests.Response:
    """Return the first answer that is not worth another attempt, or the last one that there is time for."""
    deadline = egress.Deadline.within(check_timeout(callout.timeout))
    for attempt in itertools.count(1):
        answer, error = None, None
        try:
            answer = _attempted(callout, attempt=attempt, seconds=deadline.remaining())
        except (CalloutError, CredentialError) as raised:
            error = raised
        verdict = policy.decide(
            status=answer.status_code if answer is not None else None,
            headers=answer.headers if answer is not None else None,
            error=error,
            is_repeatable=callout.is_repeatable,
            attempts=attempt,
            now=clock.now(),
        )
        ends = clock.monotonic_seconds() + verdict.after_seconds >= deadline.ends_at
        if verdict.next != Next.AGAIN or ends:
            if error is not None:
                raise error
            break
        if answer is not None:
            answer.close()
        threading.Event().wait(verdict.after_seconds)
    assert answer is not None  # noqa: S101 - the loop ends with one, or raises
    return answer


def _attempted(callout: Callout, *, attempt: int | None, seconds: float | None) -> requests.Response:
    with ExitStack() as stack:
        with _refusals_logged(callout, attempt):
            uncommitted_work.refuse_if_pending()
            # From here on whatever is written (the automated process's user, tokens, the log) is the platform's own.
            stack.enter_context(uncommitted_work.bookkeeping())
            departure = _departure(callout, attempt)
            seconds_left = stack.enter_context(limits.spend())
        longest = min(departure.seconds, seconds_left, seconds or departure.seconds)
        return _sent(departure, egress.Deadline.within(longest))


def _departure(callout: Callout, attempt: int | None) -> _Departure:
    url = requesting.filled(callout.url, callout.path)
    name, rest = requesting.parse_callout_url(url)
    seconds = check_timeout(callout.timeout)
    user = running_user(callout.user) or recent_resolutions.automated_process()
    credential = resolve(name, user)
    max_body_bytes = _max_body_bytes()
    request = requesting.prepare(
        callout.method.upper(),
        credential.url_for(rest),
        params=callout.params,
        json=callout.json,
        data=callout.data,
        files=callout.files,
        headers=callout.headers,
        idempotency_key=callout.idempotency_key,
        max_body_bytes=max_body_bytes,
    )
    route = egress.Route(
        named_credential=name,
        callout_url=_with_query(url, request),
        allow_internal_addresses=credential.allow_internal_addresses,
        max_body_bytes=max_body_bytes,
        client_certificate=_client_certificate(credential),
        ca_bundle=credential.ca_bundle,
        is_streamed=callout.stream,
    )
    return _Departure(
        request=request,
        route=route,
        new_flow=credential.authentication,
        about=_about(callout, named_credential=name, principal=credential.principal_name, user=user, attempt=attempt),
        seconds=seconds,
        origin=credential.origin,
        masked_names=credential.masked_names,
        # Last, for a trial that is let through must be made.
        destination=destinations.admit(name),
        queued=callout.queued,
    )


def _sent(departure: _Departure, deadline: egress.Deadline) -> requests.Response:
    trace = _Trace(request=departure.request, started_at=clock.now(), began=clock.monotonic_seconds())
    try:
        answer = _followed(departure, deadline, trace)
    except BaseException as raised:
        _complete(departure, trace, None, raised)
        raise
    reading = answer.raw
    if isinstance(reading, egress.StreamedAnswer):
        # The entry says how it ended when the last piece was read.
        reading.on_end = lambda read, error: _complete(departure, trace, read, error)
    else:
        _complete(departure, trace, None, None)
    return answer


def _complete(departure: _Departure, trace: _Trace, streamed: Described | None, error: BaseException | None) -> None:
    answer, queued = trace.answer, departure.queued
    if streamed is None and answer is not None and isinstance(answer.raw, egress.StreamedAnswer):
        streamed = Described(beginning=b"", size=0, sha256="")
    exchanged = Exchanged.of(trace.request, answer, masked_names=departure.masked_names, streamed=streamed)

    def settle(entry_id: uuid.UUID) -> None:
        if queued is not None:
            queued.settle(entry_id, answer, error)

    if trace.entry is None:
        assert error is not None  # noqa: S101 - without one it would have left
        integration_log.record_unsent(
            exchanged,
            departure.about,
            error=error,
            started_at=trace.started_at,
            began=trace.began,
            settle=settle if queued is not None else None,
        )
    else:
        plain = queued.plain_end(answer, error) if queued is not None else None
        touched = integration_log.complete(
            trace.entry,
            exchanged,
            outcome=integration_log.outcome_of(exchanged.status_code, error),
            error=error,
            timing=trace.timing,
            settle=settle if queued is not None and plain is None else None,
            along_with=plain.change if plain is not None else None,
        )
        if plain is not None:
            plain.made(trace.entry.id, bool(touched))
    with suppress(DatabaseError):
        destinations.note(
            departure.about.named_credential, departure.destination, status=exchanged.status_code, error=error
        )


def _refuse_expired(queued: QueuedAttempt | None) -> None:
    # The time of the process may have stood still: then another worker has taken the callout over.
    if queued is not None and clock.now() >= queued.expires_at:
        raise LeaseExpired


def _followed(departure: _Departure, deadline: egress.Deadline, trace: _Trace) -> requests.Response:
    """Return the answer at the end of the redirects."""
    request = departure.request
    while True:
        answer = _signed_and_sent(departure, request, deadline, trace)
        follow_up = redirects.next_request(request, answer, within=departure.origin)
        if follow_up is None:
            answer.history = list(trace.history)
            return answer
        answer.close()
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
        if trace.answer is not None:
            trace.answer.close()
        trace.request, trace.answer = outgoing, None
        trace.timing = egress.Timing()
        sender = egress.sender()
        _refuse_expired(departure.queued)
        if trace.entry is None:
            # What is queued leaves only when the database has it on its disk; for others it may be on the way there.
            meanwhile = departure.queued is None and isinstance(sender, egress.EgressGate)
            trace.entry = integration_log.begin(
                Exchanged.of(outgoing, None, masked_names=departure.masked_names),
                departure.about,
                started_at=trace.started_at,
                began=trace.began,
                meanwhile=meanwhile,
            )
        try:
            trace.answer = sender.send(outgoing, route=departure.route, deadline=deadline, timing=trace.timing)
        finally:
            trace.entry.arrive()
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
def _refusals_logged(callout: Callout, attempt: int | None) -> Iterator[None]:
    try:
        yield
    except IsthmusError as error:
        name = callout.url.removeprefix("callout:").split("/", 1)[0].split("?", 1)[0]
        with transaction.atomic() if callout.queued is not None else nullcontext():
            entry_id = integration_log.record_refusal(
                Exchanged(method=callout.method, url=callout.url),
                _about(callout, named_credential=name, user=callout.user, attempt=attempt),
                error=error,
            )
            if callout.queued is not None:
                callout.queued.settle(entry_id, None, error)
        raise


def _about(
    callout: Callout, *, named_credential: str, user: AbstractUser | None, attempt: int | None, principal: str = ""
) -> About:
    job = current_job_or_none()
    queued = callout.queued
    return About(
        operation=callout.operation,
        job_id=job.id if job else None,
        queued_callout_id=queued.id if queued else None,
        attempt=attempt or (queued.attempt if queued else job.attempt if job else 1),
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


def check_timeout(timeout: float | None) -> float:
    """Return a callout's time limit in seconds, `None` meaning the default. Raises `InvalidCallout`."""
    if timeout is None:
        return options.timeout_seconds
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not timeout > 0:
        raise InvalidCallout("A callout's timeout is a number of seconds above 0.")
    if timeout > options.max_timeout_seconds:
        raise InvalidCallout(f"A callout's timeout is at most {options.max_timeout_seconds:g} s.")
    return float(timeout)


def running_user(given: AbstractUser | None) -> AbstractUser | None:
    """Return whose permissions count: who is given, acts here, or has the job; `None` for the automated process."""
    return given or acting_user() or _user_of_job()


def _max_body_bytes() -> int:
    is_in_background = current_job_or_none() is not None or limits.is_in_background()
    return options.max_body_bytes_in_jobs if is_in_background else options.max_body_bytes


def _user_of_job() -> AbstractUser | None:
    job = current_job_or_none()
    if job is None or job.user_id is None:
        return None
    return get_user_model().objects.get(pk=job.user_id)
