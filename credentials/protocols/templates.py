"""Texts with places for a principal's parameters: `Bearer {ApiKey}`, `{Username|base64}`.

A place names one parameter, followed by functions from a fixed list. Nothing is evaluated: there are no attributes,
indexes, expressions or nested places, so a template can reach nothing but the parameters that it is given. Salesforce's
way to write a place, `{!$Credential.Acme.ApiKey}`, is read as well. `{{` and `}}` stand for the braces themselves.

>>> Template.parse("Key {ApiKey|base64}").render({"ApiKey": "abc"})
'Key YWJj'
>>> sorted(Template.parse("{User}:{!$Credential.Acme.Pass}").parameters)
['Pass', 'User']
"""

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from django.views.decorators.debug import sensitive_variables

from credentials.errors import SettingsRefused

__all__ = ["FUNCTIONS", "PARAMETER_NAME", "Template"]

PARAMETER_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,59}", re.ASCII)
FUNCTIONS: Mapping[str, Callable[[str], str]] = {
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64url": lambda text: base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode(),
    "hex": lambda text: text.encode().hex(),
    "lower": str.lower,
    "upper": str.upper,
    "urlencode": lambda text: quote(text, safe=""),
}
_PIECE = re.compile(
    r"(?P<text>[^{}]+|\{\{|\}\})"
    r"|\{(?:!\$Credential\.[A-Za-z][A-Za-z0-9_]{0,79}\.)?(?P<name>[A-Za-z][A-Za-z0-9_]{0,59})(?P<functions>(?:\|[a-z0-9]+)*)\}",
    re.ASCII,
)
_MAXIMUM_LENGTH = 4_000


@dataclass(frozen=True)
class _Place:
    name: str
    functions: tuple[str, ...]


@dataclass(frozen=True)
class Template:
    """A parsed template."""

    pieces: tuple[str | _Place, ...]

    @classmethod
    def parse(cls, text: str) -> "Template":
        """Read a template. Raises `SettingsRefused` with the place of what cannot be read."""
        if len(text) > _MAXIMUM_LENGTH:
            raise SettingsRefused(f"A template is at most {_MAXIMUM_LENGTH:,} characters long.")
        pieces: list[str | _Place] = []
        position = 0
        while position < len(text):
            found = _PIECE.match(text, position)
            if found is None:
                raise SettingsRefused(
                    f"The template cannot be read at character {position + 1}: a place is written {{Parameter}} or "
                    "{Parameter|function}; {{ and }} stand for braces."
                )
            pieces.append(_piece(found))
            position = found.end()
        return cls(tuple(pieces))

    @property
    def parameters(self) -> frozenset[str]:
        """The names of the parameters that it needs."""
        return frozenset(piece.name for piece in self.pieces if isinstance(piece, _Place))

    @sensitive_variables()
    def render(self, values: Mapping[str, str]) -> str:
        """Return the text with the parameters in their places. Raises `KeyError` for one that is not given."""
        rendered = []
        for piece in self.pieces:
            if isinstance(piece, str):
                rendered.append(piece)
                continue
            value = values[piece.name]
            for function in piece.functions:
                value = FUNCTIONS[function](value)
            rendered.append(value)
        return "".join(rendered)


def _piece(found: re.Match[str]) -> str | _Place:
    text = found["text"]
    if text is not None:
        return {"{{": "{", "}}": "}"}.get(text, text)
    functions = tuple(name for name in found["functions"].split("|") if name)
    for name in functions:
        if name not in FUNCTIONS:
            raise SettingsRefused(f"There is no function {name!r}; there are: {', '.join(FUNCTIONS)}.")
    return _Place(found["name"], functions)
