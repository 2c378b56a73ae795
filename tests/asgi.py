"""Speaks to an application as an ASGI server does."""

from contextlib import contextmanager

from asgiref.sync import async_to_sync
from asgiref.testing import ApplicationCommunicator
from django.core.asgi import get_asgi_application
from django.db import connections

__all__ = ["application", "leave", "scope_of", "talk"]


@contextmanager
def application(way, door_type):
    """Give the way through `django`, or through a `door` of that type, which is closed at the end."""
    if way == "django":
        yield get_asgi_application()
        return
    door = door_type()
    try:
        yield door
    finally:
        door.close()
        connections.close_all()


def scope_of(method, path, headers, **more):
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "client": ("127.0.0.1", 4711),
        "headers": [(b"host", b"127.0.0.1"), *((name.lower().encode(), value.encode()) for name, value in headers)],
        **more,
    }


def talk(application, scope, *chunks):
    """Send the chunks and return status, headers and body."""

    async def exchange():
        communicator = ApplicationCommunicator(application, scope)
        for chunk in chunks:
            await communicator.send_input({"type": "http.request", "body": chunk, "more_body": True})
        await communicator.send_input({"type": "http.request", "body": b"", "more_body": False})
        start = await communicator.receive_output(20)
        body = await communicator.receive_output(20)
        await communicator.wait(20)
        return (
            start["status"],
            {name.decode().lower(): value.decode() for name, value in start["headers"]},
            body["body"],
        )

    return async_to_sync(exchange)()


def leave(application, scope, begun):
    """Send what the request begins with, and go away; nothing may be answered."""

    async def exchange():
        communicator = ApplicationCommunicator(application, scope)
        await communicator.send_input({"type": "http.request", "body": begun, "more_body": True})
        await communicator.send_input({"type": "http.disconnect"})
        await communicator.wait(20)
        return await communicator.receive_nothing()

    assert async_to_sync(exchange)()
