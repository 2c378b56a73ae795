"""Finds who answers a call: one table for requests and for the parts of composite requests."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from rest_framework.response import Response

from isthmus.access.api import exception_handler
from isthmus.errors import IsthmusError
from records.calls import Answer, Call
from records.errors import MethodRefused, NoSuchResource, RowsRefused, SeveralRecords

__all__ = ["Handler", "Route", "answer", "answer_or_refuse", "find_route", "refusal", "resource"]

Handler: TypeAlias = Callable[..., Answer]


@dataclass(frozen=True)
class Route:
    """One resource: what its path looks like, and who answers each method."""

    name: str
    """The path as documents write it: `sobjects/{object}/{id}`."""
    pattern: re.Pattern[str]
    handlers: Mapping[str, Handler]


_routes: list[Route] = []


def resource(path: str, **handlers: Handler) -> None:
    """Let `handlers` (by method, in lower case) answer a path such as `sobjects/{name}/{field}/{value*}`.

    A part in braces reaches the handler as a keyword argument: one piece of the path, or with a star the rest of it.
    The first resource whose path fits is taken, in the order in which they are declared.
    """
    pieces = []
    for piece in path.split("/"):
        if piece.startswith("{"):
            name = piece.strip("{}*")
            pieces.append(f"(?P<{name}>.+)" if piece.endswith("*}") else f"(?P<{name}>[^/]+)")
        else:
            pieces.append(f"(?i:{re.escape(piece)})")
    pattern = re.compile("/".join(pieces), re.DOTALL)
    _routes.append(Route(path, pattern, {method.upper(): handler for method, handler in handlers.items()}))


def find_route(path: str) -> tuple[Route, dict[str, str]]:
    """Return the resource at `path` and the parts of the path that it asks for. Raises `NoSuchResource`."""
    for route in _routes:
        matched = route.pattern.fullmatch(path)
        if matched is not None:
            return route, matched.groupdict()
    raise NoSuchResource


def answer(call: Call) -> Answer:
    """Do what the call asks for. Raises what the resource raises: `IsthmusError`s for what the caller did wrong."""
    route, parts = find_route(call.path)
    if call.method == "OPTIONS":
        return Answer(status=204, headers={"Allow": ", ".join(sorted(route.handlers))})
    handler = route.handlers.get("GET" if call.method == "HEAD" else call.method)
    if handler is None:
        raise MethodRefused(call.method, sorted(route.handlers))
    return handler(call, **parts)


def answer_or_refuse(call: Call) -> Answer:
    """Do what the call asks for, and answer a refusal or failure as well."""
    try:
        return answer(call)
    except Exception as error:  # noqa: BLE001 - the edge of a part: whatever ends it is answered, and logged below
        return refusal(error, call)


def refusal(error: Exception, call: Call) -> Answer:
    """Return the answer for what ended a call: a list of errors, or of the paths of all records that are meant."""
    if isinstance(error, RowsRefused):
        return Answer(status=error.status, body=error.as_list())
    if isinstance(error, SeveralRecords):
        paths = [f"{call.base}/sobjects/{error.object_name}/{record_id}" for record_id in error.record_ids]
        return Answer(status=300, body=paths)
    if isinstance(error, MethodRefused):
        return Answer(status=error.status, body=[error.as_body()], headers={"Allow": ", ".join(error.allowed)})
    if isinstance(error, IsthmusError) and error.status < 500:
        return Answer(status=error.status, body=[error.as_body()])
    found: Response = exception_handler(error, {})
    # A response that nobody rendered says that it is HTML.
    headers = {name: value for name, value in found.headers.items() if name != "Content-Type"}
    return Answer(status=found.status_code, body=found.data, headers=headers)
