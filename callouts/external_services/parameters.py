"""Writing parameters as https://spec.openapis.org/oas/v3.1.1.html#style-values says."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from callouts.external_services.definitions import ParameterDefinition

__all__ = ["UnwritableValue", "as_cookie", "as_header", "as_path", "as_query"]

_RESERVED = ":/?#[]@!$&'()*+,;="
_DELIMITERS = {"spaceDelimited": "%20", "pipeDelimited": "%7C"}


class UnwritableValue(ValueError):
    """The value cannot be written where the parameter goes."""


def as_path(parameter: ParameterDefinition, value: Any) -> str:
    """Return what replaces `{name}` in a path."""
    if parameter.as_json:
        text = quote(_json(value), safe="")
    elif parameter.style == "label":
        text = "." + _joined(value, parameter, between="." if parameter.explode else ",")
    elif parameter.style == "matrix":
        text = "".join(f";{part}" for part in _named(parameter, value))
    else:
        text = _joined(value, parameter, between=",")
    if text in {"", ".", ".."}:
        # An empty or dotted segment would be another path.
        raise UnwritableValue("the path has no room for an empty value, `.` or `..`")
    return text


def as_query(parameter: ParameterDefinition, value: Any) -> list[str]:
    """Return the `name=value` parts of a query."""
    name = quote(parameter.name, safe="")
    if parameter.as_json:
        return [f"{name}={quote(_json(value), safe='')}"]
    if parameter.style == "deepObject" and isinstance(value, dict):
        return list(_deep(name, value, parameter))
    delimiter = _DELIMITERS.get(parameter.style)
    if delimiter and isinstance(value, list) and not parameter.explode:
        return [f"{name}={delimiter.join(_text(item, parameter) for item in value)}"]
    return list(_named(parameter, value))


def as_header(parameter: ParameterDefinition, value: Any) -> str:
    """Return the value of a header."""
    text = _json(value) if parameter.as_json else _plain_joined(value, explode=parameter.explode)
    if not text.isprintable() or not text.isascii():
        raise UnwritableValue("a header holds printable ASCII only")
    return text


def as_cookie(parameter: ParameterDefinition, value: Any) -> str:
    """Return a `name=value` pair of the `Cookie` header."""
    text = _json(value) if parameter.as_json else _plain_joined(value, explode=False)
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


def _plain_joined(value: Any, *, explode: bool) -> str:
    if isinstance(value, dict):
        if explode:
            return ",".join(f"{key}={_plain(item)}" for key, item in value.items())
        return ",".join(part for key, item in value.items() for part in (str(key), _plain(item)))
    if isinstance(value, list):
        return ",".join(_plain(item) for item in value)
    return _plain(value)


def _plain(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, dict | list):
        raise UnwritableValue("the style has no form for values within values")
    return "" if value is None else _json(value)


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
