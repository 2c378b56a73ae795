"""Hints: how to turn pages, when to try again, what is left to ask, where a document says so."""

from collections.abc import Mapping
from typing import Any

from callouts.external_services.description.definitions import (
    AnswerDefinition,
    Hints,
    PageHint,
    ParameterDefinition,
    RetryHint,
)
from callouts.external_services.document.references import BrokenReference, Pieces, resolve

__all__ = ["HintFinder"]

# Parameter that asks for a page → names of the answer's field that leads to the next one.
_TOKENS: Mapping[str, tuple[str, ...]] = {
    "pageToken": ("nextPageToken", "next_page_token"),
    "page_token": ("next_page_token", "nextPageToken"),
    "NextToken": ("NextToken",),
    "nextToken": ("nextToken", "NextToken"),
    "next_token": ("next_token",),
    "cursor": ("next_cursor", "nextCursor", "cursor"),
    "next_cursor": ("next_cursor",),
    "marker": ("next_marker", "nextMarker", "NextMarker", "marker"),
    "continuationToken": ("continuationToken", "nextContinuationToken"),
    "continue": ("continue",),
}
_NUMBERS = ("page", "pageNumber", "page_number", "pageIndex")
_OFFSETS = ("offset", "skip", "$skip", "startAt")
_SIZES = ("limit", "per_page", "perPage", "page_size", "pageSize", "$top", "maxResults", "count", "size")
_LINKS = ("@odata.nextLink", "nextLink", "next", "next_page_url", "next_url")
_ITEMS = ("value", "items", "data", "results", "entries", "records")
_ASKS = frozenset({*_TOKENS, *_NUMBERS, *_OFFSETS})
_MOST_DELAYS = 5


class HintFinder:
    """Finds the hints of a document's operations."""

    def __init__(self, pieces: Pieces) -> None:
        self._pieces = pieces
        self._fields: dict[str, Mapping[str, Any]] = {}

    def hints(
        self,
        method: str,
        operation: Mapping[str, Any],
        parameters: tuple[ParameterDefinition, ...],
        answers: Mapping[str, AnswerDefinition],
    ) -> Hints:
        """Return what an operation's description tells."""
        limits, retried = [], []
        for status, answer in answers.items():
            for header in answer.headers:
                name = header.name.lower()
                if "ratelimit" in name or "rate-limit" in name:
                    limits.append(header.name)
                if name == "retry-after":
                    retried.append(status)
        pages = self._pages(operation, parameters, answers) if method == "get" else None
        retry = _declared_retry(operation) or (RetryHint(statuses=tuple(retried)) if retried else None)
        if pages is None and retry is None and not limits:
            return _NONE
        return Hints(pages=pages, retry=retry, limit_headers=tuple(dict.fromkeys(limits)))

    def _pages(
        self,
        operation: Mapping[str, Any],
        parameters: tuple[ParameterDefinition, ...],
        answers: Mapping[str, AnswerDefinition],
    ) -> PageHint | None:
        asked = {found.name for found in parameters if found.location == "query"}
        declared = operation.get("x-ms-pageable")
        success = next((answers[status] for status in ("200", "2XX", "default") if status in answers), None)
        if success is None or not (asked & _ASKS or isinstance(declared, dict) or success.headers):
            return None
        size = next((name for name in _SIZES if name in asked), "")
        if any(header.name.lower() == "link" for header in success.headers):
            return PageHint(kind="link_header", size_parameter=size)
        fields = self._answer_fields(success)
        items = next((f"/{name}" for name in _ITEMS if name in fields), "")
        if isinstance(declared, dict) and isinstance(declared.get("nextLinkName"), str):
            item = declared.get("itemName", "value")
            field = f"/{declared['nextLinkName']}"
            return PageHint(kind="next_link", field=field, items=f"/{item}", size_parameter=size)
        for parameter, names in _TOKENS.items():
            found = next((name for name in names if parameter in asked and name in fields), None)
            if found is not None:
                return PageHint(kind="token", parameter=parameter, field=f"/{found}", items=items, size_parameter=size)
        link = next((name for name in _LINKS if name in fields), None)
        if link is not None:
            return PageHint(kind="next_link", field=f"/{link}", items=items, size_parameter=size)
        for kind, names in (("number", _NUMBERS), ("offset", _OFFSETS)):
            parameter_name = next((name for name in names if name in asked), None)
            if parameter_name is not None:
                return PageHint(kind=kind, parameter=parameter_name, items=items, size_parameter=size)  # type: ignore[arg-type]  # the tuple above holds the literals
        return None

    def _answer_fields(self, answer: AnswerDefinition) -> Mapping[str, Any]:
        schema = next((found.schema for found in answer.media if found.kind == "json" and found.schema), None)
        if schema is None:
            return {}
        if schema not in self._fields:
            self._fields[schema] = self._properties({"$ref": f"#{schema}"}, schema, depth=0)
        return self._fields[schema]

    def _properties(self, schema: Any, at: str, *, depth: int) -> Mapping[str, Any]:
        try:
            found, at = resolve(self._pieces, schema, f"{at}#")
        except BrokenReference:
            return {}
        if not isinstance(found, dict):
            return {}
        own = found.get("properties")
        result = dict(own) if isinstance(own, dict) else {}
        parts = found.get("allOf")
        for index, part in enumerate(parts if isinstance(parts, list) and depth < 3 else ()):
            result.update(self._properties(part, f"{at}/allOf/{index}", depth=depth + 1))
        return result


_NONE = Hints()


def _declared_retry(operation: Mapping[str, Any]) -> RetryHint | None:
    """Read the extension that generators of client libraries use."""
    declared = operation.get("x-speakeasy-retries") or operation.get("x-retries")
    if not isinstance(declared, dict):
        return None
    backoff = declared.get("backoff") if isinstance(declared.get("backoff"), dict) else {}
    statuses = declared.get("statusCodes")
    told = tuple(str(status).upper() for status in statuses) if isinstance(statuses, list) else ("5XX", "429")
    return RetryHint(statuses=told, seconds=_delays(backoff))


def _delays(backoff: Any) -> tuple[float, ...]:
    def number(name: str, default: float) -> float:
        value = backoff.get(name)
        return float(value) if isinstance(value, int | float) and 0 < value < 10**9 else default

    delay, longest = number("initialInterval", 500) / 1000, number("maxInterval", 60_000) / 1000
    growth, left = min(number("exponent", 1.5), 10.0), number("maxElapsedTime", 60_000) / 1000
    delays: list[float] = []
    while len(delays) < _MOST_DELAYS and delay <= left:
        delays.append(round(min(delay, longest), 3))
        left -= delays[-1]
        delay *= growth
    return tuple(delays)
