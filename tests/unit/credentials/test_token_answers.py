"""What a token endpoint may answer, and the error that each wrong answer becomes."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from requests import Response

from credentials.errors import (
    AuthenticationFailed,
    TokenAnswerBroken,
    TokenEndpointFailed,
    TokenEndpointRefused,
    TokenTypeUnsupported,
)
from credentials.protocols.token_answers import read_token_answer

CANARY = "canary-9f2c"


def answer(status=200, content=b""):
    response = Response()
    response.status_code = status
    response._content = content if isinstance(content, bytes) else json.dumps(content).encode()
    return response


@pytest.mark.parametrize(
    ("expires_in", "seconds"),
    [
        *((3600, 3600), ("3600", 3600), (3599.9, 3599), (0, 0), (10**12, 316_224_000), (-1, None), ("soon", None)),
        *((None, None), (True, None), ([], None), (float("inf"), None), (float("nan"), None)),
    ],
)
def test_a_token_and_its_lifetime_are_read(expires_in, seconds):
    read = read_token_answer(answer(content={"access_token": "t1", "token_type": "bearer", "expires_in": expires_in}))
    assert read.access_token.reveal() == "t1"
    assert read.expires_in_seconds == seconds


def test_an_answer_without_lifetime_and_type_is_taken():
    read = read_token_answer(answer(content={"access_token": "00D000000000001!AQ.x_y-z~+/="}))
    assert read.access_token.reveal() == "00D000000000001!AQ.x_y-z~+/="
    assert read.expires_in_seconds is None


@pytest.mark.parametrize(
    ("status", "content", "error", "retryable"),
    [
        (500, {"access_token": CANARY}, TokenEndpointFailed, True),
        (502, b"<html>" + CANARY.encode(), TokenEndpointFailed, True),
        (503, b"", TokenEndpointFailed, True),
        (429, {"error": CANARY}, TokenEndpointFailed, True),
        (408, b"", TokenEndpointFailed, True),
        (401, {"error": "invalid_client", "error_description": CANARY}, TokenEndpointRefused, False),
        (400, {"error": CANARY}, TokenEndpointRefused, False),
        (400, {"error": [CANARY]}, TokenEndpointRefused, False),
        (404, b"<html>" + CANARY.encode(), TokenEndpointRefused, False),
        (302, b"", TokenAnswerBroken, False),
        (200, b"<!DOCTYPE html><html>" + CANARY.encode(), TokenAnswerBroken, False),
        (200, b"", TokenAnswerBroken, False),
        (200, b"\xff\xfe\x00", TokenAnswerBroken, False),
        (200, b"[" * 100_000, TokenAnswerBroken, False),
        (200, [CANARY], TokenAnswerBroken, False),
        (200, {"token": CANARY}, TokenAnswerBroken, False),
        (200, {"access_token": ""}, TokenAnswerBroken, False),
        (200, {"access_token": 7}, TokenAnswerBroken, False),
        (200, {"access_token": CANARY + "\r\nX-Evil: 1"}, TokenAnswerBroken, False),
        (200, {"access_token": CANARY * 2000}, TokenAnswerBroken, False),
        (200, {"access_token": "********"}, TokenAnswerBroken, False),
        (200, {"access_token": CANARY, "token_type": "mac"}, TokenTypeUnsupported, False),
        (200, {"access_token": CANARY, "token_type": "DPoP"}, TokenTypeUnsupported, False),
        (200, {"access_token": CANARY, "token_type": 1}, TokenTypeUnsupported, False),
    ],
)
def test_each_wrong_answer_has_its_name_and_quotes_nothing(status, content, error, retryable):
    with pytest.raises(AuthenticationFailed) as caught:
        read_token_answer(answer(status, content))
    assert type(caught.value) is error
    assert caught.value.retryable is retryable
    assert caught.value.status == 502
    assert CANARY not in caught.value.message


def test_a_known_reason_is_told():
    with pytest.raises(
        TokenEndpointRefused, match=r"401 \(invalid_client: it does not accept the client id and secret"
    ):
        read_token_answer(answer(401, {"error": "invalid_client"}))


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
values = scalars | st.lists(scalars, max_size=3)
names = st.sampled_from(["access_token", "token_type", "expires_in", "error"])
json_values = values | st.dictionaries(names, values | st.sampled_from(["bearer", "Bearer", "invalid_client"]))


@given(st.integers(200, 599), st.binary() | json_values.map(lambda value: json.dumps(value).encode()))
def test_any_answer_is_a_token_or_a_named_error(status, content):
    try:
        read = read_token_answer(answer(status, content))
    except AuthenticationFailed:
        return
    assert status < 300
    assert read.access_token.reveal().isascii()
