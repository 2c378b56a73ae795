"""The addresses that callbacks come to: `<base>/services/callbacks/<token>/<callback name>`."""

import hashlib
import re
from collections.abc import Sequence

from django.conf import settings
from django.urls import reverse

from callouts.external_services.definitions import CallbackDefinition
from callouts.external_services.models import Operation

__all__ = ["callback_urls", "find_callback", "token_digest"]

_GOES_INTO_A_PATH = re.compile(r"[A-Za-z0-9_~-][A-Za-z0-9._~-]*")


def token_digest(token: str) -> str:
    """Return what a token is looked up by; the token itself is sealed."""
    return hashlib.sha256(token.encode()).hexdigest()


def callback_urls(operation: Operation, token: str) -> dict[str, str]:
    """Return the address of each callback of an operation, by the callback's name."""
    return {
        callback.name: settings.BASE_URL
        + reverse("callbacks:receive", kwargs={"token": token, "name": _segment(callback), "rest": ""})
        for callback in map(CallbackDefinition.from_json, operation.callbacks)
    }


def find_callback(callbacks: Sequence[CallbackDefinition], name: str, rest: str) -> CallbackDefinition | None:
    """Return the callback that an address names; `rest` is what follows the name.

    Where several callbacks read the same place, they got one address, and differ by what the outside appends.
    """
    named = next((callback for callback in callbacks if name in {callback.name, _segment(callback)}), None)
    if named is None:
        return None
    sharing = [found for found in callbacks if (found.location, found.place) == (named.location, named.place)]
    matching = [found for found in sharing if found.suffix.partition("?")[0].partition("#")[0] == rest]
    return named if named in matching else next(iter(matching), None)


def _segment(callback: CallbackDefinition) -> str:
    return callback.name if _GOES_INTO_A_PATH.fullmatch(callback.name) else callback.python_name
