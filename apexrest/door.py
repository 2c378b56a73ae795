"""The door that calls of endpoints come through in the web process."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from django.http import HttpRequest, HttpResponse

from apexrest import registry
from apexrest.admission import limits_in_force
from apexrest.conf import options
from apexrest.views import EndpointView
from callouts import limits
from isthmus.view_doors import ViewDoor

__all__ = ["PREFIX", "Door"]

PREFIX = "/services/apexrest/"


class Door(ViewDoor):
    """An ASGI application that answers endpoints."""

    name = "endpoint"

    def __init__(self) -> None:
        super().__init__()
        self._view: Callable[..., Any] = EndpointView.as_view()

    def threads(self) -> int:
        return options.threads

    def most_bytes(self) -> int:
        return options.max_body_bytes

    def most_bytes_at(self, path: str) -> int:
        matched = registry.match(path.removeprefix(PREFIX))
        if matched is None:
            return 0
        return limits_in_force(matched.resource.mapping, matched.resource.limits).max_body_bytes or 0

    def around(self) -> AbstractContextManager[object]:
        return limits.transaction_context()

    def answer(self, request: HttpRequest) -> HttpResponse:
        answer: HttpResponse = self._view(request, path=request.path_info.removeprefix(PREFIX))
        return answer
