"""The door that requests to the record API come through in the web process."""

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse

from callouts import limits
from isthmus.doors import Scope
from isthmus.view_doors import ViewDoor
from records.api.views import DataView
from records.conf import options

__all__ = ["PREFIX", "Door"]

PREFIX = "/services/data/"

_ADDRESS = re.compile(r"/services/data/v(?P<version>[0-9]{2}\.[0-9])(?P<path>/.*)?", re.DOTALL)


class Door(ViewDoor):
    """An ASGI application that answers what is below a version."""

    name = "records"

    def __init__(self) -> None:
        super().__init__()
        self._view: Callable[..., Any] = DataView.as_view()

    def opens(self, scope: Scope) -> bool:
        return _ADDRESS.fullmatch(scope["path"]) is not None and super().opens(scope)

    def threads(self) -> int:
        return options.threads

    def most_bytes(self) -> int:
        return options.max_body_bytes

    def around(self) -> AbstractContextManager[object]:
        return limits.transaction_context()

    def answer(self, request: HttpRequest) -> HttpResponse:
        found = _ADDRESS.fullmatch(request.path_info)
        if found is None:
            raise Http404
        answer: HttpResponse = self._view(request, version=found["version"], path=found["path"] or "")
        return answer
