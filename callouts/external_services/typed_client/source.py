"""Writing Python as formatters leave it, whatever their line length: what may be long stands one item a line."""

import keyword
import re
import textwrap
from collections.abc import Sequence

from callouts.external_services.description.names import snake_case

__all__ = ["LINE", "call", "class_name", "docstring", "literal", "shortened", "variable_name"]

LINE = 88
_WORD = re.compile(r"[A-Za-z0-9]+")
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>")
_CAMEL = re.compile(r"[A-Z]*[^A-Z]+|[A-Z]+$")
_LONGEST_CLASS = 44


def literal(text: str) -> str:
    """Return a text as a literal, in the quotes that need fewer escapes; double ones if that is no difference."""
    if text.count('"') > text.count("'"):
        return _quoted(text, "'")
    return _quoted(text, '"')


def _quoted(text: str, quote: str) -> str:
    return f"{quote}{''.join(_escaped(character, quote) for character in text)}{quote}"


def _escaped(character: str, quote: str) -> str:
    if character in {"\\", quote}:
        return f"\\{character}"
    return character if character.isprintable() else character.encode("unicode_escape").decode()


def class_name(text: str) -> str:
    """Return a text as a class name.

    >>> class_name("pull-request.simple"), class_name("2fa"), class_name("None")
    ('PullRequestSimple', 'T2fa', 'None_')
    """
    name = "".join(word[0].upper() + word[1:] for word in _WORD.findall(text)) or "Value"
    if name[0].isdigit():
        name = f"T{name}"
    return f"{name}_" if keyword.iskeyword(name) else name


def shortened(name: str) -> str:
    """Return a class name of at most 44 characters, without words from its middle.

    >>> shortened("ListAccountsByRegionAndStatusWithDetailsResponseItemOwner")
    'ListAccountsByRegionAndStatusItemOwner'
    """
    words = _CAMEL.findall(name)
    while len(words) > 3 and sum(map(len, words)) > _LONGEST_CLASS:
        del words[-3]
    return "".join(words)[:_LONGEST_CLASS] if words else name[:_LONGEST_CLASS]


def variable_name(text: str, taken: set[str]) -> str:
    """Return a text as the name of a field, and take it."""
    wanted = snake_case(text) or "value"
    wanted = f"field_{wanted[3:]}" if wanted.startswith("op_") and text[:1].isdigit() else wanted
    name, number = wanted, 1
    while name in taken:
        number += 1
        name = f"{wanted}_{number}"
    taken.add(name)
    return name


def docstring(text: str, indent: str) -> list[str]:
    """Return the lines of a docstring."""
    clean = " ".join(_TAG.sub(" ", text).replace("\\", "\\\\").replace('"""', "'''").split())
    clean = "".join(character for character in clean if character.isprintable())
    clean = clean.rstrip('"').rstrip("\\").rstrip() or "See the document."
    if len(indent) + len(clean) + 6 <= LINE:
        return [f'{indent}"""{clean}"""']
    width = LINE - len(indent)
    clean = " ".join(word[: width - 6] for word in clean.split())
    first, *rest = textwrap.wrap(clean, width=width - 6, break_long_words=False, break_on_hyphens=False)
    if not rest:
        return [f'{indent}"""{first}"""']
    return [f'{indent}"""{first}', *(f"{indent}{line}" for line in rest), f'{indent}"""']


def call(head: str, arguments: Sequence[str], indent: str) -> list[str]:
    """Return a call on one line where it fits, else with one argument a line."""
    line = f"{indent}{head}({', '.join(arguments)})"
    if len(line) <= LINE and not any("\n" in argument for argument in arguments):
        return [line]
    return [f"{indent}{head}(", *(f"{indent}    {argument}," for argument in arguments), f"{indent})"]
