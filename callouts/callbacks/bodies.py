"""Bodies of callbacks: which are taken, and what they say."""

import json
from typing import Any
from urllib.parse import parse_qs

from callouts.external_services.definitions import BodyDefinition

__all__ = ["BodyRefused", "is_content_type_taken", "parse_stored"]


class BodyRefused(ValueError):
    """The body is not what its content type says."""


def is_content_type_taken(content_type: str, body: BodyDefinition | None) -> bool:
    """Return whether the document lists a content type; parameters such as the charset do not matter."""
    if body is None:
        return True
    given = _name(content_type)
    return any(_matches(given, _name(listed)) for listed in body.content_types)


def parse_stored(text: str, content_type: str, body: BodyDefinition | None) -> Any:
    """Return what a body says; `None` where there is none. Raises `BodyRefused`.

    A body that the document does not mention is parsed where it can be.
    """
    if not text:
        return None
    name = _name(content_type)
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
    return text


def _refuse_constant(constant: str) -> Any:
    raise ValueError(f"JSON knows no number {constant}.")


def _name(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def _matches(given: str, listed: str) -> bool:
    if not given or given == listed:
        return bool(given)
    kind, _, subtype = listed.partition("/")
    return listed == "*/*" or (subtype == "*" and given.startswith(f"{kind}/"))
