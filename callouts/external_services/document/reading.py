"""Reading OpenAPI documents: bytes in, one parsed and measured `Document` out."""

import codecs
import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, NoReturn

import msgspec

from callouts.external_services.document import yaml12
from callouts.external_services.document.limits import DocumentLimits
from callouts.external_services.errors import DocumentTooLarge, DocumentUnreadable, VersionUnsupported

__all__ = ["Dialect", "Document", "Source", "dialect_of", "encoded", "parse", "read", "storable"]

Dialect = Literal["2.0", "3.0", "3.1"]

_VERSION = re.compile(r"3\.[01]\.[0-9]+(-[A-Za-z0-9.-]+)?")
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_REFERENCE = re.compile(rb'"\$ref":"([^"\\]*(?:\\.[^"\\]*)*)"')
_BEGINNING = 4096
_NOT_BRACES = bytes(set(range(256)) - set(b"{}[]"))


@dataclass(frozen=True, kw_only=True)
class Source:
    """A text as it was given."""

    text: str
    format: str
    """What it was written in: `json` or `yaml`."""

    @property
    def storable(self) -> str:
        """The text without what no database keeps: U+0000, and halves of characters."""
        clean = storable(self.text)
        # All ASCII, as most are, needs no look at each character.
        return clean if clean.isascii() else clean.encode(errors="replace").decode()


@dataclass(frozen=True, kw_only=True)
class Document:
    """An OpenAPI document of a version that is supported, in one piece: what it refers to elsewhere is within it."""

    content: dict[str, Any]
    version: str
    """The OpenAPI version that it names."""
    sources: Mapping[str, Source]
    """The texts it was made of, by name; the first is the document itself, under the name ""."""
    repeated_keys: tuple[str, ...] = field(default=())
    """Keys that occur twice in one JSON object; the last occurrence counts."""

    @property
    def format(self) -> str:
        return self.sources[""].format

    @property
    def title(self) -> str:
        info = self.content.get("info")
        title = info.get("title") if isinstance(info, dict) else None
        return storable(title) if isinstance(title, str) else ""

    @property
    def dialect(self) -> Dialect:
        return dialect_of(self.version)

    @cached_property
    def canonical(self) -> bytes:
        """The document as JSON whose objects are in order: the same for whatever says the same."""
        return encoded(self.content, in_order=True)

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of what it says, whatever form and order it says it in."""
        return hashlib.sha256(self.canonical).hexdigest()

    @cached_property
    def references(self) -> frozenset[str]:
        """Every text that stands under a key `$ref`."""
        found = set(_REFERENCE.findall(self.canonical))
        return frozenset(json.loads(b'"%s"' % one) if b"\\" in one else one.decode() for one in found)


def storable(text: str) -> str:
    """Return a text without U+0000, which JSON allows and PostgreSQL's texts do not."""
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}") if "\x00" in text else text


def dialect_of(version: str) -> Dialect:
    """Return which rules a version follows."""
    if version.startswith("2."):
        return "2.0"
    return "3.0" if version.startswith("3.0.") else "3.1"


def encoded(value: Any, *, in_order: bool = False) -> bytes:
    """Return a value made of JSON's types as JSON."""
    try:
        return msgspec.json.encode(value, order="sorted" if in_order else None)
    except (ValueError, OverflowError, msgspec.MsgspecError):
        # Integers beyond 64 bits.
        return json.dumps(value, separators=(",", ":"), sort_keys=in_order).encode()


def read(given: bytes | str, *, limits: DocumentLimits | None = None) -> Document:
    """Read a document. Raises `DocumentUnreadable`, `DocumentTooLarge` and `VersionUnsupported`."""
    limits = limits or DocumentLimits()
    repeated: list[str] = []
    content, source = parse(given, limits, repeated)
    version = _version(content)
    return Document(content=content, version=version, sources={"": source}, repeated_keys=tuple(repeated))


def parse(given: bytes | str, limits: DocumentLimits, repeated: list[str]) -> tuple[dict[str, Any], Source]:
    """Parse JSON or YAML; note keys that occur twice. Raises `DocumentUnreadable` and `DocumentTooLarge`."""
    limits.check_size(len(given))
    text = _decoded(given) if isinstance(given, bytes) else given.removeprefix("\ufeff")
    if text[:_BEGINNING].lstrip()[:1] in {"{", "["}:
        # Bytes in UTF-8, as nearly all are, need not be made again.
        raw = given if isinstance(given, bytes) and len(given) >= len(text) and given[:1] in b"{[ \r\n\t" else None
        content, written = _read_braces(text, raw, limits, repeated)
    else:
        content, written = yaml12.load(text, limits, repeated), "yaml"
    if not isinstance(content, dict):
        raise DocumentUnreadable("The document is not a mapping.")
    limits.check_time()
    return content, Source(text=text, format=written)


def _decoded(given: bytes) -> str:
    encoding = next((name for mark, name in _BYTE_ORDER_MARKS if given.startswith(mark)), "utf-8")
    try:
        return given.decode(encoding)
    except UnicodeDecodeError as error:
        raise DocumentUnreadable(f"The document is not {encoding} text (at byte {error.start}).") from error


def _read_braces(text: str, raw: bytes | None, limits: DocumentLimits, repeated: list[str]) -> tuple[Any, str]:
    """Read what looks like JSON; a flow mapping of YAML looks the same."""
    try:
        return _read_json(text, raw, limits, repeated), "json"
    except json.JSONDecodeError as error:
        try:
            return yaml12.load(text, limits, repeated), "yaml"
        except DocumentUnreadable:
            place = f"line {error.lineno}, column {error.colno}"
            raise DocumentUnreadable(f"The document is not JSON: {error.msg} ({place}).") from error
    except RecursionError as error:
        raise DocumentTooLarge(f"The document is nested deeper than {limits.max_depth} levels.") from error


def _read_json(text: str, given: bytes | None, limits: DocumentLimits, repeated: list[str]) -> Any:
    """Read JSON quickly where nothing is odd about it, and otherwise so that the oddity can be named."""
    raw = text.encode(errors="surrogatepass") if given is None else given
    try:
        content = msgspec.json.decode(raw)
    except (msgspec.MsgspecError, ValueError):
        content = _read_carefully(text, repeated)
    else:
        # Of two equal keys the decoder drops one; then fewer are left than were read.
        if encoded(content).count(b'":') != raw.count(b'":'):
            content = _read_carefully(text, repeated)
    if not _is_surely_small(raw, limits):
        _measure(content, limits)
    return content


def _read_carefully(text: str, repeated: list[str]) -> Any:
    def take(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        taken = dict(pairs)
        if len(taken) != len(pairs):
            repeated.extend(_twice(key for key, _ in pairs))
        return taken

    def refuse(digits: str) -> NoReturn:
        raise DocumentUnreadable(f"No number can be read from {digits[:40]}.")

    def finite(digits: str) -> float:
        number = float(digits)
        return refuse(digits) if math.isinf(number) else number

    try:
        return _without_halves(json.loads(text, object_pairs_hook=take, parse_constant=refuse, parse_float=finite))
    except ValueError as error:
        if isinstance(error, json.JSONDecodeError):
            raise
        raise DocumentUnreadable("A number in the document is too long.") from error


def _without_halves(content: Any) -> Any:
    """Return a value in which halves of characters, which JSON may escape and nothing can store, are replaced."""
    if isinstance(content, str):
        return content if content.isascii() else content.encode(errors="replace").decode()
    if isinstance(content, dict):
        return {_without_halves(key): _without_halves(value) for key, value in content.items()}
    return [_without_halves(value) for value in content] if isinstance(content, list) else content


def _twice(keys: Iterable[str]) -> list[str]:
    seen: set[str] = set()
    twice = []
    for key in keys:
        if key in seen:
            twice.append(key)
        seen.add(key)
    return twice


def _is_surely_small(raw: bytes, limits: DocumentLimits) -> bool:
    """Return whether the braces alone show that a JSON text keeps the limits, at a fraction of the cost of counting.

    A round takes away innermost brackets: of every two levels at least one. Braces within texts disturb this a little,
    and a text made for it can deceive: what follows stops at depths of its own, and the decoder had its limit too.
    """
    # A value takes two bytes at least, itself and what parts it from the next one.
    if len(raw) // 2 > limits.max_nodes and raw.count(b",") + raw.count(b"{") + raw.count(b"[") > limits.max_nodes:
        return False
    braces, rounds = raw.translate(None, _NOT_BRACES), 0
    while braces and 2 * rounds < limits.max_depth:
        fewer = braces.replace(b"{}", b"").replace(b"[]", b"")
        if len(fewer) == len(braces):
            break
        braces, rounds = fewer, rounds + 1
    return 2 * rounds + len(braces) <= limits.max_depth


def _measure(content: Any, limits: DocumentLimits) -> None:
    """Count values and levels; level by level, so that depth costs no recursion."""
    level: list[Any] = [content]
    depth = nodes = 0
    while level:
        depth += 1
        limits.check_depth(depth)
        below: list[Any] = []
        for value in level:
            children = value.values() if isinstance(value, dict) else value
            nodes += len(value)
            below.extend(child for child in children if isinstance(child, dict | list))
        limits.check_nodes(nodes)
        limits.check_time()
        level = below


def _version(content: dict[str, Any]) -> str:
    version = content.get("openapi")
    if isinstance(version, int | float) and not isinstance(version, bool):
        version = f"{version}.0"  # YAML writers forget the quotes and the third number
    if isinstance(version, str) and re.fullmatch(r"3\.[01]", version):
        version = f"{version}.0"
    if isinstance(version, str) and _VERSION.fullmatch(version):
        return version
    swagger = content.get("swagger")
    if version is None and swagger is not None:
        if str(swagger) in {"2.0", "2"}:
            return "2.0"
        raise VersionUnsupported(f"The document is Swagger {str(swagger)[:40]}; 2.0 is supported, as OpenAPI 2.0.")
    if version is None:
        raise VersionUnsupported("The document names no OpenAPI version (`openapi: 3.0.3`).")
    raise VersionUnsupported(f"The document is OpenAPI {str(version)[:40]}; 2.0, 3.0 and 3.1 are supported.")
