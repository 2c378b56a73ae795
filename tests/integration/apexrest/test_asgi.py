"""Requests as an ASGI server hands them on: chunked bodies without a length, addresses with doubled slashes."""

import json

import pytest
from asgiref.sync import async_to_sync
from asgiref.testing import ApplicationCommunicator
from django.core.asgi import get_asgi_application

from crm.models import Case

# Without the wrapping transaction: the application may close connections at the end of a request.
pytestmark = pytest.mark.django_db(transaction=True)

REQUEST = {"externalReference": "WEB-1", "customerEmail": "ann@example.org", "subject": "x", "description": "y"}


def send(token, path, *chunks):
    """POST the chunks and return status and parsed body."""

    async def talk():
        headers = [
            (b"host", b"127.0.0.1"),
            (b"authorization", f"Bearer {token}".encode()),
            (b"content-type", b"application/json"),
            (b"transfer-encoding", b"chunked"),
        ]
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": headers,
        }
        communicator = ApplicationCommunicator(get_asgi_application(), scope)
        for chunk in chunks:
            await communicator.send_input({"type": "http.request", "body": chunk, "more_body": True})
        await communicator.send_input({"type": "http.request", "body": b"", "more_body": False})
        start = await communicator.receive_output(20)
        body = await communicator.receive_output(20)
        await communicator.wait(20)
        return start["status"], json.loads(body["body"])

    return async_to_sync(talk)()


def test_a_chunked_body_is_read_to_its_end(api):
    text = json.dumps(REQUEST).encode()
    status, answer = send(api.token, "//services//apexrest/t/support-requests", text[:10], text[10:])
    assert (status, answer["caseId"]) == (201, Case.objects.get().record_id)


def test_a_chunked_body_has_a_limit_too(api, settings):
    settings.ISTHMUS_APEXREST_MAX_BODY_BYTES = 1000
    status, answer = send(api.token, "/services/apexrest/t/support-requests", *[b" " * 100] * 11)
    assert (status, answer[0]["errorCode"]) == (413, "EXCEEDED_MAX_SIZE_REQUEST")
    assert not Case.objects.exists()
