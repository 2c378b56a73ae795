"""An outside system that misbehaves on request, over real sockets.

    with FaultServer() as server:
        server.url("/json")          # http://127.0.0.1:<port>/json

Each path is one fault. `server.requests` holds what arrived, whole requests only, in order.
"""

import gzip
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import parse_qs, urlsplit

__all__ = ["Arrived", "FaultServer"]

BOMB = gzip.compress(b"\0" * (64 * 1024 * 1024), 9)


@dataclass(frozen=True)
class Arrived:
    """One request as it arrived."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int = 0

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(urlsplit(self.target).query).items()}


@dataclass
class Answer:
    """What a handler answers in the ordinary way."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


class FaultServer:
    """Listens on a free port of 127.0.0.1, one thread a connection, until the block ends."""

    def __init__(self, *, certificate: ssl.SSLContext | None = None) -> None:
        self.requests: list[Arrived] = []
        self.connections = 0
        self.is_over = threading.Event()
        self.arrived = threading.Condition()
        self._certificate = certificate
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.port: int = self._listener.getsockname()[1]
        self.faults: dict[str, Callable[[socket.socket, Arrived], bool | None]] = {
            "/hang": self._hang,
            "/hang-after-headers": self._hang_after_headers,
            "/drip": self._drip,
            "/drip-headers": self._drip_headers,
            "/half": self._half,
            "/long-length": self._long_length,
            "/short-length": self._short_length,
            "/reset-after-request": self._reset,
            "/close-after-request": self._close,
            "/garbage": self._garbage,
            "/broken-chunks": self._broken_chunks,
            "/bomb": self._bomb,
            "/endless": self._endless,
            "/broken-gzip": self._broken_gzip,
            "/close-when-kept": self._close_when_kept,
            "/continue": self._continue,
            "/continues": self._continues,
            "/ten-gigabytes": self._ten_gigabytes,
            "/ten-gigabytes-in-chunks": self._ten_gigabytes_in_chunks,
            "/many-headers": self._many_headers,
            "/long-header": self._long_header,
            "/split-header": self._split_header,
            "/negative-length": self._negative_length,
            "/two-lengths": self._two_lengths,
        }
        self.answers: dict[str, Callable[[Arrived], Answer]] = {
            "/json": lambda _: Answer(200, b'{"ok": true}', {"Content-Type": "application/json"}),
            "/error": lambda _: Answer(500, b'{"error": "boom"}', {"Content-Type": "application/json"}),
            "/unavailable": lambda _: Answer(503, b"later"),
            "/not-found": lambda _: Answer(404, b"nothing here"),
            "/html": lambda _: Answer(200, b"<html><body>Hello</body></html>", {"Content-Type": "text/html"}),
            "/cookies": lambda _: Answer(200, b"set", {"Set-Cookie": "a=" + "x" * 8_000}),
            "/unknown-encoding": lambda _: Answer(200, b"\x00\x01\x02", {"Content-Encoding": "x-nonsense"}),
            "/garbage-charset": lambda _: Answer(200, b"\xff\xfe\xfd", {"Content-Type": "text/plain; charset=x-no"}),
            "/cookie": lambda _: Answer(200, b"set", {"Set-Cookie": "session=planted; Path=/"}),
            "/loop": lambda _: Answer(302, b"", {"Location": "/loop"}),
            "/away": lambda _: Answer(302, b"", {"Location": "http://elsewhere.example/stolen"}),
            "/to-file": lambda _: Answer(302, b"", {"Location": "file:///etc/passwd"}),
            "/back-home": lambda _: Answer(302, b"", {"Location": "/json"}),
            "/see-other": lambda _: Answer(303, b"", {"Location": "/json"}),
            "/again": lambda _: Answer(307, b"", {"Location": "/echo"}),
            "/moved": lambda _: Answer(301, b"", {"Location": "/json"}),
            "/unauthorized": lambda _: Answer(401, b"who?"),
            "/echo": lambda arrived: Answer(200, arrived.body, {"Content-Type": "application/octet-stream"}),
            "/large": lambda arrived: Answer(200, b"x" * int(arrived.query["size"]), {"Content-Type": "text/plain"}),
            "/nothing": lambda _: Answer(204),
        }

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.is_over.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def url(self, target: str = "") -> str:
        """Return the address of `target` here."""
        return f"{'https' if self._certificate else 'http'}://127.0.0.1:{self.port}{target}"

    def wait_for(self, count: int, seconds: float = 10) -> list[Arrived]:
        """Return what arrived once `count` requests have; fails when they have not in time."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.requests) >= count, seconds), self.requests
            return list(self.requests)

    def _accept(self) -> None:
        while not self.is_over.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            threading.Thread(target=self._serve, args=(connection, self.connections), daemon=True).start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        with suppress(OSError, ValueError):
            if self._certificate is not None:
                connection = self._certificate.wrap_socket(connection, server_side=True)
                self._open.append(connection)
            stream = connection.makefile("rb")
            while (arrived := self._read(stream, number)) is not None:
                with self.arrived:
                    self.requests.append(arrived)
                    self.arrived.notify_all()
                if arrived.path in self.faults:
                    if not self.faults[arrived.path](connection, arrived):
                        break
                else:
                    self._answer(connection, arrived)
            stream.close()
        connection.close()

    @staticmethod
    def _read(stream, number) -> Arrived | None:
        first = stream.readline().decode("latin-1").split()
        if len(first) != 3:
            return None
        headers = {}
        while line := stream.readline().decode("latin-1").strip():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        body = stream.read(int(headers.get("content-length", 0)))
        return Arrived(first[0], first[1], headers, body, number)

    def _answer(self, connection: socket.socket, arrived: Arrived) -> None:
        make = self.answers.get(arrived.path, lambda _: Answer(404, b"no such path"))
        answer = make(arrived)
        lines = [f"HTTP/1.1 {answer.status} Because", f"Content-Length: {len(answer.body)}"]
        lines += [f"{name}: {value}" for name, value in answer.headers.items()]
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        connection.sendall(head if arrived.method == "HEAD" else head + answer.body)

    # --- faults: each returns whether the connection goes on -----------------------------------------------------
    def _hang(self, connection, arrived):
        self.is_over.wait(60)

    def _hang_after_headers(self, connection, arrived):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
        self.is_over.wait(60)

    def _drip(self, connection, arrived):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while not self.is_over.wait(0.1):
            connection.sendall(b"x")

    def _drip_headers(self, connection, arrived):
        connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        while not self.is_over.wait(0.1):
            connection.sendall(b"x")

    def _half(self, connection, arrived):
        connection.sendall(b'HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n{"id": ')

    def _long_length(self, connection, arrived):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\nConnection: close\r\n\r\nshort")

    def _short_length(self, connection, arrived):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nshort and more that nobody announced")
        return True

    def _reset(self, connection, arrived):
        # Lingering for no time sends a reset in place of an orderly end.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def _close(self, connection, arrived):
        pass

    def _garbage(self, connection, arrived):
        connection.sendall(b"220 mail.example ESMTP ready\r\n")

    def _broken_chunks(self, connection, arrived):
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nnonsense\r\n")

    def _bomb(self, connection, arrived):
        connection.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(BOMB) + BOMB
        )

    def _endless(self, connection, arrived):
        connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        while not self.is_over.is_set():
            connection.sendall(b"x" * 65536)

    def _broken_gzip(self, connection, arrived):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope")

    def _close_when_kept(self, connection, arrived):
        """Answer the first request of a connection, and end the connection when a second one has come."""
        if [one.connection for one in self.requests].count(arrived.connection) > 1:
            return False
        self._answer_with(connection, b"first")
        return True

    def _continue(self, connection, arrived):
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 3)
        self._answer_with(connection, b"at last")
        return True

    def _continues(self, connection, arrived):
        while not self.is_over.wait(0.01):
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _ten_gigabytes(self, connection, arrived):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10737418240\r\n\r\n")
        self._pour(connection, b"x" * 65_536)

    def _ten_gigabytes_in_chunks(self, connection, arrived):
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        self._pour(connection, b"10000\r\n" + b"x" * 65_536 + b"\r\n")

    def _pour(self, connection, piece):
        for _ in range(10 * 1024 * 16):
            if self.is_over.is_set():
                break
            connection.sendall(piece)

    def _many_headers(self, connection, arrived):
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + b"X-More: 1\r\n" * 100_000 + b"\r\n")

    def _long_header(self, connection, arrived):
        connection.sendall(b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 1_000_000 + b"\r\n\r\n")

    def _split_header(self, connection, arrived):
        connection.sendall(b"HTTP/1.1 200 OK\r\nX-A: 1\rSet-Cookie: planted=1\r\nContent-Length: 2\r\n\r\nok")

    def _negative_length(self, connection, arrived):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\nConnection: close\r\n\r\nshort")

    def _two_lengths(self, connection, arrived):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 5\r\n\r\nshort")

    def _answer_with(self, connection, body):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
