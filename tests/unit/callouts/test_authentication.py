"""The driver of authentication protocols."""

import pytest
import requests

from callouts import errors
from callouts.authentication import drive

URL = "https://bank.example/loans"


def request(method="POST", url=URL):
    return requests.Request(method, url).prepare()


def answer(status):
    found = requests.Response()
    found.status_code = status
    return found


class Signing:
    """Fetches a token, signs, and after a 401 does both once more; keeps what it was told."""

    def __init__(self):
        self.released = False
        self.thrown = None

    def flow(self, outgoing):
        try:
            for number in (1, 2):
                yield request(url="https://login.example/token")
                signed = outgoing.copy()
                signed.headers["Authorization"] = f"Bearer {number}"
                if (yield signed).status_code != 401:
                    return
        except errors.CalloutError as error:
            self.thrown = error
            raise
        finally:
            self.released = True


class Wire:
    def __init__(self, *answers):
        self.answers = list(answers)
        self.sent = []

    def __call__(self, outgoing, is_callout):
        self.sent.append((outgoing.url, outgoing.headers.get("Authorization"), is_callout))
        given = self.answers.pop(0)
        if isinstance(given, Exception):
            raise given
        return given


TOKEN = ("https://login.example/token", None, False)


def test_the_answer_is_that_of_the_signed_request():
    unsigned, wire = request(), Wire(answer(200), answer(201))
    assert drive(Signing(), unsigned, wire).status_code == 201
    assert wire.sent == [TOKEN, (URL, "Bearer 1", True)]
    assert "Authorization" not in unsigned.headers


def test_after_a_401_the_protocol_may_sign_again():
    wire = Wire(answer(200), answer(401), answer(200), answer(200))
    assert drive(Signing(), request(), wire).status_code == 200
    assert wire.sent == [TOKEN, (URL, "Bearer 1", True), TOKEN, (URL, "Bearer 2", True)]


@pytest.mark.parametrize("lost", [errors.AnswerTimedOut("late"), errors.ConnectFailed("no way")])
def test_a_token_request_without_an_answer_leaves_nothing_in_doubt(lost):
    signing, wire = Signing(), Wire(lost)
    with pytest.raises(errors.SigningFailed) as raised:
        drive(signing, request(), wire)
    assert raised.value.__cause__ is lost
    assert signing.thrown is raised.value
    assert wire.sent == [TOKEN]


def test_a_lost_answer_to_the_signed_request_stays_what_it_is():
    lost = errors.AnswerTimedOut()
    signing, wire = Signing(), Wire(answer(200), lost)
    with pytest.raises(errors.AnswerTimedOut):
        drive(signing, request(), wire)
    assert signing.thrown is lost


def test_a_refused_token_request_closes_the_protocol():
    signing = Signing()
    with pytest.raises(errors.EgressRefused):
        drive(signing, request(), Wire(errors.EgressRefused()))
    assert signing.released


def test_the_answer_of_a_token_endpoint_is_never_taken_for_the_callouts():
    class Forgetful:
        def flow(self, outgoing):
            yield request(url="https://login.example/token")

    with pytest.raises(errors.SigningFailed):
        drive(Forgetful(), request(), Wire(answer(200)))


def test_a_protocol_that_sends_nothing_is_an_error():
    class Silent:
        def flow(self, outgoing):
            return
            yield

    with pytest.raises(errors.SigningFailed):
        drive(Silent(), request(), Wire())


def test_a_signature_in_the_query_is_still_the_callout():
    class InQuery:
        def flow(self, outgoing):
            signed = outgoing.copy()
            signed.url = f"{outgoing.url}?signature=1"
            yield signed

    wire = Wire(answer(204))
    assert drive(InQuery(), request(), wire).status_code == 204
    assert wire.sent == [(f"{URL}?signature=1", None, True)]
