"""Writing parameters as https://spec.openapis.org/oas/v3.1.1.html#style-values says."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from callouts.external_services.description.definitions import ParameterDefinition

__all__ = ["UnwritableValue", "as_cookie", "as_header", "as_path", "as_query", "from_header"]

_RESERVED = ":/?#[]@!$&'()*+,;="
_DELIMITERS = {"spaceDelimited": "%20", "pipeDelimited": "%7C", "tabDelimited": "%09"}
"""The last one is OpenAPI 2.0's `tsv`."""
_PLAIN_DELIMITERS = {"spaceDelimited": " ", "pipeDelimited": "|", "tabDelimited": "\t"}


class UnwritableValue(ValueError):
    """The value cannot be written where the parameter goes."""


def as_path(parameter: ParameterDefinition, value: Any) -> str:
    """Return what replaces `{name}` in a path."""
    if parameter.media_type:
        text = quote(_content(value, parameter), safe="")
    elif parameter.style == "label":
        text = "." + _joined(value, parameter, between="." if parameter.explode else ",")
    elif parameter.style == "matrix":
        text = "".join(f";{part}" for part in _named(parameter, value))
    elif parameter.style in _DELIMITERS and isinstance(value, list):
        text = _DELIMITERS[parameter.style].join(_text(item, parameter) for item in value)
    else:
        text = _joined(value, parameter, between=",")
    if text in {"", ".", ".."}:
        # An empty or dotted segment would be another path.
        raise UnwritableValue("the path has no room for an empty value, `.` or `..`")
    return text


def as_query(parameter: ParameterDefinition, value: Any) -> list[str]:
    """Return the `name=value` parts of a query."""
    name = quote(parameter.name, safe="")
    if parameter.media_type:
        return [f"{name}={quote(_content(value, parameter), safe='')}"]
    if parameter.style == "deepObject" and isinstance(value, dict):
        return list(_deep(name, value, parameter))
    delimiter = _DELIMITERS.get(parameter.style)
    if delimiter and isinstance(value, list | dict) and not parameter.explode:
        items = value if isinstance(value, list) else [part for pair in value.items() for part in pair]
        return [f"{name}={delimiter.join(_text(item, parameter) for item in items)}"]
    return list(_named(parameter, value))


def as_header(parameter: ParameterDefinition, value: Any) -> str:
    """Return the value of a header."""
    if parameter.media_type:
        text = _content(value, parameter)
    else:
        between = _PLAIN_DELIMITERS.get(parameter.style, ",")
        text = _plain_joined(value, explode=parameter.explode, between=between)
    if not text.isprintable() or not text.isascii():
        raise UnwritableValue("a header holds printable ASCII only")
    return text


def as_cookie(parameter: ParameterDefinition, value: Any) -> str:
    """Return a `name=value` pair of the `Cookie` header."""
    text = _content(value, parameter) if parameter.media_type else _plain_joined(value, explode=False)
    return f"{parameter.name}={quote(text, safe='')}"


def _named(parameter: ParameterDefinition, value: Any) -> Iterator[str]:
    """Yield `name=value` parts, one for each item where the parameter explodes."""
    name = quote(parameter.name, safe="")
    if parameter.explode and isinstance(value, dict):
        for key, item in value.items():
            yield f"{quote(str(key), safe='')}={_text(item, parameter)}"
    elif parameter.explode and isinstance(value, list):
        for item in value:
            yield f"{name}={_text(item, parameter)}"
    else:
        yield f"{name}={_joined(value, parameter, between=',')}"


def _deep(name: str, value: dict[str, Any], parameter: ParameterDefinition) -> Iterator[str]:
    for key, item in value.items():
        inner = f"{name}%5B{quote(str(key), safe='')}%5D"
        if isinstance(item, dict):
            yield from _deep(inner, item, parameter)
        else:
            for single in item if isinstance(item, list) else [item]:
                yield f"{inner}={_text(single, parameter)}"


def _joined(value: Any, parameter: ParameterDefinition, *, between: str) -> str:
    if isinstance(value, dict):
        if parameter.explode:
            return between.join(f"{quote(str(key), safe='')}={_text(item, parameter)}" for key, item in value.items())
        return ",".join(part for key, item in value.items() for part in (quote(str(key)), _text(item, parameter)))
    if isinstance(value, list):
        return between.join(_text(item, parameter) for item in value)
    return _text(value, parameter)


def _text(value: Any, parameter: ParameterDefinition) -> str:
    return quote(_plain(value), safe=_RESERVED if parameter.allow_reserved and parameter.location == "query" else "")


def _plain_joined(value: Any, *, explode: bool, between: str = ",") -> str:
    if isinstance(value, dict):
        if explode:
            return between.join(f"{key}={_plain(item)}" for key, item in value.items())
        return between.join(part for key, item in value.items() for part in (str(key), _plain(item)))
    if isinstance(value, list):
        return between.join(_plain(item) for item in value)
    return _plain(value)


def _plain(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, dict | list):
        raise UnwritableValue("the style has no form for values within values")
    return "" if value is None else _json(value)


def _content(value: Any, parameter: ParameterDefinition) -> str:
    """Write a value in the parameter's media type."""
    return value if isinstance(value, str) and not parameter.as_json else _json(value)


def from_header(text: str, kind: str) -> Any:
    """Return a header's value in the type of its schema; the text itself where it is not of that type."""
    try:
        if kind == "integer":
            return int(text)
        if kind == "number":
            return float(text)
    except ValueError:
        return text
    if kind == "boolean" and text.strip().lower() in {"true", "false"}:
        return text.strip().lower() == "true"
    if kind == "array":
        return [item.strip() for item in text.split(",") if item.strip()]
    return text


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
