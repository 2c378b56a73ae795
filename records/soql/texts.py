"""What a text between quotes means.

Escapes: https://developer.salesforce.com/docs/atlas.en-us.soql_sosl.meta/soql_sosl/sforce_api_calls_soql_select_quotedstringescapes.htm
"""

__all__ = ["letters_of", "unescaped"]

_CONTROLS = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}


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
        follows = raw[place + 1]
        code = raw[place + 2 : place + 6]
        if follows in "uU" and len(code) == 4 and all(digit in "0123456789abcdefABCDEF" for digit in code):
            found.append((chr(int(code, 16)), True))
            place += 6
            continue
        found.append((_CONTROLS.get(follows.lower(), follows), True))
        place += 2
    return found
