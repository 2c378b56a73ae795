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


def _laid_out(lexemes: list[str]) -> Iterator[tuple[str, str]]:
    """Yield (class, text) pairs; the class is `key`, `text`, `value` or `mark`."""
    depth = 0
    for index, lexeme in enumerate(lexemes):
        following = lexemes[index + 1] if index + 1 < len(lexemes) else ""
        if lexeme in "{[":
            depth += 1
            yield "mark", lexeme if following in {"}", "]"} else f"{lexeme}\n{'  ' * depth}"
        elif lexeme in "}]":
            depth -= 1
            is_empty = lexemes[index - 1] in {"{", "["}
            yield "mark", lexeme if is_empty else f"\n{'  ' * depth}{lexeme}"
        elif lexeme == ",":
            yield "mark", f",\n{'  ' * depth}"
        elif lexeme == ":":
            yield "mark", ": "
        elif lexeme.startswith('"'):
            yield ("key" if following == ":" else "text"), lexeme
        else:
            yield "value", lexeme
