"""JSON or XML: what a body is, what a caller wants back, and how refusals look in each."""

import re
from collections.abc import Iterable
from enum import StrEnum
from http.client import responses
from typing import Any
from xml.etree.ElementTree import Element, tostring

from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request

from apexrest import serialising, xml_bodies
from apexrest.errors import MediaTypeRefused
from isthmus import correlation
from isthmus.access.api import AlwaysJson, ApiRenderer

__all__ = [
    "RENDERERS",
    "EndpointNegotiation",
    "Format",
    "content_type",
    "dumps",
    "format_of_body",
    "wanted_format",
]

_SHOWN = 60
_PROBLEM = "application/problem+json"


class Format(StrEnum):
    """How values travel."""

    JSON = "application/json"
    XML = "application/xml"


def format_of_body(content_type: str) -> Format:
    """Return the format that a `Content-Type` names; "" is taken for JSON. Raises `MediaTypeRefused`."""
    media_type, _, parameters = content_type.lower().partition(";")
    media_type = media_type.strip()
    charset = re.search(r"charset\s*=\s*\"?([^\s;\"]+)", parameters)
    if not charset or charset[1] in {"utf-8", "utf8", "us-ascii"}:
        if not media_type or media_type == "application/json" or re.fullmatch(r"application/[^\s]+\+json", media_type):
            return Format.JSON
        if media_type in {"application/xml", "text/xml"} or re.fullmatch(r"application/[^\s]+\+xml", media_type):
            return Format.XML
    raise MediaTypeRefused(
        f"The Content-Type is {content_type[:_SHOWN]!r}; this endpoint takes application/json and application/xml "
        "in UTF-8."
    )


def wanted_format(request: Request) -> Format:
    """Return what the caller prefers; JSON for one that names neither, or nothing."""
    preferred = request._request.get_preferred_type([Format.JSON, Format.XML, "text/xml"])  # noqa: SLF001 - its only door
    return Format.XML if preferred in {Format.XML, "text/xml"} else Format.JSON


def content_type(wanted: Format) -> str:
    """Return the `Content-Type` of answers."""
    return f"{wanted};charset=UTF-8"


def dumps(value: Any, wanted: Format) -> bytes:
    """Return what a method returned as the body of an answer. Raises `AnswerUnserialisable`."""
    if wanted is Format.XML:
        return xml_bodies.dumps(serialising.to_json(value))
    return serialising.dumps(value)


class XmlErrorRenderer(BaseRenderer):
    """Refusals as Salesforce writes them in XML: `<Errors><Error><errorCode>…`."""

    media_type = str(Format.XML)
    format = "xml"
    charset = "UTF-8"

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> bytes:
        """Return the list of refusals, or of candidates, as a document."""
        is_refusal = all(isinstance(one, dict) for one in data or [])
        root = Element("Errors" if is_refusal else "Candidates")
        for one in data or []:
            # What a caller sent may be quoted in a message; XML has no room for some of it.
            told = {name: _printable(value) for name, value in one.items()} if isinstance(one, dict) else one
            root.append(xml_bodies.to_element("Error" if is_refusal else "Candidate", told))
        written: bytes = tostring(root, encoding="UTF-8", xml_declaration=True)
        return written


class JsonProblemRenderer(JSONRenderer):
    """Refusals as problem details (RFC 9457)."""

    media_type = _PROBLEM
    format = "problem"

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> Any:
        """Return the first refusal as the problem, with one entry in `errors` for each field at fault."""
        if not isinstance(data, list) or not data or not isinstance(data[0], dict):
            # The candidates of a 300 are no refusal.
            return super().render(data, accepted_media_type, renderer_context)
        status = (renderer_context or {})["response"].status_code
        error = data[0]
        problem = {
            "type": "about:blank",
            "title": responses.get(status, "Error"),
            "status": status,
            "detail": error["message"],
            "errorCode": error["errorCode"],
            "correlationId": correlation.current_or_new(),
        }
        if error.get("fields"):
            problem["errors"] = [{"field": name, "pointer": _pointer(name)} for name in error["fields"]]
        return super().render(problem, accepted_media_type, renderer_context)


class EndpointNegotiation(AlwaysJson):
    """Chooses how a refusal is written, from `Accept` alone: a query parameter `format` belongs to the endpoint."""

    def select_renderer(self, request: Request, renderers: Iterable[Any], format_suffix: str | None = None) -> Any:
        """Return the renderer and what it makes; never refuses."""
        by_type = {renderer.media_type: renderer for renderer in renderers}
        accepted = request.headers.get("Accept", "")
        chosen = by_type[_PROBLEM if _PROBLEM in accepted else str(wanted_format(request))]
        return chosen, chosen.media_type


RENDERERS = (ApiRenderer, XmlErrorRenderer, JsonProblemRenderer)


def _printable(value: Any) -> Any:
    if isinstance(value, list):
        return [_printable(item) for item in value]
    return xml_bodies.without_foreign(str(value))


def _pointer(path: str) -> str:
    """Return `lines[0].price` as a JSON pointer (RFC 6901)."""
    steps = re.sub(r"\[([0-9]+)\]", r".\1", path).split(".")
    return "".join(f"/{step.replace('~', '~0').replace('/', '~1')}" for step in steps if step)
