"""Values that fit a schema: its examples, or made up, the same ones every time."""

import re
from collections.abc import Mapping
from random import Random
from typing import Any

from rstr import Rstr

from callouts.external_services.description.definitions import MediaDefinition
from callouts.external_services.description.schemas import Direction, discriminated
from callouts.external_services.document import references
from callouts.external_services.document.pointers import PointsNowhere
from callouts.external_services.document.references import BrokenReference, Pieces

__all__ = ["sample", "sample_of_media"]

_DEEPEST = 8
_MOST_ITEMS = 10
_COUNT = re.compile(r"\{(?:\d*,)?(\d+),?\}")
_LONGEST_PATTERN = 200
_TEXTS = {
    "date": "2026-01-31",
    "date-time": "2026-01-31T12:00:00Z",
    "time": "12:00:00Z",
    "uuid": "3fa85f64-5717-4562-b3fc-2c963f66afa6",
    "email": "ada@example.org",
    "uri": "https://example.org/",
    "url": "https://example.org/",
    "hostname": "example.org",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "byte": "aXN0aG11cw==",
    "binary": "isthmus",
    "password": "correct horse",
}


def sample_of_media(
    pieces: Pieces, media: MediaDefinition, *, name: str = "", direction: Direction = "response"
) -> Any:
    """Return what a media type's examples say (the one called `name`, or the first), or a value of its schema."""
    if media.example is not None:
        found, given = _example_of_media(pieces, media.example, media.content_type, name)
        if found:
            return given
    if media.has_all_fields:
        return {
            field.name: "isthmus" if field.schema is None else sample(pieces, field.schema, direction=direction)
            for field in media.fields
            if field.required
        }
    return None if media.schema is None else sample(pieces, media.schema, direction=direction)


def sample(pieces: Pieces, pointer: str, *, direction: Direction = "response") -> Any:
    """Return a value of the schema at a pointer. What a request must not hold (`readOnly`) is left out of it."""
    return _Samples(pieces, direction).of({"$ref": f"#{pointer}"}, f"{pointer}#", 0)


def _example_of_media(pieces: Pieces, pointer: str, content_type: str, name: str) -> tuple[bool, Any]:
    try:
        media = pieces.at(pointer)
    except PointsNowhere:
        return False, None
    examples = media.get("examples")
    if isinstance(examples, dict) and examples:
        # OpenAPI 2.0 has one example a media type, without a name.
        if content_type in examples and "value" not in (examples[content_type] or {}):
            return True, examples[content_type]
        chosen = examples.get(name, next(iter(examples.values())))
        try:
            chosen, _ = references.resolve(pieces, chosen, pointer)
        except BrokenReference:
            return False, None
        if isinstance(chosen, dict) and "value" in chosen:
            return True, chosen["value"]
    return "example" in media, media.get("example")


class _Samples:
    def __init__(self, pieces: Pieces, direction: Direction) -> None:
        self._pieces = pieces
        self._absent = "readOnly" if direction == "request" else "writeOnly"
        self._open: list[str] = []

    def of(self, schema: Any, at: str, depth: int) -> Any:
        try:
            found, target = references.resolve(self._pieces, schema, at)
        except BrokenReference:
            return None
        if not isinstance(found, dict):
            return None
        for keyword in ("example", "default", "const"):
            if keyword in found:
                return found[keyword]
        for keyword in ("examples", "enum"):
            if isinstance(found.get(keyword), list) and found[keyword]:
                return found[keyword][0]
        if depth > _DEEPEST or target in self._open:
            return _shallow(found)
        self._open.append(target)
        try:
            return self._made(found, target, depth)
        finally:
            self._open.pop()

    def _made(self, schema: Mapping[str, Any], at: str, depth: int) -> Any:
        chosen = discriminated(self._pieces, schema, at)
        if chosen is not None:
            name, mapping, _ = chosen
            value, target = next(iter(mapping.items()))
            made = self.of({"$ref": f"#{target}"}, f"{target}#", depth + 1)
            return {**made, name: value} if isinstance(made, dict) else made
        for keyword in ("oneOf", "anyOf"):
            if isinstance(schema.get(keyword), list) and schema[keyword]:
                made = self.of(schema[keyword][0], f"{at}/{keyword}/0", depth + 1)
                own = self._object(schema, at, depth) if "properties" in schema else None
                return {**own, **made} if isinstance(own, dict) and isinstance(made, dict) else made
        if isinstance(schema.get("allOf"), list) and schema["allOf"]:
            return self._all_of(schema, at, depth)
        kind = _kind(schema)
        if kind == "object":
            return self._object(schema, at, depth)
        if kind == "array":
            least = schema.get("minItems", 1)
            count = min(max(least if isinstance(least, int) else 1, 1), _MOST_ITEMS)
            items = schema.get("items", {})
            return [self.of(items, f"{at}/items", depth + 1) for _ in range(count)]
        return _scalar(kind, schema)

    def _all_of(self, schema: Mapping[str, Any], at: str, depth: int) -> Any:
        made: Any = self._object(schema, at, depth) if "properties" in schema else None
        for number, part in enumerate(schema["allOf"]):
            inner = self.of(part, f"{at}/allOf/{number}", depth + 1)
            made = {**made, **inner} if isinstance(made, dict) and isinstance(inner, dict) else made or inner
        return made

    def _object(self, schema: Mapping[str, Any], at: str, depth: int) -> dict[str, Any]:
        properties = schema.get("properties")
        required = schema.get("required")
        names = set(required) if isinstance(required, list) else set()
        made = {}
        for name, given in properties.items() if isinstance(properties, dict) else ():
            is_optional = name not in names
            # Optional parts end circles, and make a sample of a large document readable.
            if self._is_absent(given) or (is_optional and (depth > 2 or self._is_open(given))):
                continue
            made[name] = self.of(given, f"{at}/properties/{name}", depth + 1)
        return made

    def _is_open(self, schema: Any) -> bool:
        """Return whether a property leads back to what is being made."""
        reference = references.reference_of(schema)
        try:
            return reference is not None and references.resolve(self._pieces, schema, "")[1] in self._open
        except BrokenReference:
            return False

    def _is_absent(self, schema: Any) -> bool:
        return isinstance(schema, dict) and schema.get(self._absent) is True


def _kind(schema: Mapping[str, Any]) -> str:
    given = schema.get("type")
    named = next((one for one in given if one != "null"), "null") if isinstance(given, list) and given else given
    if isinstance(named, str):
        return named
    return "object" if "properties" in schema else "array" if "items" in schema else "string"


def _shallow(schema: Mapping[str, Any]) -> Any:
    return {"object": {}, "array": []}.get(_kind(schema), _scalar(_kind(schema), schema))


def _scalar(kind: str, schema: Mapping[str, Any]) -> Any:
    if kind == "boolean":
        return True
    if kind in {"integer", "number"}:
        return _number(kind, schema)
    if kind == "null":
        return None
    pattern = schema.get("pattern")
    if isinstance(pattern, str) and (made := _matching(pattern)):
        return made
    text = _TEXTS.get(str(schema.get("format")), "text")
    least, most = schema.get("minLength", 0), schema.get("maxLength")
    if isinstance(least, int) and len(text) < least:
        text = (text * (least // len(text) + 1))[:least]
    return text[:most] if isinstance(most, int) and most >= 0 and "format" not in schema else text


def _matching(pattern: str) -> str:
    """Return a text that a regular expression matches, the same one every time; "" where none is found with ease."""
    counts = [int(count) for count in _COUNT.findall(pattern)]
    if len(pattern) > _LONGEST_PATTERN or sum(count > 64 for count in counts) or sum(count > 8 for count in counts) > 2:
        return ""
    try:
        made: str = Rstr(Random(0)).xeger(pattern)  # noqa: S311 - a sample, not a secret
        return made if re.search(pattern, made) else ""
    except (re.error, ValueError, KeyError, IndexError, OverflowError, RecursionError, NotImplementedError):
        return ""


def _number(kind: str, schema: Mapping[str, Any]) -> Any:
    value: Any = 1 if kind == "integer" else 1.5
    least, most = schema.get("minimum"), schema.get("maximum")
    if isinstance(least, int | float) and value < least:
        value = least
    if isinstance(most, int | float) and value > most:
        value = most
    above = _limit(schema.get("exclusiveMinimum"), least)
    if above is not None and value <= above:
        value = above + 1
    below = _limit(schema.get("exclusiveMaximum"), most)
    if below is not None and value >= below:
        value = below - 1
    step = schema.get("multipleOf")
    if isinstance(step, int | float) and step > 0 and value % step:
        value = value + step - value % step
    return int(value) if kind == "integer" else value


def _limit(exclusive: Any, inclusive: Any) -> Any:
    """Return the limit that a value must not reach: a number of its own, or in OpenAPI 3.0 the other one's."""
    if exclusive is True:
        return inclusive if isinstance(inclusive, int | float) else None
    return exclusive if isinstance(exclusive, int | float) and not isinstance(exclusive, bool) else None
