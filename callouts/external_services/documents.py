"""Reading OpenAPI documents: bytes in, one parsed and measured `Document` out."""

import codecs
import hashlib
import json
import math
import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NoReturn

from callouts.external_services import yaml12
from callouts.external_services.errors import DocumentTooLarge, DocumentUnreadable, VersionUnsupported
from callouts.external_services.limits import DocumentLimits

__all__ = ["Document", "read"]

_VERSION = re.compile(r"3\.[01]\.[0-9]+(-[A-Za-z0-9.-]+)?")
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True, kw_only=True)
class Document:
    """An OpenAPI document of a version that is supported."""

    content: dict[str, Any]
    format: str
    """What it was written in: `json` or `yaml`."""
    version: str
    """The OpenAPI version that it names."""
    repeated_keys: tuple[str, ...] = field(default=())
    """Keys that occur twice in one JSON object; the last occurrence counts."""

    @property
    def title(self) -> str:
        info = self.content.get("info")
        title = info.get("title") if isinstance(info, dict) else None
        return title if isinstance(title, str) else ""

    @property
    def is_3_0(self) -> bool:
        return self.version.startswith("3.0.")

    @cached_property
    def text(self) -> str:
        """The document as JSON, in its own order."""
        return json.dumps(self.content, separators=(",", ":"))

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of what it says, whatever form and order it says it in."""
        canonical = json.dumps(self.content, separators=(",", ":"), sort_keys=True)
        return hashlib.sha256(canonical.encode()).hexdigest()


def read(given: bytes | str, *, limits: DocumentLimits | None = None) -> Document:
    """Read a document. Raises `DocumentUnreadable`, `DocumentTooLarge` and `VersionUnsupported`."""
    limits = limits or DocumentLimits()
    limits.check_size(len(given))
    text = _decoded(given) if isinstance(given, bytes) else given.removeprefix("\ufeff")
    repeated: list[str] = []
    if text.lstrip()[:1] in {"{", "["}:
        content, document_format = _read_braces(text, limits, repeated)
    else:
        content, document_format = yaml12.load(text, limits), "yaml"
    if not isinstance(content, dict):
        raise DocumentUnreadable("The document is not a mapping.")
    if document_format == "json":
        _measure(content, limits)
    limits.check_time()
    return Document(content=content, format=document_format, version=_version(content), repeated_keys=tuple(repeated))


def _decoded(given: bytes) -> str:
    encoding = next((name for mark, name in _BYTE_ORDER_MARKS if given.startswith(mark)), "utf-8")
    try:
        return given.decode(encoding)
    except UnicodeDecodeError as error:
        raise DocumentUnreadable(f"The document is not {encoding} text (at byte {error.start}).") from error


def _read_braces(text: str, limits: DocumentLimits, repeated: list[str]) -> tuple[Any, str]:
    """Read what looks like JSON; a flow mapping of YAML looks the same."""
    try:
        return _read_json(text, repeated), "json"
    except json.JSONDecodeError as error:
        try:
            return yaml12.load(text, limits), "yaml"
        except DocumentUnreadable:
            place = f"line {error.lineno}, column {error.colno}"
            raise DocumentUnreadable(f"The document is not JSON: {error.msg} ({place}).") from error
    except RecursionError as error:
        raise DocumentTooLarge(f"The document is nested deeper than {limits.max_depth} levels.") from error


def _read_json(text: str, repeated: list[str]) -> Any:
    def take(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        taken = dict(pairs)
        if len(taken) != len(pairs):
            seen: set[str] = set()
            repeated.extend(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]  # add() is called for its effect
        return taken

    def refuse(digits: str) -> NoReturn:
        raise DocumentUnreadable(f"No number can be read from {digits[:40]}.")

    def finite(digits: str) -> float:
        number = float(digits)
        return refuse(digits) if math.isinf(number) else number

    try:
        return json.loads(text, object_pairs_hook=take, parse_constant=refuse, parse_float=finite)
    except ValueError as error:
        if isinstance(error, json.JSONDecodeError):
            raise
        raise DocumentUnreadable("A number in the document is too long.") from error


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
    if "swagger" in content:
        raise VersionUnsupported(
            f"This is a Swagger {content['swagger']} document; register OpenAPI 3.0 or 3.1. Converters exist."
        )
    if version is None:
        raise VersionUnsupported("The document names no OpenAPI version (`openapi: 3.0.3`).")
    raise VersionUnsupported(f"The document is OpenAPI {str(version)[:40]}; 3.0 and 3.1 are supported.")
