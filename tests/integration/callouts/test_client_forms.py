"""Ways to call: values in paths, typed answers, files and streams, awaiting, retries while the caller waits."""

import asyncio
import dataclasses
import io

import pytest

from callouts import errors, http, limits
from callouts.models import IntegrationLogEntry
from callouts.retrying import RetryPolicy
from credentials.errors import OutsideOrigin
from isthmus import correlation
from tests.fault_server import Answer

pytestmark = pytest.mark.django_db


@dataclasses.dataclass
class Address:
    street: str
    zip: str


@dataclasses.dataclass
class Customer:
    id: int
    name: str
    addresses: list[Address]
    note: str = ""


def answer(server, body, status=200):
    server.answers["/typed"] = lambda _: Answer(status, body, {"Content-Type": "application/json"})


def test_path_values_are_escaped(bank, server):
    http.get("callout:Bank/customers/{id}/notes?kind=a", path={"id": "A/7/ä?x=1#&"}, params={"q": "b & c"})
    [arrived] = server.requests
    assert arrived.path == "/customers/A%2F7%2F%C3%A4%3Fx%3D1%23%26/notes"
    assert arrived.query == {"kind": "a", "q": "b & c"}


def test_a_path_value_does_not_climb_out(bank, server):
    with pytest.raises(OutsideOrigin):
        http.get("callout:Bank/customers/{id}", path={"id": "../../admin"})
    assert server.connections == 0


@pytest.mark.parametrize("path", [{"id": ""}, {"id": "."}, {"id": ".."}, {}, {"id": 1, "other": 2}])
def test_path_values_that_change_the_path_itself_are_refused(bank, server, path):
    with pytest.raises(errors.InvalidCallout):
        http.get("callout:Bank/customers/{id}", path=path)
    assert server.connections == 0


def test_an_answer_becomes_a_dataclass(bank, server):
    answer(server, b'{"id": 7, "name": "Ada", "addresses": [{"street": "A", "zip": "1"}], "more": true}')
    found = http.get("callout:Bank/typed", json_as=Customer)
    assert found == Customer(7, "Ada", [Address("A", "1")])
    answer(server, b"[1, 2]")
    assert http.get("callout:Bank/typed", json_as=list[int]) == [1, 2]


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        (b'{"id": "x", "name": "Ada", "addresses": []}', "id", "expected `int`, got `str`"),
        (b'{"id": 1, "addresses": []}', "name", "the field name is missing"),
        (
            b'{"id": 1, "name": "A", "addresses": [{"street": "A"}]}',
            "addresses[0].zip",
            "addresses[0].zip is missing",
        ),
        (b"[]", "", "expected `object`, got `array`"),
        (b"<html>", "", "not JSON"),
        (b"", "", "not JSON"),
    ],
)
def test_an_answer_that_does_not_fit_names_the_field(bank, server, body, field, message):
    answer(server, body)
    with pytest.raises(errors.AnswerDoesNotFit, match="Customer") as caught:
        http.get("callout:Bank/typed", json_as=Customer)
    assert (caught.value.field, caught.value.response.content) == (field, body)
    assert message in caught.value.message
    assert IntegrationLogEntry.objects.get().outcome == "succeeded"


def test_an_error_status_is_no_typed_answer(bank, server):
    answer(server, b'{"why": "no"}', status=422)
    with pytest.raises(errors.ErrorAnswered, match="422") as caught:
        http.post("callout:Bank/typed", json={}, json_as=Customer)
    assert caught.value.response.json() == {"why": "no"}


def test_a_dataclass_is_sent_as_json(bank, server):
    http.post("callout:Bank/echo", json=Customer(1, "Ada", [Address("A", "1")]))
    assert server.requests[0].body == (
        b'{"id": 1, "name": "Ada", "addresses": [{"street": "A", "zip": "1"}], "note": ""}'
    )


@pytest.mark.parametrize("size", [0, 10, 3_000_000])
def test_a_file_is_sent_with_its_length(bank, server, tmp_path, size):
    path = tmp_path / "paper"
    path.write_bytes(b"x" * size)
    with path.open("rb") as file:
        assert http.post("callout:Bank/echo", data=file).content == b"x" * size
    assert server.requests[0].headers["content-length"] == str(size)
    assert "transfer-encoding" not in server.requests[0].headers


def test_an_iterator_and_form_files_are_sent(bank, server):
    http.put("callout:Bank/echo", data=iter([b"one ", b"two"]))
    http.post("callout:Bank/echo", data={"a": "1"}, files={"paper": ("p.txt", io.BytesIO(b"three"), "text/plain")})
    first, second = server.requests
    assert first.body == b"one two"
    assert b'name="paper"; filename="p.txt"' in second.body
    assert b"three" in second.body
    log = IntegrationLogEntry.objects.order_by("started_at")
    assert [entry.request_body[:8] for entry in log] == ["one two", "[248 byt"] or log[1].request_body.startswith("[")


def test_a_source_that_is_too_long_or_gives_text_is_refused(bank, server, settings):
    settings.ISTHMUS_CALLOUTS_MAX_BODY_BYTES = 2_000
    with pytest.raises(errors.BodyTooLarge):
        http.post("callout:Bank/echo", data=iter([b"x" * 1_500] * 2))
    with pytest.raises(errors.InvalidCallout):
        http.post("callout:Bank/echo", data=iter(["text"]))
    assert server.connections == 0


def test_a_streamed_answer_is_read_piece_by_piece_and_logged_when_it_is_over(bank, server):
    answer = http.get("callout:Bank/large?size=200000", stream=True)
    assert IntegrationLogEntry.objects.get().outcome == "in_doubt"
    pieces = list(answer.iter_content(50_000))
    assert (sum(map(len, pieces)), max(map(len, pieces))) == (200_000, 50_000)
    entry = IntegrationLogEntry.objects.get()
    assert (entry.outcome, entry.status_code) == ("succeeded", 200)
    assert "200000 bytes in all, SHA-256" in entry.response_body
    # The connection is kept for the next one.
    http.get("callout:Bank/json")
    assert server.connections == 1


def test_a_stream_that_is_closed_early_is_told_so(bank, server):
    with http.get("callout:Bank/large?size=2000000", stream=True) as answer:
        next(answer.iter_content(1_000))
    assert IntegrationLogEntry.objects.get().error_code == "ANSWER_NOT_READ"


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("/drip", errors.AnswerTimedOut),
        ("/half", errors.ResponseBroken),
        ("/bomb", errors.AnswerTooLarge),
        ("/broken-gzip", errors.ResponseBroken),
        ("/ten-gigabytes-in-chunks", errors.AnswerTooLarge),
    ],
)
def test_the_limits_hold_in_a_stream_too(bank, server, path, error):
    answer = http.get(f"callout:Bank{path}", stream=True, timeout=1.5)
    with pytest.raises(error):
        for _ in answer.iter_content(65_536):
            pass
    entry = IntegrationLogEntry.objects.get()
    assert (entry.outcome, entry.error_code) == ("in_doubt", error.code)


@pytest.mark.django_db(transaction=True)
def test_awaiting_does_not_block_the_loop_and_keeps_the_context(bank, server):
    # None is answered before all four have come: one that blocked the loop would keep the others from leaving.
    server.answers["/slow"] = lambda _: Answer(200, str(len(server.wait_for(4))).encode())

    async def several():
        answers = await asyncio.gather(*(http.aget("callout:Bank/slow") for _ in range(4)))
        return [answer.text for answer in answers], limits().callouts_used

    with correlation.bind("loop-1"), limits.transaction_context():
        texts, used = asyncio.run(several())
    assert (texts, used) == (["4"] * 4, 4)
    assert set(IntegrationLogEntry.objects.values_list("correlation_id", flat=True)) == {"loop-1"}


@pytest.mark.django_db(transaction=True)
def test_each_method_can_be_awaited(bank, server):
    async def all_of_them():
        await http.apost("callout:Bank/echo", json={})
        await http.aput("callout:Bank/echo", json={})
        await http.apatch("callout:Bank/echo", json={})
        await http.adelete("callout:Bank/echo")
        await http.ahead("callout:Bank/json")
        await http.aoptions("callout:Bank/json")
        return await http.aget("callout:Bank/json", json_as=dict[str, bool])

    assert asyncio.run(all_of_them()) == {"ok": True}
    assert [one.method for one in server.requests] == ["POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "GET"]


def flaky(server, *statuses, headers=None):
    left = list(statuses)
    server.answers["/flaky"] = lambda _: Answer(left.pop(0), b"", headers or {})


FAST = RetryPolicy(delays=(0, 0.01, 0.01), longest_wait_seconds=5)


def test_a_waiting_caller_gets_the_answer_of_a_later_attempt(bank, server):
    flaky(server, 503, 502, 200)
    assert http.get("callout:Bank/flaky", retry=FAST).status_code == 200
    log = IntegrationLogEntry.objects.order_by("attempt").values_list("attempt", "outcome", "status_code")
    assert list(log) == [(1, "failed", 503), (2, "failed", 502), (3, "succeeded", 200)]


def test_attempts_end_with_the_ladder_with_the_time_and_with_doubt(bank, server):
    flaky(server, 503, 503, 503, 503)
    assert http.get("callout:Bank/flaky", retry=FAST).status_code == 503
    assert len(server.requests) == 3
    flaky(server, 503, 200, headers={"Retry-After": "4"})
    assert http.get("callout:Bank/flaky", retry=FAST, timeout=2).status_code == 503
    assert len(server.requests) == 4


@pytest.mark.parametrize(("key", "attempts"), [(None, 1), ("k", 3)])
def test_doubt_is_tried_again_with_a_key_only(bank, server, key, attempts):
    with pytest.raises(errors.ConnectionLost):
        http.post("callout:Bank/close-after-request", retry=FAST, idempotency_key=key)
    assert [one.headers.get("idempotency-key") for one in server.requests] == [key] * attempts


def test_a_body_from_a_file_is_sent_again_whole(bank, server, tmp_path):
    (tmp_path / "f").write_bytes(b"words")
    flaky(server, 503, 200)
    with (tmp_path / "f").open("rb") as file:
        http.post("callout:Bank/flaky", data=file, retry=FAST)
    assert [one.body for one in server.requests] == [b"words"] * 2


def test_the_log_says_where_the_time_went(bank, server):
    http.get("callout:Bank/json")
    http.get("callout:Bank/json")
    first, second = IntegrationLogEntry.objects.order_by("started_at")
    assert first.dns_ms is not None
    assert first.connect_ms > 0
    assert first.first_byte_ms > 0
    assert (second.dns_ms, second.connect_ms, second.tls_ms) == (None, None, None)
    assert second.first_byte_ms > 0
