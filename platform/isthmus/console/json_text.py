"""JSON as people read it: indented and coloured without changing one character of any value."""

import json
import re
from collections.abc import Iterator
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.utils.html import escape, format_html_join
from django.utils.safestring import SafeString

__all__ = ["highlighted", "indented"]

LONGEST_HIGHLIGHTED = 200_000
"""Characters; what is longer is shown as it came."""
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+', re.DOTALL)


def indented(value: Any) -> str:
    """Return JSON text with one member a line. A text that is not JSON comes back as it is.

    Values are moved, never parsed and written anew: `1.10` stays `1.10`.
    """
    tokens = _tokens(value)
    return _as_text(value) if tokens is None else "".join(text for _, text in _laid_out(tokens))


def highlighted(value: Any) -> SafeString:
    """Return the same as HTML, every token escaped, with a class for keys, texts and other values."""
    tokens = _tokens(value)
    if tokens is None:
        return escape(_as_text(value))
    return format_html_join("", '<span class="json-{}">{}</span>', _laid_out(tokens))


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, cls=DjangoJSONEncoder, ensure_ascii=False)


def _tokens(value: Any) -> list[str] | None:
    text = _as_text(value)
    if len(text) > LONGEST_HIGHLIGHTED:
        return None
    if isinstance(value, str):
        try:
            json.loads(text)
        except (ValueError, RecursionError):
            return None
    return _TOKEN.findall(text)


def _laid_out(tokens: list[str]) -> Iterator[tuple[str, str]]:
    """Yield (class, text) pairs; the class is `key`, `text`, `value` or `mark`."""
    depth = 0
    for index, token in enumerate(tokens):
        following = tokens[index + 1] if index + 1 < len(tokens) else ""
        if token in "{[":
            depth += 1
            yield "mark", token if following in {"}", "]"} else f"{token}\n{'  ' * depth}"
        elif token in "}]":
            depth -= 1
            is_empty = tokens[index - 1] in {"{", "["}
            yield "mark", token if is_empty else f"\n{'  ' * depth}{token}"
        elif token == ",":
            yield "mark", f",\n{'  ' * depth}"
        elif token == ":":
            yield "mark", ": "
        elif token.startswith('"'):
            yield ("key" if following == ":" else "text"), token
        else:
            yield "value", token
