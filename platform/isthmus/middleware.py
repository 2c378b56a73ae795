"""What surrounds every request, and what such a thing is made from."""

import re
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import cast

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from isthmus import correlation
from isthmus.api_paths import collapse_slashes

__all__ = ["Answer", "BothWays", "CollapsedSlashesMiddleware", "CorrelationMiddleware", "Surrounding"]

Answer = HttpResponseBase
Next = Callable[[HttpRequest], Answer] | Callable[[HttpRequest], Awaitable[Answer]]


class BothWays(ABC):
    """A middleware that works under WSGI and, without a thread of its own, under ASGI."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Next) -> None:
        self._get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Answer | Awaitable[Answer]:
        return self.answer_async(request) if self._is_async else self.answer(request)

    @abstractmethod
    def answer(self, request: HttpRequest) -> Answer:
        """Answer a request."""

    @abstractmethod
    async def answer_async(self, request: HttpRequest) -> Answer:
        """Answer a request on the event loop."""

    def next_answer(self, request: HttpRequest) -> Answer:
        """Return the answer of what comes behind this middleware."""
        return cast("Answer", self._get_response(request))

    async def next_answer_async(self, request: HttpRequest) -> Answer:
        """Return the answer of what comes behind this middleware, on the event loop."""
        return await cast("Awaitable[Answer]", self._get_response(request))


class Surrounding(BothWays):
    """A middleware that surrounds each request with a context."""

    @abstractmethod
    def around(self, request: HttpRequest) -> AbstractContextManager[object]:
        """Return the context that the request is answered in."""

    def complete(self, answer: Answer) -> None:
        """Add to the answer, still within the context."""

    def answer(self, request: HttpRequest) -> Answer:
        """Answer a request within the context."""
        with self.around(request):
            answer = self.next_answer(request)
            self.complete(answer)
            return answer

    async def answer_async(self, request: HttpRequest) -> Answer:
        """Answer a request within the context, on the event loop."""
        with self.around(request):
            answer = await self.next_answer_async(request)
            self.complete(answer)
            return answer


class CorrelationMiddleware(Surrounding):
    """Binds the caller's `X-Request-Id` (or a new one) for the request, and names it in the answer."""

    def around(self, request: HttpRequest) -> AbstractContextManager[object]:
        return correlation.bind(correlation.accept(request.headers.get(correlation.HEADER)))

    def complete(self, answer: Answer) -> None:
        answer[correlation.HEADER] = correlation.current()


class CollapsedSlashesMiddleware:
    """Takes `//services//data` for `/services/data`: clients whose instance URL ends with a slash write it so.

    Only the API's addresses are touched; a redirect would turn their POST into GET.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Next) -> None:
        self._get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Answer | Awaitable[Answer]:
        meant = collapse_slashes(request.path_info)
        if meant != request.path_info:
            request.path_info, request.path = meant, re.sub("//+", "/", request.path)
        return self._get_response(request)
