"""Media types: what a body of one looks like when it is written and read."""

from collections.abc import Mapping

from callouts.external_services.description.definitions import BodyKind

__all__ = ["PREFERENCE", "kind_of", "media_type"]

PREFERENCE: Mapping[BodyKind, int] = {"json": 0, "form": 1, "multipart": 2, "xml": 3, "text": 4, "binary": 5}
"""Which of several kinds is sent where the caller does not choose; the least first."""


def media_type(content_type: str) -> str:
    """Return a content type without its parameters, in small letters."""
    return content_type.partition(";")[0].strip().lower()


def kind_of(content_type: str) -> BodyKind:
    """Return how a body of a content type is written."""
    name = media_type(content_type)
    if name in {"application/json", "*/*", "application/*", ""} or name.endswith(("+json", "/json")):
        return "json"
    if name == "application/x-www-form-urlencoded":
        return "form"
    if name.startswith("multipart/"):
        return "multipart"
    if name.endswith(("/xml", "+xml")):
        return "xml"
    return "text" if name.startswith("text/") else "binary"
