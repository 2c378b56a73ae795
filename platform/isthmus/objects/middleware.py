"""Who changes records during a request: whoever the request turns out to be from."""

from collections.abc import Awaitable, Callable
from typing import cast

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from isthmus.access.policy import AnyUser
from isthmus.objects.capture import acting_as

__all__ = ["ActingUserMiddleware"]

Answer = HttpResponseBase
Next = Callable[[HttpRequest], Answer] | Callable[[HttpRequest], Awaitable[Answer]]


class ActingUserMiddleware:
    """Lets records that the request writes carry its user.

    The user is asked for when the first record is written: the API finds out who calls only inside the view.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Next) -> None:
        self._get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Answer | Awaitable[Answer]:
        if self._is_async:
            return self._answer_async(request)
        with acting_as(_user_of(request)):
            return cast("Answer", self._get_response(request))

    async def _answer_async(self, request: HttpRequest) -> Answer:
        with acting_as(_user_of(request)):
            return await cast("Awaitable[Answer]", self._get_response(request))


def _user_of(request: HttpRequest) -> Callable[[], AnyUser]:
    return lambda: cast("AnyUser", getattr(request, "user", None))
