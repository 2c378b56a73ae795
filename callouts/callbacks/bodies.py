"""Bodies of callbacks: which are taken, and what they say."""

import json
from typing import Any
from urllib.parse import parse_qs

from callouts.external_services.description.definitions import BodyDefinition
from callouts.external_services.description.media_types import media_type
from callouts.external_services.document.references import Pieces
from callouts.external_services.writing import xml_bodies
from callouts.external_services.writing.xml_bodies import NotXml

__all__ = ["BodyRefused", "is_content_type_taken", "parse_stored"]


class BodyRefused(ValueError):
    """The body is not what its content type says."""


def is_content_type_taken(content_type: str, body: BodyDefinition | None) -> bool:
    """Return whether the document lists a content type; parameters such as the charset do not matter."""
    return body is None or body.media_for(content_type) is not None


def parse_stored(text: str, content_type: str, body: BodyDefinition | None, pieces: Pieces | None = None) -> Any:
    """Return what a body says; `None` where there is none. Raises `BodyRefused`.

    A body that the document does not mention is parsed where it can be. `pieces` is the document, which says how XML is
    read; `None`: as the text that it is.
    """
    if not text:
        return None
    name = media_type(content_type)
    if name == "application/json" or name.endswith("+json"):
        try:
            return json.loads(text, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            if body is None:
                return text
            raise BodyRefused("the body is not JSON") from error
    if name == "application/x-www-form-urlencoded":
        fields = parse_qs(text, keep_blank_values=True)
        return {field: values[0] if len(values) == 1 else values for field, values in fields.items()}
    media = body.media_for(content_type) if body is not None else None
    if name.endswith(("/xml", "+xml")) and media is not None and media.schema is not None and pieces is not None:
        try:
            return xml_bodies.read(pieces, media.schema, text)
        except NotXml as error:
            raise BodyRefused("the body is not XML") from error
    return text


def _refuse_constant(constant: str) -> Any:
    raise ValueError(f"JSON knows no number {constant}.")
