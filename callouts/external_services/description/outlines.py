"""Schemas as people read them: one line a property."""

from dataclasses import dataclass
from typing import Any

from callouts.external_services.description.schemas import discriminated
from callouts.external_services.document import references
from callouts.external_services.document.pointers import join
from callouts.external_services.document.references import BrokenReference, Pieces

__all__ = ["Line", "merged_properties", "outline", "type_in_words"]

_DEEPEST = 5
_MOST_LINES = 250
_MOST_VALUES = 12


@dataclass(frozen=True, kw_only=True)
class Line:
    """One property, or one alternative."""

    depth: int
    name: str
    type: str
    is_required: bool = False
    description: str = ""
    values: str = ""
    """Those that it may have, where they are listed."""


def outline(pieces: Pieces, pointer: str) -> list[Line]:
    """Return the lines of the schema at a pointer; large ones are cut where they become unreadable."""
    lines: list[Line] = []
    _walk(pieces, {"$ref": f"#{pointer}"}, f"{pointer}#", Line(depth=0, name="", type=""), lines, ())
    return lines[:_MOST_LINES]


def type_in_words(pieces: Pieces, schema: Any, at: str) -> str:
    """Return what a schema is, in a few words: `integer`, `list of Pet`, `text (date)`."""
    reference = references.reference_of(schema)
    try:
        found, target = references.resolve(pieces, schema, f"{at}#")
    except BrokenReference:
        return "anything"
    if not isinstance(found, dict):
        return "anything"
    kinds = found.get("type")
    kinds = [kinds] if isinstance(kinds, str) else kinds if isinstance(kinds, list) else []
    if not kinds:
        kinds = ["object"] if "properties" in found or "allOf" in found else ["array"] if "items" in found else []
    if "array" in kinds:
        return f"list of {type_in_words(pieces, found.get('items', {}), f'{target}/items')}"
    if not kinds:
        for keyword in ("oneOf", "anyOf"):
            if isinstance(found.get(keyword), list):
                parts = [type_in_words(pieces, part, target) for part in found[keyword][:4]]
                return " or ".join(dict.fromkeys(parts))
    name = reference.rpartition("/")[2] if reference and "object" in kinds else ""
    words = name or " or ".join(map(str, kinds)) or "anything"
    form = found.get("format")
    return f"{words} ({form})" if isinstance(form, str) else words


def merged_properties(pieces: Pieces, schema: Any, at: str, depth: int = 0) -> dict[str, tuple[Any, str, bool]]:
    """Return an object's properties with where they stand and whether they are required, parts of it included."""
    try:
        found, at = references.resolve(pieces, schema, f"{at}#")
    except BrokenReference:
        return {}
    if not isinstance(found, dict) or depth > _DEEPEST:
        return {}
    result: dict[str, tuple[Any, str, bool]] = {}
    parts = found.get("allOf")
    for number, part in enumerate(parts if isinstance(parts, list) else ()):
        result.update(merged_properties(pieces, part, f"{at}/allOf/{number}", depth + 1))
    properties, required = found.get("properties"), found.get("required")
    names = set(required) if isinstance(required, list) else set()
    for name, given in properties.items() if isinstance(properties, dict) else ():
        result[name] = (given, join("properties", name, base=at.removesuffix("#")), name in names)
    return {name: (given, where, is_required or name in names) for name, (given, where, is_required) in result.items()}


def _walk(pieces: Pieces, schema: Any, at: str, line: Line, lines: list[Line], above: tuple[str, ...]) -> None:
    try:
        found, target = references.resolve(pieces, schema, at)
    except BrokenReference:
        found, target = {}, at
    if not isinstance(found, dict) or len(lines) >= _MOST_LINES:
        return
    if line.depth or line.name:
        values = found.get("enum")
        told = ", ".join(map(str, values[:_MOST_VALUES])) if isinstance(values, list) else ""
        lines.append(
            Line(
                depth=line.depth - 1,
                name=line.name,
                type=type_in_words(pieces, schema, at),
                is_required=line.is_required,
                description=_text(found.get("description")),
                values=f"{told}, …" if isinstance(values, list) and len(values) > _MOST_VALUES else told,
            )
        )
    if target in above or line.depth >= _DEEPEST:
        return
    deeper = (*above, target)
    for name, (given, given_at, is_required) in merged_properties(pieces, found, target).items():
        below = Line(depth=line.depth + 1, name=name, type="", is_required=is_required)
        _walk(pieces, given, f"{given_at}#", below, lines, deeper)
    _walk_others(pieces, found, target, line, lines, deeper)


def _walk_others(
    pieces: Pieces, found: dict[str, Any], target: str, line: Line, lines: list[Line], above: tuple[str, ...]
) -> None:
    if isinstance(found.get("items"), dict) and _has_properties(pieces, found["items"], f"{target}/items"):
        below = Line(depth=line.depth + 1, name="each", type="")
        _walk(pieces, found["items"], f"{target}/items#", below, lines, above)
    if isinstance(found.get("additionalProperties"), dict) and found["additionalProperties"]:
        below = Line(depth=line.depth + 1, name="any other", type="")
        _walk(pieces, found["additionalProperties"], f"{target}/additionalProperties#", below, lines, above)
    chosen = discriminated(pieces, found, target)
    by_value = {target: value for value, target in chosen[1].items()} if chosen else {}
    for keyword in ("oneOf", "anyOf"):
        parts = found.get(keyword)
        for number, part in enumerate(parts[:6] if isinstance(parts, list) else ()):
            reference = references.reference_of(part) or ""
            value = by_value.get(reference.removeprefix("#"), "")
            name = f"if {chosen[0]} is {value}" if chosen and value else "either" if number == 0 else "or"
            below = Line(depth=line.depth + 1, name=name, type="")
            _walk(pieces, part, f"{target}/{keyword}/{number}#", below, lines, above)


def _has_properties(pieces: Pieces, schema: Any, at: str) -> bool:
    try:
        found, _ = references.resolve(pieces, schema, at)
    except BrokenReference:
        return False
    return isinstance(found, dict) and not {"properties", "allOf", "oneOf", "anyOf"}.isdisjoint(found)


def _text(value: Any) -> str:
    return value[:300] if isinstance(value, str) else ""
