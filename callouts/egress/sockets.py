"""Sockets that keep the deadline at every single operation, and connections that only go to addresses that were vetted.

A time limit per read, as urllib3 has it, is none: a server that gives one byte a second is never late. Here each wait
gets what is left of the whole.
"""

import socket
import ssl
import threading
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import certifi
from urllib3.connection import HTTPConnection, HTTPSConnection

from callouts.conf import options
from callouts.egress import addresses
from callouts.egress.client_certificates import ClientCertificate
from callouts.egress.passage import Passage, current_passage, milliseconds_since
from callouts.egress.proxies import Proxy
from callouts.errors import ConnectFailed, EgressRefused, TlsFailed
from isthmus import clock

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

__all__ = ["Connection", "KeptConnections", "private_tls_context", "tls_context"]

_IDLE_AT_MOST = 32


def _wait_at_most(sock: socket.socket) -> Passage | None:
    passage = current_passage.get()
    if passage is not None:
        sock.settimeout(passage.deadline.remaining())
    return passage


class _PlainSocket(socket.socket):
    def recv_into(self, buffer: "WriteableBuffer", nbytes: int = 0, flags: int = 0) -> int:
        passage = _wait_at_most(self)
        count = super().recv_into(buffer, nbytes, flags)
        if passage is not None and count:
            passage.note_answered()
        return count

    def send(self, data: "ReadableBuffer", flags: int = 0) -> int:
        passage = _wait_at_most(self)
        count = super().send(data, flags)
        if passage is not None and count:
            passage.note_sent()
        return count

    def sendall(self, data: "ReadableBuffer", flags: int = 0) -> None:
        # In steps, so that a failure tells whether anything had left before.
        with memoryview(data) as view, view.cast("B") as octets:
            done = 0
            while done < len(octets):
                done += self.send(octets[done:], flags)


class _TlsSocket(ssl.SSLSocket):
    # Its own sendall() goes through send().
    def recv_into(self, buffer: Any, nbytes: int | None = None, flags: int = 0) -> int:
        passage = _wait_at_most(self)
        count = super().recv_into(buffer, nbytes, flags)
        if passage is not None and count:
            passage.note_answered()
        return count

    def send(self, data: "ReadableBuffer", flags: int = 0) -> int:
        passage = _wait_at_most(self)
        count = super().send(data, flags)
        if passage is not None and count:
            passage.note_sent()
        return count


@lru_cache(maxsize=8)
def tls_context(ca_bundle: str) -> ssl.SSLContext:
    """Return the one way to do TLS: certificate and host name verified, TLS 1.2 or later ("" trusts certifi's list)."""
    context = ssl.create_default_context(cafile=ca_bundle or certifi.where())
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.sslsocket_class = _TlsSocket
    return context


def private_tls_context(ca_pem: str, ca_bundle: str, certificate: ClientCertificate | None) -> ssl.SSLContext:
    """Return a context that trusts the authorities in `ca_pem` ("": those of `ca_bundle`) and shows `certificate`.

    Raises `TlsFailed` when one of them cannot be read. It is made once for each pool of connections.
    """
    try:
        context = ssl.create_default_context(
            cafile=None if ca_pem else ca_bundle or certifi.where(), cadata=ca_pem or None
        )
    except (ssl.SSLError, ValueError) as error:
        raise TlsFailed("The named credential's certificate authorities cannot be read; nothing was sent.") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.sslsocket_class = _TlsSocket
    if certificate is not None:
        certificate.load_into(context)
    return context


def _connect(host: str, port: int, *, is_proxy: bool) -> socket.socket:
    """Return a connection to an address of `host`, all of whose addresses may be reached.

    The name is looked up once and the connection goes to what was vetted: a name server that changes its mind in
    between (DNS rebinding) changes nothing. Raises `EgressRefused` and `ConnectFailed`.
    """
    passage = current_passage.get()
    if passage is None:
        raise EgressRefused("A connection was asked for outside of the egress gate.")
    began = clock.monotonic_seconds()
    found = passage.resolver.resolve(host, port, seconds=passage.deadline.remaining())
    passage.timing.dns_ms = milliseconds_since(began)
    for address in found:
        # Where a proxy is, the operator has said; it is not for a credential to allow.
        reason = "" if is_proxy else addresses.refusal(address, allow_internal=passage.allow_internal_addresses)
        if reason:
            raise EgressRefused(f"{host} is {address}, {reason}.")
    return _connect_to_first(host, port, found, passage)


def _connect_to_first(host: str, port: int, found: list[str], passage: Passage) -> socket.socket:
    last: OSError | None = None
    began = clock.monotonic_seconds()
    for address in found:
        sock = _PlainSocket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.settimeout(min(options.connect_timeout_seconds, passage.deadline.remaining()))
            sock.connect((address, port))
            # The time for what follows on this socket, the TLS handshake first.
            sock.settimeout(passage.deadline.remaining())
        except OSError as error:
            sock.close()
            last = error
        else:
            passage.timing.connect_ms = milliseconds_since(began)
            return sock
    raise ConnectFailed(f"No connection to {host} port {port} ({_reason(last)}); nothing was sent.") from last


def _reason(error: OSError | None) -> str:
    if isinstance(error, TimeoutError):
        return "timed out"
    return (error and error.strerror) or type(error).__name__


class _Connection(HTTPConnection):
    idle_since = 0.0
    is_to_proxy = False

    def _new_conn(self) -> socket.socket:
        return _connect(self.host, self.port, is_proxy=self.is_to_proxy)


class _SecureConnection(HTTPSConnection):
    idle_since = 0.0
    is_to_proxy = False

    def _new_conn(self) -> socket.socket:
        return _connect(self.host, self.port, is_proxy=self.is_to_proxy)

    def connect(self) -> None:
        began = clock.monotonic_seconds()
        passage = current_passage.get()
        try:
            super().connect()
        finally:
            if passage is not None:
                before = (passage.timing.dns_ms or 0.0) + (passage.timing.connect_ms or 0.0)
                passage.timing.tls_ms = round(max(0.0, milliseconds_since(began) - before), 2)
                # What was exchanged so far was a proxy's greeting; nothing of the request has left.
                passage.was_sent = passage.was_answered = False


Connection = _Connection | _SecureConnection


class KeptConnections:
    """The connections to one origin (through one proxy): lent to one request at a time, the youngest first."""

    def __init__(
        self, host: str, port: int, *, context: ssl.SSLContext | None = None, proxy: Proxy | None = None
    ) -> None:
        self._host = host
        self._port = port
        self._context = context
        self._proxy = proxy
        self._idle: list[Connection] = []
        self._lock = threading.Lock()
        self._is_closed = False

    def lend(self, passage: Passage) -> Connection:
        """Return a kept connection, or a new one that connects when it is used."""
        longest = options.idle_connection_seconds
        while True:
            with self._lock:
                found = self._idle.pop() if self._idle else None
            if found is None:
                passage.used_kept_connection = False
                return self._new()
            # One that waited so long that the server may be leaving, or that the server has closed.
            if found.is_connected and clock.monotonic_seconds() - found.idle_since <= longest:
                passage.used_kept_connection = True
                return found
            found.close()

    def give_back(self, connection: Connection) -> None:
        """Keep a connection whose answer was read to its end."""
        connection.idle_since = clock.monotonic_seconds()
        with self._lock:
            if not self._is_closed and len(self._idle) < _IDLE_AT_MOST and not connection.is_closed:
                self._idle.append(connection)
                return
        connection.close()

    def close(self) -> None:
        """Close those that wait; those that are lent are closed when they come back."""
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _new(self) -> Connection:
        host, port = (self._proxy.host, self._proxy.port) if self._proxy else (self._host, self._port)
        made: Connection
        if self._context is None:
            made = _Connection(host, port)
        else:
            made = _SecureConnection(host, port, ssl_context=self._context)
            if self._proxy is not None:
                made.set_tunnel(self._host, self._port, headers=self._proxy.headers())
        made.is_to_proxy = self._proxy is not None
        return made
