"""What the integration log may keep of an exchange: secrets masked, sizes capped.

Masking goes by name (headers, JSON keys, form and query parameters, XML elements), because a value does not show that
it is a secret; and by shape where a secret has one (`Bearer …`, the token in a callback address). Text in a format
that is not understood is masked by the same names as far as they can be recognised.

>>> url("https://bank.example/loans?api_key=abc&page=2")
'https://bank.example/loans?api_key=********&page=2'
>>> headers({"Authorization": "Bearer abc", "Accept": "application/json"})
{'Authorization': '********', 'Accept': 'application/json'}
"""

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import unquote_plus, urlsplit, urlunsplit

from callouts.redaction_rules import MASK, NO_RULES, Rules

__all__ = ["MASK", "Described", "body", "headers", "is_sensitive", "text", "url", "value"]

# Over this size a JSON body is not parsed for the log; its beginning is masked as text instead.
_PARSE_AT_MOST_BYTES = 1024 * 1024

# A name is compared without case and without anything that is not a letter or digit.
_SENSITIVE_PARTS = (
    "password", "passwd", "passphrase", "pwd", "secret", "token", "authorization", "apikey", "accesskey", "privatekey",
    "assertion", "credential", "cookie", "signature", "sessionid", "codeverifier", "cardnumber",
)  # fmt: skip
_SENSITIVE_NAMES = {"auth", "sig", "jwt", "sid", "cvv", "cvc", "pin", "samlresponse"}
_HARMLESS_NAMES = {"tokentype", "tokenurl", "tokenendpoint"}

_SEPARATORS = r"(?:\\{0,4}/|%(?:25){0,4}2F)"
_CALLBACK_ADDRESS = re.compile(rf"(services{_SEPARATORS}callbacks{_SEPARATORS})([A-Za-z0-9_~.-]+)", re.IGNORECASE)
_AUTHORIZATION_VALUE = re.compile(r"\b(Bearer|Basic|OAuth|Token)(\s+|%20|\+)[A-Za-z0-9._~+/=!%-]{6,}", re.IGNORECASE)
# In text: `"name": "value"`, `name=value`, `<name>value</name>`, the last two also when the end is cut off.
_NAME = r"[\w.\-:\[\]]{1,80}"
_QUOTED_PAIR = re.compile(
    rf"""(?P<q>\\?["'])(?P<name>{_NAME})(?P=q)(?P<mid>\s*[:=]\s*)"""
    r"""(?:(?P<vq>\\?["'])(?:\\.|(?!(?P=vq)).)*(?:(?P=vq)|\Z)|[\[{][^\]}]*(?:[\]}]|\Z)|[^\s,}\]"']+)""",
    re.DOTALL,
)
_PLAIN_PAIR = re.compile(rf"(?P<name>{_NAME})\s*[=:]\s*")
_PLAIN_VALUE = re.compile(r"""(?:"[^"]*(?:"|\Z)|'[^']*(?:'|\Z)|[^\s&;,"'<>]+)""")
_ELEMENT = re.compile(r"<(?P<name>[\w.\-:]{1,80})(?P<attributes>[^<>]*)>(?P<value>[^<]+)")


# Text without any of these holds nothing that could be recognised as a secret.
_MAY_HOLD_SECRET = re.compile(r"[=:<\"']|bearer|basic|oauth|token|callbacks", re.IGNORECASE)


# Quicker than to parse: without any of these there is nothing to mask. The shapes' words are among them.
_NEITHER_LETTER_NOR_DIGIT = re.compile(r"[^a-z0-9]+")
_NAMES_AND_SHAPES = re.compile(
    "|".join(sorted({*_SENSITIVE_PARTS, *_SENSITIVE_NAMES, "bearer", "basic", "oauth", "token", "callbacks"}))
)


@dataclass(frozen=True)
class Described:
    """A body of which only the beginning was kept."""

    beginning: bytes = field(repr=False)
    size: int
    """Bytes of the whole body."""
    sha256: str
    """Hexadecimal, of the whole body."""

    def __bool__(self) -> bool:
        return self.size > 0


@lru_cache(maxsize=4_096)
def is_sensitive(name: str) -> bool:
    """Return whether what goes by this name (of a header, key, parameter) is kept out of the log."""
    plain = re.sub(r"[^a-z0-9]", "", name.rsplit(":", 1)[-1].lower())
    if plain in _HARMLESS_NAMES:
        return False
    return plain in _SENSITIVE_NAMES or any(part in plain for part in _SENSITIVE_PARTS)


def headers(
    given: Mapping[str, str | bytes] | Iterable[tuple[str, str | bytes]],
    *,
    also: Collection[str] = (),
    rules: Rules = NO_RULES,
) -> dict[str, str]:
    """Return headers as the log keeps them; repeated ones joined by a comma. `also`: further names, in lower case."""
    kept: dict[str, str] = {}
    for name, value in given.items() if isinstance(given, Mapping) else given:
        shown = value.decode("latin-1") if isinstance(value, bytes) else str(value)
        if is_sensitive(name) or name.lower() in also:
            shown = MASK
        else:
            shown = rules.mask_text(text(shown)) if _MAY_HOLD_SECRET.search(shown) else rules.mask_text(shown)
        kept[name] = f"{kept[name]}, {shown}" if name in kept else shown
    return kept


def url(given: str, *, also: Collection[str] = (), rules: Rules = NO_RULES) -> str:
    """Return an address without user-info, with sensitive parameters and callback tokens masked.

    `also`: further names of parameters, in lower case.
    """
    try:
        parts = urlsplit(given)
    except ValueError:
        return rules.mask_text(text(given))
    place = parts.netloc.rpartition("@")
    netloc = f"{MASK}@{place[2]}" if place[1] else parts.netloc
    query, fragment = _form_masked(parts.query, also), _form_masked(parts.fragment)
    return rules.mask_text(_shapes_masked(urlunsplit((parts.scheme, netloc, parts.path, query, fragment))))


def body(
    given: bytes | str | Described | None, content_type: str, *, at_most_bytes: int, rules: Rules = NO_RULES
) -> str:
    """Return a body as the log keeps it: masked, at most `at_most_bytes` long, what is not text as size and SHA-256.

    A body that was cut says so at its end (the note is not counted).
    """
    if not given:
        return ""
    if isinstance(given, Described) and given.size > len(given.beginning):
        readable = _as_text(given.beginning, content_type, is_cut=True)
        if readable is None:
            return _described(given.size, given.sha256)
        cut = _clean(rules.mask_text(text(readable[:at_most_bytes])))
        return f"{_at_most(cut.encode(), at_most_bytes)}… [cut; {given.size} bytes in all, SHA-256 {given.sha256}]"
    if isinstance(given, Described):
        raw = given.beginning
    else:
        raw = given.encode("utf-8", "surrogatepass") if isinstance(given, str) else given
    readable = _as_text(raw, content_type)
    if readable is None:
        return _described(len(raw), hashlib.sha256(raw).hexdigest())
    if rules is NO_RULES and len(raw) <= at_most_bytes and _is_harmless(readable):
        return readable
    masked, is_cut = _masked(readable, content_type, len(raw), at_most_bytes, rules)
    encoded = _clean(rules.mask_text(masked)).encode()
    if not is_cut and len(encoded) <= at_most_bytes:
        return encoded.decode()
    return f"{_at_most(encoded, at_most_bytes)}… [cut; {len(raw)} bytes in all]"


def text(given: str) -> str:
    """Return free text with everything masked that can be recognised as a secret."""
    masked = _QUOTED_PAIR.sub(_quoted_pair_masked, given)
    masked = _ELEMENT.sub(_element_masked, masked)
    # Before the pairs: in `Authorization: Bearer abc` the pair ends at the blank.
    masked = _shapes_masked(masked)
    return _plain_pairs_masked(masked)


def value(given: Any, *, rules: Rules = NO_RULES) -> Any:
    """Return what JSON can hold, masked by the names of its members and, in its texts, by what can be recognised."""
    return _texts_masked(_json_masked(given), rules)


def _texts_masked(given: Any, rules: Rules) -> Any:
    if isinstance(given, str):
        return _text_masked(given, rules)
    if isinstance(given, dict):
        return {key: _texts_masked(inner, rules) for key, inner in given.items()}
    if isinstance(given, list):
        return [_texts_masked(inner, rules) for inner in given]
    return given


def _text_masked(given: str, rules: Rules) -> str:
    if given.lstrip()[:1] in {"{", "["} and len(given) <= _PARSE_AT_MOST_BYTES:
        # A body within the value: what its names hide is found only when it is parsed.
        with suppress(ValueError, RecursionError):
            given = json.dumps(_json_masked(json.loads(given)), ensure_ascii=False)
    return rules.mask_text(text(given))


def _is_harmless(readable: str) -> bool:
    """Return whether nothing in a text can be a secret's name, however it is written, or have a secret's shape."""
    # Where characters can stand for others, only parsing tells what is there.
    if "\\" in readable or "%" in readable or "&#" in readable:
        return False
    return _NAMES_AND_SHAPES.search(_NEITHER_LETTER_NOR_DIGIT.sub("", readable.lower())) is None


def _masked(readable: str, content_type: str, size: int, at_most_bytes: int, rules: Rules) -> tuple[str, bool]:
    """Return the masked text, and whether some of it was left out."""
    kind = _media_type(content_type)
    if kind == "application/x-www-form-urlencoded" and size <= _PARSE_AT_MOST_BYTES:
        return _shapes_masked(_form_masked(readable)), False
    if size <= _PARSE_AT_MOST_BYTES and (kind.endswith(("/json", "+json")) or readable.lstrip()[:1] in {"{", "["}):
        try:
            parsed = json.loads(readable)
            rules.mask_json(parsed)
            return _shapes_masked(json.dumps(_json_masked(parsed), ensure_ascii=False)), False
        except (ValueError, RecursionError):
            pass
    if rules.paths and kind.endswith(("/json", "+json")):
        # What the paths would mask cannot be found in a text that is not parsed.
        return f"[{size} bytes of JSON that could not be parsed for masking]", False
    # Cut before masking: patterns over megabytes would cost more than the callout. A value cut in two is still masked.
    return text(readable[:at_most_bytes]), len(readable) > at_most_bytes


def _json_masked(value: Any) -> Any:
    if isinstance(value, dict):
        # Pairs such as {"name": "password", "value": "x"} hide the name in a value.
        named = any(isinstance(value.get(key), str) and is_sensitive(value[key]) for key in ("name", "key", "field"))
        return {
            key: MASK if is_sensitive(key) or (named and key.lower() == "value") else _json_masked(inner)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [_json_masked(inner) for inner in value]
    return value


def _form_masked(given: str, also: Collection[str] = ()) -> str:
    pairs = []
    for pair in given.split("&"):
        written, equals, _ = pair.partition("=")
        name = unquote_plus(written)
        pairs.append(f"{written}={MASK}" if equals and (is_sensitive(name) or name.lower() in also) else pair)
    return "&".join(pairs)


def _shapes_masked(given: str) -> str:
    masked = _CALLBACK_ADDRESS.sub(rf"\1{MASK}", given)
    return _AUTHORIZATION_VALUE.sub(rf"\1\2{MASK}", masked)


def _quoted_pair_masked(found: re.Match[str]) -> str:
    if not is_sensitive(found["name"]):
        return found[0]
    quote = found["q"]
    return f"{quote}{found['name']}{quote}{found['mid']}{quote}{MASK}{quote}"


def _plain_pairs_masked(given: str) -> str:
    parts, at = [], 0
    while found := _PLAIN_PAIR.search(given, at):
        parts.append(given[at : found.end()])
        at = found.end()
        # The value of a harmless pair may hold a pair of its own: `line 7: password=abc`.
        if is_sensitive(found["name"]) and (value := _PLAIN_VALUE.match(given, at)):
            parts.append(MASK)
            at = value.end()
    return "".join(parts) + given[at:]


def _element_masked(found: re.Match[str]) -> str:
    return f"<{found['name']}{found['attributes']}>{MASK}" if is_sensitive(found["name"]) else found[0]


def _media_type(content_type: str) -> str:
    return content_type.split(";", 1)[0].strip().lower()


def _at_most(encoded: bytes, at_most_bytes: int) -> str:
    return encoded[:at_most_bytes].decode(errors="ignore")


def _as_text(raw: bytes, content_type: str, *, is_cut: bool = False) -> str | None:
    """Return the body as text, or `None` when it is none (multipart counts as none: it may carry files).

    `is_cut`: the last character may be incomplete.
    """
    if _media_type(content_type).startswith(("image/", "audio/", "video/", "multipart/", "application/octet-stream")):
        return None
    named = re.search(r"charset=\"?([\w.-]+)", content_type, re.IGNORECASE)
    for charset in (named[1], "utf-8") if named else ("utf-8",):
        try:
            is_lenient = is_cut and _is_text_but_for_its_end(raw)
            readable = raw.decode(charset, "ignore" if is_lenient else "strict")
        except (LookupError, ValueError):
            continue
        return None if "\x00" in readable else readable
    return None


def _is_text_but_for_its_end(raw: bytes) -> bool:
    # A character of UTF-8 has at most four bytes.
    return any(_decodes(raw[: len(raw) - cut]) for cut in range(4))


def _decodes(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def _described(size: int, sha256: str) -> str:
    return f"[{size} bytes, not text; SHA-256 {sha256}]"


def _clean(given: str) -> str:
    """Return text that every database stores: no NUL (PostgreSQL refuses it), no lone surrogates."""
    return given.replace("\x00", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
