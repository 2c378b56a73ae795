"""Sockets that keep the deadline at every single operation, and connections that only go to addresses that were vetted.

A time limit per read, as urllib3 has it, is none: a server that gives one byte a second is never late. Here each wait
gets what is left of the whole.
"""

import socket
import ssl
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import certifi
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from callouts.conf import options
from callouts.egress import addresses
from callouts.egress.client_certificates import ClientCertificate
from callouts.egress.passage import Passage, current_passage
from callouts.errors import ConnectFailed, EgressRefused, TlsFailed
from isthmus import clock

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

__all__ = ["Pool", "SecurePool", "private_tls_context", "tls_context"]


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
            passage.was_answered = True
        return count

    def send(self, data: "ReadableBuffer", flags: int = 0) -> int:
        passage = _wait_at_most(self)
        count = super().send(data, flags)
        if passage is not None and count:
            passage.was_sent = True
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
            passage.was_answered = True
        return count

    def send(self, data: "ReadableBuffer", flags: int = 0) -> int:
        passage = _wait_at_most(self)
        count = super().send(data, flags)
        if passage is not None and count:
            passage.was_sent = True
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


def _connect(host: str, port: int) -> socket.socket:
    """Return a connection to an address of `host`, all of whose addresses may be reached.

    The name is looked up once and the connection goes to what was vetted: a name server that changes its mind in
    between (DNS rebinding) changes nothing. Raises `EgressRefused` and `ConnectFailed`.
    """
    passage = current_passage.get()
    if passage is None:
        raise EgressRefused("A connection was asked for outside of the egress gate.")
    found = passage.resolver.resolve(host, port, seconds=passage.deadline.remaining())
    for address in found:
        reason = addresses.refusal(address, allow_internal=passage.allow_internal_addresses)
        if reason:
            raise EgressRefused(f"{host} is {address}, {reason}.")
    return _connect_to_first(host, port, found, passage)


def _connect_to_first(host: str, port: int, found: list[str], passage: Passage) -> socket.socket:
    last: OSError | None = None
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
            return sock
    raise ConnectFailed(f"No connection to {host} port {port} ({_reason(last)}); nothing was sent.") from last


def _reason(error: OSError | None) -> str:
    if isinstance(error, TimeoutError):
        return "timed out"
    return (error and error.strerror) or type(error).__name__


class _Connection(HTTPConnection):
    idle_since = 0.0

    def _new_conn(self) -> socket.socket:
        return _connect(self.host, self.port)


class _SecureConnection(HTTPSConnection):
    idle_since = 0.0

    def _new_conn(self) -> socket.socket:
        return _connect(self.host, self.port)


def _ready(connection: Any) -> Any:
    """Note whether a connection is a kept one; close one that waited so long that the server may be leaving."""
    if not connection.is_closed and clock.monotonic_seconds() - connection.idle_since > options.idle_connection_seconds:
        connection.close()
    passage = current_passage.get()
    if passage is not None:
        passage.used_kept_connection = not connection.is_closed
    return connection


class Pool(HTTPConnectionPool):
    """Kept connections to one origin, in the clear."""

    ConnectionCls = _Connection

    def _get_conn(self, timeout: float | None = None) -> Any:
        return _ready(super()._get_conn(timeout))

    def _put_conn(self, conn: Any) -> None:
        if conn is not None:
            conn.idle_since = clock.monotonic_seconds()
        super()._put_conn(conn)


class SecurePool(HTTPSConnectionPool):
    """Kept connections to one origin, over TLS."""

    ConnectionCls = _SecureConnection

    def _get_conn(self, timeout: float | None = None) -> Any:
        return _ready(super()._get_conn(timeout))

    def _put_conn(self, conn: Any) -> None:
        if conn is not None:
            conn.idle_since = clock.monotonic_seconds()
        super()._put_conn(conn)
