"""`@{reference.path[0].Field}` in the address and the body of a part: values that earlier parts answered.

>>> from records.calls import Answer
>>> References({"made": Answer(status=201, body={"id": "001…", "errors": []})}).in_value({"AccountId": "@{made.id}"})
{'AccountId': '001…'}
"""

import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from records.calls import Answer
from records.errors import NoReferredValue, PartLimitExceeded

__all__ = ["MAX_FILLED_CHARACTERS", "References", "names_in"]

MAX_FILLED_CHARACTERS = 5_000_000
"""How much references may bring into one part: short ones can stand for long texts, many times over."""

_REFERENCE = re.compile(r"@\{([^{}]*)\}")
_EXPRESSION = re.compile(r"([A-Za-z0-9][A-Za-z0-9_]*)((?:\.[^.\[\]\s]+|\[[0-9]{1,9}\])+)")
_STEP = re.compile(r"\.([^.\[\]\s]+)|\[([0-9]+)\]")


class References:
    """Fills in the references of one part. Its methods raise `NoReferredValue` and `PartLimitExceeded`."""

    def __init__(self, answers: Mapping[str, Answer]) -> None:
        self._answers = answers
        self._left = MAX_FILLED_CHARACTERS

    def in_value(self, value: Any) -> Any:
        """Return a JSON value with the references in its texts filled in; the names of members stay as they are.

        A text that is one reference and nothing else becomes the value referred to, whatever its type.
        """
        if isinstance(value, str):
            whole = _REFERENCE.fullmatch(value)
            return self.in_text(value) if whole is None else self._value(whole[1])
        if isinstance(value, Mapping):
            return {name: self.in_value(below) for name, below in value.items()}
        if isinstance(value, list):
            return [self.in_value(below) for below in value]
        return value

    def in_text(self, text: str) -> str:
        """Return the text with its references filled in as text."""
        return _REFERENCE.sub(lambda found: self._text(found[1]), text)

    def in_soql(self, text: str) -> str:
        """Return a query with its references filled in; a value between quotes stays between them."""
        pieces, done, is_quoted = [], 0, False
        for found in _REFERENCE.finditer(text):
            before = text[done : found.start()]
            is_quoted, done = _ends_quoted(before, is_quoted), found.end()
            value = self._text(found[1])
            pieces += [before, value.replace("\\", "\\\\").replace("'", "\\'") if is_quoted else value]
        return "".join([*pieces, text[done:]])

    def _value(self, expression: str) -> Any:
        matched = _EXPRESSION.fullmatch(expression)
        if matched is None:
            raise _no_value(expression, "it does not read like reference.Field or reference[0].Field")
        name, steps = matched[1], matched[2]
        answer = self._answers.get(name)
        if answer is None:
            raise _no_value(expression, f"no part before this one is called {name}")
        value = answer.body
        if not answer.succeeded:
            raise _no_value(expression, f"{name} did not succeed")
        for key, place in _STEP.findall(steps):
            if key and isinstance(value, Mapping) and key in value:
                value = value[key]
            elif place and isinstance(value, list) and int(place) < len(value):
                value = value[int(place)]
            else:
                raise NoReferredValue(f"Invalid reference specified. No value for {expression[:100]} found in {name}.")
        self._take(value)
        return value

    def _text(self, expression: str) -> str:
        value = self._value(expression)
        if isinstance(value, str):
            return value
        if value is None or isinstance(value, Mapping | list):
            raise _no_value(expression, "a text takes a single value")
        return format(value, "f") if isinstance(value, Decimal) else json.dumps(value)

    def _take(self, value: Any) -> None:
        if isinstance(value, Mapping):
            for name, below in value.items():
                self._take(name)
                self._take(below)
        elif isinstance(value, list):
            for below in value:
                self._take(below)
        self._left -= len(value) if isinstance(value, str) else 1
        if self._left < 0:
            raise PartLimitExceeded(f"References may bring {MAX_FILLED_CHARACTERS:,} characters into one part.")


def names_in(value: Any) -> Iterator[str]:
    """Yield the names of the parts that a JSON value refers to."""
    if isinstance(value, str):
        for found in _REFERENCE.finditer(value):
            matched = _EXPRESSION.fullmatch(found[1])
            if matched is not None:
                yield matched[1]
    elif isinstance(value, Mapping):
        for below in value.values():
            yield from names_in(below)
    elif isinstance(value, list | tuple):
        for below in value:
            yield from names_in(below)


def _ends_quoted(text: str, is_quoted: bool) -> bool:
    letters = iter(text)
    for letter in letters:
        if letter == "'":
            is_quoted = not is_quoted
        elif letter == "\\" and is_quoted:
            next(letters, None)
    return is_quoted


def _no_value(expression: str, why: str) -> NoReferredValue:
    return NoReferredValue(f"Invalid reference specified. No value for {expression[:100]} found: {why}.")
