"""Who changes records, and through which door.

>>> with acting_as(None, origin="import"):
...     acting_origin()
'import'
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from django.contrib.auth.models import AbstractUser

from isthmus.access.policy import AnyUser

__all__ = ["acting_as", "acting_origin", "acting_user"]

_Acting = tuple["AnyUser | Callable[[], AnyUser]", str]
_acting: ContextVar[_Acting] = ContextVar("isthmus_acting", default=(None, ""))


@contextmanager
def acting_as(user: "AnyUser | Callable[[], AnyUser]", origin: str = "") -> Iterator[None]:
    """Say who changes records in the block: `created_by`, `last_modified_by`, the change's user.

    A function is asked when the first record changes, for callers that learn late who acts. "" as `origin` keeps the
    one of the block around.
    """
    token = _acting.set((user, origin or acting_origin()))
    try:
        yield
    finally:
        _acting.reset(token)


def acting_user() -> AbstractUser | None:
    """Return who changes records now; `None` when nobody was said to."""
    given, origin = _acting.get()
    # A lazy user (`SimpleLazyObject`) is callable only once it is resolved to something that is.
    if callable(given) and not isinstance(given, AbstractUser):
        # To find out who acts may take writes of its own (the system user is made when it is first asked for).
        with acting_as(None, origin):
            user = given()
    else:
        user = given
    return user if isinstance(user, AbstractUser) and user.pk is not None else None


def acting_origin() -> str:
    """Return through which door records change now; "" when nobody said."""
    return _acting.get()[1]
