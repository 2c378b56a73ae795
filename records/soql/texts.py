"""What a text between quotes means.

Escapes: https://developer.salesforce.com/docs/atlas.en-us.soql_sosl.meta/soql_sosl/sforce_api_calls_soql_select_quotedstringescapes.htm
"""

import re

__all__ = ["letters_of", "unescaped"]

_CONTROLS = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
_HEX = "[0-9a-fA-F]"
_CODE = re.compile(rf"\\[uU](?:([dD][89abAB]{_HEX}{{2}})\\[uU]([dD][c-fC-F]{_HEX}{{2}})|({_HEX}{{4}}))")


def unescaped(raw: str) -> str:
    """Return the text. `raw` is what stands between the quotes."""
    return raw if "\\" not in raw else "".join(letter for letter, _ in letters_of(raw))


def letters_of(raw: str) -> list[tuple[str, bool]]:
    """Return the letters, and of each whether it was escaped, which makes `%` and `_` ordinary letters in LIKE."""
    found, place = [], 0
    while place < len(raw):
        letter = raw[place]
        if letter != "\\" or place + 1 == len(raw):
            found.append((letter, False))
            place += 1
            continue
        code = _CODE.match(raw, place)
        if code is not None:
            # Two halves of a surrogate pair are one letter.
            letter = b"".join(int(half, 16).to_bytes(2) for half in code.groups() if half).decode(
                "utf-16-be", "surrogatepass"
            )
            found.append((letter, True))
            place = code.end()
            continue
        follows = raw[place + 1]
        found.append((_CONTROLS.get(follows.lower(), follows), True))
        place += 2
    return found
