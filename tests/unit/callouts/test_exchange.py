"""The writing of requests and the strict reading of answers' heads and compressed bodies."""

import gzip
import http.client
import socket
import zlib

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from callouts.egress.decoding import decoder_for
from callouts.egress.exchange import AnswerHead, write_request
from callouts.errors import InvalidCallout


def read(raw, method="GET"):
    """Return the head and the whole body of an answer that comes in these bytes and ends."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(raw)
        theirs.shutdown(socket.SHUT_WR)
        head = AnswerHead(ours, method=method)
        try:
            head.begin()
            return head, head.read()
        finally:
            head.close()


def written(**arguments):
    proxy = arguments.pop("proxy_headers", None)
    request = requests.Request(**{"method": "POST", "url": "http://bank.example/a?b=c", **arguments}).prepare()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        write_request(ours, request, proxy_headers=proxy)
        ours.shutdown(socket.SHUT_WR)
        raw = b""
        while piece := theirs.recv(65_536):
            raw += piece
        return raw


@pytest.mark.parametrize(
    ("url", "line", "host"),
    [
        ("http://bank.example/a?b=c", b"POST /a?b=c HTTP/1.1", b"bank.example"),
        ("http://bank.example:80/", b"POST / HTTP/1.1", b"bank.example"),
        ("http://bank.example:8080", b"POST / HTTP/1.1", b"bank.example:8080"),
        ("https://bank.example:443/", b"POST / HTTP/1.1", b"bank.example"),
        ("http://[::1]:8080/x", b"POST /x HTTP/1.1", b"[::1]:8080"),
        ("http://user:pw@bank.example/", b"POST / HTTP/1.1", b"bank.example"),
    ],
)
def test_the_first_lines(url, line, host):
    first, second, *_ = written(url=url).split(b"\r\n")
    assert (first, second) == (line, b"Host: " + host)


def test_a_request_in_one_piece():
    raw = written(data=b"body", headers={"X-A": "1"})
    head, _, body = raw.partition(b"\r\n\r\n")
    assert body == b"body"
    assert b"\r\nX-A: 1" in head
    assert b"\r\nContent-Length: 4" in head


def test_a_proxy_is_asked_for_the_whole_address():
    raw = written(proxy_headers={"Proxy-Authorization": "Basic x"})
    assert raw.startswith(b"POST http://bank.example/a?b=c HTTP/1.1\r\nHost: bank.example\r\n")
    assert b"\r\nProxy-Authorization: Basic x\r\n" in raw


def test_what_could_begin_another_line_is_not_sent():
    request = requests.Request("GET", "http://bank.example/").prepare()
    request.headers["X-A"] = "1\r\nX-B: 2"
    ours, theirs = socket.socketpair()
    with ours, theirs:
        with pytest.raises(InvalidCallout):
            write_request(ours, request)
        request.headers.clear()
        request.url = "http://bank.example/a b"
        with pytest.raises(InvalidCallout):
            write_request(ours, request)
        ours.shutdown(socket.SHUT_WR)
        assert theirs.recv(100) == b""


def test_an_answer_by_length_by_chunks_and_by_the_end():
    head, body = read(b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\nX-A: 1\r\nx-a: 2\r\n\r\nokmore")
    assert (head.status, head.reason, body, head.fields["X-A"], head.will_close) == (
        201,
        "Created",
        b"ok",
        "1, 2",
        False,
    )
    head, body = read(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nTrailer: x\r\n\r\n")
    assert (body, head.will_close) == (b"ok", False)
    head, body = read(b"HTTP/1.0 200\r\n\r\nuntil the end")
    assert (body, head.will_close) == (b"until the end", True)


@pytest.mark.parametrize(
    ("raw", "method", "closes"),
    [
        (b"HTTP/1.1 204 No\r\n\r\n", "GET", False),
        (b"HTTP/1.1 304 No\r\nContent-Length: 10\r\n\r\n", "GET", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", "HEAD", False),
        (b"HTTP/1.1 204 No\r\nConnection: close\r\n\r\n", "GET", True),
        (b"HTTP/1.0 204 No\r\nConnection: keep-alive\r\n\r\n", "GET", False),
        (b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 204 No\r\n\r\n", "GET", False),
    ],
)
def test_answers_without_a_body(raw, method, closes):
    head, body = read(raw, method)
    assert (body, head.will_close) == (b"", closes)


def test_two_ways_of_framing_end_the_connection():
    head, body = read(
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    )
    assert (body, head.will_close) == (b"ok", True)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"220 mail.example\r\n\r\n",
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nX-A: 1\rSet-Cookie: b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n folded: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX A: 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-A : 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-A: \x00\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X-A: 1\r\n" * 300 + b"\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 20,
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_what_is_no_answer_is_an_error(raw):
    with pytest.raises((http.client.HTTPException, ConnectionError)):
        read(raw)


@given(st.binary(max_size=300))
def test_any_bytes_are_an_answer_or_an_error(raw):
    try:
        head, body = read(b"HTTP/1.1 200 OK\r\n" + raw)
    except (http.client.HTTPException, ConnectionError):
        return
    assert head.status == 200
    assert isinstance(body, bytes)


def opened(coding, data, size=7):
    decoder = decoder_for(coding)
    pieces = [piece for at in range(0, len(data), size) for piece in decoder.feed(data[at : at + size])]
    decoder.end()
    return b"".join(pieces)


@given(st.binary(max_size=2_000), st.binary(max_size=200), st.integers(1, 300))
def test_compressed_bodies(content, more, size):
    raw = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    assert opened("gzip", gzip.compress(content) + gzip.compress(more), size) == content + more
    assert opened("deflate", zlib.compress(content), size) == content
    assert opened("deflate", raw.compress(content) + raw.flush(), size) == content


def test_a_bomb_comes_in_small_pieces():
    decoder = decoder_for("gzip")
    bomb = gzip.compress(b"\0" * 10_000_000)
    assert max(len(piece) for piece in decoder.feed(bomb)) <= 65_536


@pytest.mark.parametrize("data", [gzip.compress(b"x" * 100, mtime=0)[:-4], gzip.compress(b"x", mtime=0)[:12]])
def test_what_is_cut_short_is_an_error(data):
    with pytest.raises(http.client.HTTPException):
        opened("gzip", data)


def test_other_codings_are_left_alone():
    assert decoder_for("br") is None
    assert decoder_for("") is None
