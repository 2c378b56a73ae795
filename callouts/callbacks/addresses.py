"""The addresses that callbacks come to: `<base>/services/callbacks/<token>/<callback name>`."""

import hashlib
import re
from collections.abc import Sequence
from functools import lru_cache

from django.conf import settings
from django.urls import reverse

from callouts.external_services.description.definitions import CallbackDefinition
from callouts.external_services.models import Operation

__all__ = ["callback_urls", "find_callbacks", "token_digest"]

_EXPRESSION = re.compile(r"\{\$[^{}]*\}")
_GOES_INTO_A_PATH = re.compile(r"[A-Za-z0-9_~-][A-Za-z0-9._~-]*")


def token_digest(token: str) -> str:
    """Return what a token is looked up by; the token itself is sealed."""
    return hashlib.sha256(token.encode()).hexdigest()


def callback_urls(operation: Operation, token: str) -> dict[str, str]:
    """Return the address of each callback of an operation, by the callback's key."""
    return {
        callback.key or callback.name: settings.BASE_URL
        + reverse("callbacks:receive", kwargs={"token": token, "name": _segment(callback), "rest": ""})
        for callback in operation.callback_contracts
    }


def find_callbacks(callbacks: Sequence[CallbackDefinition], name: str, rest: str) -> list[CallbackDefinition]:
    """Return the callbacks that an address can mean; `rest` is what follows the name.

    Where several callbacks read the same place, they got one address, and differ by what the outside appends, by their
    methods, or by what they bring.
    """
    named = next((found for found in callbacks if name in {found.key or found.name, _segment(found)}), None)
    if named is None:
        return []
    sharing = [named]
    if named.location != "none":
        place = (named.location, named.place)
        sharing += [found for found in callbacks if found is not named and (found.location, found.place) == place]
    return [found for found in sharing if _suffix_pattern(found.suffix).fullmatch(rest)]


@lru_cache(maxsize=1024)
def _suffix_pattern(suffix: str) -> re.Pattern[str]:
    """Return what the appended path looks like; an expression in it stands for any text."""
    path = _EXPRESSION.sub("\0", suffix).partition("?")[0].partition("#")[0]
    return re.compile("[^/]*".join(map(re.escape, path.split("\0"))))


def _segment(callback: CallbackDefinition) -> str:
    if not callback.key:
        return callback.name if _GOES_INTO_A_PATH.fullmatch(callback.name) else callback.python_name
    return callback.key if _GOES_INTO_A_PATH.fullmatch(callback.key) else f"{callback.python_name}-{callback.key[-1]}"
