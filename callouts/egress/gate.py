"""The gate: a prepared request goes out, a whole answer or a named error comes back."""

import hashlib
import http.client
import io
import os
import ssl
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol
from urllib.parse import urlsplit

import requests
import urllib3.exceptions
from requests.utils import get_encoding_from_headers
from urllib3.connection import HTTPSConnection

from callouts.conf import options
from callouts.egress import addresses
from callouts.egress.client_certificates import ClientCertificate
from callouts.egress.exchange import AnswerHead, write_request
from callouts.egress.passage import Deadline, Passage, Timing, current_passage
from callouts.egress.proxies import Proxy, proxy_for
from callouts.egress.resolver import Resolver, SystemResolver
from callouts.egress.sockets import Connection, KeptConnections, private_tls_context, tls_context
from callouts.egress.streams import StreamedAnswer
from callouts.errors import (
    AnswerTimedOut,
    CalloutError,
    ConnectFailed,
    ConnectionLost,
    EgressRefused,
    InvalidCallout,
    ResponseBroken,
    TlsFailed,
)
from isthmus import clock

__all__ = ["EgressGate", "Route", "Sender", "sender", "use"]

_SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
_POOLS_AT_MOST = 256


@dataclass(frozen=True, kw_only=True)
class Route:
    """On whose behalf, and how, a request goes out."""

    named_credential: str
    callout_url: str = ""
    """What user code asked for (`callout:Name/path?query`); "" for what an authentication protocol asks (tokens)."""
    allow_internal_addresses: bool = False
    max_body_bytes: int
    """Largest answer that is read, after decompression."""
    client_certificate: ClientCertificate | None = None
    """What is shown to the other side in mutual TLS."""
    ca_bundle: str = ""
    """The certificate authorities to trust, as PEM; "" for those of the options."""
    is_streamed: bool = False
    """Whether the answer's body is left to be read piece by piece."""


class Sender(Protocol):
    """What carries requests out: the gate, or its substitute in tests."""

    def send(
        self, request: requests.PreparedRequest, *, route: Route, deadline: Deadline, timing: Timing | None = None
    ) -> requests.Response:
        """Return the whole answer; redirects are answers. Raises an error of `callouts.errors`, nothing else.

        `timing` is filled in as far as the request gets.
        """


PoolKey = tuple[str, bool, str, str, int, str, str, Proxy | None]


class EgressGate:
    """The sender that opens sockets. Connections are kept per named credential and origin."""

    def __init__(self, resolver: Resolver | None = None) -> None:
        self._resolver = resolver or SystemResolver()
        self._lock = threading.Lock()
        self._pools: OrderedDict[PoolKey, KeptConnections] = OrderedDict()
        # A child process must not speak on its parent's connections.
        os.register_at_fork(after_in_child=self._begin_anew)

    def send(
        self, request: requests.PreparedRequest, *, route: Route, deadline: Deadline, timing: Timing | None = None
    ) -> requests.Response:
        passage = self._passage(route, deadline, timing)
        try:
            return self._sent(request, route, passage)
        except CalloutError:
            if not _may_go_again(request, passage):
                raise
        # The other side had closed a connection that was kept for it; on a new one there is nothing to repeat.
        self._forget(request, route)
        return self._sent(request, route, self._passage(route, deadline, timing))

    def close(self) -> None:
        """Close every kept connection."""
        with self._lock:
            pools, self._pools = list(self._pools.values()), OrderedDict()
        for pool in pools:
            pool.close()

    def _begin_anew(self) -> None:
        self._lock = threading.Lock()
        self._pools = OrderedDict()

    def _passage(self, route: Route, deadline: Deadline, timing: Timing | None) -> Passage:
        return Passage(
            deadline=deadline,
            resolver=self._resolver,
            allow_internal_addresses=route.allow_internal_addresses,
            timing=timing or Timing(),
        )

    def _sent(self, request: requests.PreparedRequest, route: Route, passage: Passage) -> requests.Response:
        token = current_passage.set(passage)
        began = clock.monotonic_seconds()
        connection: Connection | None = None
        head: AnswerHead | None = None
        try:
            passage.deadline.remaining()
            pool, key = self._pool(request, route)
            connection = pool.lend(passage)
            head = _exchanged(connection, request, key[-1])
            reading = StreamedAnswer(head, connection, pool, passage, at_most_bytes=route.max_body_bytes)
            content = None if route.is_streamed else reading.whole()
        except (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError) as error:
            _closed(connection, head)
            raise _translated(error, request, passage) from _without_frames(error)
        except CalloutError as error:
            _closed(connection, head)
            _without_frames(error)
            raise
        except BaseException:
            _closed(connection, head)
            raise
        finally:
            current_passage.reset(token)
        answer = _as_answer(request, head, clock.monotonic_seconds() - began)
        if content is None:
            reading.translate = lambda error: _translated(error, request, passage)
            answer.raw = reading
        else:
            answer.raw = io.BytesIO(content)
            # What `content` would read from there, read already.
            answer._content = content  # noqa: SLF001
            answer._content_consumed = True  # type: ignore[attr-defined]  # noqa: SLF001
        return answer

    def _pool(self, request: requests.PreparedRequest, route: Route) -> tuple[KeptConnections, PoolKey]:
        key = _pool_key(request, route)
        with self._lock:
            pool = self._pools.pop(key, None) or _new_pool(key, route)
            self._pools[key] = pool
            left_out = self._pools.popitem(last=False)[1] if len(self._pools) > _POOLS_AT_MOST else None
        if left_out is not None:
            left_out.close()
        return pool, key

    def _forget(self, request: requests.PreparedRequest, route: Route) -> None:
        with self._lock:
            pool = self._pools.pop(_pool_key(request, route), None)
        if pool is not None:
            pool.close()


def _exchanged(connection: Connection, request: requests.PreparedRequest, proxy: Proxy | None) -> AnswerHead:
    """Send the request and return its answer, of which the head was read."""
    if connection.sock is None:
        connection.connect()
    sock = connection.sock
    is_plain_proxy = proxy is not None and not isinstance(connection, HTTPSConnection)
    # A system may answer before it has read everything, and hang up: what it said counts.
    with suppress(BrokenPipeError):
        write_request(sock, request, proxy_headers=proxy.headers() if proxy and is_plain_proxy else None)
    head = AnswerHead(sock, method=request.method)
    try:
        head.begin()
    except BaseException:
        head.close()
        raise
    return head


def _closed(connection: Connection | None, head: AnswerHead | None) -> None:
    if head is not None:
        head.close()
    if connection is not None:
        # Closing one that is broken already may fail again.
        with suppress(OSError):
            connection.close()


def _pool_key(request: requests.PreparedRequest, route: Route) -> PoolKey:
    scheme, host, port = _destination(request.url or "")
    # A replaced certificate or list of authorities has another identity, and so new connections.
    trust = hashlib.sha256(route.ca_bundle.encode()).hexdigest() if route.ca_bundle else options.ca_bundle
    shown = route.client_certificate.fingerprint if route.client_certificate else ""
    proxy = proxy_for(host, is_internal=route.allow_internal_addresses)
    return (route.named_credential, route.allow_internal_addresses, scheme, host, port, trust, shown, proxy)


def _destination(url: str) -> tuple[str, str, int]:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise InvalidCallout(f"A callout goes to an http or https address, not to {parts.scheme or 'none'}.")
    return parts.scheme, parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)


def _new_pool(key: PoolKey, route: Route) -> KeptConnections:
    _, _, scheme, host, port, _, _, proxy = key
    if proxy is not None:
        _refuse_literal_address(host)
    if scheme == "http":
        return KeptConnections(host, port, proxy=proxy)
    if route.client_certificate is None and not route.ca_bundle:
        context = tls_context(options.ca_bundle)
    else:
        context = private_tls_context(route.ca_bundle, options.ca_bundle, route.client_certificate)
    return KeptConnections(host, port, context=context, proxy=proxy)


def _refuse_literal_address(host: str) -> None:
    """Names behind a proxy are the proxy's to look up; an address that is written out is vetted here as ever."""
    try:
        reason = addresses.refusal(host.strip("[]"), allow_internal=False)
    except ValueError:
        return
    if reason:
        raise EgressRefused(f"{host} is {reason}.")


def _may_go_again(request: requests.PreparedRequest, passage: Passage) -> bool:
    if not passage.used_kept_connection or passage.was_answered or passage.deadline.is_over():
        return False
    return not passage.was_sent or request.method in _SAFE_METHODS


def _as_answer(request: requests.PreparedRequest, head: AnswerHead, seconds: float) -> requests.Response:
    answer = requests.Response()
    answer.status_code = head.status
    answer.reason = head.reason
    answer.headers = head.fields
    answer.encoding = get_encoding_from_headers(head.fields)
    answer.url = request.url or ""
    answer.request = request
    answer.elapsed = timedelta(seconds=seconds)
    return answer


def _translated(error: Exception, request: requests.PreparedRequest, passage: Passage) -> CalloutError:
    host = urlsplit(request.url or "").netloc.rpartition("@")[2]
    causes = list(_causes(error))
    is_late = passage.deadline.is_over() or any(isinstance(cause, TimeoutError) for cause in causes)
    if not passage.was_sent:
        return _translated_unsent(host, causes, is_late=is_late)
    if is_late:
        return AnswerTimedOut(f"{host} gave no complete answer within {passage.deadline.seconds:g} s.")
    if passage.was_answered:
        return ResponseBroken(f"The answer of {host} is cut short or is not HTTP.")
    return ConnectionLost(f"{host} ended the connection before it answered.")


def _translated_unsent(host: str, causes: list[BaseException], *, is_late: bool) -> CalloutError:
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return TlsFailed(f"{host} could not prove who it is ({cause.verify_message}); nothing was sent.")
    if any(isinstance(cause, ssl.SSLError) and not isinstance(cause, TimeoutError) for cause in causes):
        return TlsFailed(f"No TLS with {host}; nothing was sent.")
    if is_late:
        return ConnectFailed(f"No connection to {host} in time; nothing was sent.")
    return ConnectFailed(f"The connection to {host} ended before anything was sent.")


def _without_frames(error: BaseException) -> BaseException:
    """Return the error without its frames: below this line they hold the signed headers, and reports show variables."""
    for cause in _causes(error):
        cause.__traceback__ = None
    return error


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and every error in it: urllib3 and http.client carry them in arguments as well as in chains."""
    waiting, seen = [error], set()
    while waiting:
        cause = waiting.pop()
        if id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        inner = (*cause.args, cause.__cause__, cause.__context__)
        waiting.extend(found for found in inner if isinstance(found, BaseException))


_sender: Sender = EgressGate()


def sender() -> Sender:
    """Return what carries requests out."""
    return _sender


@contextmanager
def use(substitute: Sender) -> Iterator[Sender]:
    """Let `substitute` carry all requests of this process while the block runs (for tests)."""
    global _sender
    before, _sender = _sender, substitute
    try:
        yield substitute
    finally:
        _sender = before
