"""The access tokens that a process knows: found in the database once, and good for less than a second.

So a caller costs no query in the steady state, and a revocation takes effect within a second everywhere; in the process
that revokes, at once. With a token come its user and the user's grants.
"""

import copy
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models.signals import m2m_changed, post_delete, post_save
from oauth2_provider.models import AccessToken

from isthmus.access import policy
from isthmus.access.conf import AccessOptions
from isthmus.access.models import ApiClient, Grant, PermissionSetAssignment
from isthmus.access.tokens import checksum
from isthmus.remembering import Remembered

__all__ = ["connect", "find", "forget"]

_options = AccessOptions()
_remembered: Remembered[str, AccessToken | None] = Remembered(lambda: _options.remembered_seconds)


def find(text: str) -> AccessToken | None:
    """Return the token with its user and client, `None` when there is none. What is returned is the caller's own."""
    digest = checksum(text)
    known = _remembered.get(digest, lambda: _stored(digest))
    if known is None:
        return None
    token = copy.copy(known)
    # The relations too: what a request does to its user must not reach the next one.
    state: Any = copy.copy(known._state)  # noqa: SLF001 - Django's documented state of an instance
    state.fields_cache = {name: copy.copy(value) for name, value in known._state.fields_cache.items()}  # noqa: SLF001
    token._state = state  # noqa: SLF001
    return token


def forget(*_: Any, **__: Any) -> None:
    """Look every token up anew."""
    _remembered.forget()


def connect() -> None:
    """Watch what makes tokens, users and grants change in this process; called once, when the app is ready."""
    watched = (AccessToken, ApiClient, Grant, PermissionSetAssignment, get_user_model())
    for signal in (post_save, post_delete):
        for model in watched:
            signal.connect(forget, sender=model, dispatch_uid=f"isthmus.access.tokens.{model.__name__}")
    m2m_changed.connect(forget, dispatch_uid="isthmus.access.tokens.m2m")


def _stored(digest: str) -> AccessToken | None:
    found = AccessToken.objects.select_related("user", "application").filter(token_checksum=digest).first()
    if found is not None and found.user is not None:
        policy.load_grants(found.user)
    return found
