"""Who changes records during a request: whoever the request turns out to be from."""

from contextlib import AbstractContextManager
from typing import cast

from django.http import HttpRequest

from isthmus.access.policy import AnyUser
from isthmus.middleware import Surrounding
from isthmus.objects.capture import acting_as

__all__ = ["ActingUserMiddleware"]


class ActingUserMiddleware(Surrounding):
    """Lets records that the request writes carry its user.

    The user is asked for when the first record is written: the API finds out who calls only inside the view.
    """

    def around(self, request: HttpRequest) -> AbstractContextManager[object]:
        return acting_as(lambda: cast("AnyUser", getattr(request, "user", None)))
