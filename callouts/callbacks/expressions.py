"""Runtime expressions: where in an exchange a callback's address is read from.

The grammar is that of https://spec.openapis.org/oas/v3.1.1.html#runtime-expressions. A document says
`{$request.body#/callbackUrl}`; the outside reads our address there, so `placement` says where we put it.

>>> exchange = Exchange(url="http://bank/a", method="POST", request_query={"back": "http://us/cb"})
>>> expand(parse("{$request.query.back}?by={$method}"), exchange)
'http://us/cb?by=POST'
>>> placement(parse("{$request.query.back}/done"))
Placement(location='query', name='back', suffix='/done')
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from callouts.external_services.document import pointers

__all__ = [
    "Exchange",
    "Expression",
    "InvalidExpression",
    "NotPlaceable",
    "Placement",
    "Template",
    "Unresolved",
    "evaluate",
    "expand",
    "parse",
    "parse_expression",
    "placement",
]

Place = Literal["url", "method", "statusCode", "header", "query", "path", "body"]

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_EMBEDDED = re.compile(r"\{(\$[^{}]*)\}")


class InvalidExpression(ValueError):
    """The text is no runtime expression."""


class Unresolved(LookupError):
    """The exchange has nothing where the expression reads."""


class NotPlaceable(ValueError):
    """We cannot put an address where the expression reads."""


@dataclass(frozen=True, slots=True)
class Expression:
    """One runtime expression."""

    place: Place
    message: Literal["request", "response", ""] = ""
    name: str = ""
    """Of a header, query or path parameter; for a body, a JSON pointer ("" is the whole body)."""

    def __str__(self) -> str:
        if not self.message:
            return f"${self.place}"
        if self.place == "body":
            return f"${self.message}.body" + (f"#{self.name}" if self.name else "")
        return f"${self.message}.{self.place}.{self.name}"


@dataclass(frozen=True, slots=True)
class Template:
    """Texts and expressions in turn."""

    parts: tuple[str | Expression, ...]

    def __str__(self) -> str:
        return "".join(f"{{{part}}}" if isinstance(part, Expression) else part for part in self.parts)


@dataclass(frozen=True, kw_only=True, slots=True)
class Exchange:
    """A request and its answer. Header names are found in any spelling."""

    url: str
    method: str
    request_headers: Mapping[str, str] = field(default_factory=dict)
    request_query: Mapping[str, str] = field(default_factory=dict)
    request_path: Mapping[str, str] = field(default_factory=dict)
    request_body: Any = None
    status_code: int | None = None
    """`None`, as all of the response, while there is no answer yet."""
    response_headers: Mapping[str, str] = field(default_factory=dict)
    response_body: Any = None


@dataclass(frozen=True, slots=True)
class Placement:
    """Where our address goes so that an expression reads it, and what the outside appends to it."""

    location: Literal["header", "query", "path", "body"]
    name: str
    """Of the header or parameter; for a body, the JSON pointer."""
    suffix: str = ""


def parse(text: str) -> Template:
    """Parse the key of a callback: a bare expression, or a text with expressions in braces.

    Raises `InvalidExpression`.
    """
    if text.startswith("$") and "{" not in text:
        return Template((parse_expression(text),))
    parts: list[str | Expression] = []
    end = 0
    for found in _EMBEDDED.finditer(text):
        if found.start() > end:
            parts.append(text[end : found.start()])
        parts.append(parse_expression(found[1]))
        end = found.end()
    if end < len(text):
        parts.append(text[end:])
    return Template(tuple(parts))


def parse_expression(text: str) -> Expression:
    """Parse one expression, without braces. Raises `InvalidExpression`."""
    if text in {"$url", "$method", "$statusCode"}:
        place: Place = text[1:]  # type: ignore[assignment]  # the set above holds the literals
        return Expression(place)
    if text.startswith("$request."):
        return _source("request", text.removeprefix("$request."), text)
    if text.startswith("$response."):
        return _source("response", text.removeprefix("$response."), text)
    raise InvalidExpression(f"{text!r} is no runtime expression.")


def _source(message: Literal["request", "response"], source: str, text: str) -> Expression:
    place, _, name = source.partition(".")
    if place == "header" and _TOKEN.fullmatch(name):
        return Expression("header", message, name)
    if message == "request" and name and place == "query":
        return Expression("query", message, name)
    if message == "request" and name and place == "path":
        return Expression("path", message, name)
    if source == "body" or source.startswith("body#"):
        try:
            pointers.parse(source[5:])
        except pointers.InvalidPointer as error:
            raise InvalidExpression(f"{text!r}: {error}") from error
        return Expression("body", message, source[5:])
    raise InvalidExpression(f"{text!r} is no runtime expression.")


def evaluate(expression: Expression, exchange: Exchange) -> Any:
    """Return what the exchange has where the expression reads. Raises `Unresolved`."""
    if expression.place == "url":
        return exchange.url
    if expression.place == "method":
        return exchange.method
    if expression.message != "request" and exchange.status_code is None:
        raise Unresolved(f"{expression}: there is no answer yet.")
    if expression.place == "statusCode":
        return exchange.status_code
    if expression.place == "body":
        body = exchange.request_body if expression.message == "request" else exchange.response_body
        try:
            return pointers.resolve(body, expression.name)
        except pointers.PointsNowhere as error:
            raise Unresolved(f"{expression}: {error}") from error
    return _named(expression, exchange)


def _named(expression: Expression, exchange: Exchange) -> str:
    wanted = expression.name
    if expression.place == "header":
        headers = exchange.request_headers if expression.message == "request" else exchange.response_headers
        values = {name.lower(): value for name, value in headers.items()}
        wanted = wanted.lower()
    else:
        values = dict(exchange.request_query if expression.place == "query" else exchange.request_path)
    if wanted not in values:
        raise Unresolved(f"{expression}: the {expression.message} has no such {expression.place}.")
    return values[wanted]


def expand(template: Template, exchange: Exchange) -> str:
    """Return the text that a template stands for in an exchange. Raises `Unresolved`."""
    return "".join(
        _as_text(evaluate(part, exchange)) if isinstance(part, Expression) else part for part in template.parts
    )


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def placement(template: Template) -> Placement:
    """Return where our address has to be put. Raises `NotPlaceable` with the reason.

    The first expression is the address; what follows it, further expressions included, the outside appends.
    """
    if not template.parts or not any(isinstance(part, Expression) for part in template.parts):
        raise NotPlaceable("no expression reads the address from the request")
    expression, *rest = template.parts
    if not isinstance(expression, Expression):
        raise NotPlaceable("a text before the expression decides where the callback goes")
    if expression.message == "response":
        raise NotPlaceable("the address is read from the answer, which is not ours to write")
    if expression.place not in {"header", "query", "path", "body"}:
        raise NotPlaceable(f"nothing can be placed in {expression}")
    if expression.place == "body" and not expression.name:
        raise NotPlaceable("the address would be the whole body")
    suffix = str(Template(tuple(rest)))
    if suffix and suffix[0] not in "/?#":
        raise NotPlaceable("what follows the expression would change the address")
    return Placement(expression.place, expression.name, suffix)
