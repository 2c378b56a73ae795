"""Turning pages, as far as a document says how (`callouts.external_services.description.hints`)."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from callouts.external_services.description.definitions import PageHint
from callouts.external_services.document import pointers
from callouts.external_services.errors import PagesUnknown
from callouts.external_services.models import Operation
from callouts.external_services.writing.answers import OperationResponse

__all__ = ["pages"]

_NEXT_LINK = re.compile(r'<([^<>]*)>\s*(?:;[^,<]*)*;\s*rel="?(?:[^",;]*\s)?next(?:\s[^",;]*)?"?', re.IGNORECASE)


def pages(
    operation: Operation,
    call: Callable[[Mapping[str, Any]], OperationResponse],
    arguments: Mapping[str, Any],
    *,
    most: int,
) -> Iterator[OperationResponse]:
    """Yield pages until there is no next one, it repeats itself, or there were `most`. Raises `PagesUnknown`."""
    hint = operation.contract.hints.pages
    if hint is None:
        raise PagesUnknown(f"The document does not say how {operation.operation_id} goes from page to page.")
    given = dict(arguments)
    seen: set[str] = set()
    for _ in range(most):
        answer = call(given)
        yield answer
        following = _following(operation, hint, answer, given)
        if following is None or str(sorted(following.items(), key=str)) in seen:
            return
        seen.add(str(sorted(following.items(), key=str)))
        given = {**given, **following}


def _following(
    operation: Operation, hint: PageHint, answer: OperationResponse, given: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Return what the call of the next page changes; `None` after the last one."""
    if hint.kind == "link_header":
        link = _NEXT_LINK.search(_header(answer, "link"))
        return _from_address(operation, link[1]) if link else None
    if hint.kind in {"next_link", "token"}:
        told = _at(answer.body, hint.field)
        if not isinstance(told, str | int) or told in {"", 0} or isinstance(told, bool):
            return None
        return {_python_name(operation, hint.parameter): told} if hint.kind == "token" else _link(operation, told)
    items = _at(answer.body, hint.items)
    if not isinstance(items, list) or not items:
        return None
    name = _python_name(operation, hint.parameter)
    now = given.get(name, given.get(hint.parameter, 0 if hint.kind == "offset" else 1))
    return {name: int(now) + (len(items) if hint.kind == "offset" else 1)}


def _link(operation: Operation, told: str | int) -> dict[str, Any] | None:
    text = str(told)
    return _from_address(operation, text) if "?" in text else None


def _from_address(operation: Operation, address: str) -> dict[str, Any] | None:
    """Return the query of the next page's address as arguments; its host is never followed."""
    pairs = parse_qsl(urlsplit(address).query, keep_blank_values=True)
    found: dict[str, Any] = {}
    for parameter in operation.contract.parameters:
        values = [value for name, value in pairs if parameter.location == "query" and name == parameter.name]
        if values:
            found[parameter.python_name] = _typed(values if len(values) > 1 else values[0])
    return found or None


def _typed(value: Any) -> Any:
    return int(value) if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 10 else value


def _python_name(operation: Operation, name: str) -> str:
    named = (found.python_name for found in operation.contract.parameters if found.name == name)
    return next(named, name)


def _header(answer: OperationResponse, name: str) -> str:
    return next((value for given, value in answer.headers.items() if given.lower() == name), "")


def _at(body: Any, pointer: str) -> Any:
    try:
        return pointers.resolve(body, pointer)
    except (pointers.PointsNowhere, pointers.InvalidPointer):
        return None
