"""Pages are compressed for whoever takes that; nothing else is."""

import gzip

import pytest
from asgiref.sync import async_to_sync
from django.http import HttpResponse, StreamingHttpResponse
from django.test import RequestFactory

from isthmus.console.compression import PageCompressionMiddleware

PAGE = b"<p>text</p>" * 200
REQUEST = RequestFactory().get("/", headers={"Accept-Encoding": "gzip, deflate, br"})


def answered(answer, request=REQUEST):
    return PageCompressionMiddleware(lambda _request: answer)(request)


def test_a_page_is_compressed_and_its_length_is_random():
    found = [answered(HttpResponse(PAGE)) for _ in range(30)]
    assert {gzip.decompress(answer.content) for answer in found} == {PAGE}
    assert all(answer["Content-Encoding"] == "gzip" for answer in found)
    assert len({len(answer.content) for answer in found}) > 1


def test_a_page_is_compressed_on_the_event_loop_too():
    async def view(_request):
        return HttpResponse(PAGE)

    answer = async_to_sync(PageCompressionMiddleware(view))(REQUEST)
    assert gzip.decompress(answer.content) == PAGE


@pytest.mark.parametrize(
    "answer",
    [
        HttpResponse(PAGE, content_type="application/json"),
        HttpResponse(PAGE, content_type="text/event-stream"),
        StreamingHttpResponse([PAGE], content_type="text/html"),
        HttpResponse(b"<p>short</p>"),
    ],
    ids=["data", "events", "a stream", "a short page"],
)
def test_anything_else_passes_as_it_is(answer):
    assert "Content-Encoding" not in answered(answer)


def test_whoever_does_not_take_it_gets_the_page_plain(client, db):
    answer = client.get("/sign-in/")
    assert "Content-Encoding" not in answer
    assert "Accept-Encoding" in answer["Vary"]
