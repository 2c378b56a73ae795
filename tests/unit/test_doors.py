"""A request's body as a door keeps it."""

import asyncio
from io import BytesIO

import pytest
from django.core.exceptions import RequestAborted

from isthmus.doors import keep_body


class Caller:
    """Hands on one message after another, and counts them."""

    def __init__(self, *messages):
        self.messages = list(messages)

    async def receive(self):
        return self.messages.pop(0)


def body(*pieces):
    return [
        {"type": "http.request", "body": piece, "more_body": n < len(pieces)} for n, piece in enumerate(pieces, start=1)
    ]


def kept(caller, *, most, more=None):
    asked, into = [], BytesIO()

    async def ask():
        asked.append(more)
        return more

    is_whole = asyncio.run(keep_body(caller.receive, into, most=most, ask_for_more=ask if more is not None else None))
    assert not caller.messages
    return is_whole, into.getvalue(), len(asked)


def test_all_of_it_is_kept():
    assert kept(Caller(*body(b"ab", b"", b"c")), most=3) == (True, b"abc", 0)


def test_no_more_is_kept_than_may_be_and_the_rest_is_heard():
    assert kept(Caller(*body(b"ab", b"cd", b"e" * 100)), most=3) == (False, b"ab", 0)


@pytest.mark.parametrize(("more", "expected"), [(8, (True, b"abcdefgh", 1)), (5, (False, b"abcd", 1))])
def test_how_much_more_may_be_kept_is_asked_once(more, expected):
    assert kept(Caller(*body(b"ab", b"cd", b"ef", b"gh")), most=3, more=more) == expected


def test_half_a_request_is_none():
    caller = Caller({"type": "http.request", "body": b"ab", "more_body": True}, {"type": "http.disconnect"})
    with pytest.raises(RequestAborted):
        kept(caller, most=3)
